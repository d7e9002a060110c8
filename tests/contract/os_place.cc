// The kernel as a place: both hosts are this machine, on one reactor. One kind for each
// multiplexer.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "koine/os/name_server_test.h"
#include "koine/os/network.h"
#include "tests/contract/place.h"

namespace koine::contract {
namespace {

/// The names of open descriptors, one a line.
constexpr const char* descriptors = "/proc/self/fd";

/// As many descriptors as we may have.
std::size_t descriptors_max() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<std::size_t>(limit.rlim_cur);
}

class OsPlace final : public Place {
 public:
  explicit OsPlace(std::unique_ptr<os::Reactor> reactor)
      : reactor_(std::move(reactor)),
        kernel_(*reactor_),
        names_(os::NameServer::make(kernel_,
                                    {{"koine.example", {.addresses = {loopback_v4}, .manner = {}}}})
                   .value()),
        server_(*reactor_, asking(*names_)),
        client_(*reactor_, asking(*names_)) {}

  ~OsPlace() override {
    std::error_code ignored;
    if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
  }

  Network& server() override { return server_; }
  Network& client() override { return client_; }
  Result<void> turn() override { return reactor_->turn(); }
  IpAddress v4() const override { return loopback_v4; }
  IpAddress v6() const override { return loopback_v6; }

  /// TCP knows no multicast: the kernel refuses without sending anything.
  Address unreachable() const override { return {IpAddress::v4(224, 0, 0, 1), 9}; }

  std::string known_name() const override { return "koine.example"; }
  std::string unknown_name() const override { return "nowhere.example"; }

  std::size_t held() const override {
    const std::filesystem::directory_iterator open(descriptors);
    return static_cast<std::size_t>(std::distance(begin(open), end(open)));
  }

  std::size_t connections_max() const override {
    constexpr std::size_t others = 40;  // descriptors of the reactor, the test program, ...
    std::size_t room = descriptors_max();
    if (reactor_->multiplexer() == "select") room = std::min<std::size_t>(room, FD_SETSIZE);
    return (room - others) / 2;
  }

  bool has_unix_sockets() const override { return true; }
  std::string unix_path() override {
    if (folder_.empty()) {
      std::string name = std::filesystem::temp_directory_path() / "koine-contract-XXXXXX";
      folder_ = ::mkdtemp(name.data());
    }
    return folder_ / ("socket" + std::to_string(++paths_));
  }

 private:
  static os::ResolverOptions asking(const os::NameServer& names) {
    return {.servers = names.address(), .timeout = 2s, .tries = 3};
  }

  std::unique_ptr<os::Reactor> reactor_;
  os::Network kernel_;
  std::unique_ptr<os::NameServer> names_;
  os::Network server_;
  os::Network client_;
  std::filesystem::path folder_;
  int paths_ = 0;
};

std::unique_ptr<Place> on(const char* multiplexer, std::string& why_not) {
  auto reactor = os::Reactor::make({.multiplexer = multiplexer, .busy_poll = {}});
  if (reactor) return std::make_unique<OsPlace>(std::move(*reactor));
  why_not = to_string(reactor.error());
  return nullptr;
}

}  // namespace

std::vector<Kind> os_kinds() {
  return {
      {"io_uring", [](std::string& why_not) { return on("io_uring", why_not); }, true},
      {"epoll", [](std::string& why_not) { return on("epoll", why_not); }, false},
      {"poll", [](std::string& why_not) { return on("poll", why_not); }, false},
      {"select", [](std::string& why_not) { return on("select", why_not); }, false},
  };
}

}  // namespace koine::contract
