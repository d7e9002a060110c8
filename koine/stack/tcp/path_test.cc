// What segments' sizes do on paths that carry less than the links at their ends.
#include <gtest/gtest.h>

#include "koine/stack/tcp/link_test.h"

namespace koine::stack::tcp {
namespace {

// A path that carries so many bytes of options and data, and may say so.
class Narrow : public testing::Test {
 protected:
  void narrow(std::uint32_t carries, bool says_so = false) {
    ends.drop = [this, carries, says_so](const TwoEnds::Packet& packet, std::uint64_t) {
      if (packet.data.size() + packet.header.options.size() <= carries) return false;
      ++dropped;
      if (says_so)
        said +=
            ends.end(1 - packet.to)
                .path_shrank(static_cast<std::uint16_t>(carries), packet.header.seq, ends.now());
      return true;
    };
  }
  void widen() { ends.drop = nullptr; }

  void connect() {
    ends.connect();
    while (ends.end(0).state() != State::established && ends.step()) {
    }
  }
  // Writes so many bytes and waits until they were read.
  bool send(std::size_t size) {
    const std::vector<std::byte> data(size);
    std::size_t written = 0;
    std::size_t read = 0;
    std::byte into[16'384];
    const Instant until = ends.now() + 300s;
    while (read < size) {
      bool did = false;
      if (const auto taken = written < size
                                 ? ends.end(0).write_now(Bytes(data).subspan(written), ends.now())
                                 : Result<std::size_t>(0)) {
        written += *taken;
        did = *taken > 0;
      }
      while (const auto got = ends.end(1).read_now(into, ends.now())) {
        read += *got;
        did = true;
      }
      if (did) {
        ends.flush();
      } else if (!ends.step(until)) {
        return false;
      }
    }
    return true;
  }
  void rest(Duration time) {
    const Instant until = ends.now() + time;
    while (ends.step(until)) {
    }
    ends.rest_until(until);
  }

  const Counters& counters() { return ends.environment(0).counters; }
  std::uint16_t mss() { return ends.end(0).send_mss(); }

  TwoEnds ends{1, {.delay = 10ms, .bits_per_second = 20'000'000}};
  int dropped = 0;
  int said = 0;
};

TEST_F(Narrow, AWidePathIsNeverProbed) {
  connect();
  EXPECT_TRUE(send(2'000'000));
  EXPECT_EQ(counters().path_probes, 0u);
  EXPECT_EQ(mss(), 1460);
}

// Nobody says why full segments vanish; the largest that does not is found within 16 bytes, and
// what the search itself loses costs neither a timeout nor any of the window.
TEST_F(Narrow, ABlackHoleIsSearchedForTheLargestSegmentItCarries) {
  narrow(1363);
  connect();
  EXPECT_TRUE(send(3'000'000));
  EXPECT_LE(mss(), 1363);
  EXPECT_GT(mss(), 1363 - 16);
  EXPECT_EQ(counters().timeouts, 3u);  // which it took to become suspicious
  EXPECT_EQ(counters().fast_recoveries, 0u);
  EXPECT_GE(counters().path_probes, 3u);
  EXPECT_LE(counters().path_probes, 6u);
}

TEST_F(Narrow, TheSearchGoesBelowTheFirstGuessToo) {
  narrow(900);
  connect();
  EXPECT_TRUE(send(3'000'000));
  EXPECT_LE(mss(), 900);
  EXPECT_GT(mss(), 900 - 16);
  EXPECT_EQ(counters().timeouts, 5u);
}

TEST_F(Narrow, AProbeThatIsLostTakesNothingFromTheWindow) {
  narrow(1240);
  connect();
  EXPECT_TRUE(send(300'000));
  const std::uint64_t probes = counters().path_probes;
  const int lost = dropped;
  rest(601s);  // then the widest is tried again
  const std::uint64_t timeouts = counters().timeouts;
  EXPECT_TRUE(send(3'000'000));
  EXPECT_GT(counters().path_probes, probes);
  EXPECT_GT(dropped, lost);
  EXPECT_EQ(counters().timeouts, timeouts);
  EXPECT_EQ(counters().fast_recoveries, 0u);
  EXPECT_LE(mss(), 1240);
}

// Whether a router had said so or not.
class Widened : public Narrow, public testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(Router, Widened, testing::Bool());

TEST_P(Widened, IsFoundOutAfterTenMinutes) {
  narrow(1300, GetParam());
  connect();
  EXPECT_TRUE(send(1'000'000));
  EXPECT_LE(mss(), 1300);
  widen();
  EXPECT_TRUE(send(1'000'000));
  EXPECT_LE(mss(), 1300) << "it was not asked again yet";
  rest(601s);
  EXPECT_TRUE(send(1'000'000));
  EXPECT_EQ(mss(), 1460);
}

// A router that answers a probe saves the search.
TEST_F(Narrow, WhatARouterSaysAboutAProbeIsTheNextProbe) {
  narrow(1252, true);
  connect();
  EXPECT_TRUE(send(1'000'000));
  EXPECT_EQ(mss(), 1252);
  EXPECT_EQ(said, 1);
  narrow(1390, true);
  rest(601s);
  EXPECT_TRUE(send(1'000'000));
  EXPECT_EQ(mss(), 1390);
  EXPECT_EQ(counters().path_probes, 2u);
  EXPECT_EQ(counters().timeouts, 0u);
}

// Other losses beside those of probes: everything arrives, and the size is right in the end.
TEST(NarrowAndLossy, DeliversEverything) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    TwoEnds ends(seed,
                 {.delay = 5ms, .bits_per_second = 20'000'000, .loss = 0.01, .reorder = 0.01});
    ends.drop = [&](const TwoEnds::Packet& packet, std::uint64_t) {
      return packet.data.size() + packet.header.options.size() > 1100;
    };
    Transfer transfer(ends, 0, 1'000'000);
    ends.connect();
    const Instant until = ends.now() + 300s;
    while (!transfer.ended() && (transfer.turn() ? (ends.flush(), true) : ends.step(until))) {
    }
    EXPECT_TRUE(transfer.done()) << seed;
  }
}

}  // namespace
}  // namespace koine::stack::tcp
