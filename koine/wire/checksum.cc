// The long sums: 64 bytes a step, in vectors where the machine has them.
#include "koine/wire/checksum.h"

namespace koine::wire::detail {

namespace {

using Lanes = std::uint64_t __attribute__((vector_size(32)));

// Every 64-bit lane l is two 32-bit words. `all` sums the lanes modulo 2^64 and `high` their upper
// words exactly; the sum of the lower words is then all - (high << 32), exact as well because it
// is less than 2^64. Three instructions for 32 bytes, and no carry to look after.
[[gnu::always_inline]] inline std::uint64_t sum_lanes(const std::byte* at, std::size_t size) {
  Lanes all[2]{}, high[2]{};
  for (; size >= 64; at += 64, size -= 64) {
    for (int i = 0; i < 2; ++i) {
      Lanes lanes;
      std::memcpy(&lanes, at + 32 * i, 32);
      all[i] += lanes;
      high[i] += lanes >> 32;
    }
  }
  std::uint64_t sum = 0;
  for (int lane = 0; lane < 4; ++lane) {
    const std::uint64_t upper = high[0][lane] + high[1][lane];
    const std::uint64_t lower = all[0][lane] + all[1][lane] - (upper << 32);
    sum += fold(upper) + std::uint64_t{fold(lower)};
  }
  return sum + sum_short(at, size);
}

#if defined(__x86_64__)
[[gnu::target("avx2")]] std::uint64_t sum_avx2(const std::byte* at, std::size_t size) {
  return sum_lanes(at, size);
}
const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;
#endif

}  // namespace

std::uint64_t sum_long(const std::byte* at, std::size_t size) {
#if defined(__x86_64__)
  if (has_avx2) return sum_avx2(at, size);
#endif
  return sum_lanes(at, size);
}

}  // namespace koine::wire::detail
