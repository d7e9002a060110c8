// Want of descriptors: for tests of what happens then.
#pragma once

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include "koine/os/fd.h"

namespace koine::os {

/// While it lives, at most `spare` more descriptors can be had.
class FewDescriptors {
 public:
  explicit FewDescriptors(int spare) {
    EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
    const Fd lowest(::dup(0));
    rlimit few = before_;
    few.rlim_cur = static_cast<rlim_t>(lowest.get() + spare);
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  }
  FewDescriptors(const FewDescriptors&) = delete;
  ~FewDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

/// UBSan's vptr check calls memory bad that it cannot look at through a pipe of its own.
#if defined(__clang__)
inline constexpr bool sanitizer_needs_descriptors = __has_feature(undefined_behavior_sanitizer);
#else
inline constexpr bool sanitizer_needs_descriptors = false;
#endif

}  // namespace koine::os
