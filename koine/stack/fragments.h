// Datagrams that arrive in pieces (RFC 791, section 3.2; RFC 8200, section 4.5).
//
// Pieces that overlap are somebody's attack: the whole datagram goes, and what is still to come of
// it (RFC 5722). A duplicate is an overlap too. Memory is bounded: the oldest datagram gives way.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "koine/base/bytes.h"
#include "koine/base/time.h"
#include "koine/stack/ip.h"

namespace koine::stack {

struct FragmentKey {
  Ip source{};
  Ip target{};
  std::uint32_t identification = 0;
  std::uint8_t protocol = 0;

  friend auto operator<=>(const FragmentKey&, const FragmentKey&) = default;
};

class Fragments {
 public:
  static constexpr Duration patience = 60s;
  static constexpr std::size_t datagram_bytes_max = 65'535;
  static constexpr std::size_t datagrams_max = 64;
  static constexpr std::size_t pieces_max = 256;  ///< of one datagram

  /// The payload, when `data` was its last missing piece. `first_packet` is kept of the piece at
  /// offset 0, for the ICMP message when time runs out.
  std::optional<std::vector<std::byte>> insert(const FragmentKey& key, std::size_t offset,
                                               bool more, Bytes data, Bytes first_packet,
                                               Instant now);

  Instant next_deadline() const;

  struct Expired {
    FragmentKey key;
    std::vector<std::byte> first_packet;  ///< empty if the first piece never came
  };
  /// One datagram whose time has run out.
  std::optional<Expired> expire(Instant now);

  std::size_t size() const { return pending_.size(); }

 private:
  struct Pending {
    Instant until{};
    std::uint64_t order = 0;
    bool refused = false;
    std::optional<std::size_t> total;
    std::map<std::size_t, std::vector<std::byte>> pieces;
    std::vector<std::byte> first_packet;
  };

  std::map<FragmentKey, Pending> pending_;
  std::uint64_t order_ = 0;
};

}  // namespace koine::stack
