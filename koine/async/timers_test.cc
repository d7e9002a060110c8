#include "koine/async/timers.h"

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "koine/base/random.h"

namespace koine {
namespace {

/// Notes its number when it runs.
class Alarm final : public Timer {
 public:
  Alarm(int given, std::vector<int>& fired) : number(given), fired_(fired) {}
  void run() override { fired_.push_back(number); }

  const int number;

 private:
  std::vector<int>& fired_;
};

/// Timers and what they have to do, told the simple way: a map ordered by deadline, then by when it
/// was armed.
class Compared {
 public:
  explicit Compared(std::size_t count, Instant start) : now_(start), timers_(start) {
    for (std::size_t i = 0; i < count; ++i)
      alarms_.push_back(std::make_unique<Alarm>(static_cast<int>(i), fired_));
  }

  void arm(std::size_t which, Instant deadline) {
    forget(which);
    timers_.arm(*alarms_[which], deadline);
    EXPECT_EQ(alarms_[which]->deadline(), deadline);
    const Key key{deadline, ++order_};
    armed_[key] = which;
    keys_[which] = key;
  }

  void cancel(std::size_t which) {
    forget(which);
    alarms_[which]->cancel();
    EXPECT_FALSE(alarms_[which]->armed());
  }

  void die(std::size_t which) {
    forget(which);
    alarms_[which] = std::make_unique<Alarm>(static_cast<int>(which), fired_);
  }

  /// Makes ready what is due; it runs at the next call, so what happens until then may change it.
  void expire(Instant now) {
    run_due();
    now_ = std::max(now_, now);
    timers_.expire(now_, due_);
    while (!armed_.empty() && armed_.begin()->first.first <= now_) {
      expected_.push_back(static_cast<int>(armed_.begin()->second));
      keys_.erase(armed_.begin()->second);
      armed_.erase(armed_.begin());
    }
  }

  void run_due() {
    fired_.clear();
    while (!due_.empty()) due_.pop_front().run();
    ASSERT_EQ(fired_, std::vector<int>(expected_.begin(), expected_.end()));
    expected_.clear();
  }

  void check_next() {
    const auto next = timers_.next();
    ASSERT_EQ(next.has_value(), !armed_.empty());
    if (!next) return;
    const Instant first = armed_.begin()->first.first;
    ASSERT_LE(*next, first) << "would wake too late";
    if (first > now_) {
      ASSERT_GT(*next, now_) << "would wake for nothing, again and again";
    }
  }

  Instant now() const { return now_; }
  std::size_t armed() const { return armed_.size(); }
  Timers& timers() { return timers_; }
  bool is_armed(std::size_t which) const { return alarms_[which]->armed(); }

 private:
  using Key = std::pair<Instant, std::uint64_t>;

  void forget(std::size_t which) {
    if (const auto key = keys_.find(which); key != keys_.end()) {
      armed_.erase(key->second);
      keys_.erase(key);
    }
    std::erase(expected_, static_cast<int>(which));  // due, but not run yet
  }

  std::vector<std::unique_ptr<Alarm>> alarms_;
  std::map<Key, std::size_t> armed_;
  std::map<std::size_t, Key> keys_;
  std::uint64_t order_ = 0;
  std::vector<int> fired_;
  std::deque<int> expected_;
  Instant now_;
  Timers timers_;
  List<Runnable> due_;
};

/// A stretch of time of any magnitude: from nothing to a third of a millennium.
Duration any_duration(Prng& prng) {
  return Duration(static_cast<Duration::rep>(prng() >> (1 + prng.below(63))));
}

TEST(Timers, DoWhatAnOrderedMapWouldDo) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Prng prng(seed);
    // Few, which need no wheels, now and then more than few, and many.
    const std::size_t timers = std::array<std::size_t, 3>{6, 17, 40}[seed % 3];
    Compared compared(timers, Instant(any_duration(prng) / 4));
    std::vector<Instant> used{compared.now()};
    for (int step = 0; step < 1500 && !testing::Test::HasFatalFailure(); ++step) {
      const std::size_t which = prng.below(timers);
      switch (prng.below(8)) {
        case 0:
        case 1:
        case 2:  // some time from now, often much later than anything will get to
          used.push_back(later(compared.now(), any_duration(prng)));
          compared.arm(which, used.back());
          break;
        case 3:  // a deadline that was used before: equal ones, and past ones
          compared.arm(which, used[prng.below(used.size())]);
          break;
        case 4: prng.chance(0.5) ? compared.cancel(which) : compared.die(which); break;
        case 5:  // a little on, within one slot or over some of them
          compared.expire(later(compared.now(),
                                Duration(prng.below(std::uint64_t{1} << (8 + prng.below(24))))));
          break;
        case 6:  // to when the next may be due, exactly
          if (const auto next = compared.timers().next()) compared.expire(*next);
          break;
        default:
          if (prng.chance(0.1)) compared.expire(later(compared.now(), any_duration(prng) / 64));
      }
      compared.check_next();
    }
    compared.expire(Instant::max());
    compared.run_due();
    EXPECT_EQ(compared.armed(), 0U);
    EXPECT_FALSE(compared.timers().next());
    if (HasFailure()) break;
  }
}

// As a server with a busy connection each: every byte moves its deadline back.
TEST(Timers, DoWhatAnOrderedMapWouldDoWhenDeadlinesMoveBackAllTheTime) {
  Prng prng(99);
  Compared compared(50, Instant(1h));
  for (int step = 0; step < 50'000 && !testing::Test::HasFatalFailure(); ++step) {
    compared.arm(prng.below(50), compared.now() + 30ms);
    compared.expire(compared.now() + Duration(prng.below(1'000'000)));
    compared.check_next();
  }
}

TEST(Timers, FireHundredThousandInOrder) {
  std::vector<int> fired;
  std::vector<std::unique_ptr<Alarm>> alarms;
  Prng prng(4);
  Timers timers{Instant()};
  for (int i = 0; i < 100'000; ++i) {
    alarms.push_back(std::make_unique<Alarm>(i, fired));
    timers.arm(*alarms.back(), Instant(Duration(prng.below(60'000'000'000))));
  }
  std::vector<std::pair<Instant, int>> expected;
  for (auto& alarm : alarms) {
    if (alarm->number % 5 == 0) alarm->cancel();
    if (alarm->number % 5 == 1) timers.arm(*alarm, alarm->deadline() + 10s);
    if (alarm->number % 5 == 2)
      timers.arm(*alarm, Instant(alarm->deadline().time_since_epoch() / 2));
    if (alarm->armed()) expected.emplace_back(alarm->deadline(), alarm->number);
  }
  std::ranges::sort(expected);
  int turns = 0;
  while (const auto next = timers.next()) {
    List<Runnable> due;
    timers.expire(*next, due);
    while (!due.empty()) {
      const auto before = fired.size();
      due.pop_front().run();
      ASSERT_EQ(fired.size(), before + 1);
      ASSERT_EQ(alarms[static_cast<std::size_t>(fired.back())]->deadline(), *next) << "not exact";
    }
    ++turns;
  }
  ASSERT_EQ(fired.size(), expected.size());
  for (std::size_t i = 0; i < fired.size(); ++i) ASSERT_EQ(fired[i], expected[i].second);
  EXPECT_LT(turns, 110'000) << "hardly more turns than there were deadlines";
}

TEST(Timers, KeepFarDeadlines) {
  std::vector<int> fired;
  Alarm never(0, fired), soon(1, fired);
  Timers timers(Instant(5min));
  timers.arm(never, Instant::max());
  timers.arm(soon, Instant(6min));
  List<Runnable> due;
  timers.expire(Instant(24h * 365 * 200), due);
  EXPECT_EQ(&due.pop_front(), &soon);
  EXPECT_TRUE(due.empty());
  EXPECT_TRUE(timers.next());
  timers.expire(Instant::max() - 1ns, due);
  EXPECT_TRUE(due.empty());
  EXPECT_EQ(timers.next(), Instant::max());
  timers.expire(Instant::max(), due);
  EXPECT_EQ(&due.pop_front(), &never);
}

TEST(Timers, APastDeadlineIsDueAtOnce) {
  std::vector<int> fired;
  Alarm past(0, fired), before_time(1, fired);
  Timers timers(Instant(1h));
  timers.arm(past, Instant(1min));
  timers.arm(before_time, Instant(-1h));
  EXPECT_EQ(timers.next(), Instant(-1h));
  List<Runnable> due;
  timers.expire(Instant(1h), due);
  EXPECT_EQ(&due.pop_front(), &before_time);
  EXPECT_EQ(&due.pop_front(), &past);
}

TEST(Timers, NeitherADueOneNorARunOneIsArmedOnceItRan) {
  std::vector<int> fired;
  Alarm alarm(7, fired);
  Timers timers{Instant()};
  EXPECT_FALSE(alarm.armed());
  timers.arm(alarm, Instant(1ms));
  EXPECT_TRUE(alarm.armed());
  List<Runnable> due;
  timers.expire(Instant(1ms), due);
  EXPECT_TRUE(alarm.armed()) << "due, but it has not run";
  alarm.cancel();
  EXPECT_TRUE(due.empty());
  timers.arm(alarm, Instant(2ms));
  timers.expire(Instant(2ms), due);
  timers.arm(alarm, Instant(5ms));
  EXPECT_TRUE(due.empty()) << "armed anew before it ran";
  EXPECT_EQ(timers.next(), Instant(5ms));
  timers.expire(Instant(5ms), due);
  due.pop_front().run();
  EXPECT_FALSE(alarm.armed());
  EXPECT_EQ(fired, std::vector<int>{7});
}

/// How often somebody who sleeps until next() wakes before the first timer is due.
int turns_until_due(Timers& timers) {
  List<Runnable> due;
  for (int turns = 1;; ++turns) {
    timers.expire(*timers.next(), due);
    if (!due.empty()) return turns;
  }
}

TEST(Timers, WaitingForAFarDeadlineWakesSeldom) {
  std::vector<int> fired;
  const Instant start(Duration(123'456'789'012'345));
  for (const std::size_t count : {1U, 4U, 1000U}) {
    Timers timers(start);
    std::vector<std::unique_ptr<Alarm>> alarms;
    for (std::size_t i = 0; i < count; ++i) {
      alarms.push_back(std::make_unique<Alarm>(0, fired));
      timers.arm(*alarms.back(), start + 24h + i * 1ms);
    }
    // A few are looked at one by one; many wake it at most once for each wheel.
    EXPECT_LE(turns_until_due(timers), count < 10 ? 1 : 9);
  }
}

TEST(Timers, ADeadlineThatIsMovedBackAllTheTimeWakesSeldom) {
  std::vector<int> fired;
  Alarm alarm(0, fired);
  Timers timers(Instant(1h));
  for (Instant now(1h); now < Instant(1h + 10min); now += 1ms) timers.arm(alarm, now + 60s);
  EXPECT_LE(turns_until_due(timers), 12);  // it lies where it was filed first
}

}  // namespace
}  // namespace koine
