// The walk over IPv6's extension headers and their options, and the writing of them.
#include "koine/wire/ipv6_extensions.h"

#include <algorithm>
#include <cassert>

#include "koine/wire/icmpv6.h"

namespace koine::wire {

std::optional<Ipv6Extension> extension_at(Bytes packet, IpProtocol kind, std::size_t offset) {
  assert(is_extension(kind) && offset <= packet.size());
  const std::size_t left = packet.size() - offset;
  if (left < 8) return std::nullopt;
  // A fragment header has no length: its second octet is reserved.
  const std::size_t size =
      kind == IpProtocol::fragment ? 8 : 8 + 8 * std::to_integer<std::size_t>(packet[offset + 1]);
  if (size > left) return std::nullopt;
  return Ipv6Extension{kind, static_cast<IpProtocol>(packet[offset]), offset,
                       packet.subspan(offset, size)};
}

std::optional<Ipv6Option> Ipv6Options::next() {
  while (at_ < extension_.size()) {
    const auto type = std::to_integer<std::uint8_t>(extension_[at_]);
    if (type == ipv6_option_pad1) {
      ++at_;
      continue;
    }
    const std::size_t left = extension_.size() - at_ - 1;
    const std::size_t length = left == 0 ? 0 : std::to_integer<std::size_t>(extension_[at_ + 1]);
    if (left == 0 || length > left - 1) {
      broken_at_ = at_;
      break;
    }
    const Ipv6Option option{type, at_, extension_.subspan(at_ + 2, length)};
    at_ += 2 + length;
    if (type != ipv6_option_padn) return option;
  }
  at_ = extension_.size();
  return std::nullopt;
}

namespace {

using Report = Ipv6Problem::Report;

/// What the options ask for; router alert is the one that is known beside padding.
std::optional<Ipv6Problem> take_options(const Ipv6Extension& extension, Ipv6Chain& chain) {
  const auto place = [&](std::size_t at) {
    return static_cast<std::uint32_t>(extension.offset + at);
  };
  Ipv6Options options(extension.bytes);
  while (const auto option = options.next()) {
    if (option->type == ipv6_option_router_alert && extension.kind == IpProtocol::hop_by_hop) {
      chain.router_alert = true;
      continue;
    }
    // The two highest bits say what to do with an option that one does not know.
    constexpr Report report[] = {Report{}, Report::nothing, Report::even_to_group,
                                 Report::unless_group};
    const unsigned action = option->type >> 6;
    if (action == 0) continue;
    return Ipv6Problem{report[action], icmpv6_parameter_problem::unknown_option,
                       place(option->offset), "an option that is not known here"};
  }
  if (const auto at = options.broken_at())
    return Ipv6Problem{Report::unless_group, icmpv6_parameter_problem::erroneous_field,
                       place(*at + 1), "an option reaches beyond its extension header"};
  return std::nullopt;
}

/// Routing headers that have been followed to their end are passed over; koine follows none
/// (RFC 8200, section 4.4; RFC 5095).
std::optional<Ipv6Problem> take_routing(const Ipv6Extension& extension) {
  if (extension.bytes[3] == std::byte{0}) return std::nullopt;
  return Ipv6Problem{Report::unless_group, icmpv6_parameter_problem::erroneous_field,
                     static_cast<std::uint32_t>(extension.offset + 2),
                     "a routing header with segments left"};
}

Ipv6Fragment fragment_of(const Ipv6Extension& extension) {
  const std::uint16_t offset_and_flags = load_be16(extension.bytes.data() + 2);
  return {offset_and_flags & 0xfff8u, (offset_and_flags & 1) != 0,
          load_be32(extension.bytes.data() + 4)};
}

/// A piece that is not the last has to be a multiple of 8 long, and none may reach beyond the
/// largest packet (RFC 8200, section 4.5).
std::optional<Ipv6Problem> check_fragment(const Ipv6Fragment& fragment, std::size_t fragment_at,
                                          std::size_t data_size) {
  if (fragment.more && data_size % 8 != 0)
    return Ipv6Problem{Report::unless_group, icmpv6_parameter_problem::erroneous_field, 4,
                       "a fragment in the middle is no multiple of 8 bytes long"};
  if (fragment_at - Ipv6Header::size + fragment.offset + data_size > Ipv6Header::payload_size_max)
    return Ipv6Problem{Report::unless_group, icmpv6_parameter_problem::erroneous_field,
                       static_cast<std::uint32_t>(fragment_at + 2),
                       "a fragment reaches beyond the largest packet"};
  return std::nullopt;
}

}  // namespace

Ipv6Chain Ipv6Chain::walk(const Ipv6View& view) {
  const Bytes packet = view.bytes();
  Ipv6Chain chain;
  chain.protocol = view.protocol();
  chain.payload = view.payload();
  chain.payload_at = Ipv6Header::size;

  for (int count = 0; is_extension(chain.protocol); ++count) {
    if (count == ipv6_extensions_max) {
      chain.problem = {Report::nothing, 0, 0, "more extension headers than are allowed"};
      return chain;
    }
    if (chain.protocol == IpProtocol::hop_by_hop && count > 0) {
      chain.problem = {Report::unless_group, icmpv6_parameter_problem::unknown_next_header,
                       static_cast<std::uint32_t>(chain.protocol_at),
                       "hop-by-hop options that are not the first extension header"};
      return chain;
    }
    const auto extension = extension_at(packet, chain.protocol, chain.payload_at);
    if (!extension) {
      chain.problem = {Report::nothing, 0, 0, "an extension header reaches beyond the packet"};
      return chain;
    }
    switch (extension->kind) {
      case IpProtocol::routing: chain.problem = take_routing(*extension); break;
      case IpProtocol::fragment:
        chain.fragment = fragment_of(*extension);
        chain.fragment_at = extension->offset;
        chain.fragment_named_at = chain.protocol_at;
        chain.problem = check_fragment(*chain.fragment, extension->offset,
                                       packet.size() - extension->offset - Ipv6Fragment::size);
        break;
      default: chain.problem = take_options(*extension, chain); break;
    }
    if (chain.problem) return chain;
    chain.protocol_at = extension->offset;
    chain.protocol = extension->next;
    chain.payload_at += extension->bytes.size();
    chain.payload = packet.subspan(chain.payload_at);
    if (chain.is_fragment()) return chain;
  }
  return chain;
}

std::size_t write(const Ipv6Fragment& fragment, IpProtocol next, MutableBytes into) {
  assert(into.size() >= Ipv6Fragment::size);
  assert(fragment.offset % 8 == 0 && fragment.offset <= 0xfff8);
  store_be16(into.data(), static_cast<std::uint16_t>(static_cast<unsigned>(next) << 8));
  store_be16(into.data() + 2,
             static_cast<std::uint16_t>(fragment.offset | (fragment.more ? 1u : 0u)));
  store_be32(into.data() + 4, fragment.identification);
  return Ipv6Fragment::size;
}

std::size_t write_options_extension(IpProtocol next, Bytes options, MutableBytes into) {
  const std::size_t size = options_extension_size(options.size());
  assert(size <= 2048 && into.size() >= size);
  into[0] = static_cast<std::byte>(next);
  into[1] = static_cast<std::byte>(size / 8 - 1);
  std::copy(options.begin(), options.end(), into.begin() + 2);
  const MutableBytes padding = into.subspan(2 + options.size(), size - 2 - options.size());
  std::fill(padding.begin(), padding.end(), std::byte{0});
  if (padding.size() >= 2) {  // one octet of padding is Pad1, all zero
    padding[0] = std::byte{ipv6_option_padn};
    padding[1] = static_cast<std::byte>(padding.size() - 2);
  }
  return size;
}

}  // namespace koine::wire
