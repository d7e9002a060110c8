// Trace: what happened in a world, as 128 bits. Two runs that differ anywhere differ here.
//
// Everything that decides is mixed in: each event with its time and its component, each frame with
// all its bytes and what became of it. It is no defence against somebody who wants two stories to
// look the same; it is for finding that they do not.
#pragma once

#include <array>
#include <bit>
#include <compare>
#include <cstdint>
#include <cstring>
#include <string>

#include "koine/base/bytes.h"

namespace koine::sim {

struct TraceHash {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  friend constexpr auto operator<=>(const TraceHash&, const TraceHash&) = default;
};

/// 32 hexadecimal digits.
inline std::string to_string(const TraceHash& hash) {
  std::string text;
  for (const std::uint64_t word : {hash.high, hash.low})
    for (int shift = 60; shift >= 0; shift -= 4) text += "0123456789abcdef"[word >> shift & 15];
  return text;
}

class Trace {
 public:
  void mix(std::uint64_t value) {
    high_ = fold(high_ ^ value, 0x9e37'79b9'7f4a'7c15);
    low_ = fold(low_ + value, 0xe703'7ed1'a0b4'28db) ^ high_;
  }
  void mix(Bytes bytes) { mix(hash_of(bytes)); }

  TraceHash hash() const { return {high_, low_}; }

  /// A hash of bytes, the same on every machine. Four chains side by side, because each step of one
  /// waits for the one before.
  static std::uint64_t hash_of(Bytes bytes) {
    std::array<std::uint64_t, 4> chain{bytes.size(), 1, 2, 3};
    const auto take = [&](std::size_t number) {
      const std::byte* const at = bytes.data() + number * 16;
      chain[number] = fold(chain[number] ^ load(at), 0xa076'1d64'78bd'642f ^ load(at + 8));
    };
    for (; bytes.size() >= 64; bytes = bytes.subspan(64)) {
      take(0);
      take(1);
      take(2);
      take(3);
    }
    for (; bytes.size() >= 16; bytes = bytes.subspan(16)) take(0);
    std::array<std::byte, 16> rest{};
    if (!bytes.empty()) std::memcpy(rest.data(), bytes.data(), bytes.size());
    const std::uint64_t both = fold(chain[0] ^ load(rest.data()), chain[1] ^ load(rest.data() + 8));
    return fold(both ^ chain[2], chain[3]);
  }

 private:
  __extension__ using Wide = unsigned __int128;

  static std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
    const Wide product = static_cast<Wide>(a ^ 0x2d35'8dcc'aa6c'78a5) * (b ^ 0x8bb8'4b93'962e'acc9);
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  }
  static std::uint64_t load(const std::byte* at) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, sizeof(word));
    if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
    return word;
  }

  std::uint64_t high_ = 0;
  std::uint64_t low_ = 0;
};

}  // namespace koine::sim
