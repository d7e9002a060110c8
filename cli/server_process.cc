#include "cli/server_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <ctime>
#include <vector>

#include "cli/services.h"
#include "koine/os/fault_of.h"

namespace koine::cli {
namespace {

/// A line at most, so it is written whole (pipe(7): PIPE_BUF). Nobody reads fast enough for ever,
/// and what does not fit is dropped.
void tell(int pipe, std::string line) {
  line.resize(std::min<std::size_t>(line.size(), 400));
  line += '\n';
  static_cast<void>(!::write(pipe, line.data(), line.size()));
}

[[noreturn]] void be_server(const std::string& multiplexer, int core, int pipe, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);  // it has died already
  ::setpgid(0, 0);                        // Ctrl-C is for our parent
  if (core >= 0) stay_on(core);
  ServeOptions options;
  options.multiplexer = multiplexer;
  options.limits.connections_per_address = options.limits.connections;
  options.drain = Duration::zero();
  options.on_listening = [pipe](const std::vector<Endpoint>& real) {
    tell(pipe, "listening " + to_string(real.front()));
  };
  options.on_error = [pipe](const std::string&, const Error& error) {
    if (error != Fault::reset) tell(pipe, "error " + to_string(error));
  };
  const auto served =
      serve_until_told({"tcp://127.0.0.1:0"}, service_named("echo", false), std::move(options));
  if (!served) tell(pipe, "error " + to_string(served.error()));
  ::_exit(served ? 0 : 1);
}

}  // namespace

Result<ServerProcess> ServerProcess::start(const std::string& multiplexer, int core) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0)
    return std::unexpected(os::system_error("pipe", {}, errno));
  os::Fd ours(ends[0]);
  os::Fd theirs(ends[1]);
  const pid_t parent = ::getpid();
  const pid_t process = ::fork();
  if (process < 0) return std::unexpected(os::system_error("fork", {}, errno));
  if (process == 0) be_server(multiplexer, core, theirs.get(), parent);
  ServerProcess server(process, std::move(ours));
  theirs.reset();
  pollfd news{.fd = server.pipe_.get(), .events = POLLIN, .revents = 0};
  while (::poll(&news, 1, -1) < 0 && errno == EINTR) {
  }
  const std::string line = server.read_line();
  constexpr std::string_view listening = "listening ";
  if (!line.starts_with(listening)) {
    return std::unexpected(Error(Fault::unsupported, "serve on", multiplexer)
                               .with_note(line.starts_with("error ") ? line.substr(6) : line));
  }
  auto endpoint = parse_endpoint(line.substr(listening.size()));
  if (!endpoint) return std::unexpected(std::move(endpoint.error()));
  server.endpoint_ = std::move(*endpoint);
  return server;
}

ServerProcess::ServerProcess(ServerProcess&& other) noexcept
    : process_(std::exchange(other.process_, -1)),
      pipe_(std::move(other.pipe_)),
      heard_(std::move(other.heard_)),
      endpoint_(std::move(other.endpoint_)) {}

ServerProcess::~ServerProcess() {
  if (process_ <= 0) return;
  ::kill(process_, SIGKILL);
  while (::waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

Duration ServerProcess::cpu() const {
  clockid_t clock{};
  timespec time{};
  if (::clock_getcpuclockid(process_, &clock) != 0 || ::clock_gettime(clock, &time) != 0) return {};
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

std::string ServerProcess::complaint() {
  std::string first;
  for (std::string line = read_line(); !line.empty(); line = read_line()) {
    if (first.empty()) first = line.starts_with("error ") ? line.substr(6) : line;
  }
  return first;
}

/// What is there already; empty if that is no whole line.
std::string ServerProcess::read_line() {
  std::array<char, 4096> piece{};
  while (heard_.find('\n') == std::string::npos) {
    const ssize_t count = ::read(pipe_.get(), piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return {};
    heard_.append(piece.data(), static_cast<std::size_t>(count));
  }
  const std::size_t end = heard_.find('\n');
  std::string line = heard_.substr(0, end);
  heard_.erase(0, end + 1);
  return line;
}

std::vector<int> usable_cores() {
  cpu_set_t set;
  std::vector<int> cores;
  if (::sched_getaffinity(0, sizeof(set), &set) != 0) return cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &set)) cores.push_back(core);
  }
  return cores;
}

void stay_on(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<unsigned>(core), &set);
  ::sched_setaffinity(0, sizeof(set), &set);  // if it may not be, any other will do
}

}  // namespace koine::cli
