// The items of a flow that have come and nobody has taken yet.
//
//     | data length (32) | metadata length (32), all ones if there is none | data | metadata | ...
//
// They stand one behind the other in one piece of memory from the pool of frames, which begins
// again when the last one is taken: a consumer that keeps up costs no allocation.
#pragma once

#include <cstdint>
#include <cstring>

#include "koine/rsocket/frame.h"

namespace koine::rsocket {

class Items {
 public:
  bool empty() const { return first_ == bytes_.size(); }

  /// Bytes that they keep, with what is spent on each.
  std::size_t size() const { return bytes_.size() - first_; }

  void push_back(const Payload& item) {
    const Lengths lengths{static_cast<std::uint32_t>(item.data.size()),
                          item.metadata ? static_cast<std::uint32_t>(item.metadata->size()) : none};
    const auto put = [&](Bytes bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); };
    put(std::as_bytes(std::span(&lengths, 1)));
    put(item.data);
    if (item.metadata) put(*item.metadata);
  }

  /// The oldest one, lent until the next change; there is one.
  Payload front() const {
    const Lengths lengths = front_lengths();
    const Bytes rest = Bytes(bytes_).subspan(first_ + sizeof(Lengths));
    Payload item{.data = rest.first(lengths.data)};
    if (lengths.metadata != none) item.metadata = rest.subspan(lengths.data, lengths.metadata);
    return item;
  }

  void pop_front() {
    const Lengths lengths = front_lengths();
    first_ += sizeof(Lengths) + lengths.data + (lengths.metadata == none ? 0 : lengths.metadata);
    if (empty()) {
      first_ = 0;
      if (bytes_.capacity() > kept_bytes_max) bytes_ = ByteVector();
      bytes_.clear();
    } else if (first_ >= kept_bytes_max && first_ >= bytes_.size() / 2) {
      bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(first_));
      first_ = 0;
    }
  }

 private:
  struct Lengths {
    std::uint32_t data;
    std::uint32_t metadata;
  };
  static constexpr std::uint32_t none = 0xffffffff;
  static constexpr std::size_t kept_bytes_max = 4096;  // what the pool has ready for the next time

  Lengths front_lengths() const {
    Lengths lengths;
    std::memcpy(&lengths, &bytes_[first_], sizeof(lengths));
    return lengths;
  }

  ByteVector bytes_;
  std::size_t first_ = 0;
};

}  // namespace koine::rsocket
