// Neighbor discovery's messages and options.
#include "koine/wire/nd.h"

#include <algorithm>
#include <cassert>

namespace koine::wire {

namespace {

constexpr std::size_t redirected_header = 8;  // type, length, six octets reserved

std::size_t padded(std::size_t size) { return (size + 7) / 8 * 8; }

/// One option whose length is a multiple of 8 octets, and at least one.
void take(Bytes option, NdOptions& into) {
  const std::byte* const at = option.data();
  switch (std::to_integer<std::uint8_t>(at[0])) {
    case nd_option_source_mac:
      if (option.size() == 8) into.source_mac = Mac::load(at + 2);
      break;
    case nd_option_target_mac:
      if (option.size() == 8) into.target_mac = Mac::load(at + 2);
      break;
    case nd_option_mtu:
      if (option.size() == 8) into.mtu = load_be32(at + 4);
      break;
    case nd_option_nonce:
      if (option.size() == 8) into.nonce = load_be64(at) & 0xffff'ffff'ffff;
      break;
    case nd_option_prefix: {
      const auto length = std::to_integer<std::uint8_t>(at[2]);
      if (option.size() != 32 || length > 128 || into.prefixes.full()) break;
      into.prefixes.push_back({.prefix = {Ipv6Address::load(at + 16), length},
                               .on_link = (at[3] & std::byte{0x80}) != std::byte{0},
                               .autonomous = (at[3] & std::byte{0x40}) != std::byte{0},
                               .valid_s = load_be32(at + 4),
                               .preferred_s = load_be32(at + 8)});
      break;
    }
    case nd_option_redirected: into.redirected = option.subspan(redirected_header); break;
    default: break;
  }
}

/// Nothing if an option has no length, or reaches beyond the message: such a message must be
/// discarded whole (section 4.6 and 6.1).
std::optional<NdOptions> parse_options(Bytes bytes) {
  NdOptions found;
  while (!bytes.empty()) {
    if (bytes.size() < 8) return std::nullopt;
    const std::size_t length = 8 * std::to_integer<std::size_t>(bytes[1]);
    if (length == 0 || length > bytes.size()) return std::nullopt;
    take(bytes.first(length), found);
    bytes = bytes.subspan(length);
  }
  return found;
}

/// Writes `options` to the end of a message.
void write_options(const NdOptions& options, MutableBytes into) {
  std::fill(into.begin(), into.end(), std::byte{0});
  std::byte* at = into.data();
  const auto begin = [&](std::uint8_t kind, std::size_t size) {
    std::byte* const option = at;
    option[0] = std::byte{kind};
    option[1] = static_cast<std::byte>(size / 8);
    at += size;
    return option;
  };
  if (options.source_mac) options.source_mac->store(begin(nd_option_source_mac, 8) + 2);
  if (options.target_mac) options.target_mac->store(begin(nd_option_target_mac, 8) + 2);
  if (options.mtu) store_be32(begin(nd_option_mtu, 8) + 4, *options.mtu);
  if (options.nonce) Mac{*options.nonce}.store(begin(nd_option_nonce, 8) + 2);
  for (const NdPrefix& prefix : options.prefixes) {
    std::byte* const option = begin(nd_option_prefix, 32);
    option[2] = std::byte{prefix.prefix.length};
    option[3] =
        static_cast<std::byte>((prefix.on_link ? 0x80 : 0) | (prefix.autonomous ? 0x40 : 0));
    store_be32(option + 4, prefix.valid_s);
    store_be32(option + 8, prefix.preferred_s);
    prefix.prefix.address.store(option + 16);
  }
  if (!options.redirected.empty()) {
    const std::size_t size = redirected_header + padded(options.redirected.size());
    assert(size <= 8 * 255);
    std::copy(options.redirected.begin(), options.redirected.end(),
              begin(nd_option_redirected, size) + redirected_header);
  }
  assert(at == into.data() + into.size());
}

/// A message that is `type`, with code 0 and at least `size` octets before its options.
bool is_whole(const Icmpv6View& message, Icmpv6Type type, std::size_t size) {
  const Icmpv6Header header = message.header();
  return header.type == type && header.code == 0 && message.bytes().size() >= size;
}

/// Completes a message whose octets after the first eight are written.
std::size_t finish(Icmpv6Header header, Checksum pseudo, MutableBytes message) {
  write(header, pseudo, partial_sum(message.subspan(Icmpv6Header::size)), message);
  return message.size();
}

}  // namespace

std::size_t NdOptions::size() const {
  return (source_mac ? 8u : 0) + (target_mac ? 8u : 0) + (mtu ? 8u : 0) + (nonce ? 8u : 0) +
         32 * prefixes.size() +
         (redirected.empty() ? 0 : redirected_header + padded(redirected.size()));
}

bool operator==(const NdOptions& a, const NdOptions& b) {
  return a.source_mac == b.source_mac && a.target_mac == b.target_mac && a.mtu == b.mtu &&
         a.nonce == b.nonce && a.prefixes == b.prefixes &&
         std::ranges::equal(a.redirected, b.redirected);
}

std::optional<RouterSolicitation> parse_router_solicitation(const Icmpv6View& message) {
  if (!is_whole(message, Icmpv6Type::router_solicitation, 8)) return std::nullopt;
  const auto options = parse_options(message.bytes().subspan(8));
  if (!options) return std::nullopt;
  return RouterSolicitation{*options};
}

std::optional<RouterAdvertisement> parse_router_advertisement(const Icmpv6View& message) {
  if (!is_whole(message, Icmpv6Type::router_advertisement, 16)) return std::nullopt;
  const auto options = parse_options(message.bytes().subspan(16));
  if (!options) return std::nullopt;
  const std::byte* const at = message.bytes().data();
  return RouterAdvertisement{.hop_limit = std::to_integer<std::uint8_t>(at[4]),
                             .managed = (at[5] & std::byte{0x80}) != std::byte{0},
                             .other = (at[5] & std::byte{0x40}) != std::byte{0},
                             .router_lifetime_s = load_be16(at + 6),
                             .reachable_ms = load_be32(at + 8),
                             .retransmit_ms = load_be32(at + 12),
                             .options = *options};
}

std::optional<NeighborSolicitation> parse_neighbor_solicitation(const Icmpv6View& message) {
  if (!is_whole(message, Icmpv6Type::neighbor_solicitation, 24)) return std::nullopt;
  const Ipv6Address target = Ipv6Address::load(message.bytes().data() + 8);
  const auto options = parse_options(message.bytes().subspan(24));
  if (!options || target.is_multicast()) return std::nullopt;
  return NeighborSolicitation{target, *options};
}

std::optional<NeighborAdvertisement> parse_neighbor_advertisement(const Icmpv6View& message) {
  if (!is_whole(message, Icmpv6Type::neighbor_advertisement, 24)) return std::nullopt;
  const Ipv6Address target = Ipv6Address::load(message.bytes().data() + 8);
  const auto options = parse_options(message.bytes().subspan(24));
  if (!options || target.is_multicast()) return std::nullopt;
  const std::uint32_t flags = message.header().rest;
  return NeighborAdvertisement{.router = (flags & 0x8000'0000) != 0,
                               .solicited = (flags & 0x4000'0000) != 0,
                               .override_cache = (flags & 0x2000'0000) != 0,
                               .target = target,
                               .options = *options};
}

std::optional<NdRedirect> parse_redirect(const Icmpv6View& message) {
  if (!is_whole(message, Icmpv6Type::redirect, 40)) return std::nullopt;
  const Ipv6Address target = Ipv6Address::load(message.bytes().data() + 8);
  const Ipv6Address destination = Ipv6Address::load(message.bytes().data() + 24);
  const auto options = parse_options(message.bytes().subspan(40));
  // The target is a router's link-local address, or the destination itself, which is on the link.
  if (!options || destination.is_multicast() || !(target.is_link_local() || target == destination))
    return std::nullopt;
  return NdRedirect{target, destination, *options};
}

std::size_t write(const RouterSolicitation& message, Checksum pseudo, MutableBytes into) {
  into = into.first(message.size());
  write_options(message.options, into.subspan(8));
  return finish({Icmpv6Type::router_solicitation, 0, 0}, pseudo, into);
}

std::size_t write(const RouterAdvertisement& message, Checksum pseudo, MutableBytes into) {
  into = into.first(message.size());
  store_be32(into.data() + 8, message.reachable_ms);
  store_be32(into.data() + 12, message.retransmit_ms);
  write_options(message.options, into.subspan(16));
  const std::uint32_t rest = std::uint32_t{message.hop_limit} << 24 |
                             (message.managed ? 0x80'0000u : 0) | (message.other ? 0x40'0000u : 0) |
                             message.router_lifetime_s;
  return finish({Icmpv6Type::router_advertisement, 0, rest}, pseudo, into);
}

std::size_t write(const NeighborSolicitation& message, Checksum pseudo, MutableBytes into) {
  into = into.first(message.size());
  message.target.store(into.data() + 8);
  write_options(message.options, into.subspan(24));
  return finish({Icmpv6Type::neighbor_solicitation, 0, 0}, pseudo, into);
}

std::size_t write(const NeighborAdvertisement& message, Checksum pseudo, MutableBytes into) {
  into = into.first(message.size());
  message.target.store(into.data() + 8);
  write_options(message.options, into.subspan(24));
  const std::uint32_t flags = (message.router ? 0x8000'0000u : 0) |
                              (message.solicited ? 0x4000'0000u : 0) |
                              (message.override_cache ? 0x2000'0000u : 0);
  return finish({Icmpv6Type::neighbor_advertisement, 0, flags}, pseudo, into);
}

std::size_t write(const NdRedirect& message, Checksum pseudo, MutableBytes into) {
  into = into.first(message.size());
  message.target.store(into.data() + 8);
  message.destination.store(into.data() + 24);
  write_options(message.options, into.subspan(40));
  return finish({Icmpv6Type::redirect, 0, 0}, pseudo, into);
}

}  // namespace koine::wire
