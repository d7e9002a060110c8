#include "tests/torture/faults.h"

#include <cassert>
#include <cerrno>
#include <map>

namespace koine::os {

namespace faults {
namespace {

Plan current;
bool active = false;
bool hit = false;
std::array<int, calls> counts{};

}  // namespace

void begin(const Plan& plan) {
  current = plan;
  counts = {};
  hit = false;
  active = true;
}

std::array<int, calls> end() {
  active = false;
  current = {};
  return counts;
}

bool was_hit() { return hit; }

std::string_view to_string(Call call) {
  static constexpr std::string_view names[] = {
      "accept",     "bind",        "connect",     "epoll_create", "epoll_ctl",       "epoll_wait",
      "eventfd",    "getpeername", "getsockname", "getsockopt",   "listen",          "open",
      "poll",       "read",        "recv",        "recvmsg",      "ring_completion", "ring_enter",
      "ring_setup", "select",      "send",        "sendmsg",      "setsockopt",      "shutdown",
      "signalfd",   "socket",      "write"};
  static_assert(std::size(names) == calls);
  return names[static_cast<std::size_t>(call)];
}

const std::vector<int>& errors_of(Call call) {
  static const std::map<Call, std::vector<int>> all{
      // accept(2) also passes on what happened to the new connection: the second line.
      {Call::accept,
       {EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM,  //
        ECONNABORTED, EPROTO, EPERM, ENETDOWN, ENOPROTOOPT, EHOSTDOWN, ENONET, EHOSTUNREACH,
        EOPNOTSUPP, ENETUNREACH}},
      {Call::bind, {EACCES, EADDRINUSE, EADDRNOTAVAIL, ENOMEM, EROFS, ENAMETOOLONG}},
      {Call::connect,
       {EACCES, EPERM, EADDRNOTAVAIL, ECONNREFUSED, EINTR, ENETUNREACH, EHOSTUNREACH, ETIMEDOUT}},
      {Call::epoll_create, {EMFILE, ENFILE, ENOMEM}},
      {Call::epoll_ctl, {ENOMEM, ENOSPC, EPERM}},
      {Call::epoll_wait, {EINTR, ENOSYS, EBADF}},  // EBADF: the loop must end and say so
      {Call::eventfd, {EMFILE, ENFILE, ENODEV, ENOMEM}},
      {Call::getpeername, {ENOBUFS, ENOTCONN}},
      {Call::getsockname, {ENOBUFS}},
      {Call::getsockopt, {ENOPROTOOPT, ENOMEM}},
      {Call::listen, {EADDRINUSE, EOPNOTSUPP}},
      {Call::open, {EACCES, EMFILE, ENFILE, ENOENT, ENOMEM}},
      {Call::poll, {EINTR, ENOMEM, EINVAL}},
      {Call::read, {EINTR, EIO}},
      {Call::recv, {EINTR, ECONNRESET, ETIMEDOUT, ENOMEM, EHOSTUNREACH}},
      {Call::recvmsg, {EINTR, ECONNREFUSED, ENOMEM}},
      {Call::ring_completion, {ECANCELED, ENOMEM, EINVAL}},
      {Call::ring_enter, {EINTR, EAGAIN, EBUSY, EBADF, ENXIO}},
      {Call::ring_setup, {EPERM, EMFILE, ENFILE, ENOMEM, ENOSYS, EINVAL}},
      {Call::select, {EINTR, ENOMEM, EBADF}},
      {Call::send, {EINTR, ECONNRESET, ENOBUFS, ENOMEM, ETIMEDOUT, EHOSTUNREACH}},
      {Call::sendmsg,
       {EINTR, ECONNRESET, ECONNREFUSED, ENOBUFS, ENOMEM, EMSGSIZE, EPERM, ENETUNREACH}},
      {Call::setsockopt, {ENOPROTOOPT, ENOMEM}},
      {Call::shutdown, {ENOTCONN, ENOBUFS}},
      {Call::signalfd, {EMFILE, ENFILE, ENODEV, ENOMEM}},
      {Call::socket, {EACCES, EAFNOSUPPORT, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPROTONOSUPPORT}},
      {Call::write, {EINTR, EPIPE}},
  };
  return all.at(call);
}

}  // namespace faults

int injected(Call call) {
  using namespace faults;
  if (!active) return 0;
  const int number = ++counts[static_cast<std::size_t>(call)];
  if (call != current.call || number < current.number || number >= current.number + current.times)
    return 0;
  hit = true;
  return current.error;
}

std::size_t allowed(Call, std::size_t bytes) {
  return faults::active && faults::current.byte_by_byte && bytes != 0 ? 1 : bytes;
}

}  // namespace koine::os
