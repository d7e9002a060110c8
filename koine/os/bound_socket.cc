#include "koine/os/bound_socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>
#include <utility>

#include "koine/base/joined.h"
#include "koine/os/fault_of.h"
#include "koine/os/sockaddr.h"
#include "koine/os/system.h"

namespace koine::os {
namespace {

/// Bytes in the kernel that are not yet sent, per connection: what a slow reader can make us hold.
constexpr int notsent_bytes_max = 256 << 10;

/// The first descriptor that systemd hands over: sd_listen_fds(3).
constexpr int listen_fds_start = 3;

int set_flag(int fd, int level, int option, int value) {
  return sys::setsockopt(fd, level, option, &value, sizeof(value));
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  return value == nullptr ? std::string() : value;
}

std::unexpected<Error> refused(Fault fault, const Endpoint& at, std::string_view note) {
  return std::unexpected(Error(fault, "listen", to_string(at)).with_note(note));
}

/// A decimal number that fits an int.
std::optional<int> number_in(std::string_view text) {
  int number = 0;
  for (const char c : text) {
    if (c < '0' || c > '9' || __builtin_mul_overflow(number, 10, &number) ||
        __builtin_add_overflow(number, c - '0', &number))
      return std::nullopt;
  }
  if (text.empty()) return std::nullopt;
  return number;
}

/// The descriptor that `systemd://NAME` means.
Result<int> systemd_descriptor(const Endpoint& at) {
  const auto missing = [&](std::string_view note) { return refused(Fault::not_found, at, note); };
  if (number_in(environment("LISTEN_PID")) != ::getpid())
    return missing("no sockets were passed to this process (LISTEN_PID)");
  const int count = number_in(environment("LISTEN_FDS")).value_or(0);
  if (count <= 0) return missing("no sockets were passed to this process (LISTEN_FDS)");

  const std::string_view name = at.systemd_name();
  if (name.empty()) return listen_fds_start;
  if (const auto index = number_in(name)) {
    if (*index < count) return listen_fds_start + *index;
    return missing(
        joined({"only ", static_cast<unsigned>(count), " sockets were passed to this process"}));
  }
  const std::string names = environment("LISTEN_FDNAMES");
  std::string_view rest = names;
  for (int index = 0; index < count; ++index) {
    const auto colon = rest.find(':');
    if (rest.substr(0, colon) == name) return listen_fds_start + index;
    if (colon == rest.npos) break;
    rest.remove_prefix(colon + 1);
  }
  return missing(joined(
      {"no socket of that name was passed to this process; LISTEN_FDNAMES is \"", names, "\""}));
}

Result<BoundSocket> inherited_socket(const Endpoint& at, int type) {
  int descriptor = at.descriptor();
  if (at.transport() == Transport::systemd) {
    const auto found = systemd_descriptor(at);
    if (!found) return std::unexpected(found.error());
    descriptor = *found;
  }
  const auto transport = transport_of(descriptor);
  if (!transport)
    return std::unexpected(Error(transport.error()).with_operation("listen", to_string(at)));
  const bool is_stream = *transport == Transport::tcp || *transport == Transport::unix_stream;
  if (is_stream != (type == SOCK_STREAM)) {
    return refused(Fault::unsupported, at,
                   is_stream ? "it is a stream socket, where datagrams were expected"
                             : "it is a datagram socket, where connections were expected");
  }
  int listens = 0;
  socklen_t size = sizeof(listens);
  if (is_stream && (sys::getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 ||
                    listens == 0))
    return refused(Fault::unsupported, at, "the inherited socket does not listen");
  // What a process is started with stays open when it starts another. What it opened itself does
  // not: every library sets this flag, ours too, also when it takes over an inherited socket.
  const int flags = ::fcntl(descriptor, F_GETFD);
  if (flags < 0 || (flags & FD_CLOEXEC) != 0)
    return refused(Fault::denied, at, "it was not passed to this process, or is in use already");
  const auto where = bound_address(descriptor);
  if (!where) return std::unexpected(Error(where.error()).with_operation("listen", to_string(at)));
  // Ours from now on; whoever passed it keeps its own descriptor.
  ::fcntl(descriptor, F_SETFD, flags | FD_CLOEXEC);
  ::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) | O_NONBLOCK);
  if (*transport == Transport::tcp) set_tcp_options(descriptor);
  return BoundSocket{
      .fd = Fd(descriptor), .endpoint = at.at(*where, *transport), .file = {}, .inherited = true};
}

/// True if there is a socket at `address` that nobody listens to: left behind by a process that
/// died. Whatever else is in the way is somebody's, and stays.
bool is_stale(const Sockaddr& address, const std::string& path, int type) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
  // Without waiting: a listener that is alive may have no room for us.
  const Fd probe(sys::socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!probe) return false;
  return sys::connect(probe.get(), address.get(), address.size) != 0 && errno == ECONNREFUSED;
}

}  // namespace

SocketFile::SocketFile(std::string path) : path_(std::move(path)), maker_(::getpid()) {
  struct stat status{};
  if (::lstat(path_.c_str(), &status) == 0) {
    device_ = status.st_dev;
    inode_ = status.st_ino;
  } else {
    path_.clear();
  }
}

SocketFile::SocketFile(SocketFile&& other) noexcept
    : path_(std::exchange(other.path_, {})),
      device_(other.device_),
      inode_(other.inode_),
      maker_(other.maker_) {}

SocketFile& SocketFile::operator=(SocketFile&& other) noexcept {
  if (this == &other) return *this;
  remove();
  path_ = std::exchange(other.path_, {});
  device_ = other.device_;
  inode_ = other.inode_;
  maker_ = other.maker_;
  return *this;
}

/// The file, if it is still the one that was made, by this process.
void SocketFile::remove() const {
  if (path_.empty() || maker_ != ::getpid()) return;
  struct stat status{};
  if (::lstat(path_.c_str(), &status) == 0 && status.st_dev == device_ && status.st_ino == inode_)
    ::unlink(path_.c_str());
}

void set_tcp_options(int fd) {
  // Both are improvements, not conditions: a socket without them still works.
  set_flag(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_flag(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, notsent_bytes_max);
}

Result<BoundSocket> bind_socket(const Endpoint& at, int type, const ListenOptions& options) {
  const Transport transport = at.transport();
  if (transport == Transport::inherited || transport == Transport::systemd)
    return inherited_socket(at, type);
  const auto failed = [&](int error) {
    return std::unexpected(system_error("listen", to_string(at), error));
  };
  const bool is_stream = transport == Transport::tcp || transport == Transport::unix_stream;
  if (is_stream != (type == SOCK_STREAM)) {
    return refused(Fault::unsupported, at,
                   is_stream ? "expected udp: or unixgram:" : "expected tcp: or unix:");
  }
  if (at.has_name()) return refused(Fault::not_found, at, "the host name has to be resolved first");
  Address address = *at.address();
  auto wanted = to_sockaddr(address);
  if (!wanted) return std::unexpected(std::move(wanted.error()));
  Fd fd(sys::socket(family_of(address), type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd && errno == EAFNOSUPPORT && at.is_any()) {
    // A kernel without IPv6: any address means any IPv4 address.
    address = Address(any_v4, at.port());
    wanted = to_sockaddr(address);
    fd = Fd(sys::socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  }
  if (!fd) return failed(errno);
  if (address.is_ip()) {
    if (is_stream && set_flag(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1) != 0) return failed(errno);
    if (options.shared && set_flag(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1) != 0)
      return failed(errno);
    // An open host is both IP versions; an address that is written out is just itself.
    if (address.ip().is_v6() &&
        set_flag(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, at.is_any() ? 0 : 1) != 0)
      return failed(errno);
    if (transport == Transport::tcp) set_tcp_options(fd.get());
  }
  int bound = sys::bind(fd.get(), wanted->get(), wanted->size);
  if (bound != 0 && errno == EADDRINUSE && address.kind() == Address::Kind::unix_path) {
    const std::string path(address.unix_name());
    if (is_stale(*wanted, path, type)) {
      ::unlink(path.c_str());
      bound = sys::bind(fd.get(), wanted->get(), wanted->size);
    } else {
      errno = EADDRINUSE;
    }
  }
  if (bound != 0) return failed(errno);
  BoundSocket made{.fd = std::move(fd), .endpoint = at, .file = {}, .inherited = false};
  if (address.kind() == Address::Kind::unix_path)
    made.file = SocketFile(std::string(address.unix_name()));
  const auto real = bound_address(made.fd.get());
  if (!real) return std::unexpected(Error(real.error()).with_operation("listen", to_string(at)));
  made.endpoint = real->is_ip() ? at.with_port(real->port()) : at.at(*real, transport);
  return made;
}

}  // namespace koine::os
