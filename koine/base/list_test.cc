#include "koine/base/list.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "koine/base/random.h"

namespace koine {
namespace {

struct Plain : ListNode {
  explicit Plain(int number) : value(number) {}
  int value;
};

TEST(List, KeepsTheOrderOfJoining) {
  List<Plain> list;
  Plain one(1), two(2), three(3);
  EXPECT_TRUE(list.empty());
  list.push_back(one);
  list.push_back(two);
  list.push_back(three);
  EXPECT_EQ(&list.front(), &one);
  EXPECT_EQ(&list.pop_front(), &one);
  EXPECT_FALSE(one.listed());
  EXPECT_EQ(&list.pop_front(), &two);
  EXPECT_EQ(&list.pop_front(), &three);
  EXPECT_TRUE(list.empty());
}

TEST(List, JoiningAgainMovesToTheEnd) {
  List<Plain> list, other;
  Plain one(1), two(2);
  list.push_back(one);
  list.push_back(two);
  list.push_back(one);
  EXPECT_EQ(&list.front(), &two);
  other.push_back(two);
  EXPECT_EQ(&list.pop_front(), &one);
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(&other.front(), &two);
}

TEST(List, ANodeLeavesWhenItDies) {
  List<Plain> list;
  Plain first(1), last(3);
  list.push_back(first);
  {
    Plain middle(2);
    list.push_back(middle);
    list.push_back(last);
  }
  EXPECT_EQ(&list.pop_front(), &first);
  EXPECT_EQ(&list.pop_front(), &last);
  EXPECT_TRUE(list.empty());
}

TEST(List, NodesAreFreeWhenTheListDies) {
  Plain survivor(1);
  {
    List<Plain> list;
    list.push_back(survivor);
  }
  EXPECT_FALSE(survivor.listed());
  survivor.leave();  // of nothing
}

TEST(List, AMovedNodeStartsOutsideOfAnyList) {
  List<Plain> list;
  Plain one(1);
  Plain moved(std::move(one));
  EXPECT_FALSE(moved.listed());
  list.push_back(moved);
  EXPECT_TRUE(moved.listed());
  EXPECT_DEATH({ const Plain again(std::move(moved)); }, "listed");
}

TEST(List, SpliceTakesAllInOrder) {
  List<Plain> list, other;
  Plain one(1), two(2), three(3);
  list.splice(other);
  EXPECT_TRUE(list.empty());
  list.push_back(one);
  other.push_back(two);
  other.push_back(three);
  list.splice(other);
  EXPECT_TRUE(other.empty());
  list.splice(other);
  for (Plain* expected : {&one, &two, &three}) EXPECT_EQ(&list.pop_front(), expected);
  other.push_back(one);
  EXPECT_EQ(&other.front(), &one);
}

TEST(List, AnObjectCanBeInTwoListsOfDifferentKinds) {
  struct InFirst : ListNode {};
  struct InSecond : ListNode {};
  struct Both : InFirst, InSecond {};
  List<Both, InFirst> first;
  List<Both, InSecond> second;
  std::optional<Both> one(std::in_place), two(std::in_place);
  first.push_back(*one);
  first.push_back(*two);
  second.push_back(*two);
  second.push_back(*one);
  EXPECT_EQ(&first.front(), &*one);
  EXPECT_EQ(&second.front(), &*two);
  one.reset();
  EXPECT_EQ(&first.pop_front(), &*two);
  EXPECT_EQ(&second.pop_front(), &*two);
  EXPECT_TRUE(first.empty() && second.empty());
}

// Against the obvious: a deque of pointers for each of three lists.
TEST(List, DoesWhatADequeWouldDo) {
  Prng prng(11);
  std::vector<std::unique_ptr<Plain>> nodes(20);
  List<Plain> lists[3];
  std::deque<Plain*> model[3];
  const auto leave_model = [&](Plain* node) {
    for (auto& deque : model) std::erase(deque, node);
  };
  for (auto& node : nodes) node = std::make_unique<Plain>(0);
  for (int step = 0; step < 20'000; ++step) {
    auto& node = nodes[prng.below(nodes.size())];
    const auto which = prng.below(3);
    switch (prng.below(6)) {
      case 0:
      case 1:
        leave_model(node.get());
        lists[which].push_back(*node);
        model[which].push_back(node.get());
        break;
      case 2:
        leave_model(node.get());
        node->leave();
        break;
      case 3:
        leave_model(node.get());
        node = std::make_unique<Plain>(step);
        break;
      case 4:
        if (!model[which].empty()) {
          ASSERT_EQ(&lists[which].pop_front(), model[which].front());
          model[which].pop_front();
        }
        break;
      default: {
        const auto from = (which + 1) % 3;
        lists[which].splice(lists[from]);
        model[which].insert(model[which].end(), model[from].begin(), model[from].end());
        model[from].clear();
      }
    }
    for (std::size_t i = 0; i < 3; ++i) {
      std::vector<const Plain*> found;
      lists[i].for_each([&](const Plain& plain) { found.push_back(&plain); });
      ASSERT_TRUE(std::ranges::equal(found, model[i])) << "step " << step;
    }
  }
}

}  // namespace
}  // namespace koine
