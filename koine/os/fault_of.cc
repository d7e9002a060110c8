#include "koine/os/fault_of.h"

#include <unistd.h>

#include <cerrno>

#include "koine/os/fd.h"

namespace koine::os {

Fault fault_of(int error) {
  switch (error) {
    case ECONNREFUSED: return Fault::refused;
    case ECONNRESET:
    case EPIPE:
    case ENOTCONN:  // of a socket that was connected
    case ECONNABORTED: return Fault::reset;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN: return Fault::unreachable;
    case ETIMEDOUT: return Fault::timed_out;
    case EADDRINUSE: return Fault::address_in_use;
    case EADDRNOTAVAIL: return Fault::address_unavailable;
    case ENOENT:
    case ENODEV: return Fault::not_found;
    case EACCES:
    case EPERM: return Fault::denied;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case ENOSPC: return Fault::exhausted;  // epoll_ctl(2): the limit on watches
    case EMSGSIZE:
    case ENAMETOOLONG: return Fault::over_limit;
    case ENOSYS:
    case EOPNOTSUPP:
    case EAFNOSUPPORT:
    case EPROTONOSUPPORT: return Fault::unsupported;
    case EAGAIN: return Fault::would_block;
    default: return Fault::system;
  }
}

std::string name_of(const Address& address, Transport transport) {
  return to_string(Endpoint::of(address, transport));
}

Instant monotonic_now() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return Instant(std::chrono::seconds(now.tv_sec) + Duration(now.tv_nsec));
}

void Fd::reset() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

}  // namespace koine::os
