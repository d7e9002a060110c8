#include "koine/base/error.h"

#include <cerrno>
#include <string>
#include <thread>
#include <vector>

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

// Run under ThreadSanitizer: the words are shared, the count of their owners is all that changes.
TEST(Error, CopiesMayLiveAndDieOnDifferentThreads) {
  Error first(Fault::refused, "connect", "tcp://10.0.0.7:80");
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([mine = first, thread]() mutable {
      for (int i = 0; i < 1000; ++i) {
        const Error copy = mine;
        EXPECT_EQ(copy.peer(), "tcp://10.0.0.7:80");
        Error changed = copy;
        changed = std::move(changed).with_note(std::to_string(thread));
        EXPECT_EQ(changed.note(), std::to_string(thread));
        mine = copy;
      }
    });
  }
  first = std::move(first).with_note("meanwhile");
  threads.clear();
  EXPECT_EQ(first.note(), "meanwhile");
}

TEST(Error, WithoutWordsItSharesNothing) {
  const Error plain(Fault::would_block);
  Error copy = plain;
  EXPECT_EQ(copy.operation(), "");
  EXPECT_EQ(copy.elapsed(), Duration());
  copy = std::move(copy).with_elapsed(5us);
  EXPECT_EQ(to_string(copy), "would block (after 5.0 us)");
  EXPECT_EQ(to_string(plain), "would block");
}

}  // namespace
}  // namespace koine
