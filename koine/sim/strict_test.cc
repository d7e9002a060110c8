// What strict mode stops, each in a process of its own. This test program links koine_sim_strict,
// so all its other tests show that koine itself is never stopped.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <random>
#include <thread>

#include "koine/async/sleep.h"
#include "koine/sim/world.h"

namespace koine::sim {
namespace {

struct Reach {
  const char* shown;  // in the complaint, as a part of a regular expression
  std::function<void()> call;
};

template <class T>
void drop(const T&) {}

const Reach reaches[] = {
    {"clock_gettime", [] { drop(std::chrono::system_clock::now()); }},
    {"clock_gettime", [] { drop(std::chrono::steady_clock::now()); }},
    {"gettimeofday",
     [] {
       timeval now;
       gettimeofday(&now, nullptr);
     }},
    {"time", [] { drop(::time(nullptr)); }},
    {"timespec_get",
     [] {
       timespec now;
       drop(timespec_get(&now, TIME_UTC));
     }},
    {"getrandom",
     [] {
       char room[8];
       drop(getrandom(room, sizeof room, 0));
     }},
    {"getentropy",
     [] {
       char room[8];
       drop(getentropy(room, sizeof room));
     }},
    {"arc4random", [] { drop(arc4random()); }},
    {"arc4random_buf",
     [] {
       char room[8];
       arc4random_buf(room, sizeof room);
     }},
    {"arc4random_uniform", [] { drop(arc4random_uniform(6)); }},
    {"rand", [] { drop(::rand()); }},        // NOLINT(concurrency-mt-unsafe)
    {"random", [] { drop(::random()); }},    // NOLINT(concurrency-mt-unsafe)
    {"drand48", [] { drop(::drand48()); }},  // NOLINT(concurrency-mt-unsafe)
    {"lrand48", [] { drop(::lrand48()); }},  // NOLINT(concurrency-mt-unsafe)
    {"std::random_device",
     [] {
       std::random_device device;
       drop(device());
     }},
    {"open.* of a random device", [] { drop(::open("/dev/urandom", O_RDONLY)); }},
    {"openat.* of a random device", [] { drop(::openat(AT_FDCWD, "/dev/random", O_RDONLY)); }},
    {"fopen.* of a random device", [] { drop(::fopen("/dev/urandom", "r")); }},
    {"open.* of a random device", [] { drop(std::ifstream("/dev/urandom").get()); }},
    {"pthread_create", [] { std::thread([] {}).join(); }},
    {"thrd_create",
     [] {
       thrd_t made;
       thrd_create(&made, [](void*) { return 0; }, nullptr);
     }},
    {"fork", [] { drop(::fork()); }},
    {"posix_spawn",
     [] {
       pid_t made;
       char* const none[] = {nullptr};
       posix_spawn(&made, "/bin/true", nullptr, nullptr, none, none);
     }},
    {"posix_spawnp",
     [] {
       pid_t made;
       char* const none[] = {nullptr};
       posix_spawnp(&made, "true", nullptr, nullptr, none, none);
     }},
    {"system", [] { drop(::system("true")); }},  // NOLINT(concurrency-mt-unsafe)
    {"popen", [] { drop(::popen("true", "r")); }},
    {"socket", [] { drop(::socket(AF_INET, SOCK_STREAM, 0)); }},
    {"socketpair",
     [] {
       int pair[2];
       ::socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
     }},
    {"bind",
     [] {
       const sockaddr_in at{};
       ::bind(-1, reinterpret_cast<const sockaddr*>(&at), sizeof at);
     }},
    {"listen", [] { ::listen(-1, 1); }},
    {"connect",
     [] {
       const sockaddr_in to{};
       ::connect(-1, reinterpret_cast<const sockaddr*>(&to), sizeof to);
     }},
    {"accept", [] { drop(::accept(-1, nullptr, nullptr)); }},
    {"accept4", [] { drop(::accept4(-1, nullptr, nullptr, 0)); }},
    {"send", [] { drop(::send(-1, "k", 1, 0)); }},
    {"sendto", [] { drop(::sendto(-1, "k", 1, 0, nullptr, 0)); }},
    {"sendmsg",
     [] {
       const msghdr message{};
       drop(::sendmsg(-1, &message, 0));
     }},
    {"recv",
     [] {
       char room[8];
       drop(::recv(-1, room, sizeof room, 0));
     }},
    {"recvfrom",
     [] {
       char room[8];
       drop(::recvfrom(-1, room, sizeof room, 0, nullptr, nullptr));
     }},
    {"recvmsg",
     [] {
       msghdr message{};
       drop(::recvmsg(-1, &message, 0));
     }},
    {"getaddrinfo",
     [] {
       addrinfo* found = nullptr;
       drop(::getaddrinfo("localhost", nullptr, nullptr, &found));
     }},
    {"gethostbyname", [] { drop(::gethostbyname("localhost")); }},  // NOLINT
    {"sleep", [] { ::sleep(0); }},
    {"usleep", [] { ::usleep(0); }},
    {"nanosleep", [] { std::this_thread::sleep_for(std::chrono::nanoseconds(1)); }},
    {"clock_nanosleep",
     [] {
       const timespec none{};
       ::clock_nanosleep(CLOCK_MONOTONIC, 0, &none, nullptr);
     }},
    {"poll", [] { ::poll(nullptr, 0, 0); }},
    {"ppoll",
     [] {
       const timespec none{};
       ::ppoll(nullptr, 0, &none, nullptr);
     }},
    {"select",
     [] {
       timeval none{};
       ::select(0, nullptr, nullptr, nullptr, &none);
     }},
    {"epoll_wait",
     [] {
       epoll_event event;
       ::epoll_wait(-1, &event, 1, 0);
     }},
};

/// A world of one host, whose program calls it after a while.
void have_called(const std::function<void()>& call) {
  World world{17};
  world.host("client").run([&call](Network&) -> Io<void> {
    co_await sleep(1s);
    call();
    co_return {};
  });
  world.run();
}

TEST(StrictDeathTest, StopsAHostThatReachesOutOfItsWorldAndSaysWhoAndFor) {
  for (const Reach& reach : reaches) {
    EXPECT_DEATH(have_called(reach.call),
                 std::string("host 'client' called [a-z_:0-9]*") + reach.shown + ".*seed \\(17\\)")
        << reach.shown;
  }
}

TEST(StrictDeathTest, SaysWhereTheCallCameFromAndWhatTheHostsTasksAre) {
  const auto call = [] { drop(std::chrono::steady_clock::now()); };
  EXPECT_DEATH(have_called(call), "have_called");
  EXPECT_DEATH(have_called(call), "Its tasks:\n");
}

TEST(StrictDeathTest, StopsAnActOfTheWorldToo) {
  EXPECT_DEATH(
      {
        World world{17};
        world.after(1s, [] { drop(::time(nullptr)); });
        world.run();
      },
      "an act of the world called time");
}

TEST(Strict, LeavesAloneWhatIsOutsideOfAnyWorld) {
  World world{17};
  auto& host = world.host("client");
  EXPECT_GT(::time(nullptr), 0);
  host.run([](Network&) -> Io<void> {
    co_await sleep(1s);
    co_return {};
  });
  EXPECT_TRUE(world.run());
  EXPECT_TRUE(host.finished());
  EXPECT_NE(std::chrono::steady_clock::now(), std::chrono::steady_clock::time_point());

  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  char letter = 'k';
  std::thread([&] { EXPECT_EQ(::send(pair[0], &letter, 1, 0), 1); }).join();
  letter = '\0';
  EXPECT_EQ(::recv(pair[1], &letter, 1, 0), 1);
  EXPECT_EQ(letter, 'k');
  ::close(pair[0]);
  ::close(pair[1]);
  for (const char* device : {"/dev/urandom", "/dev/zero"}) {
    const int fd = ::open(device, O_RDONLY);
    EXPECT_GE(fd, 0) << device;
    ::close(fd);
  }
  EXPECT_EQ(getrandom(&letter, 1, 0), 1);
}

TEST(Strict, LeavesAThreadAloneThatRunsBesideAWorld) {
  World world{17};
  std::atomic<bool> is_inside = false;
  std::atomic<bool> is_done = false;
  std::thread beside([&] {
    while (!is_inside) {
    }
    EXPECT_GT(::time(nullptr), 0);
    is_done = true;
  });
  world.host("client").run([&](Network&) -> Io<void> {
    is_inside = true;
    while (!is_done) {
    }
    co_return {};
  });
  world.run();
  beside.join();
  EXPECT_TRUE(is_done);
}

TEST(Strict, LetsSimulatedCodeReadFilesThatAreNotChance) {
  std::string line;
  World world{17};
  auto& host = world.host("client");
  host.run([&line](Network&) -> Io<void> {
    std::getline(std::ifstream("/proc/self/comm"), line);
    co_return {};
  });
  world.run();
  EXPECT_FALSE(line.empty());
}

}  // namespace
}  // namespace koine::sim
