// The one seam through which every system call of koine/os passes.
//
// In builds with KOINE_FAULTS a test can make any call fail with any errno, and make reads and
// writes move fewer bytes than asked (faults.h). Elsewhere these are the system's own functions.
#pragma once

#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace koine::os {

/// The calls that can be made to fail.
enum class Call : std::uint8_t {
  accept,
  bind,
  connect,
  epoll_create,
  epoll_ctl,
  epoll_wait,
  eventfd,
  getpeername,
  getsockname,
  getsockopt,
  listen,
  open,
  poll,
  read,
  recv,
  recvmsg,
  ring_completion,
  ring_enter,
  ring_setup,
  select,
  send,
  sendmsg,
  setsockopt,
  shutdown,
  signalfd,
  socket,
  write,
  count_,  // not a call
};

#ifdef KOINE_FAULTS
/// The errno to fail with, or 0 to go on.
int injected(Call call);
/// How many of `bytes` may move: who moves bytes asks before, so that a short count still means
/// what it means to the kernel.
std::size_t allowed(Call call, std::size_t bytes);
#else
constexpr int injected(Call) { return 0; }
constexpr std::size_t allowed(Call, std::size_t bytes) { return bytes; }
#endif

namespace sys {

/// True, with errno set, if a test wants this call to fail.
inline bool fails(Call call) {
  if (const int error = injected(call); error != 0) {
    errno = error;
    return true;
  }
  return false;
}

inline int accept4(int fd, sockaddr* address, socklen_t* size, int flags) {
  return fails(Call::accept) ? -1 : ::accept4(fd, address, size, flags);
}
inline int bind(int fd, const sockaddr* address, socklen_t size) {
  return fails(Call::bind) ? -1 : ::bind(fd, address, size);
}
inline int connect(int fd, const sockaddr* address, socklen_t size) {
  return fails(Call::connect) ? -1 : ::connect(fd, address, size);
}
inline int epoll_create() {
  return fails(Call::epoll_create) ? -1 : ::epoll_create1(EPOLL_CLOEXEC);
}
inline int epoll_ctl(int epoll, int operation, int fd, epoll_event* event) {
  return fails(Call::epoll_ctl) ? -1 : ::epoll_ctl(epoll, operation, fd, event);
}
inline int epoll_pwait2(int epoll, epoll_event* events, int count, const timespec* timeout) {
  return fails(Call::epoll_wait) ? -1 : ::epoll_pwait2(epoll, events, count, timeout, nullptr);
}
inline int epoll_wait(int epoll, epoll_event* events, int count, int timeout_ms) {
  return fails(Call::epoll_wait) ? -1 : ::epoll_wait(epoll, events, count, timeout_ms);
}
inline int eventfd() {
  return fails(Call::eventfd) ? -1 : ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}
inline int getpeername(int fd, sockaddr* address, socklen_t* size) {
  return fails(Call::getpeername) ? -1 : ::getpeername(fd, address, size);
}
inline int getsockname(int fd, sockaddr* address, socklen_t* size) {
  return fails(Call::getsockname) ? -1 : ::getsockname(fd, address, size);
}
inline int getsockopt(int fd, int level, int option, void* value, socklen_t* size) {
  return fails(Call::getsockopt) ? -1 : ::getsockopt(fd, level, option, value, size);
}
inline int listen(int fd, int backlog) { return fails(Call::listen) ? -1 : ::listen(fd, backlog); }
inline int open(const char* path) {
  return fails(Call::open) ? -1 : ::open(path, O_RDONLY | O_CLOEXEC);
}
inline int ppoll(pollfd* set, nfds_t count, const timespec* timeout) {
  return fails(Call::poll) ? -1 : ::ppoll(set, count, timeout, nullptr);
}
inline int pselect(int count, fd_set* in, fd_set* out, fd_set* except, const timespec* timeout) {
  return fails(Call::select) ? -1 : ::pselect(count, in, out, except, timeout, nullptr);
}
inline ssize_t pread(int fd, void* into, std::size_t bytes, off_t offset) {
  return fails(Call::read) ? -1 : ::pread(fd, into, bytes, offset);
}
inline ssize_t read(int fd, void* into, std::size_t bytes) {
  return fails(Call::read) ? -1 : ::read(fd, into, bytes);
}
inline ssize_t recv(int fd, void* into, std::size_t bytes, int flags) {
  return fails(Call::recv) ? -1 : ::recv(fd, into, bytes, flags);
}
inline ssize_t recvmsg(int fd, msghdr* message, int flags) {
  return fails(Call::recvmsg) ? -1 : ::recvmsg(fd, message, flags);
}
inline ssize_t send(int fd, const void* from, std::size_t bytes, int flags) {
  return fails(Call::send) ? -1 : ::send(fd, from, bytes, flags);
}
inline ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  return fails(Call::sendmsg) ? -1 : ::sendmsg(fd, message, flags);
}
inline int setsockopt(int fd, int level, int option, const void* value, socklen_t size) {
  return fails(Call::setsockopt) ? -1 : ::setsockopt(fd, level, option, value, size);
}
inline int shutdown(int fd, int how) { return fails(Call::shutdown) ? -1 : ::shutdown(fd, how); }
inline int signalfd(int fd, const sigset_t* signals) {
  return fails(Call::signalfd) ? -1 : ::signalfd(fd, signals, SFD_NONBLOCK | SFD_CLOEXEC);
}
inline int socket(int family, int type, int protocol) {
  return fails(Call::socket) ? -1 : ::socket(family, type, protocol);
}
/// How many bytes the peer of a TCP connection has not yet confirmed; 0 if that cannot be told.
inline int unacknowledged(int fd) {
  int bytes = 0;
  return ::ioctl(fd, SIOCOUTQ, &bytes) == 0 ? bytes : 0;
}
inline ssize_t write(int fd, const void* from, std::size_t bytes) {
  return fails(Call::write) ? -1 : ::write(fd, from, bytes);
}

}  // namespace sys

}  // namespace koine::os
