// koine_sim_strict: stops simulated code that reaches for the real world.
//
// A program that asks the kernel for the time, or draws chance from it, tells another story in each
// run, and the seed that made it fail is worth nothing. What links this library has the functions
// below replaced by ours: on a thread that is inside a world (inside.h) they say who called what,
// with the calls that led there, and abort; everywhere else they are what they always were.
//
// It sees what is called by name through the dynamic linker. What it cannot see: instructions
// (rdtsc, rdrand), system calls made by hand (syscall(2)), and what libc calls inside itself.
#include <cxxabi.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "koine/async/loop.h"
#include "koine/sim/inside.h"

// Who links the library asks for this symbol, and so gets the whole file.
extern "C" {
extern const int koine_sim_strict;
const int koine_sim_strict = 1;
}

namespace koine::sim {
namespace {

constexpr const char* clock = "take the time from the loop: network.loop().now()";
constexpr const char* chance = "draw chance from the loop: network.loop().chance()";
constexpr const char* thread = "what runs side by side is a task: Scope::spawn()";
constexpr const char* process = "a simulated host has no processes but its programs: Host::run()";
constexpr const char* network = "use the Network that the program was given";
constexpr const char* waiting = "wait on the loop: co_await sleep(...)";

constexpr int frames_max = 64;

void print_calls() {
  void* frames[frames_max];
  const int count = backtrace(frames, frames_max);
  for (int i = 2; i < count; ++i) {  // without this function and its caller
    Dl_info info{};
    const bool is_named = dladdr(frames[i], &info) != 0 && info.dli_sname != nullptr;
    char* const name =
        is_named ? abi::__cxa_demangle(info.dli_sname, nullptr, nullptr, nullptr) : nullptr;
    std::fprintf(stderr, "    %p %s\n", frames[i],
                 name != nullptr ? name : (is_named ? info.dli_sname : "?"));
    std::free(name);
  }
}

[[noreturn, gnu::noinline]] void refuse(const char* call, const char* advice) {
  const Inside& inside = *Inside::current();
  Inside::leave();
  const std::string who = inside.who() != nullptr ? "host '" + std::string(inside.who()) + "'"
                                                  : std::string("an act of the world");
  std::fprintf(stderr,
               "sim: strict: %s called %s, which the world's seed (%llu) does not decide; %s. "
               "Called from:\n",
               who.c_str(), call, static_cast<unsigned long long>(inside.seed()), advice);
  print_calls();
  if (inside.loop() != nullptr)
    std::fprintf(stderr, "Its tasks:\n%s", inside.loop()->dump().c_str());
  std::abort();
}

void refuse_inside(const char* call, const char* advice) {
  if (Inside::current() != nullptr) [[unlikely]]
    refuse(call, advice);
}

/// What our function stands before: a sanitizer's, if there is one, or the library's.
template <class Function>
Function* behind(std::atomic<Function*>& known, Function* sanitizer, const char* name) {
  if (Function* const found = known.load(std::memory_order_relaxed)) return found;
  Function* found = sanitizer;
  if (found == nullptr) {
    void* const symbol = dlsym(RTLD_NEXT, name);
    if (symbol == nullptr) {  // an older libc does not have it
      std::fprintf(stderr, "koine_sim_strict: there is no %s\n", name);
      std::abort();
    }
    std::memcpy(&found, &symbol, sizeof found);
  }
  known.store(found, std::memory_order_relaxed);
  return found;
}

bool is_chance(const char* path) {
  return std::string_view(path) == "/dev/urandom" || std::string_view(path) == "/dev/random";
}

}  // namespace
}  // namespace koine::sim

// The functions have names of their own here, so that they need not agree with the declarations in
// the library's headers word for word; `symbol` is what the linker sees.
#define KOINE_BEHIND(Result, name, symbol, Parameters)                                            \
  extern "C" Result koine_strict_##name Parameters asm(symbol);                                   \
  extern "C" [[gnu::weak]] Result koine_sanitizer_##name Parameters asm("__interceptor_" symbol); \
  static std::atomic<Result(*) Parameters> koine_behind_##name;

#define KOINE_CALL_BEHIND(name, symbol) \
  koine::sim::behind(koine_behind_##name, &koine_sanitizer_##name, symbol)

#define KOINE_STRICT_AS(Result, name, symbol, shown, Parameters, Arguments, advice) \
  KOINE_BEHIND(Result, name, symbol, Parameters)                                    \
  Result koine_strict_##name Parameters {                                           \
    koine::sim::refuse_inside(shown, koine::sim::advice);                           \
    return KOINE_CALL_BEHIND(name, symbol) Arguments;                               \
  }

#define KOINE_STRICT(Result, name, Parameters, Arguments, advice) \
  KOINE_STRICT_AS(Result, name, #name, #name "()", Parameters, Arguments, advice)

// Clocks.
KOINE_STRICT(int, clock_gettime, (clockid_t id, timespec* now), (id, now), clock)
KOINE_STRICT(int, gettimeofday, (timeval * now, void* zone), (now, zone), clock)
KOINE_STRICT(time_t, time, (time_t* now), (now), clock)
KOINE_STRICT(int, timespec_get, (timespec * now, int base), (now, base), clock)

// Chance. Those of C are no better: whoever else uses them changes what comes next.
KOINE_STRICT(ssize_t, getrandom, (void* into, std::size_t size, unsigned flags),
             (into, size, flags), chance)
KOINE_STRICT(int, getentropy, (void* into, std::size_t size), (into, size), chance)
KOINE_STRICT(std::uint32_t, arc4random, (), (), chance)
KOINE_STRICT(void, arc4random_buf, (void* into, std::size_t size), (into, size), chance)
KOINE_STRICT(std::uint32_t, arc4random_uniform, (std::uint32_t bound), (bound), chance)
KOINE_STRICT(int, rand, (), (), chance)
KOINE_STRICT(long, random, (), (), chance)
KOINE_STRICT(double, drand48, (), (), chance)
KOINE_STRICT(long, lrand48, (), (), chance)
KOINE_STRICT_AS(unsigned, random_device, "_ZNSt13random_device9_M_getvalEv", "std::random_device",
                (void* self), (self), chance)

// Threads and processes.
KOINE_STRICT(int, pthread_create,
             (pthread_t * made, const pthread_attr_t* how, void* (*run)(void*), void* with),
             (made, how, run, with), thread)
KOINE_STRICT(int, thrd_create, (thrd_t * made, int (*run)(void*), void* with), (made, run, with),
             thread)
KOINE_STRICT(pid_t, fork, (), (), process)
KOINE_STRICT(int, posix_spawn,
             (pid_t * made, const char* path, const posix_spawn_file_actions_t* actions,
              const posix_spawnattr_t* how, char* const* arguments, char* const* environment),
             (made, path, actions, how, arguments, environment), process)
KOINE_STRICT(int, posix_spawnp,
             (pid_t * made, const char* path, const posix_spawn_file_actions_t* actions,
              const posix_spawnattr_t* how, char* const* arguments, char* const* environment),
             (made, path, actions, how, arguments, environment), process)
KOINE_STRICT(int, system, (const char* command), (command), process)
KOINE_STRICT(FILE*, popen, (const char* command, const char* mode), (command, mode), process)

// Sockets and names.
KOINE_STRICT(int, socket, (int family, int type, int protocol), (family, type, protocol), network)
KOINE_STRICT(int, socketpair, (int family, int type, int protocol, int* pair),
             (family, type, protocol, pair), network)
KOINE_STRICT(int, bind, (int fd, const sockaddr* at, socklen_t size), (fd, at, size), network)
KOINE_STRICT(int, listen, (int fd, int backlog), (fd, backlog), network)
KOINE_STRICT(int, connect, (int fd, const sockaddr* to, socklen_t size), (fd, to, size), network)
KOINE_STRICT(int, accept, (int fd, sockaddr* from, socklen_t* size), (fd, from, size), network)
KOINE_STRICT(int, accept4, (int fd, sockaddr* from, socklen_t* size, int flags),
             (fd, from, size, flags), network)
KOINE_STRICT(ssize_t, send, (int fd, const void* bytes, std::size_t size, int flags),
             (fd, bytes, size, flags), network)
KOINE_STRICT(ssize_t, sendto,
             (int fd, const void* bytes, std::size_t size, int flags, const sockaddr* to,
              socklen_t to_size),
             (fd, bytes, size, flags, to, to_size), network)
KOINE_STRICT(ssize_t, sendmsg, (int fd, const msghdr* message, int flags), (fd, message, flags),
             network)
KOINE_STRICT(ssize_t, recv, (int fd, void* into, std::size_t size, int flags),
             (fd, into, size, flags), network)
KOINE_STRICT(ssize_t, recvfrom,
             (int fd, void* into, std::size_t size, int flags, sockaddr* from,
              socklen_t* from_size),
             (fd, into, size, flags, from, from_size), network)
KOINE_STRICT(ssize_t, recvmsg, (int fd, msghdr* message, int flags), (fd, message, flags), network)
KOINE_STRICT(int, getaddrinfo,
             (const char* name, const char* service, const addrinfo* hints, addrinfo** found),
             (name, service, hints, found), network)
KOINE_STRICT(hostent*, gethostbyname, (const char* name), (name), network)

// Whoever waits in the kernel stops the world meanwhile, for a time that is not the world's.
KOINE_STRICT(unsigned, sleep, (unsigned seconds), (seconds), waiting)
KOINE_STRICT(int, usleep, (useconds_t time), (time), waiting)
KOINE_STRICT(int, nanosleep, (const timespec* time, timespec* rest), (time, rest), waiting)
KOINE_STRICT(int, clock_nanosleep, (clockid_t id, int flags, const timespec* time, timespec* rest),
             (id, flags, time, rest), waiting)
KOINE_STRICT(int, poll, (pollfd * fds, nfds_t count, int timeout), (fds, count, timeout), waiting)
KOINE_STRICT(int, ppoll,
             (pollfd * fds, nfds_t count, const timespec* timeout, const sigset_t* mask),
             (fds, count, timeout, mask), waiting)
KOINE_STRICT(int, select,
             (int count, fd_set* readable, fd_set* writable, fd_set* broken, timeval* timeout),
             (count, readable, writable, broken, timeout), waiting)
KOINE_STRICT(int, epoll_wait, (int fd, epoll_event* events, int count, int timeout),
             (fd, events, count, timeout), waiting)

// Files are a program's own affair, but for two that are full of chance.
#define KOINE_STRICT_OPEN(Result, name, Parameters, mode, Arguments)                \
  KOINE_BEHIND(Result, name, #name, Parameters)                                     \
  Result koine_strict_##name Parameters {                                           \
    if (koine::sim::is_chance(path))                                                \
      koine::sim::refuse_inside(#name "() of a random device", koine::sim::chance); \
    mode;                                                                           \
    return KOINE_CALL_BEHIND(name, #name) Arguments;                                \
  }

// The mode stands there only where a file may be made: open(2).
#define KOINE_OPEN_MODE                                             \
  mode_t mode = 0;                                                  \
  if ((flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE) { \
    std::va_list more;                                              \
    va_start(more, flags);                                          \
    mode = va_arg(more, mode_t);                                    \
    va_end(more);                                                   \
  }

KOINE_STRICT_OPEN(FILE*, fopen, (const char* path, const char* how), , (path, how))
KOINE_STRICT_OPEN(FILE*, fopen64, (const char* path, const char* how), , (path, how))
KOINE_STRICT_OPEN(int, open, (const char* path, int flags, ...), KOINE_OPEN_MODE,
                  (path, flags, mode))
KOINE_STRICT_OPEN(int, open64, (const char* path, int flags, ...), KOINE_OPEN_MODE,
                  (path, flags, mode))
KOINE_STRICT_OPEN(int, openat, (int folder, const char* path, int flags, ...), KOINE_OPEN_MODE,
                  (folder, path, flags, mode))
KOINE_STRICT_OPEN(int, openat64, (int folder, const char* path, int flags, ...), KOINE_OPEN_MODE,
                  (folder, path, flags, mode))
