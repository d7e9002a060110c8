// The open streams of one connection, by their id.
//
// Open addressing in one piece of memory: once it has grown to what a connection needs, opening and
// closing a stream allocates nothing. Its order depends on the ids alone, so the same story is told
// twice. An entry moves when another is added or removed.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "koine/rsocket/frame.h"

namespace koine::rsocket {

/// A message whose last fragment has not come.
struct Partial {
  ByteVector metadata;
  ByteVector data;
  bool has_metadata = false;

  std::size_t size() const { return metadata.size() + data.size(); }
};

struct OpenStream {
  std::uint32_t id = 0;
  std::uint32_t may_send = 0;     ///< items that the peer has requested and we have not sent
  std::uint32_t may_receive = 0;  ///< the other way round
  FrameType type = FrameType::request_response;
  bool is_ours = false;       ///< we are the requester
  bool sending = false;       ///< our direction is open
  bool receiving = false;     ///< the peer's direction is open
  bool is_announced = false;  ///< the user knows of it: all of the request is there
  bool completes = false;     ///< a channel whose request says so, still in fragments
  void* owner = nullptr;      ///< the user's
  std::unique_ptr<Partial> partial = {};
};

class Streams {
 public:
  std::size_t size() const { return size_; }

  /// Null if it is not open.
  OpenStream* find(std::uint32_t id) {
    if (size_ == 0) return nullptr;
    for (std::size_t at = home(id);; at = next(at)) {
      if (slots_[at].id == id) return &slots_[at];
      if (slots_[at].id == 0) return nullptr;
    }
  }

  /// `stream.id` is not 0 and not open yet.
  OpenStream& add(OpenStream stream) {
    assert(stream.id != 0 && find(stream.id) == nullptr);
    if (2 * (size_ + 1) > slots_.size()) grow();
    ++size_;
    return place(std::move(stream));
  }

  void remove(OpenStream& stream) {
    std::size_t hole = static_cast<std::size_t>(&stream - slots_.data());
    slots_[hole] = {};
    --size_;
    // What was pushed beyond the hole by it moves back, so that find() meets no gap.
    for (std::size_t at = next(hole); slots_[at].id != 0; at = next(at)) {
      const std::size_t wanted = home(slots_[at].id);
      const bool reaches =
          hole <= at ? wanted <= hole || wanted > at : wanted <= hole && wanted > at;
      if (!reaches) continue;
      slots_[hole] = std::exchange(slots_[at], {});
      hole = at;
    }
  }

  /// `visit(OpenStream&)` may not add or remove any.
  template <class Visit>
  void for_each(Visit&& visit) {
    for (OpenStream& stream : slots_) {
      if (stream.id != 0) visit(stream);
    }
  }

  void clear() {
    slots_ = std::vector<OpenStream>();
    size_ = 0;
  }

 private:
  std::size_t home(std::uint32_t id) const {
    return (id * std::size_t{2654435769u} >> 8) & (slots_.size() - 1);
  }
  std::size_t next(std::size_t at) const { return (at + 1) & (slots_.size() - 1); }

  OpenStream& place(OpenStream stream) {
    std::size_t at = home(stream.id);
    while (slots_[at].id != 0) at = next(at);
    return slots_[at] = std::move(stream);
  }

  void grow() {
    constexpr std::size_t slots_min = 8;
    std::vector<OpenStream> before = std::exchange(
        slots_, std::vector<OpenStream>(slots_.empty() ? slots_min : 2 * slots_.size()));
    for (OpenStream& stream : before) {
      if (stream.id != 0) place(std::move(stream));
    }
  }

  std::vector<OpenStream> slots_;  // a power of two, at most half of them in use
  std::size_t size_ = 0;
};

}  // namespace koine::rsocket
