// Stamps that a peer has made up: whatever they are, nothing breaks, the steps add up, and it is
// said that they do not fit.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <functional>
#include <nlohmann/json.hpp>

#include "koine/base/random.h"
#include "koine/journey/clock_offset.h"
#include "koine/journey/export.h"
#include "koine/journey/made_test.h"
#include "koine/journey/picture.h"
#include "koine/journey/recorder.h"

namespace koine::journey {
namespace {

using nlohmann::json;

class Chance {
 public:
  explicit Chance(std::uint64_t seed) : prng_(seed) {}

  std::uint64_t below(std::uint64_t bound) { return prng_.below(bound); }
  bool one_in(std::uint64_t n) { return below(n) == 0; }

  /// Mostly what a clock may show, and often the same as another.
  std::int64_t time() {
    static constexpr std::array<std::int64_t, 10> edges = {
        INT64_MIN,     INT64_MIN + 1, -1,       0, 1, made_at, Stamp::ns_end - 1,
        Stamp::ns_end, INT64_MAX - 1, INT64_MAX};
    if (one_in(4)) return edges[below(edges.size())];
    if (one_in(8)) return static_cast<std::int64_t>(prng_());
    return made_at + static_cast<std::int64_t>(below(1'000'000)) - 500'000;
  }

  Stamp stamp() { return {time(), static_cast<Quality>(below(4))}; }

  std::string text() {
    std::string text;
    for (std::uint64_t i = below(6); i > 0; --i) text += static_cast<char>(below(256));
    return text;
  }

  Hop hop() {
    return {.what = static_cast<Hop::What>(below(5)),
            .at = text(),
            .towards = text(),
            .why = text(),
            .in_ns = time(),
            .out_ns = time(),
            .sending = static_cast<std::uint32_t>(below(4))};
  }

  Leg leg() {
    Leg leg{.bytes = prng_()};
    for (Stamp* each : {&leg.write_in, &leg.write_out, &leg.sched, &leg.first_snd, &leg.ack,
                        &leg.rx, &leg.recv_in, &leg.recv_out})
      *each = stamp();
    for (std::uint64_t i = below(Leg::sendings_max + 1); i > 0; --i) leg.snd.push_back(stamp());
    leg.sendings = static_cast<std::uint32_t>(one_in(2) ? leg.snd.size() : prng_());
    leg.tcp = {.mss = static_cast<std::uint32_t>(below(3)),
               .unsent_bytes = static_cast<std::uint32_t>(below(3)),
               .retransmits = static_cast<std::uint32_t>(below(3)),
               .held_by = static_cast<HeldBy>(below(6))};
    if (one_in(2)) leg.cpu_wait_ns = time();
    if (one_in(2)) leg.write_cpu_wait_ns = time();
    if (one_in(3)) leg.hops = {hop(), hop(), hop()};
    return leg;
  }

  Frame frame() {
    Frame frame{.reply = one_in(2), .at = stamp(), .wire_bytes = one_in(2) ? prng_() : below(200)};
    frame.bytes.resize(below(Frame::bytes_max + 1));
    for (std::byte& byte : frame.bytes) byte = static_cast<std::byte>(below(256));
    if (frame.bytes.size() > 14 && one_in(2)) {
      frame.bytes[12] = std::byte{0x08};
      frame.bytes[13] = std::byte{0};
      frame.bytes[14] = std::byte{0x45};
    }
    return frame;
  }

  Journey journey() {
    Journey journey{.id = prng_(),
                    .client = text(),
                    .request = leg(),
                    .reply = leg(),
                    .handler_in = stamp(),
                    .handler_out = stamp()};
    journey.offset = {time(), time(), static_cast<Offset::Method>(below(3))};
    if (one_in(3)) journey.frames = {frame(), frame()};
    return journey;
  }

 private:
  Prng prng_;
};

void expect_sound(const Spans& spans, std::uint64_t seed) {
  std::int64_t sum = 0;
  for (const Span& span : spans.spans) {
    EXPECT_GE(span.ns(), 0) << "seed " << seed;
    sum += span.ns();
  }
  EXPECT_EQ(sum, spans.total_ns) << "seed " << seed;
}

// With the sanitizers of preset dev: an overflow ends the test.
TEST(HostileStamps, NeverBreakWhatIsDerivedFromThem) {
  int misfits = 0;
  const char* const asked = std::getenv("KOINE_SEEDS");
  const std::uint64_t seeds = asked == nullptr ? 30 : std::strtoull(asked, nullptr, 10);
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    Chance chance(seed);
    Recorder recorder({.keep_slowest = 2});
    Connection connection;
    std::vector<Journey> all;
    for (int i = 0; i < 8; ++i) {
      auto journey = std::make_shared<Journey>(chance.journey());
      if (chance.one_in(2)) {  // one that is learned from
        journey->request = made_journey().request;
        journey->reply = made_journey().reply;
        journey->offset = {};
        journey->request.write_cpu_wait_ns = chance.time();
        journey->reply.cpu_wait_ns = chance.time();
      }
      const Spans spans = spans_of(*journey);
      expect_sound(spans, seed);
      recorder.finish(connection, journey);
      misfits += spans.misfit.empty() ? 0 : 1;
      EXPECT_EQ(spans.misfit.empty(), journey->verdict.find("do not fit") == std::string::npos);
      const Offset offset = connection.clocks.of(*journey, chance.one_in(2));
      EXPECT_GE(offset.half_ns, 0) << "seed " << seed;
      const Offset later = connection.clocks.at(chance.time());
      EXPECT_GE(later.half_ns, 0) << "seed " << seed;
      EXPECT_FALSE(waterfall(*journey).empty());
      EXPECT_TRUE(json::accept(json_line(*journey))) << "seed " << seed;
      EXPECT_LT(layers(*journey).size(), 100'000U);
      all.push_back(*journey);
    }
    EXPECT_TRUE(json::accept(perfetto_json(all))) << "seed " << seed << perfetto_json(all);
    const json otlp = json::parse(otlp_json(all), nullptr, false);
    ASSERT_FALSE(otlp.is_discarded()) << "seed " << seed;
    const auto file = pcapng(all);
    EXPECT_TRUE(file) << to_string(file.error());
  }
  EXPECT_GT(misfits, 30);
}

TEST(HostileStamps, AreSaidNotToFitWithWhatCannotBe) {
  const auto said = [](const std::function<void(Journey&)>& change) {
    Journey journey = made_journey();
    change(journey);
    Medians medians;
    return judge(journey, spans_of(journey), medians).words;
  };
  const std::string begin = "the stamps do not fit, and these times mean nothing: ";
  EXPECT_EQ(said([](Journey& j) { j.request.rx.ns = j.request.snd[0].ns - 3'200'000; }),
            begin + "the request arrived 3.20 ms before the request was written");
  EXPECT_EQ(said([](Journey& j) { j.reply.snd[0].ns = j.reply.rx.ns + 18'000; }),
            begin + "the answer arrived 18.00 us before the answer was sent");
  EXPECT_EQ(said([](Journey& j) { j.request.rx.ns = -1; }),
            begin + "no clock shows the time when the request arrived");
  EXPECT_EQ(said([](Journey& j) { j.reply.write_in.ns = INT64_MAX; }),
            begin + "no clock shows the time when the answer was written");
}

TEST(HostileStamps, OfTwoClocksAreJudgedByWhatTheirOffsetLeavesOpen) {
  Journey journey = made_journey(1'000'000);
  journey.offset = {1'000'000, 3000, Offset::Method::bounds};
  journey.request.rx.ns -= 5000;  // it took 4 us
  EXPECT_EQ(spans_of(journey).misfit, "");
  journey.request.rx.ns -= 5000;
  EXPECT_NE(spans_of(journey).misfit, "");
  journey.offset = {};  // nobody knows
  EXPECT_EQ(spans_of(journey).misfit, "");
}

TEST(HostileStamps, WhatCameLateFits) {
  Journey journey = made_journey();
  journey.request.sched = {journey.request.rx.ns + 1000, Quality::at_most};
  journey.reply.rx.quality = Quality::at_most;
  journey.request.recv_in.ns -= 1'000'000;  // it had asked long before
  EXPECT_EQ(spans_of(journey).misfit, "");
}

TEST(HostileStamps, DoNotMakeTheUsualStepsOfAConnection) {
  Medians medians;
  Journey journey = made_journey();
  journey.reply.rx.ns = made_at - 1;
  for (int i = 0; i < 10; ++i) medians.learn(journey, spans_of(journey));
  EXPECT_FALSE(medians.known());
}

// An echo of our own hello names our clock.
TEST(ClockIdentity, IsBelievedOnlyWhileTheStampsFit) {
  ClockOffset clocks;
  EXPECT_EQ(clocks.of(made_journey(), true).method, Offset::Method::same_clock);
  const Journey other = made_journey(1'230'000'000);
  for (int i = 0; i < 2; ++i) {
    const Offset offset = clocks.of(other, true);
    EXPECT_EQ(offset.method, Offset::Method::bounds);
    EXPECT_LE(std::abs(offset.theta_ns - 1'230'000'000), offset.half_ns);
  }
  // Those of our clock would fit again, and would not be believed.
  EXPECT_EQ(ClockOffset(clocks).of(made_journey(), true).method, Offset::Method::bounds);
}

TEST(ClockOffset, AJourneyThatContradictsItselfSaysNothing) {
  ClockOffset clocks;
  Journey journey = made_journey();
  clocks.learn(journey);
  const Offset before = clocks.at(journey.reply.recv_out.ns);
  // The server claims to have had it for longer than it was away.
  journey.reply.write_in.ns += 1'000'000;
  journey.reply.snd[0].ns += 1'000'000;
  clocks.learn(journey);
  EXPECT_EQ(clocks.at(journey.reply.recv_out.ns), before);
  EXPECT_EQ(clocks.resets(), 0U);
}

}  // namespace
}  // namespace koine::journey
