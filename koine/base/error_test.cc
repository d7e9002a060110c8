#include "koine/base/error.h"

#include <cerrno>

#include <gtest/gtest.h>

namespace koine {
namespace {

TEST(Error, PrintsAsOneLine) {
  EXPECT_EQ(to_string(Error(Fault::refused, "connect", "tcp://10.0.0.7:80")),
            "connect tcp://10.0.0.7:80: refused");
  EXPECT_EQ(to_string(Error(Fault::timed_out, "read", "unix:/run/x").with_elapsed(2s)),
            "read unix:/run/x: timed out (after 2.0 s)");
  EXPECT_EQ(to_string(Error(Fault::would_block)), "would block");
}

TEST(Error, NamesTheErrnoOnlyWhereTheFaultHasNoWordForIt) {
  EXPECT_EQ(to_string(Error(Fault::system, "accept", {}, ENOTSOCK)),
            "accept: failed: Socket operation on non-socket");
  EXPECT_EQ(to_string(Error(Fault::reset, "read", "x", ECONNRESET)), "read x: connection reset");
}

TEST(Error, ACopyKeepsItsWordsWhenTheOtherChanges) {
  Error first(Fault::refused, "connect", "a");
  Error second = first;
  first = std::move(first).with_note("changed");
  EXPECT_EQ(second.note(), "");
  EXPECT_EQ(first.note(), "changed");
  EXPECT_EQ(second.peer(), "a");
}

TEST(Error, AnInnerLayersWordsAreKept) {
  EXPECT_EQ(to_string(Error(Fault::reset, "read").with_operation("write", "peer")),
            "read peer: connection reset");
  EXPECT_EQ(to_string(Error(Fault::reset).with_operation("write", "peer")),
            "write peer: connection reset");
}

}  // namespace
}  // namespace koine
