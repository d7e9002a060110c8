// For tests that run on every multiplexer: which there are, and what to do about one that this
// kernel refuses.
//
//     using ReactorTest = OnEachMultiplexer;
//     TEST_P(ReactorTest, DoesSomething) { auto& reactor = this->reactor(); ... }
//     INSTANTIATE_TEST_SUITE_P(, ReactorTest, each_multiplexer, multiplexer_name);
#pragma once

#include <cstdlib>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "koine/os/reactor.h"

namespace koine::os {

inline const auto each_multiplexer = testing::Values("io_uring", "epoll", "poll", "select");

inline std::string multiplexer_name(const testing::TestParamInfo<const char*>& info) {
  return info.param;
}

/// True where a test that is passed over counts as failed, io_uring excepted: sandboxes refuse it.
inline bool is_ci() {
  const char* ci = std::getenv("CI");  // NOLINT(concurrency-mt-unsafe)
  return ci != nullptr && std::string(ci) == "true";
}

/// A reactor on the multiplexer that the parameter names. The test is skipped, and says why, where
/// the kernel refuses it.
class OnEachMultiplexer : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    auto made = Reactor::make({.multiplexer = GetParam(), .busy_poll = {}});
    if (made) {
      reactor_ = std::move(*made);
    } else if (is_ci() && std::string(GetParam()) != "io_uring") {
      FAIL() << to_string(made.error());
    } else {
      GTEST_SKIP() << GetParam() << " is NOT TESTED here: " << to_string(made.error());
    }
  }

  Reactor& reactor() { return *reactor_; }

 private:
  std::unique_ptr<Reactor> reactor_;
};

}  // namespace koine::os
