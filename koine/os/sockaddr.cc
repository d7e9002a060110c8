#include "koine/os/sockaddr.h"

#include <net/if.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <charconv>
#include <cstddef>
#include <cstring>

#include "koine/os/fault_of.h"
#include "koine/os/system.h"

namespace koine::os {
namespace {

Result<unsigned> zone_index(std::string_view zone) {
  unsigned index = 0;
  const auto [end, error] = std::from_chars(zone.data(), zone.data() + zone.size(), index);
  if (error == std::errc() && end == zone.data() + zone.size()) return index;
  index = ::if_nametoindex(std::string(zone).c_str());
  if (index == 0) {
    return std::unexpected(Error(Fault::not_found, "find interface", zone)
                               .with_note("no interface of this machine has that name"));
  }
  return index;
}

}  // namespace

int family_of(const Address& address) {
  if (!address.is_ip()) return AF_UNIX;
  return address.ip().is_v4() ? AF_INET : AF_INET6;
}

Result<Sockaddr> to_sockaddr(const Address& address) {
  Sockaddr made;
  if (address.is_unix()) {
    auto& to = reinterpret_cast<sockaddr_un&>(made.storage);
    to.sun_family = AF_UNIX;
    const std::string_view name = address.unix_name();
    // An abstract name begins with NUL, and ends where the size says.
    const std::size_t skip = address.kind() == Address::Kind::unix_abstract ? 1 : 0;
    std::memcpy(to.sun_path + skip, name.data(), name.size());
    const std::size_t size = offsetof(sockaddr_un, sun_path) + name.size() + 1;
    // An empty abstract name lets the kernel choose one (unix(7), "autobind").
    made.size = static_cast<socklen_t>(skip == 1 && name.empty() ? sizeof(sa_family_t) : size);
    return made;
  }
  if (!address.is_ip()) {
    return std::unexpected(Error(Fault::unreachable, "", to_string(address))
                               .with_note("a socket without a name has no address to send to"));
  }
  const IpAddress& ip = address.ip();
  if (ip.is_v4()) {
    auto& to = reinterpret_cast<sockaddr_in&>(made.storage);
    to.sin_family = AF_INET;
    to.sin_port = htons(address.port());
    std::memcpy(&to.sin_addr, ip.bytes().data(), 4);
    made.size = sizeof(sockaddr_in);
    return made;
  }
  auto& to = reinterpret_cast<sockaddr_in6&>(made.storage);
  to.sin6_family = AF_INET6;
  to.sin6_port = htons(address.port());
  std::memcpy(&to.sin6_addr, ip.bytes().data(), 16);
  if (!ip.zone().empty()) {
    const auto index = zone_index(ip.zone());
    if (!index) return std::unexpected(index.error());
    to.sin6_scope_id = *index;
  }
  made.size = sizeof(sockaddr_in6);
  return made;
}

Address from_sockaddr(const Sockaddr& address) {
  switch (address.storage.ss_family) {
    case AF_INET: {
      const auto& from = reinterpret_cast<const sockaddr_in&>(address.storage);
      const std::span<const std::byte, 4> bytes(reinterpret_cast<const std::byte*>(&from.sin_addr),
                                                4);
      return {IpAddress::v4(bytes), ntohs(from.sin_port)};
    }
    case AF_INET6: {
      const auto& from = reinterpret_cast<const sockaddr_in6&>(address.storage);
      const std::span<const std::byte, 16> bytes(
          reinterpret_cast<const std::byte*>(&from.sin6_addr), 16);
      const IpAddress ip = IpAddress::v6(bytes).unmapped().with_zone_index(from.sin6_scope_id);
      return {ip, ntohs(from.sin6_port)};
    }
    case AF_UNIX: {
      const auto& from = reinterpret_cast<const sockaddr_un&>(address.storage);
      constexpr std::size_t head = offsetof(sockaddr_un, sun_path);
      if (address.size <= head) return {};
      const std::size_t size = address.size - head;
      if (from.sun_path[0] == '\0')
        return Address::unix_abstract({from.sun_path + 1, size - 1}).value_or(Address());
      return Address::unix_path({from.sun_path, ::strnlen(from.sun_path, size)})
          .value_or(Address());
    }
    default: return {};
  }
}

Address local_address(int fd) {
  Sockaddr address;
  if (sys::getsockname(fd, address.get(), &address.size) != 0) return {};
  return from_sockaddr(address);
}

Address peer_address(int fd) {
  Sockaddr address;
  if (sys::getpeername(fd, address.get(), &address.size) != 0) return {};
  return from_sockaddr(address);
}

Result<Address> bound_address(int fd) {
  Sockaddr address;
  if (sys::getsockname(fd, address.get(), &address.size) != 0)
    return std::unexpected(system_error("", {}, errno));
  const Address where = from_sockaddr(address);
  if (where.kind() != Address::Kind::none) return where;
  return std::unexpected(
      Error(Fault::unsupported).with_note("the socket is not bound to an address"));
}

Result<Transport> transport_of(int fd) {
  int domain = 0;
  int type = 0;
  socklen_t size = sizeof(int);
  if (sys::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0 ||
      sys::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0) {
    switch (const int error = errno) {
      case EBADF:
        return std::unexpected(
            Error(Fault::not_found, "", {}, error).with_note("no such descriptor is open"));
      case ENOTSOCK:
        return std::unexpected(
            Error(Fault::unsupported, "", {}, error).with_note("it is no socket"));
      default: return std::unexpected(system_error("", {}, error));
    }
  }
  if (domain == AF_UNIX && type == SOCK_STREAM) return Transport::unix_stream;
  if (domain == AF_UNIX && type == SOCK_DGRAM) return Transport::unix_datagram;
  if ((domain == AF_INET || domain == AF_INET6) && type == SOCK_STREAM) return Transport::tcp;
  if ((domain == AF_INET || domain == AF_INET6) && type == SOCK_DGRAM) return Transport::udp;
  return std::unexpected(
      Error(Fault::unsupported).with_note("it is neither a TCP, a UDP nor a Unix socket"));
}

}  // namespace koine::os
