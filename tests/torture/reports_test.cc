// What sockets report about stamped messages, as io_uring brings it: seen by the system calls it
// takes, and with the kernel that cannot bring it, which faults can play.
#include <linux/io_uring.h>
#include <sys/syscall.h>

#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "koine/async/within.h"
#include "koine/journey/export.h"
#include "koine/journey/recorder.h"
#include "koine/os/network.h"
#include "koine/os/track.h"
#include "tests/torture/faults.h"

namespace koine::os {
namespace {

using journey::Journey;
using journey::Leg;
using journey::Quality;

constexpr Duration patience = 60s;

/// IORING_SETUP_CQE_MIXED, Linux 6.18.
bool brings_reports() {
  io_uring_params params{};
  params.flags = 1U << 18;
  return static_cast<bool>(Fd(static_cast<int>(::syscall(SYS_io_uring_setup, 1, &params))));
}

/// A connection on a ring, whose client follows each message.
class Followed {
 public:
  Followed() {
    auto made = Reactor::make({.multiplexer = "io_uring", .busy_poll = {}});
    if (made) reactor = std::move(*made);
    if (!reactor) return;
    network = std::make_unique<Network>(*reactor);
    const auto connected = reactor->run(within(patience, connect()));
    EXPECT_TRUE(connected) << to_string(connected.error());
  }

  explicit operator bool() const { return static_cast<bool>(reactor); }

  /// Messages there and back, one after another: their journeys.
  std::vector<std::shared_ptr<Journey>> exchange(int count) {
    std::vector<std::shared_ptr<Journey>> journeys;
    for (int i = 0; i < count; ++i) journeys.push_back(recorder.begin(track->connection()));
    const auto told = reactor->run(within(patience, tell(journeys)));
    EXPECT_TRUE(told) << to_string(told.error());
    return journeys;
  }

  std::unique_ptr<Reactor> reactor;

 private:
  Io<void> connect() {
    auto listener = co_await attempt(network->listen(*parse_endpoint("tcp://127.0.0.1:0")));
    auto dialing = dial(*network, listener->endpoint());
    client_ = co_await attempt(std::move(dialing));
    server_ = co_await attempt(accept(*listener));
    track = co_await attempt(tracker_.attach(*client_));
    co_return {};
  }

  Io<void> tell(const std::vector<std::shared_ptr<Journey>>& journeys) {
    for (const auto& journey : journeys) {
      track->send(journey, Way::there, 5);
      co_await attempt(write_all(*client_, "hello"));
      for (Stream* reader : {server_.get(), client_.get()}) {
        std::size_t bytes = 0;
        while (bytes < 5) {
          const Buffer buffer = co_await attempt(koine::receive(*reader));
          if (!buffer) co_return fail(Fault::ended, "read");
          bytes += buffer.size();
        }
        if (reader == server_.get()) co_await attempt(write_all(*server_, "hello"));
      }
      co_await attempt(settled(*track));
    }
    co_return {};
  }

 public:
  std::unique_ptr<Network> network;
  journey::Recorder recorder{{.every = 1}};
  Track* track = nullptr;

 private:
  Tracker tracker_{recorder};
  std::unique_ptr<Stream> client_;
  std::unique_ptr<Stream> server_;
};

void expect_stamped(const std::vector<std::shared_ptr<Journey>>& journeys) {
  for (std::size_t i = 0; i < journeys.size(); ++i) {
    const Leg& leg = journeys[i]->request;
    ASSERT_FALSE(leg.snd.empty()) << "message " << i << ' ' << json_line(*journeys[i]);
    for (const journey::Stamp& stamp : {leg.sched, leg.snd[0], leg.ack})
      ASSERT_EQ(stamp.quality, Quality::exact) << "message " << i << ' ' << json_line(*journeys[i]);
    ASSERT_LE(leg.write_in.ns, leg.sched.ns);
    ASSERT_LE(leg.sched.ns, leg.snd[0].ns);
    ASSERT_LE(leg.snd[0].ns, leg.ack.ns);
  }
}

/// How many calls of recvmsg(2) it takes to follow so many messages, and to read their answers.
int calls_to_follow(Followed& followed, int count) {
  faults::begin({});
  const auto journeys = followed.exchange(count);
  const auto calls = faults::end();
  expect_stamped(journeys);
  return calls[static_cast<std::size_t>(Call::recvmsg)];
}

constexpr int messages = 50;

TEST(Reports, AreBroughtByTheRingOnceTheFirstWasThereOrElseRead) {
  Followed ring;
  if (!ring) GTEST_SKIP() << "io_uring is NOT TESTED here";
  // The kernel knows no ring with completions of two sizes: the next best is taken.
  faults::begin({.call = Call::ring_setup, .number = 1, .error = EINVAL});
  Followed older;
  faults::end();
  ASSERT_TRUE(older);
  expect_stamped(ring.exchange(1));
  expect_stamped(older.exchange(1));

  const int read = calls_to_follow(older, messages);
  const int brought = calls_to_follow(ring, messages);
  EXPECT_GE(read, 4 * messages) << "an answer and three reports each";
  if (!brings_reports()) GTEST_SKIP() << "this kernel's ring does not bring reports";
  EXPECT_LE(brought, read - 2 * messages);
}

TEST(Reports, ComeHoweverOftenTheRingHasGoneRound) {
  Followed followed;
  if (!followed) GTEST_SKIP() << "io_uring is NOT TESTED here";
  expect_stamped(followed.exchange(1500));  // 4096 places, of which each takes six and more
  EXPECT_EQ(followed.track->over_budget(), 0U);
}

}  // namespace
}  // namespace koine::os
