// What has arrived and was not yet read: bytes in order, and islands beyond a hole.
//
//     read | in order, ready() | hole | island | hole | island |
//                              nxt
// Islands lie where they will be read, so nothing is copied twice; what they take is not counted
// against the window, because the window was promised up to its right edge.
#pragma once

#include <cstdint>
#include <vector>

#include "koine/stack/tcp/paged_bytes.h"
#include "koine/wire/tcp.h"

namespace koine::stack::tcp {

using wire::SackBlock;
using wire::Seq;

class Reassembly {
 public:
  explicit Reassembly(Seq nxt) : nxt_(nxt) {}

  /// The first byte that is missing.
  Seq nxt() const { return nxt_; }

  /// Bytes in order, not yet read.
  std::uint32_t ready() const { return ready_; }

  /// Nothing is held.
  bool empty() const { return ready_ == 0 && islands_.empty(); }
  bool has_islands() const { return !islands_.empty(); }

  /// Behind the last byte that has arrived.
  Seq highest() const { return islands_.empty() ? nxt_ : islands_.back().right; }
  /// All bytes of [left, right) have arrived.
  bool has(Seq left, Seq right) const;

  struct Outcome {
    std::uint32_t advanced = 0;  ///< how far nxt() moved
    bool filled = false;         ///< a hole became smaller or vanished (RFC 5681, section 4.2)
    bool apart = false;          ///< an island was made or grew
    bool refused = false;        ///< there are too many islands
    SackBlock duplicate{};       ///< what we had already, if not empty (RFC 2883)
  };

  /// `data` lies within the window; part of it may be old.
  Outcome insert(Seq seq, Bytes data, std::size_t islands_max);

  /// Copies and takes the first bytes in order; how many.
  std::size_t read(MutableBytes into);

  /// Islands as an ACK reports them, the newest first (RFC 2018, section 4).
  void report(std::size_t count_max, wire::FixedList<SackBlock, 4>& into) const;

  std::size_t footprint() const { return bytes_.footprint(); }

 private:
  struct Island {
    Seq left{};
    Seq right{};
    std::uint32_t stamp = 0;  // the larger the newer
  };

  PagedBytes bytes_;  // position 0 is the first unread byte
  Seq nxt_{};
  std::uint32_t ready_ = 0;
  std::uint32_t stamp_ = 0;
  std::vector<Island> islands_;  // ascending, never touching
};

}  // namespace koine::stack::tcp
