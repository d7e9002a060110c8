// Sockets at an endpoint: made and bound here, or inherited from whoever started us.
#pragma once

#include <sys/types.h>

#include <string>

#include "koine/os/fd.h"
#include "koine/transport/endpoint.h"
#include "koine/transport/network.h"

namespace koine::os {

/// A name in the file system that a Unix socket of ours stands for; removed when it dies, by the
/// process that made it and only if it is still that socket.
class SocketFile {
 public:
  SocketFile() = default;
  explicit SocketFile(std::string path);
  SocketFile(SocketFile&& other) noexcept;
  SocketFile& operator=(SocketFile&& other) noexcept;
  ~SocketFile() { remove(); }

 private:
  void remove() const;

  std::string path_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
  pid_t maker_ = 0;
};

struct BoundSocket {
  Fd fd;
  Endpoint endpoint;  ///< where it really is
  SocketFile file;
  bool inherited = false;  ///< it listens already
};

/// A non-blocking socket of `type` (SOCK_STREAM, SOCK_DGRAM) bound to `at`, or the inherited one
/// that `at` names.
Result<BoundSocket> bind_socket(const Endpoint& at, int type, const ListenOptions& options);

/// What koine sets on each TCP socket: TCP_NODELAY, since output is collected here, and a bound on
/// what the kernel holds unsent. Accepted sockets inherit both from their listener.
void set_tcp_options(int fd);

}  // namespace koine::os
