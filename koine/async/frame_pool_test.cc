#include "koine/async/frame_pool.h"

#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace koine {
namespace {

TEST(FramePool, GivesBackWhatWasReleasedLast) {
  void* frame = frame_pool::allocate(100);
  frame_pool::release(frame, 100);
  void* other_size = frame_pool::allocate(300);
  EXPECT_EQ(frame_pool::allocate(104), frame) << "100 and 104 are the same after rounding up";
  frame_pool::release(frame, 104);
  frame_pool::release(other_size, 300);
}

TEST(FramePool, MemoryIsAlignedAndOnesOwn) {
  std::set<void*> seen;
  std::vector<std::pair<void*, std::size_t>> frames;
  for (std::size_t bytes = 1; bytes <= 10'000; bytes += 97) {
    void* frame = frame_pool::allocate(bytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(frame) % alignof(std::max_align_t), 0U);
    EXPECT_TRUE(seen.insert(frame).second);
    std::memset(frame, 0xA5, bytes);
    frames.emplace_back(frame, bytes);
  }
  for (const auto& [frame, bytes] : frames) frame_pool::release(frame, bytes);
}

TEST(FramePool, KeepsNoMoreThanItsBound) {
  constexpr std::size_t bytes = frame_pool::pooled_bytes_max;
  constexpr std::size_t kept = frame_pool::kept_bytes_max / bytes;
  frame_pool::trim();
  std::vector<void*> frames;
  for (std::size_t i = 0; i < kept + 5; ++i) frames.push_back(frame_pool::allocate(bytes));
  for (void* frame : frames) frame_pool::release(frame, bytes);
  // Those that were kept come back, newest first; the five released last went to malloc.
  for (std::size_t i = 0; i < kept; ++i)
    EXPECT_EQ(frame_pool::allocate(bytes), frames[kept - 1 - i]);
  for (std::size_t i = 0; i < kept; ++i) frame_pool::release(frames[i], bytes);
  frame_pool::trim();
}

TEST(FramePool, AFrameMayBeReleasedOnAnotherThread) {
  std::vector<void*> frames;
  for (int i = 0; i < 100; ++i) frames.push_back(frame_pool::allocate(500));
  std::jthread([&] {
    for (void* frame : frames) frame_pool::release(frame, 500);
    void* again = frame_pool::allocate(500);
    EXPECT_EQ(again, frames.back());
    frame_pool::release(again, 500);
    frame_pool::trim();  // LeakSanitizer would tell
  }).join();
}

}  // namespace
}  // namespace koine
