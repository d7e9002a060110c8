#include "koine/journey/spans.h"

#include <gtest/gtest.h>

#include "koine/base/random.h"
#include "koine/journey/made_test.h"

namespace koine::journey {
namespace {

std::int64_t sum(const Spans& spans) {
  std::int64_t total = 0;
  for (const Span& span : spans.spans) total += span.ns();
  return total;
}

void expect_whole(const Spans& spans) {
  EXPECT_EQ(sum(spans), spans.total_ns);
  for (std::size_t i = 0; i < spans.spans.size(); ++i) {
    const Span& span = spans.spans[i];
    EXPECT_GE(span.ns(), 0);
    EXPECT_LE(span.first, span.last);
    if (i == 0) continue;
    EXPECT_EQ(span.begin_ns, spans.spans[i - 1].end_ns);
    EXPECT_EQ(static_cast<int>(span.first), static_cast<int>(spans.spans[i - 1].last) + 1);
  }
}

TEST(Spans, AJourneyWithAllItsStampsHasThirteenStepsOnTheClientsClock) {
  const Spans spans = spans_of(made_journey(1'230'000'000));
  ASSERT_EQ(spans.spans.size(), 13U);
  expect_whole(spans);
  std::vector<std::int64_t> took_us;
  for (const Span& span : spans.spans) took_us.push_back(span.ns() / 1000);
  EXPECT_EQ(took_us, (std::vector<std::int64_t>{1, 2, 0, 4, 5, 6, 7, 8, 9, 0, 11, 12, 13}));
  EXPECT_EQ(spans.total_ns, 78'000);
}

TEST(Spans, WhatLiesBetweenTwoStampsIsOneSpan) {
  Journey half = made_journey();
  half.request.rx = half.request.recv_in = half.request.recv_out = {};
  half.reply.write_in = half.reply.write_out = half.reply.sched = {};
  half.reply.snd.clear();
  const Spans spans = spans_of(half);
  expect_whole(spans);
  ASSERT_EQ(spans.spans.size(), 6U);
  EXPECT_EQ(spans.spans[3].first, Step::network_there);
  EXPECT_EQ(spans.spans[3].last, Step::network_back);
  EXPECT_EQ(spans.find(Step::program), nullptr);
  EXPECT_EQ(spans.total_ns, 78'000);
}

TEST(Spans, AMessageLostTwiceSpentTheTimeUntilItsThirdSendingThere) {
  Journey journey = made_journey();
  const std::int64_t first = journey.request.snd[0].ns;
  journey.request.snd = {Stamp::exactly(first), Stamp::exactly(first + 1000),
                         Stamp::exactly(first + 3000), Stamp::exactly(first + 9'000'000)};
  journey.request.sendings = 4;  // the fourth came after it had arrived: it was not needed
  const Spans spans = spans_of(journey);
  expect_whole(spans);
  EXPECT_EQ(spans.find(Step::resend_there)->ns(), 3000);
  EXPECT_EQ(spans.find(Step::network_there)->ns(), 1000);
}

TEST(Spans, AConfirmationThatCameBeforeTheReceiversStampIsTheBetterArrival) {
  Journey journey = made_journey();
  journey.reply.ack = Stamp::exactly(journey.reply.rx.ns - 3000);
  const Spans spans = spans_of(journey);
  expect_whole(spans);
  EXPECT_EQ(spans.find(Step::network_back)->ns(), 8000);
  EXPECT_EQ(spans.find(Step::network_back)->quality, Quality::at_most);
  EXPECT_EQ(spans.find(Step::idle_back)->ns(), 15'000);
  EXPECT_EQ(spans.find(Step::idle_back)->quality, Quality::at_least);
  journey.reply.ack = Stamp::exactly(journey.reply.rx.ns + 1);
  EXPECT_EQ(spans_of(journey).find(Step::network_back)->quality, Quality::exact);
}

TEST(Spans, AMessageWithoutAnAnswerEndsWithItsConfirmation) {
  Journey journey = made_journey();
  journey.reply = {};
  journey.request.rx = journey.request.recv_in = journey.request.recv_out = {};
  journey.request.ack = Stamp::exactly(journey.request.snd[0].ns + 50'000);
  const Spans spans = spans_of(journey);
  expect_whole(spans);
  ASSERT_EQ(spans.spans.size(), 4U);
  EXPECT_EQ(spans.spans.back().first, Step::network_there);
  EXPECT_EQ(spans.spans.back().quality, Quality::at_most);
  EXPECT_EQ(spans.total_ns, 53'000);
}

TEST(Spans, OnlyWhatCrossesFromOneClockToTheOtherIsUncertain) {
  Journey journey = made_journey(500);
  journey.offset = {500, 90, Offset::Method::bounds};
  for (const Span& span : spans_of(journey).spans) {
    const bool crosses = span.is(Step::network_there) || span.is(Step::network_back);
    EXPECT_EQ(span.half_ns, crosses ? 90 : 0) << number_of(span.first);
  }
}

TEST(Spans, AClockThatWasSteppedLeavesNone) {
  Journey journey = made_journey();
  journey.clock_stepped = true;
  EXPECT_TRUE(spans_of(journey).spans.empty());
}

// Whatever is missing, late or in the wrong order, the steps add up to the total.
TEST(Spans, AddUpForAnyStamps) {
  Prng chance(20261122);
  int with_spans = 0;
  for (int round = 0; round < 20'000; ++round) {
    Journey journey = made_journey(static_cast<std::int64_t>(chance.below(2'000'000)) - 1'000'000);
    const auto shake = [&](Stamp& stamp) {
      switch (chance.below(6)) {
        case 0: stamp = {}; break;
        case 1: stamp.ns += static_cast<std::int64_t>(chance.below(100'000)) - 50'000; break;
        case 2: stamp.quality = Quality::at_most; break;
        default: break;
      }
    };
    for (Leg* leg : {&journey.request, &journey.reply}) {
      for (Stamp* stamp : {&leg->write_in, &leg->write_out, &leg->sched, &leg->rx, &leg->recv_in,
                           &leg->recv_out, &leg->ack})
        shake(*stamp);
      if (chance.below(4) == 0) leg->snd.clear();
      for (Stamp& sending : leg->snd) shake(sending);
      std::erase_if(leg->snd, [](const Stamp& stamp) { return !stamp; });
      while (!leg->snd.empty() && chance.below(3) == 0)
        leg->snd.push_back(Stamp::exactly(leg->snd.back().ns + 5000));
      if (chance.below(3) == 0)
        leg->ack = Stamp::exactly(made_at + static_cast<std::int64_t>(chance.below(200'000)));
    }
    journey.offset.half_ns = static_cast<std::int64_t>(chance.below(1000));
    const Spans spans = spans_of(journey);
    if (!spans.spans.empty()) ++with_spans;
    expect_whole(spans);
    ASSERT_FALSE(testing::Test::HasFailure()) << "round " << round;
  }
  EXPECT_GT(with_spans, 15'000);
}

}  // namespace
}  // namespace koine::journey
