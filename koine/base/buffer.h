// Buffer: bytes that arrived, in memory that somebody lends until the buffer dies.
//
// The memory belongs to whoever received the bytes (a loop's pool, a ring of the kernel's, a
// simulated host), so a connection that waits for data holds none.
#pragma once

#include <cstddef>
#include <utility>

#include "koine/base/bytes.h"

namespace koine {

/// Where a buffer's memory goes back to. It outlives its buffers.
class BufferHome {
 public:
  virtual void take_back(std::byte* block) noexcept = 0;

 protected:
  ~BufferHome() = default;
};

class Buffer {
 public:
  /// No bytes, no memory.
  Buffer() = default;

  /// The first `size` bytes of `block`, which goes back to `home`.
  Buffer(BufferHome& home, std::byte* block, std::size_t size)
      : home_(&home), block_(block), bytes_(block, size) {}

  Buffer(Buffer&& other) noexcept
      : home_(std::exchange(other.home_, nullptr)),
        block_(other.block_),
        bytes_(std::exchange(other.bytes_, {})) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(home_, other.home_);
    std::swap(block_, other.block_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Buffer() {
    if (home_ != nullptr) home_->take_back(block_);
  }

  /// True if it holds at least one byte.
  explicit operator bool() const { return !bytes_.empty(); }

  Bytes bytes() const { return bytes_; }
  operator Bytes() const { return bytes_; }  // NOLINT: a buffer is bytes
  std::string_view text() const { return as_text(bytes_); }
  std::size_t size() const { return bytes_.size(); }

  /// Forgets the first `count` bytes, of at least as many.
  void consume(std::size_t count) { bytes_ = bytes_.subspan(count); }

 private:
  BufferHome* home_ = nullptr;
  std::byte* block_ = nullptr;
  Bytes bytes_;
};

}  // namespace koine
