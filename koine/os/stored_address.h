// StoredAddress: an Address in 20 bytes instead of 48, for what exists by the ten thousand.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include "koine/transport/address.h"

namespace koine::os {

/// An IP address without a zone and its port, as most are; any other address is kept on the heap.
class StoredAddress {
 public:
  explicit StoredAddress(Address address) {
    if (address.is_ip() && address.ip().zone().empty()) {
      kind_ = address.ip().is_v6() ? Kind::v6 : Kind::v4;
      port_ = address.port();
      std::ranges::copy(address.ip().bytes(), bytes_.begin());
    } else if (address.kind() != Address::Kind::none) {
      kind_ = Kind::other;
      auto* other = new Address(std::move(address));
      std::memcpy(bytes_.data(), &other, sizeof(other));
    }
  }
  StoredAddress(const StoredAddress&) = delete;
  StoredAddress& operator=(const StoredAddress&) = delete;
  ~StoredAddress() {
    if (kind_ == Kind::other) delete other();
  }

  Address get() const {
    switch (kind_) {
      case Kind::none: return {};
      case Kind::v4: return {IpAddress::v4(std::span(bytes_).first<4>()), port_};
      case Kind::v6: return {IpAddress::v6(bytes_), port_};
      case Kind::other: return *other();
    }
    return {};
  }

 private:
  enum class Kind : std::uint8_t { none, v4, v6, other };

  const Address* other() const {
    const Address* pointer = nullptr;
    std::memcpy(&pointer, bytes_.data(), sizeof(pointer));
    return pointer;
  }

  std::uint16_t port_ = 0;
  Kind kind_ = Kind::none;
  std::array<std::byte, 16> bytes_{};  // of the IP address, or a pointer to the other one
};

}  // namespace koine::os
