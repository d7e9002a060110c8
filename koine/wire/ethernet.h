// Ethernet II: who on this link, from whom, and what is inside (RFC 894; IEEE 802.3).
//
//     0       6       12   14
//     +-------+-------+----+------------------ - -+
//     | target| source|type| payload, 46 to MTU   |     the frame check sequence is not ours to see
//     +-------+-------+----+------------------ - -+
#pragma once

#include <cassert>
#include <optional>

#include "koine/base/bytes.h"
#include "koine/wire/address.h"
#include "koine/wire/protocol.h"

namespace koine::wire {

struct EthernetHeader {
  Mac target{};
  Mac source{};
  EtherType type{};  ///< below 1536 it is the length of an IEEE 802.3 frame

  static constexpr std::size_t size = 14;

  friend constexpr bool operator==(const EthernetHeader&, const EthernetHeader&) = default;
};

/// Shorter frames are filled with zeros up to this, not counting the check sequence.
inline constexpr std::size_t ethernet_frame_min = 60;

/// A frame that is long enough to have a header. The view lives as long as its bytes.
class EthernetView {
 public:
  static std::optional<EthernetView> of(Bytes frame) {
    if (frame.size() < EthernetHeader::size) return std::nullopt;
    return EthernetView(frame);
  }

  Mac target() const { return Mac::load(frame_.data()); }
  Mac source() const { return Mac::load(frame_.data() + 6); }
  EtherType type() const { return static_cast<EtherType>(load_be16(frame_.data() + 12)); }

  /// May end in padding, which only the layer above can tell from data.
  Bytes payload() const { return frame_.subspan(EthernetHeader::size); }

  EthernetHeader header() const { return {target(), source(), type()}; }

 private:
  explicit EthernetView(Bytes frame) : frame_(frame) {}
  Bytes frame_;
};

inline std::optional<EthernetHeader> parse_ethernet(Bytes frame) {
  const auto view = EthernetView::of(frame);
  if (!view) return std::nullopt;
  return view->header();
}

/// Writes 14 bytes to the front of `into` and returns how many that are.
inline std::size_t write(const EthernetHeader& header, MutableBytes into) {
  assert(into.size() >= EthernetHeader::size);
  header.target.store(into.data());
  header.source.store(into.data() + 6);
  store_be16(into.data() + 12, static_cast<std::uint16_t>(header.type));
  return EthernetHeader::size;
}

}  // namespace koine::wire
