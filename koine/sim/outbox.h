// Outbox: what a program has written and its stack has not yet taken: a ring in a lent block.
//
// It holds memory only while it holds bytes.
#pragma once

#include <algorithm>
#include <cstring>
#include <utility>

#include "koine/base/block_pool.h"
#include "koine/base/bytes.h"

namespace koine::sim {

class Outbox {
 public:
  static constexpr std::size_t bytes_max = BlockPool::block_bytes;

  explicit Outbox(BlockPool& blocks) : blocks_(&blocks) {}
  Outbox(Outbox&& other) noexcept
      : blocks_(other.blocks_),
        block_(std::exchange(other.block_, nullptr)),
        begin_(std::exchange(other.begin_, 0)),
        size_(std::exchange(other.size_, 0)) {}
  Outbox& operator=(Outbox&&) = delete;
  ~Outbox() { clear(); }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  /// The first of what it holds, as far as it lies together.
  Bytes front() const { return {block_ + begin_, std::min(size_, bytes_max - begin_)}; }

  /// Appends as much as fits: how much.
  std::size_t append(Bytes bytes) {
    const std::size_t count = std::min(bytes.size(), bytes_max - size_);
    if (count == 0) return 0;
    if (block_ == nullptr) block_ = blocks_->take();
    const std::size_t end = (begin_ + size_) % bytes_max;
    const std::size_t before_wrap = std::min(count, bytes_max - end);
    std::memcpy(block_ + end, bytes.data(), before_wrap);
    std::memcpy(block_, bytes.data() + before_wrap, count - before_wrap);
    size_ += count;
    return count;
  }

  /// Forgets the first `count`.
  void consume(std::size_t count) {
    begin_ = (begin_ + count) % bytes_max;
    size_ -= count;
    if (size_ == 0) clear();
  }

  void clear() {
    if (block_ != nullptr) blocks_->take_back(block_);
    block_ = nullptr;
    begin_ = size_ = 0;
  }

 private:
  BlockPool* blocks_;
  std::byte* block_ = nullptr;
  std::size_t begin_ = 0;
  std::size_t size_ = 0;
};

}  // namespace koine::sim
