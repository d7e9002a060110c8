// SipHash-2-4 (Aumasson and Bernstein): a hash that who does not know the key can neither predict
// nor collide. For initial sequence numbers (RFC 6528), ports (RFC 6056), SYN cookies (RFC 4987)
// and tables whose keys come from outside.
#pragma once

#include <bit>
#include <cstdint>
#include <initializer_list>

namespace koine::stack {

class KeyedHash {
 public:
  constexpr KeyedHash(std::uint64_t key0, std::uint64_t key1) : key0_(key0), key1_(key1) {}

  constexpr std::uint64_t operator()(std::initializer_list<std::uint64_t> words) const {
    std::uint64_t v0 = key0_ ^ 0x736f'6d65'7073'6575;
    std::uint64_t v1 = key1_ ^ 0x646f'7261'6e64'6f6d;
    std::uint64_t v2 = key0_ ^ 0x6c79'6765'6e65'7261;
    std::uint64_t v3 = key1_ ^ 0x7465'6462'7974'6573;
    const auto round = [&] {
      v0 += v1, v1 = std::rotl(v1, 13) ^ v0, v0 = std::rotl(v0, 32);
      v2 += v3, v3 = std::rotl(v3, 16) ^ v2;
      v0 += v3, v3 = std::rotl(v3, 21) ^ v0;
      v2 += v1, v1 = std::rotl(v1, 17) ^ v2, v2 = std::rotl(v2, 32);
    };
    const auto take = [&](std::uint64_t word) {
      v3 ^= word;
      round(), round();
      v0 ^= word;
    };
    for (const std::uint64_t word : words) take(word);
    take(std::uint64_t{words.size() * 8} << 56);
    v2 ^= 0xff;
    round(), round(), round(), round();
    return v0 ^ v1 ^ v2 ^ v3;
  }

 private:
  std::uint64_t key0_;
  std::uint64_t key1_;
};

}  // namespace koine::stack
