// Buffer: bytes that arrived, in memory that somebody lends until the buffer dies.
//
// The memory belongs to whoever received the bytes (a loop's pool, a ring of the kernel's, a
// simulated host), so a connection that waits for data holds none.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
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

  /// The first `size` bytes of `block`, fewer than 4 GiB; the block goes back to `home`.
  Buffer(BufferHome& home, std::byte* block, std::size_t size)
      : home_(&home), block_(block), end_(static_cast<std::uint32_t>(size)) {
    assert(end_ == size);
  }

  Buffer(Buffer&& other) noexcept
      : home_(std::exchange(other.home_, nullptr)),
        block_(other.block_),
        begin_(std::exchange(other.begin_, 0)),
        end_(std::exchange(other.end_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(home_, other.home_);
    std::swap(block_, other.block_);
    std::swap(begin_, other.begin_);
    std::swap(end_, other.end_);
    return *this;
  }
  ~Buffer() {
    if (home_ != nullptr) release();
  }

  /// True if it holds at least one byte.
  explicit operator bool() const { return begin_ != end_; }

  Bytes bytes() const { return {block_ + begin_, size()}; }
  operator Bytes() const { return bytes(); }  // NOLINT: a buffer is bytes
  std::string_view text() const { return as_text(bytes()); }
  std::size_t size() const { return end_ - begin_; }

  /// Forgets the first `count` bytes, of at least as many.
  void consume(std::size_t count) {
    assert(count <= size());
    begin_ += static_cast<std::uint32_t>(count);
  }

 private:
  // Out of line, so that a buffer stays one object: in the frame of a coroutine that loops, clang
  // otherwise keeps its members twice.
  [[gnu::noinline]] void release() noexcept { home_->take_back(block_); }

  // Small, because every task that waits for bytes has room for one.
  BufferHome* home_ = nullptr;
  std::byte* block_ = nullptr;
  std::uint32_t begin_ = 0;
  std::uint32_t end_ = 0;
};

}  // namespace koine
