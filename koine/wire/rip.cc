// RIPv2 messages.
#include "koine/wire/rip.h"

#include <algorithm>
#include <bit>
#include <cassert>

namespace koine::wire {

namespace {

constexpr std::uint16_t authentication_plain = 2;

std::optional<RipEntry> parse_entry(const std::byte* at) {
  const std::uint32_t mask = load_be32(at + 8);
  const std::uint32_t metric = load_be32(at + 16);
  const int length = std::countl_one(mask);
  const bool has_holes = std::popcount(mask) != length;
  if (load_be16(at) != rip_family_ipv4 || has_holes || metric < 1 || metric > rip_infinity)
    return std::nullopt;
  return RipEntry{.prefix = {Ipv4Address::load(at + 4), static_cast<std::uint8_t>(length)},
                  .next_hop = Ipv4Address::load(at + 12),
                  .route_tag = load_be16(at + 2),
                  .metric = metric};
}

RipPassword parse_password(const std::byte* at) {
  RipPassword password;
  for (int i = 0; i < 16 && at[i] != std::byte{0}; ++i)  // padded with zeros on the right
    password.push_back(static_cast<char>(at[i]));
  return password;
}

}  // namespace

std::optional<RipMessage> parse_rip(Bytes datagram) {
  if (datagram.size() < RipMessage::header_size || datagram.size() > RipMessage::size_max ||
      datagram.size() % RipMessage::entry_size != RipMessage::header_size)
    return std::nullopt;
  RipMessage message{.command = static_cast<RipCommand>(datagram[0])};
  if (message.command != RipCommand::request && message.command != RipCommand::response)
    return std::nullopt;
  if (datagram[1] != std::byte{2}) return std::nullopt;

  const std::size_t count = datagram.size() / RipMessage::entry_size;
  for (std::size_t i = 0; i < count; ++i) {
    const std::byte* const at =
        datagram.data() + RipMessage::header_size + i * RipMessage::entry_size;
    const std::uint16_t family = load_be16(at);
    const bool alone = i + 1 == count && message.entries.empty();
    if (family == rip_family_authentication && i == 0 &&
        load_be16(at + 2) == authentication_plain) {
      message.password = parse_password(at + 4);
    } else if (family == 0 && alone && message.command == RipCommand::request &&
               load_be32(at + 16) == rip_infinity) {
      message.whole_table = true;
    } else if (const auto entry = parse_entry(at)) {
      message.entries.push_back(*entry);
    } else {
      ++message.skipped;
    }
  }
  return message;
}

std::size_t write(const RipMessage& message, MutableBytes into) {
  const std::size_t size = message.size();
  assert(size <= RipMessage::size_max && into.size() >= size);
  std::fill_n(into.begin(), size, std::byte{0});
  into[0] = static_cast<std::byte>(message.command);
  into[1] = std::byte{2};
  std::byte* at = into.data() + RipMessage::header_size;
  if (message.password) {
    store_be16(at, rip_family_authentication);
    store_be16(at + 2, authentication_plain);
    std::transform(message.password->begin(), message.password->end(), at + 4,
                   [](char letter) { return static_cast<std::byte>(letter); });
    at += RipMessage::entry_size;
  }
  if (message.whole_table) {
    store_be32(at + 16, rip_infinity);
    at += RipMessage::entry_size;
  }
  for (const RipEntry& entry : message.entries) {
    store_be16(at, rip_family_ipv4);
    store_be16(at + 2, entry.route_tag);
    entry.prefix.address.store(at + 4);
    entry.prefix.mask().store(at + 8);
    entry.next_hop.store(at + 12);
    store_be32(at + 16, entry.metric);
    at += RipMessage::entry_size;
  }
  return size;
}

}  // namespace koine::wire
