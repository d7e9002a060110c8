#include "koine/base/joined.h"

#include <cstddef>
#include <cstdint>
#include <limits>

#include <gtest/gtest.h>

namespace koine {
namespace {

TEST(Joined, OfNothingIsEmpty) { EXPECT_EQ(joined({}), ""); }

TEST(Joined, IsAllPiecesInTheirOrder) {
  const std::string of_string = "c";
  EXPECT_EQ(joined({"a", std::string_view("b"), of_string, std::string("d")}), "abcd");
}

TEST(Joined, WritesNumbersInDecimal) {
  EXPECT_EQ(joined({std::uint8_t{0}, " ", std::size_t{65535}, " ",
                    std::numeric_limits<std::uint64_t>::max()}),
            "0 65535 18446744073709551615");
}

TEST(Joined, EmptyTextIsNoNumber) { EXPECT_EQ(joined({std::string_view(), ""}), ""); }

TEST(Joined, KeepsWhatLooksLikeAnEnd) {
  EXPECT_EQ(joined({std::string_view("a\0b", 3), "c"}), std::string("a\0bc", 4));
}

}  // namespace
}  // namespace koine
