#include "koine/os/multiplexer.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "koine/os/each_multiplexer_test.h"
#include "koine/os/fault_of.h"
#include "koine/os/fd.h"
#include "koine/os/system.h"

namespace koine::os {
namespace {

/// A watched descriptor for which somebody always waits, in both directions.
class Watched {
 public:
  explicit Watched(int fd) {
    watcher.fd = fd;
    wait();
  }
  void wait() {
    if (!reader_.listed()) watcher.readers.join(reader_);
    if (!writer_.listed()) watcher.writers.join(writer_);
  }

  Watcher watcher;

 private:
  struct Waiter final : Runnable {
    void run() override {}
  };
  Waiter reader_;
  Waiter writer_;
};

/// Two connected descriptors.
struct Pair {
  Pair() {
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    ours = Fd(fds[0]);
    theirs = Fd(fds[1]);
  }
  Fd ours;
  Fd theirs;
};

/// Writes down who was heard of, and may do more.
class Log final : public Newsroom {
 public:
  void heard(Watcher& watcher, unsigned what) override {
    news[&watcher] |= what;
    if (then) then(watcher, what);
  }
  bool heard_of(const Watched& watched, unsigned what) const {
    const auto found = news.find(&watched.watcher);
    return found != news.end() && (found->second & what) != 0;
  }

  std::map<const Watcher*, unsigned> news;
  std::function<void(Watcher&, unsigned)> then;
};

class MultiplexerTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    auto made = make_multiplexer(GetParam());
    if (made) {
      multiplexer = std::move(*made);
    } else if (is_ci() && std::string(GetParam()) != "io_uring") {
      FAIL() << to_string(made.error());
    } else {
      GTEST_SKIP() << GetParam() << " is NOT TESTED here: " << to_string(made.error());
    }
  }

  std::unique_ptr<Multiplexer> multiplexer;
};

INSTANTIATE_TEST_SUITE_P(, MultiplexerTest, each_multiplexer, multiplexer_name);

TEST_P(MultiplexerTest, KnowsItsName) { EXPECT_EQ(multiplexer->name(), GetParam()); }

TEST_P(MultiplexerTest, WaitsUntilTheTimeIsUpWithoutSpinning) {
  Log log;
  EXPECT_TRUE(multiplexer->wait(Duration::zero(), log));
  EXPECT_TRUE(multiplexer->wait(-1ms, log));
  // A wait may end early: signals interrupt it, and so does what a ring leaves for later.
  const Instant until = monotonic_now() + 20ms;
  int waits = 0;
  for (; monotonic_now() < until; ++waits)
    EXPECT_TRUE(multiplexer->wait(until - monotonic_now(), log));
  EXPECT_LE(waits, 10);
  EXPECT_TRUE(log.news.empty());
}

TEST_P(MultiplexerTest, NewsEndsAWaitWithoutALimit) {
  Pair pair;
  Watched ours(pair.ours.get());
  ASSERT_TRUE(multiplexer->add(ours.watcher));
  ASSERT_EQ(::write(pair.theirs.get(), "x", 1), 1);
  Log log;
  while (!log.heard_of(ours, readable_news)) ASSERT_TRUE(multiplexer->wait(std::nullopt, log));
  multiplexer->remove(ours.watcher);
}

TEST_P(MultiplexerTest, HearsOfEachOfAThousand) {
  std::vector<Pair> pairs(multiplexer->name() == "select" ? 400 : 1000);
  std::vector<std::unique_ptr<Watched>> watched;
  for (Pair& pair : pairs) {
    watched.push_back(std::make_unique<Watched>(pair.ours.get()));
    ASSERT_TRUE(multiplexer->add(watched.back()->watcher));
    ASSERT_EQ(::write(pair.theirs.get(), "x", 1), 1);
  }
  Log log;
  const auto all_heard = [&] {
    return std::ranges::all_of(
        watched, [&](const auto& each) { return log.heard_of(*each, readable_news); });
  };
  for (int turn = 0; turn < 100 && !all_heard(); ++turn)
    ASSERT_TRUE(multiplexer->wait(Duration::zero(), log));
  EXPECT_TRUE(all_heard());
  for (const auto& each : watched) multiplexer->remove(each->watcher);
}

TEST_P(MultiplexerTest, NewsForADescriptorThatWasClosedAndUsedAgainReachesNobody) {
  // Two are readable. Whoever is heard first closes the other and puts a third, at which nothing
  // happens, in its place: the same descriptor, the same slot, another generation.
  Pair pairs[2];
  Pair fresh;
  Watched first(pairs[0].ours.get());
  Watched second(pairs[1].ours.get());
  ASSERT_TRUE(multiplexer->add(first.watcher));
  ASSERT_TRUE(multiplexer->add(second.watcher));
  for (Pair& pair : pairs) ASSERT_EQ(::write(pair.theirs.get(), "x", 1), 1);

  std::unique_ptr<Watched> third;
  Watched* closed = nullptr;
  Log log;
  log.then = [&](Watcher& watcher, unsigned what) {
    if (closed != nullptr || (what & readable_news) == 0) return;
    const bool is_first = &watcher == &first.watcher;
    closed = is_first ? &second : &first;
    Fd& fd = pairs[is_first ? 1 : 0].ours;
    multiplexer->remove(closed->watcher);
    log.news.erase(&closed->watcher);  // it may have been told that it is writable before
    const int number = fd.release();
    ASSERT_EQ(::dup3(fresh.ours.get(), number, O_CLOEXEC), number);
    fd = Fd(number);
    third = std::make_unique<Watched>(number);
    ASSERT_TRUE(multiplexer->add(third->watcher));
  };
  for (int turn = 0; turn < 10; ++turn) ASSERT_TRUE(multiplexer->wait(Duration::zero(), log));

  ASSERT_NE(closed, nullptr);
  EXPECT_EQ(log.news.count(&closed->watcher), 0U) << "news for the closed one";
  EXPECT_FALSE(log.heard_of(*third, readable_news)) << "news meant for the closed one";
  ASSERT_EQ(::write(fresh.theirs.get(), "x", 1), 1);
  for (int turn = 0; turn < 10; ++turn) ASSERT_TRUE(multiplexer->wait(Duration::zero(), log));
  EXPECT_TRUE(log.heard_of(*third, readable_news));
  multiplexer->remove(third->watcher);
  multiplexer->remove(closed == &first ? second.watcher : first.watcher);
}

/// True if the peer of a closed descriptor sees it closed.
bool sees_the_end(const Pair& pair) {
  char byte = 0;
  return ::recv(pair.theirs.get(), &byte, 1, MSG_DONTWAIT) == 0;
}

TEST_P(MultiplexerTest, LetsGoOfADescriptorAtOnce) {
  // While it is new, when the kernel knows it, and with news for it and many others on the way.
  for (const int others : {0, 1, 100}) {
    for (const bool is_known : {false, true}) {
      SCOPED_TRACE(std::to_string(others) + (is_known ? " others, known" : " others, new"));
      std::vector<Pair> busy(static_cast<std::size_t>(others));
      std::vector<std::unique_ptr<Watched>> watched;
      for (Pair& pair : busy) {
        watched.push_back(std::make_unique<Watched>(pair.ours.get()));
        ASSERT_TRUE(multiplexer->add(watched.back()->watcher));
      }
      Pair pair;
      Watched ours(pair.ours.get());
      ASSERT_TRUE(multiplexer->add(ours.watcher));
      Log log;
      if (is_known) {
        ASSERT_TRUE(multiplexer->wait(Duration::zero(), log));
      }
      for (Pair& each : busy) ASSERT_EQ(::write(each.theirs.get(), "x", 1), 1);
      if (others != 0) {
        ASSERT_EQ(::send(pair.theirs.get(), "x", 1, MSG_NOSIGNAL), 1);
      }
      char byte = 0;
      while (::recv(pair.ours.get(), &byte, 1, MSG_DONTWAIT) > 0) {
      }
      multiplexer->remove(ours.watcher);
      pair.ours.reset();
      EXPECT_TRUE(sees_the_end(pair));
      for (const auto& each : watched) multiplexer->remove(each->watcher);
    }
  }
}

TEST_P(MultiplexerTest, LetsGoOfADescriptorAmongItsOwnNews) {
  // Each closes itself as soon as it is heard.
  std::vector<Pair> pairs(100);
  std::map<const Watcher*, std::size_t> numbers;
  std::vector<std::unique_ptr<Watched>> watched;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    watched.push_back(std::make_unique<Watched>(pairs[i].ours.get()));
    numbers[&watched[i]->watcher] = i;
    ASSERT_TRUE(multiplexer->add(watched[i]->watcher));
  }
  std::size_t open = pairs.size();
  Log log;
  log.then = [&](Watcher& watcher, unsigned) {
    Fd& ours = pairs[numbers.at(&watcher)].ours;
    ASSERT_TRUE(ours) << "heard after it was removed";
    multiplexer->remove(watcher);
    ours.reset();
    --open;
    EXPECT_TRUE(sees_the_end(pairs[numbers.at(&watcher)]));
  };
  for (int turn = 0; turn < 100 && open != 0; ++turn)
    ASSERT_TRUE(multiplexer->wait(Duration::zero(), log));
  EXPECT_EQ(open, 0U);
}

/// Drives one end of a pair as a socket of ours does, and writes down what it sees.
class Transcript {
 public:
  Transcript(Multiplexer& multiplexer, Pair& pair) : multiplexer_(multiplexer), pair_(pair) {
    watcher_.fd = pair.ours.get();
    watcher_.presume(writable_news);
    EXPECT_TRUE(multiplexer.add(watcher_));
  }
  ~Transcript() { multiplexer_.remove(watcher_); }

  /// Who cannot go on waits for news: who is woken?
  void look(const std::string& what) {
    if (!watcher_.can_read()) watcher_.readers.join(reader_);
    if (!watcher_.can_write()) watcher_.writers.join(writer_);
    Log log;
    log.then = [&](Watcher& heard, unsigned news) { heard.news(loop_, news); };
    EXPECT_TRUE(multiplexer_.wait(Duration::zero(), log));
    EXPECT_TRUE(multiplexer_.wait(Duration::zero(), log));
    loop_.run_ready();
    text += what + ":" + (std::exchange(reader_.woken, false) ? " reader" : "") +
            (std::exchange(writer_.woken, false) ? " writer" : "") + "\n";
  }

  /// As SocketStream reads: what it asks for and how much it gets decide what it presumes.
  void read(std::size_t room) {
    std::vector<char> into(room);
    const ssize_t got = ::recv(pair_.ours.get(), into.data(), room, MSG_DONTWAIT);
    if (got < 0) {
      EXPECT_EQ(errno, EAGAIN);
      watcher_.emptied();
    } else if (got != 0 && static_cast<std::size_t>(got) < room) {
      watcher_.drained();
    }
    text += "read " + (got < 0 ? std::string("nothing") : std::to_string(got)) + ":" +
            (watcher_.can_read() ? " can go on" : " must wait") + "\n";
  }

  void fill() {
    const std::string block(1 << 16, 'f');
    while (::send(pair_.ours.get(), block.data(), block.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
    }
    watcher_.filled();
    text += "filled\n";
  }

  std::string text;

 private:
  struct Waiter final : Runnable {
    void run() override { woken = true; }
    bool woken = false;
  };

  Multiplexer& multiplexer_;
  Pair& pair_;
  Loop loop_{Instant(), 1};
  Watcher watcher_;
  Waiter reader_;
  Waiter writer_;
};

TEST_P(MultiplexerTest, TellsTheSameStoryAsTheOthers) {
  Pair pair;
  Transcript transcript(*multiplexer, pair);
  const auto peer_says = [&](std::string_view text) {
    ASSERT_EQ(::write(pair.theirs.get(), text.data(), text.size()),
              static_cast<ssize_t>(text.size()));
  };
  transcript.look("fresh");
  transcript.read(10);
  peer_says("12345678");
  transcript.look("8 bytes came");
  transcript.read(5);
  transcript.read(5);
  transcript.look("all is read");
  peer_says("12345678");
  transcript.look("8 more came");
  transcript.read(8);
  transcript.read(8);
  transcript.look("all is read");
  transcript.fill();
  transcript.look("no room");
  std::vector<char> room(1 << 20);
  while (::recv(pair.theirs.get(), room.data(), room.size(), MSG_DONTWAIT) > 0) {
  }
  transcript.look("room again");
  peer_says("bye");
  ::shutdown(pair.theirs.get(), SHUT_WR);
  transcript.look("the last words came");
  transcript.read(3);
  transcript.read(10);
  transcript.read(10);
  transcript.fill();
  transcript.look("no room");
  pair.theirs.reset();
  transcript.look("the peer is gone");
  EXPECT_EQ(transcript.text,
            "fresh:\n"
            "read nothing: must wait\n"
            "8 bytes came: reader\n"
            "read 5: can go on\n"
            "read 3: must wait\n"
            "all is read:\n"
            "8 more came: reader\n"
            "read 8: can go on\n"
            "read nothing: must wait\n"
            "all is read:\n"
            "filled\n"
            "no room:\n"
            "room again: writer\n"
            "the last words came: reader\n"
            "read 3: can go on\n"
            "read 0: can go on\n"
            "read 0: can go on\n"
            "filled\n"
            "no room:\n"
            "the peer is gone: writer\n");
}

TEST(Select, RefusesDescriptorsThatDoNotFitIntoItsSet) {
  Pair pair;
  const Fd high(::fcntl(pair.ours.get(), F_DUPFD_CLOEXEC, FD_SETSIZE));
  if (!high) GTEST_SKIP() << "the limit on open files is too low to have such a descriptor";
  Watched watched(high.get());
  const auto select = make_select();
  const auto added = select->add(watched.watcher);
  ASSERT_FALSE(added);
  EXPECT_EQ(to_string(added.error()),
            "watch: over the limit: select cannot watch descriptor " + std::to_string(high.get()) +
                ": it takes only those below 1024; choose poll, epoll or io_uring");
  EXPECT_TRUE(make_poll()->add(watched.watcher));
  // And the highest that fits does.
  const Fd last(::dup3(pair.ours.get(), FD_SETSIZE - 1, O_CLOEXEC));
  Watched fits(last.get());
  ASSERT_TRUE(select->add(fits.watcher));
  ASSERT_EQ(::write(pair.theirs.get(), "x", 1), 1);
  Log log;
  ASSERT_TRUE(select->wait(Duration::zero(), log));
  EXPECT_TRUE(log.heard_of(fits, readable_news));
  select->remove(fits.watcher);
}

TEST(Token, PacksAndUnpacks) {
  const Token token{.slot = 0x12345678, .generation = 0x9abcdef0};
  EXPECT_EQ(Token::unpacked(token.packed()).slot, token.slot);
  EXPECT_EQ(Token::unpacked(token.packed()).generation, token.generation);
}

}  // namespace
}  // namespace koine::os
