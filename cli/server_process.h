// An echo server of our own in a child process, whose CPU time can be read.
#pragma once

#include <sys/types.h>

#include <string>

#include "koine/base/error.h"
#include "koine/os/fd.h"
#include "koine/transport/endpoint.h"

namespace koine::cli {

class ServerProcess {
 public:
  /// Forks one that serves on that multiplexer and ends with this process. `core` is the CPU it
  /// runs on, or -1 for any. Fails with what the server says if it cannot serve.
  static Result<ServerProcess> start(const std::string& multiplexer, int core);

  ServerProcess(ServerProcess&& other) noexcept;
  ServerProcess& operator=(ServerProcess&&) = delete;
  /// Ends it.
  ~ServerProcess();

  const Endpoint& endpoint() const { return endpoint_; }

  /// User and system time that it has used.
  Duration cpu() const;

  /// The first error it has met since the last call; empty if there was none.
  std::string complaint();

 private:
  ServerProcess(pid_t process, os::Fd pipe) : process_(process), pipe_(std::move(pipe)) {}
  std::string read_line();

  pid_t process_;
  os::Fd pipe_;
  std::string heard_;
  Endpoint endpoint_;
};

/// The CPUs that this process may run on.
std::vector<int> usable_cores();

/// From now on this process runs there only.
void stay_on(int core);

}  // namespace koine::cli
