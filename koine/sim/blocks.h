// Blocks: the memory that simulated machines lend to their programs with what has arrived.
#pragma once

#include <cstddef>
#include <vector>

#include "koine/base/buffer.h"

namespace koine::sim {

class Blocks final : public BufferHome {
 public:
  static constexpr std::size_t block_bytes = std::size_t{64} << 10;
  /// How many wait for their next use at most.
  static constexpr std::size_t kept_max = 32;

  Blocks() { kept_.reserve(kept_max); }
  Blocks(const Blocks&) = delete;
  Blocks& operator=(const Blocks&) = delete;
  ~Blocks() {
    for (std::byte* block : kept_) delete[] block;
  }

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

}  // namespace koine::sim
