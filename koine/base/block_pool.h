// BlockPool: the memory that received bytes arrive in, shared by all connections of a loop, or of a
// simulated world.
//
// Blocks are handed out last in, first out, so a busy loop works in one hot block, and a connection
// that waits holds none.
#pragma once

#include <array>
#include <cstddef>

#include "koine/base/buffer.h"

namespace koine {

class BlockPool final : public BufferHome {
 public:
  static constexpr std::size_t block_bytes = std::size_t{64} << 10;
  /// How many blocks wait for their next use at most; further ones go back to the system.
  static constexpr std::size_t kept_max = 32;

  BlockPool() = default;
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;
  ~BlockPool() {
    while (kept_count_ != 0) delete[] kept_[--kept_count_];
  }

  /// One block, the caller's until take_back().
  std::byte* take() {
    if (kept_count_ == 0) return new std::byte[block_bytes];
    return kept_[--kept_count_];
  }

  void take_back(std::byte* block) noexcept override {
    if (kept_count_ < kept_max) {
      kept_[kept_count_++] = block;
    } else {
      delete[] block;
    }
  }

 private:
  std::array<std::byte*, kept_max> kept_;
  std::size_t kept_count_ = 0;
};

}  // namespace koine
