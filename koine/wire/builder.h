// Packets made from the inside out: each layer wraps what is there already.
//
//     const auto frame = Builder(as_bytes("world\n"))
//                            .in(TcpHeader{...}, source, target)
//                            .in(Ipv4Header{...})
//                            .in(EthernetHeader{...})
//                            .take();
//
// For tests, tools and messages that are rare. The stack writes headers into buffers of its own.
#pragma once

#include <algorithm>
#include <cassert>
#include <utility>
#include <vector>

#include "koine/base/bytes.h"
#include "koine/wire/arp.h"
#include "koine/wire/ethernet.h"
#include "koine/wire/icmpv4.h"
#include "koine/wire/icmpv6.h"
#include "koine/wire/ipv4.h"
#include "koine/wire/ipv6.h"
#include "koine/wire/ipv6_extensions.h"
#include "koine/wire/nd.h"
#include "koine/wire/rip.h"
#include "koine/wire/tcp.h"
#include "koine/wire/udp.h"

namespace koine::wire {

class Builder {
 public:
  explicit Builder(Bytes payload = {}) : bytes_(payload.begin(), payload.end()) {}

  Bytes bytes() const { return bytes_; }
  /// What was built; the builder is empty again.
  std::vector<std::byte> take() { return std::exchange(bytes_, {}); }

  // The checksums of these need the addresses of the packet around them.

  template <class Address>
  Builder& in(const TcpHeader& header, const Address& source, const Address& target) {
    const Checksum pseudo = pseudo_of(source, target, IpProtocol::tcp, header.size());
    const PartialSum sum = partial_sum(bytes_);
    write(header, pseudo, sum, grow(header.size()));
    return *this;
  }
  template <class Address>
  Builder& in(const UdpHeader& header, const Address& source, const Address& target) {
    const Checksum pseudo = pseudo_of(source, target, IpProtocol::udp, UdpHeader::size);
    const PartialSum sum = partial_sum(bytes_);
    const std::size_t size = bytes_.size();
    write(header, pseudo, size, sum, grow(UdpHeader::size));
    return *this;
  }
  Builder& in(const Icmpv6Header& header, const Ipv6Address& source, const Ipv6Address& target) {
    const Checksum pseudo = pseudo_of(source, target, IpProtocol::icmpv6, Icmpv6Header::size);
    const PartialSum sum = partial_sum(bytes_);
    write(header, pseudo, sum, grow(Icmpv6Header::size));
    return *this;
  }
  Builder& in(const Icmpv4Header& header) {
    const PartialSum sum = partial_sum(bytes_);
    write(header, sum, grow(Icmpv4Header::size));
    return *this;
  }

  Builder& in(const Ipv4Header& header) {
    const std::size_t size = bytes_.size();
    write(header, size, grow(header.size()));
    return *this;
  }
  Builder& in(const Ipv6Header& header) {
    const std::size_t size = bytes_.size();
    write(header, size, grow(Ipv6Header::size));
    return *this;
  }
  Builder& in(const Ipv6Fragment& fragment, IpProtocol next) {
    write(fragment, next, grow(Ipv6Fragment::size));
    return *this;
  }
  /// A hop-by-hop or destination options header.
  Builder& in_options(Bytes options, IpProtocol next) {
    write_options_extension(next, options, grow(options_extension_size(options.size())));
    return *this;
  }
  Builder& in(const EthernetHeader& header) {
    write(header, grow(EthernetHeader::size));
    if (bytes_.size() < ethernet_frame_min) bytes_.resize(ethernet_frame_min);
    return *this;
  }

  // These have nothing inside: they come first, on an empty builder.

  /// Any message of neighbor discovery.
  template <class Message>
    requires requires(const Message& message) { message.options.redirected; }
  Builder& in(const Message& message, const Ipv6Address& source, const Ipv6Address& target) {
    assert(bytes_.empty());
    const Checksum pseudo = pseudo_of(source, target, IpProtocol::icmpv6, message.size());
    write(message, pseudo, grow(message.size()));
    return *this;
  }
  Builder& in(const ArpPacket& packet) {
    assert(bytes_.empty());
    write(packet, grow(ArpPacket::size));
    return *this;
  }
  Builder& in(const RipMessage& message) {
    assert(bytes_.empty());
    write(message, grow(message.size()));
    return *this;
  }

 private:
  template <class Address>
  Checksum pseudo_of(const Address& source, const Address& target, IpProtocol protocol,
                     std::size_t header_size) const {
    return pseudo_header(source, target, protocol, header_size + bytes_.size());
  }

  /// Room for a header in front of what is there.
  MutableBytes grow(std::size_t size) {
    bytes_.insert(bytes_.begin(), size, std::byte{0});
    return bytes_;
  }

  std::vector<std::byte> bytes_;
};

}  // namespace koine::wire
