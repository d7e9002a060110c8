// Address as the kernel writes it.
#pragma once

#include <sys/socket.h>

#include "koine/base/error.h"
#include "koine/transport/address.h"
#include "koine/transport/endpoint.h"

namespace koine::os {

struct Sockaddr {
  sockaddr_storage storage{};
  socklen_t size = sizeof(sockaddr_storage);

  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

/// Fails if the address names a zone that no interface has; unreachable if it is Kind::none.
Result<Sockaddr> to_sockaddr(const Address& address);

/// IPv4-mapped addresses become IPv4. Kind::none for what is neither IP nor a Unix name.
Address from_sockaddr(const Sockaddr& address);

/// AF_INET, AF_INET6 or AF_UNIX.
int family_of(const Address& address);

/// Kind::none if there is none, or it cannot be told.
Address local_address(int fd);
Address peer_address(int fd);

/// Where a socket is bound; unsupported if it is bound to no address.
Result<Address> bound_address(int fd);

/// What kind of socket it is: tcp, udp, unix_stream or unix_datagram. unsupported if it is none.
Result<Transport> transport_of(int fd);

}  // namespace koine::os
