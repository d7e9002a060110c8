// Chance that can be told again: a small generator with distributions of its own.
//
// The standard distributions differ between libraries, and one seed has to tell one story
// everywhere. The generator is xoshiro256** (Blackman and Vigna), seeded through splitmix64.
#pragma once

#include <bit>
#include <cstdint>

namespace koine {

class Prng {
 public:
  using result_type = std::uint64_t;

  explicit constexpr Prng(std::uint64_t seed) {
    for (std::uint64_t& word : state_) {
      seed += 0x9e3779b97f4a7c15;
      std::uint64_t mixed = seed;
      mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
      mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
      word = mixed ^ (mixed >> 31);
    }
  }

  /// 64 random bits.
  constexpr std::uint64_t operator()() {
    const std::uint64_t answer = std::rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return answer;
  }

  /// Uniform in [0, bound); `bound` must not be 0. (Lemire's method, without bias.)
  constexpr std::uint64_t below(std::uint64_t bound) {
    for (;;) {
      const Wide wide = static_cast<Wide>((*this)()) * bound;
      const auto low = static_cast<std::uint64_t>(wide);
      if (low >= bound || low >= (0 - bound) % bound) return static_cast<std::uint64_t>(wide >> 64);
    }
  }

  /// Uniform in [0, 1).
  constexpr double unit() { return static_cast<double>((*this)() >> 11) * 0x1p-53; }

  /// True with probability `p`.
  constexpr bool chance(double p) { return unit() < p; }

  static constexpr std::uint64_t min() { return 0; }
  static constexpr std::uint64_t max() { return ~std::uint64_t{0}; }

 private:
  __extension__ using Wide = unsigned __int128;

  std::uint64_t state_[4]{};
};

}  // namespace koine
