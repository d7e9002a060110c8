#include "koine/wire/checksum.h"

#include <gtest/gtest.h>

#include "koine/wire/vectors_test.h"

namespace koine::wire {
namespace {

/// RFC 1071's sum, word by word, as its section 4.1 writes it.
std::uint16_t naive_sum(Bytes bytes) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    sum += std::to_integer<std::uint64_t>(bytes[i]) << (i % 2 == 0 ? 8 : 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

TEST(Checksum, OfTheExampleInRfc1071IsTheOneItGives) {
  EXPECT_EQ(partial_sum(hex("0001 f203 f4f5 f6f7")), (PartialSum{0xddf2, false}));
}

TEST(Checksum, IsTheNaiveOneAtEveryLengthAndAlignment) {
  Prng prng(2);
  const Octets bytes = random_octets(prng, 4096 + 8);
  for (std::size_t offset = 0; offset < 8; ++offset)
    for (std::size_t size = 0; size < 400; ++size)
      ASSERT_EQ(partial_sum(Bytes(bytes).subspan(offset, size)).sum,
                naive_sum(Bytes(bytes).subspan(offset, size)))
          << offset << " " << size;
  for (int i = 0; i < 2'000; ++i) {
    const Bytes some = Bytes(bytes).subspan(prng.below(8), prng.below(4096));
    ASSERT_EQ(partial_sum(some).sum, naive_sum(some));
  }
}

// All ones carry in every word and every lane.
TEST(Checksum, LosesNoCarry) {
  for (const std::size_t size : {2u, 63u, 64u, 65u, 1460u, 65'535u, 1'000'000u}) {
    const Octets ones(size, std::byte{0xff});
    EXPECT_EQ(partial_sum(ones).sum, naive_sum(ones)) << size;
  }
  EXPECT_EQ(partial_sum(Octets(1460)).sum, 0);
}

TEST(Checksum, OfPartsIsTheOneOfTheWhole) {
  Prng prng(3);
  for (int i = 0; i < 2'000; ++i) {
    const Octets whole = random_octets(prng, prng.below(300));
    PartialSum sum;
    Checksum checksum;
    for (Bytes rest = whole; !rest.empty();) {
      const Bytes part = rest.first(1 + prng.below(rest.size()));
      sum = sum + partial_sum(part);
      checksum.add(part);
      rest = rest.subspan(part.size());
    }
    ASSERT_EQ(sum, partial_sum(whole));
    ASSERT_EQ(checksum.value(), checksum_of(whole));
  }
}

TEST(Checksum, CanBeMendedWhereAWordChanges) {
  Prng prng(4);
  for (int i = 0; i < 20'000; ++i) {
    Octets bytes = random_octets(prng, 20);
    // Words of all zeros and all ones are where RFC 1141 was wrong and RFC 1624 is right.
    const std::uint16_t edges[] = {0, 0xffff, static_cast<std::uint16_t>(prng())};
    store_be16(&bytes[4], edges[prng.below(3)]);
    store_be16(&bytes[10], 0);
    store_be16(&bytes[10], checksum_of(bytes));
    const std::uint16_t word = edges[prng.below(3)];
    const auto words = static_cast<std::uint32_t>(prng());
    std::uint16_t checksum = updated_checksum(load_be16(&bytes[10]), load_be16(&bytes[4]), word);
    checksum = updated_checksum32(checksum, load_be32(&bytes[12]), words);
    store_be16(&bytes[4], word);
    store_be32(&bytes[12], words);
    store_be16(&bytes[10], checksum);
    ASSERT_EQ(checksum_of(bytes), 0);
  }
}

TEST(Checksum, OfTheExampleInRfc1624IsMendedWithoutMinusZero) {
  // Section 4: HC = 0xdd2f, m = 0x5555, m' = 0x3285 give 0x0000, where RFC 1141 gave 0xffff.
  EXPECT_EQ(updated_checksum(0xdd2f, 0x5555, 0x3285), 0x0000);
}

TEST(Checksum, OfWhatLinuxSentHolds) {
  const Octets tcp = hex(linux_frame::tcp_data);
  const Bytes packet = Bytes(tcp).subspan(14);
  EXPECT_EQ(checksum_of(packet.first(20)), 0);
  EXPECT_EQ(pseudo_header(ipv4_a, ipv4_b, IpProtocol::tcp, packet.size() - 20)
                .add(packet.subspan(20))
                .value(),
            0);
  const Octets udp = hex(linux_frame::udp_over_ipv6);
  EXPECT_EQ(pseudo_header(ipv6_a, ipv6_b, IpProtocol::udp, 12).add(Bytes(udp).subspan(54)).value(),
            0);
}

}  // namespace
}  // namespace koine::wire
