// Which multiplexer a program gets: the one it names, or its environment does, or the best that
// works.
#include <cstdlib>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "koine/os/multiplexer.h"

namespace koine::os {
namespace {

class ChosenByEnvironment {
 public:
  explicit ChosenByEnvironment(const char* name) {
    if (const char* before = std::getenv("KOINE_MULTIPLEXER")) before_ = before;
    ::setenv("KOINE_MULTIPLEXER", name, 1);
  }
  ~ChosenByEnvironment() {
    if (before_) {
      ::setenv("KOINE_MULTIPLEXER", before_->c_str(), 1);
    } else {
      ::unsetenv("KOINE_MULTIPLEXER");
    }
  }

 private:
  std::optional<std::string> before_;
};

TEST(MakeMultiplexer, TakesTheOneThatIsAskedFor) {
  for (const std::string_view name : {"epoll", "poll", "select"}) {
    const auto made = make_multiplexer(name);
    ASSERT_TRUE(made) << to_string(made.error());
    EXPECT_EQ((*made)->name(), name);
  }
}

TEST(MakeMultiplexer, HeedsTheEnvironmentUnlessItIsTold) {
  const ChosenByEnvironment poll("poll");
  EXPECT_EQ(make_multiplexer().value()->name(), "poll");
  EXPECT_EQ(make_multiplexer("select").value()->name(), "select");
}

TEST(MakeMultiplexer, TakesTheBestThatWorks) {
  const ChosenByEnvironment none("");
  const auto made = make_multiplexer();
  ASSERT_TRUE(made) << to_string(made.error());
  for (const MultiplexerReport& report : probe_multiplexers()) {
    if (!report.usable) continue;
    EXPECT_EQ((*made)->name(), report.name);
    break;
  }
}

TEST(MakeMultiplexer, SaysWhichNamesThereAre) {
  const ChosenByEnvironment wrong("devpoll");
  const auto made = make_multiplexer();
  ASSERT_FALSE(made);
  EXPECT_EQ(to_string(made.error()),
            "choose multiplexer devpoll: malformed: expected io_uring, epoll, poll or select");
}

TEST(MakeMultiplexer, ProbesThemAllBestFirst) {
  const auto reports = probe_multiplexers();
  ASSERT_EQ(reports.size(), 4U);
  for (std::size_t i = 0; i < reports.size(); ++i) {
    EXPECT_EQ(reports[i].name, multiplexer_names()[i]);
    EXPECT_NE(reports[i].usable, !reports[i].reason.empty()) << reports[i].name;
  }
  EXPECT_TRUE(reports[2].usable && reports[3].usable) << "poll and select need nothing";
}

}  // namespace
}  // namespace koine::os
