#include "koine/base/function.h"

#include <memory>
#include <string>

#include <gtest/gtest.h>

namespace koine {
namespace {

int twice(int value) { return 2 * value; }

TEST(Function, CallsWhatItHolds) {
  EXPECT_EQ(Function<int(int)>(twice)(4), 8);
  EXPECT_EQ(Function<int(int)>(&twice)(4), 8);
  EXPECT_EQ(Function<int(int)>([](int value) { return value + 1; })(4), 5);
  const auto named = [](int value) { return value - 1; };
  EXPECT_EQ(Function<int(int)>(named)(4), 3);
}

TEST(Function, IsEmptyUntilGivenOne) {
  Function<void()> function;
  EXPECT_FALSE(function);
  function = [] {};
  EXPECT_TRUE(function);
  Function<void()> moved = std::move(function);
  EXPECT_TRUE(moved);
  EXPECT_FALSE(function);  // NOLINT(bugprone-use-after-move): what is asked
}

TEST(Function, HoldsWhatOnlyMovesAndKeepsItsState) {
  Function<int()> counter = [count = std::make_unique<int>(0)] { return ++*count; };
  EXPECT_EQ(counter(), 1);
  Function<int()> moved = std::move(counter);
  EXPECT_EQ(moved(), 2);
  int mutable_state = 0;
  Function<int()> counting = [mutable_state]() mutable { return ++mutable_state; };
  counting();
  EXPECT_EQ(counting(), 2);
  EXPECT_EQ(mutable_state, 0);
}

TEST(Function, PassesArgumentsAsTheyCome) {
  Function<std::unique_ptr<int>(std::unique_ptr<int>)> through = [](std::unique_ptr<int> value) {
    return value;
  };
  EXPECT_EQ(*through(std::make_unique<int>(3)), 3);
  Function<void(std::string&)> append = [](std::string& text) { text += "!"; };
  std::string text = "hear";
  append(text);
  EXPECT_EQ(text, "hear!");
  const Function<std::string&(std::string&)> same = [](std::string& given) -> std::string& {
    return given;
  };
  EXPECT_EQ(&same(text), &text);
}

TEST(Function, ConvertsTheAnswerOrDropsIt) {
  const Function<std::string()> text = [] { return "text"; };
  EXPECT_EQ(text(), "text");
  int calls = 0;
  const Function<void()> dropped = [&calls] { return ++calls; };
  dropped();
  EXPECT_EQ(calls, 1);
}

TEST(Function, DestroysWhatItHolds) {
  const auto shared = std::make_shared<int>(0);
  Function<void()> function = [shared] {};
  EXPECT_EQ(shared.use_count(), 2);
  function = [] {};
  EXPECT_EQ(shared.use_count(), 1);
}

TEST(Function, TakesOnlyWhatFits) {
  static_assert(!std::is_constructible_v<Function<int(int)>, int>);
  static_assert(!std::is_constructible_v<Function<int(int)>, std::string (*)(int)>);
  static_assert(!std::is_constructible_v<Function<int()>, int (*)(int)>);
  static_assert(!std::is_copy_constructible_v<Function<int()>>);
  static_assert(std::is_nothrow_move_constructible_v<Function<int()>>);
}

}  // namespace
}  // namespace koine
