// BlockPool: the memory that received bytes arrive in, shared by all connections of a loop, or of a
// simulated world.
//
// Blocks are handed out last in, first out, so a busy loop works in one hot block, and a connection
// that waits holds none.
#pragma once

#include <cstddef>
#include <vector>

#include "koine/base/buffer.h"

namespace koine {

class BlockPool final : public BufferHome {
 public:
  static constexpr std::size_t block_bytes = std::size_t{64} << 10;
  /// How many blocks wait for their next use at most; further ones go back to the system.
  static constexpr std::size_t kept_max = 32;

  BlockPool() { kept_.reserve(kept_max); }
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;
  ~BlockPool() {
    for (std::byte* block : kept_) delete[] block;
  }

  /// One block, the caller's until take_back().
  std::byte* take() {
    if (kept_.empty()) return new std::byte[block_bytes];
    std::byte* block = kept_.back();
    kept_.pop_back();
    return block;
  }

  void take_back(std::byte* block) noexcept override {
    if (kept_.size() < kept_max) {
      kept_.push_back(block);
    } else {
      delete[] block;
    }
  }

 private:
  std::vector<std::byte*> kept_;
};

}  // namespace koine
