// What makes a session outlive its connection: the frames that may have to be sent again, and the
// positions that say which.
//
// A position counts the bytes, without length prefixes, of the frames that have one: requests,
// REQUEST_N, CANCEL, PAYLOAD and ERROR. Both sides count alike, so a number says what has arrived.
// Read "Resuming Operation" of RSocket 1.0 before changing it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "koine/rsocket/frame.h"

namespace koine::rsocket {

/// Whether a frame, which has at least a header, counts.
bool has_position(Bytes frame);

/// The frames of one direction that the peer is not known to have.
class Retained {
 public:
  /// Beyond `bytes_max` the oldest are dropped, and cannot be sent again.
  explicit Retained(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  /// Whole frames behind their length prefixes; keeps those that have a position.
  void keep(Bytes frames);

  /// The peer has all before `position`. False if it cannot: no frame that is kept begins there.
  bool release(std::uint64_t position);

  /// Whether release() would succeed; O(frames).
  bool can_release(std::uint64_t position) const;

  /// Where the first one kept begins, and where the next one will.
  std::uint64_t first() const { return first_; }
  std::uint64_t end() const { return end_; }

  /// All that are kept, behind their length prefixes, in order.
  Bytes frames() const { return Bytes(bytes_).subspan(start_); }
  std::size_t size() const { return bytes_.size() - start_; }
  std::size_t bytes_max() const { return bytes_max_; }

 private:
  void drop_first();
  void compact();

  std::size_t bytes_max_;
  std::size_t start_ = 0;  // of what is kept in bytes_
  std::uint64_t first_ = 0;
  std::uint64_t end_ = 0;
  ByteVector bytes_;
};

}  // namespace koine::rsocket
