#include "koine/os/mailbox.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace koine::os {
namespace {

constexpr int patience_ms = 60'000;

std::shared_ptr<Mailbox> make() {
  auto made = Mailbox::make();
  EXPECT_TRUE(made);
  return *made;
}

/// How often it was rung for since the last time.
std::uint64_t rings(const Mailbox& mailbox) {
  std::uint64_t count = 0;
  return ::read(mailbox.bell(), &count, sizeof(count)) == sizeof(count) ? count : 0;
}

/// As a loop does: sleeps unless something is there. False if nobody rings.
bool wait_and_take(Mailbox& mailbox) {
  if (mailbox.fall_asleep()) {
    pollfd bell{.fd = mailbox.bell(), .events = POLLIN, .revents = 0};
    if (::poll(&bell, 1, patience_ms) != 1) return false;
    rings(mailbox);
  }
  mailbox.take_all();
  return true;
}

TEST(Mailbox, GivesMessagesInTheOrderInWhichTheyWerePut) {
  const auto mailbox = make();
  std::vector<int> heard;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(mailbox->post([&, i] { heard.push_back(i); }));
  EXPECT_TRUE(heard.empty());
  mailbox->take_all();
  EXPECT_EQ(heard, (std::vector{0, 1, 2}));
  mailbox->take_all();
  EXPECT_EQ(heard.size(), 3);
}

TEST(Mailbox, TakesWhatIsPutMeanwhileNextTime) {
  const auto mailbox = make();
  int heard = 0;
  mailbox->post([&] { mailbox->post([&] { ++heard; }); });
  mailbox->take_all();
  EXPECT_EQ(heard, 0);
  mailbox->take_all();
  EXPECT_EQ(heard, 1);
}

TEST(Mailbox, RingsOnlyForTheFirstMessageToAReaderThatSleeps) {
  const auto mailbox = make();
  mailbox->post([] {});
  EXPECT_EQ(rings(*mailbox), 0) << "the reader is awake";
  EXPECT_FALSE(mailbox->fall_asleep()) << "there is a message";

  mailbox->take_all();
  ASSERT_TRUE(mailbox->fall_asleep());
  for (int i = 0; i < 3; ++i) mailbox->post([] {});
  EXPECT_EQ(rings(*mailbox), 1);

  mailbox->take_all();
  ASSERT_TRUE(mailbox->fall_asleep());
  mailbox->wake_up();
  mailbox->post([] {});
  EXPECT_EQ(rings(*mailbox), 0) << "the reader woke up by itself";

  mailbox->take_all();
  ASSERT_TRUE(mailbox->fall_asleep());
  mailbox->take_all();
  mailbox->post([] {});
  EXPECT_EQ(rings(*mailbox), 0) << "looking into it wakes up, too";
}

TEST(Mailbox, LosesNothingAndKeepsTheOrderOfEachOfManyThreads) {
  constexpr int messages = 20'000;
  constexpr std::size_t threads = 4;
  const auto mailbox = make();
  std::array<int, threads> heard{};  // the reader's
  int in_order = 0;
  std::vector<std::thread> writers;
  for (std::size_t number = 0; number < threads; ++number) {
    writers.emplace_back([&, number] {
      for (int i = 0; i < messages; ++i) {
        mailbox->post([&, number, i] { in_order += heard[number]++ == i; });
        if (i % 64 == 0) std::this_thread::yield();  // let the reader fall asleep now and then
      }
    });
  }
  bool rung = true;
  while (rung && heard != std::array{messages, messages, messages, messages})
    rung = wait_and_take(*mailbox);
  for (std::thread& writer : writers) writer.join();
  EXPECT_TRUE(rung) << "somebody did not ring";
  EXPECT_EQ(in_order, messages * static_cast<int>(threads));
}

/// One message after the other, each to a reader that may be falling asleep: were the bell and the
/// mailbox to disagree once, both would wait for ever.
TEST(Mailbox, LosesNoWakeUpHoweverCloseItIs) {
  constexpr int rounds = 5'000;
  const auto here = make();
  const auto there = make();
  int returned = 0;
  std::atomic<bool> over{false};
  std::thread other([&] {
    while (!over && wait_and_take(*there)) {
    }
    frame_pool::trim();
  });
  bool rung = true;
  while (rung && returned < rounds) {
    const int before = returned;
    there->post([&] { here->post([&] { ++returned; }); });
    while (rung && returned == before) rung = wait_and_take(*here);
  }
  there->post([&] { over = true; });
  other.join();
  EXPECT_EQ(returned, rounds);
}

struct Alive {
  explicit Alive(std::atomic<int>& all) : count(&all) { ++all; }
  Alive(const Alive& other) : count(other.count) { ++*count; }
  Alive& operator=(const Alive&) = delete;
  ~Alive() { --*count; }
  std::atomic<int>* count;
};

TEST(Mailbox, RefusesWhatComesAfterItWasClosedAndDestroysWhatWasInIt) {
  std::atomic<int> alive{0};
  const auto mailbox = make();
  EXPECT_TRUE(mailbox->post([held = Alive(alive)] { FAIL() << "it was closed"; }));
  EXPECT_EQ(alive, 1);
  mailbox->close();
  EXPECT_EQ(alive, 0);
  EXPECT_EQ(mailbox->unheard(), 1);
  EXPECT_FALSE(mailbox->post([held = Alive(alive)] { FAIL() << "it was closed"; }));
  EXPECT_EQ(alive, 0);
  EXPECT_EQ(mailbox->unheard(), 2);
  mailbox->close();
  EXPECT_EQ(mailbox->unheard(), 2);
}

TEST(Mailbox, CountsWhatIsUnheardWhenItIsClosedWhileOthersPost) {
  constexpr int rounds = 50;
  constexpr std::size_t threads = 3;
  for (int round = 0; round < rounds; ++round) {
    std::atomic<int> alive{0};
    std::atomic<std::size_t> accepted{0};
    std::size_t heard = 0;  // the reader's
    const auto mailbox = make();
    std::vector<std::thread> writers;
    for (std::size_t number = 0; number < threads; ++number) {
      writers.emplace_back([&] {
        while (mailbox->post([&heard, held = Alive(alive)] { ++heard; })) ++accepted;
      });
    }
    while (heard < 100) {
      if (!wait_and_take(*mailbox)) break;
    }
    mailbox->close();
    for (std::thread& writer : writers) writer.join();
    EXPECT_GE(heard, 100);
    EXPECT_EQ(heard + mailbox->unheard(), accepted + threads) << "each was refused one";
    EXPECT_EQ(alive, 0);
  }
}

}  // namespace
}  // namespace koine::os
