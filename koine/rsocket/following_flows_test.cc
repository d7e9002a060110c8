// Journeys of what is not a call, and of calls that fail: messages without an answer, streams,
// channels and their items, on the real kernel's loopback.
#include <algorithm>

#include "koine/async/combine.h"
#include "koine/async/scope.h"
#include "koine/async/sleep.h"
#include "koine/rsocket/following_test.h"

namespace koine::rsocket {
namespace {

/// From one program to the other, by the stamps of both.
void expect_one_way(const Journey& journey, bool is_reply) {
  const journey::Leg& went = is_reply ? journey.reply : journey.request;
  EXPECT_EQ(is_reply ? journey.request : journey.reply, journey::Leg());
  EXPECT_EQ(journey::stamps_of(journey), 7) << journey::waterfall(journey);
  EXPECT_EQ(journey.offset.method, Offset::Method::same_clock);
  EXPECT_LE(went.write_in.ns, went.sched.ns);
  EXPECT_LE(went.recv_in.ns, went.recv_out.ns);
  const journey::Spans spans = journey::spans_of(journey);
  EXPECT_EQ(spans.total_ns, went.recv_out.ns - went.write_in.ns);
  EXPECT_EQ(spans.spans.size(), 6U);
  expect_sum(journey);
}

TEST(RsocketJourney, AMessageWithoutAnAnswerIsFollowedToTheProgramThere) {
  Both both;
  both.connect();
  const auto followed = both.run(both.client->fire("note", "hello", journey::follow));
  ASSERT_TRUE(followed) << to_string(followed.error());
  ASSERT_TRUE(followed->journey);
  const Journey& journey = *followed->journey;
  expect_one_way(journey, false);
  EXPECT_LE(journey.request.recv_out.ns, journey.handler_in.ns);
  EXPECT_NE(journey.trace_id, Journey().trace_id);
  EXPECT_EQ(both.asked.journeys(), 1U);
  EXPECT_EQ(both.answered.journeys(), 1U);
  if (journey::level_of(journey) == Level::both_with_frames) {
    EXPECT_EQ(journey.frames.size(), 1U);
  }
}

TEST(RsocketJourney, OneInSoManyMessagesWithoutAnAnswerIsFollowed) {
  Both both({.every = 10});
  both.connect();
  const auto story = [&]() -> Io<void> {
    auto agreeing = both.client->journeys_agreed();
    co_await attempt(std::move(agreeing));
    for (int i = 0; i < 60; ++i) co_await attempt(both.client->fire("note", std::to_string(i)));
    co_return co_await both.client->journeys_settled();
  };
  ASSERT_TRUE(both.run(story()));
  ASSERT_EQ(both.journeys.size(), 6U);
  for (const Journey& journey : both.journeys) expect_one_way(journey, false);
  EXPECT_EQ(both.client->journey_counts().untold, 0U);
}

/// The halves of all of them go at once, though they may go alone only ten times a second.
TEST(RsocketJourney, NoneOfABurstOfMessagesWithoutAnAnswerLosesItsOtherHalf) {
  Both both;
  both.connect();
  constexpr std::size_t count = 200;
  const auto story = [&]() -> Io<void> {
    auto agreeing = both.client->journeys_agreed();
    co_await attempt(std::move(agreeing));
    for (std::size_t i = 0; i < count; ++i)
      co_await attempt(both.client->fire("note", std::to_string(i)));
    co_return co_await both.client->journeys_settled();
  };
  ASSERT_TRUE(both.run(story()));
  ASSERT_EQ(both.journeys.size(), count);
  for (const Journey& journey : both.journeys) {
    EXPECT_TRUE(journey.request.recv_out);
    EXPECT_TRUE(journey.request.write_in);
  }
  EXPECT_EQ(both.client->journey_counts().untold, 0U);
  EXPECT_EQ(both.server->journey_counts().dropped, 0U);
}

TEST(RsocketJourney, MoreThanAreFollowedAtATimeAreDeliveredAndCounted) {
  Both both;
  both.connect();
  constexpr std::size_t count = 400;
  std::size_t notes = 0;
  both.answers.on("counted", [&](std::string) -> Io<void> {
    ++notes;
    co_return {};
  });
  const auto story = [&]() -> Io<void> {
    auto agreeing = both.client->journeys_agreed();
    co_await attempt(std::move(agreeing));
    for (std::size_t i = 0; i < count; ++i) co_await attempt(both.client->fire("counted", "x"));
    co_return co_await both.client->journeys_settled();
  };
  ASSERT_TRUE(both.run(story()));
  EXPECT_EQ(notes, count);
  EXPECT_EQ(both.journeys.size() + both.client->journey_counts().crowded, count);
  EXPECT_GE(both.journeys.size(), Following::followed_max);
}

TEST(RsocketJourney, AStreamIsFollowedAndSoAreItsItems) {
  Both both;
  both.connect();
  const auto story = [&]() -> Io<FlowJourneys> {
    auto opening = both.client->stream<int>("count", 5, journey::follow);
    auto numbers = co_await attempt(std::move(opening));
    int sum = 0;
    while (const auto number = co_await attempt(numbers.next())) sum += *number;
    EXPECT_EQ(sum, 10);
    auto finding = numbers.journeys();
    co_return co_await finding;
  };
  const auto journeys = both.run(story());
  ASSERT_TRUE(journeys) << to_string(journeys.error());
  ASSERT_TRUE(journeys->request);
  expect_one_way(*journeys->request, false);
  EXPECT_LE(journeys->request->request.recv_out.ns, journeys->request->handler_in.ns);
  ASSERT_EQ(journeys->items.size(), 5U);
  std::vector<std::uint64_t> numbers;
  for (const ItemJourney& item : journeys->items) {
    numbers.push_back(item.item);
    EXPECT_TRUE(item.is_reply);
    expect_one_way(*item.journey, true);
    EXPECT_LT(journeys->request->request.write_in.ns, item.journey->reply.recv_out.ns);
  }
  std::ranges::sort(numbers);
  EXPECT_EQ(numbers, (std::vector<std::uint64_t>{1, 2, 3, 4, 5}));
  EXPECT_EQ(both.asked.journeys(), 6U);
}

TEST(RsocketJourney, AChannelIsFollowedAndItsItemsBothWays) {
  Both both;
  both.connect();
  const auto story = [&]() -> Io<FlowJourneys> {
    auto opening = both.client->channel<int, int>("doubled", 1, journey::follow);
    auto channel = co_await attempt(std::move(opening));
    for (int i = 2; i <= 3; ++i) co_await attempt(channel.send(i));
    channel.complete();
    int sum = 0;
    while (const auto number = co_await attempt(channel.next())) sum += *number;
    EXPECT_EQ(sum, 12);
    auto finding = channel.journeys();
    co_return co_await finding;
  };
  const auto journeys = both.run(story());
  ASSERT_TRUE(journeys) << to_string(journeys.error());
  ASSERT_TRUE(journeys->request);
  expect_one_way(*journeys->request, false);
  ASSERT_EQ(journeys->items.size(), 5U) << "two more there, three back";
  EXPECT_EQ(std::ranges::count(journeys->items, true, &ItemJourney::is_reply), 3);
  for (const ItemJourney& item : journeys->items) expect_one_way(*item.journey, item.is_reply);
}

TEST(RsocketJourney, OneInSoManyItemsIsFollowedOfStreamsThatNobodyAskedToFollow) {
  Both both({.every = 10});
  both.connect();
  const auto story = [&]() -> Io<void> {
    auto agreeing = both.client->journeys_agreed();
    co_await attempt(std::move(agreeing));
    for (int stream = 0; stream < 5; ++stream) {
      auto opening = both.client->stream<int>("count", 18);
      auto numbers = co_await attempt(std::move(opening));
      while (const auto number = co_await attempt(numbers.next())) EXPECT_LT(*number, 18);
    }
    co_return co_await both.client->journeys_settled();
  };
  ASSERT_TRUE(both.run(story()));
  const auto items = std::ranges::count_if(both.journeys, [](const Journey& journey) {
    return static_cast<bool>(journey.reply.recv_out);
  });
  EXPECT_EQ(items, 9) << "of ninety";
  EXPECT_EQ(both.journeys.size(), 10U) << "and the first of five requests";
}

TEST(RsocketJourney, ItemsAreTheSameWithAndWithout) {
  const auto items = [](bool follow, std::size_t bytes) {
    Both both;
    both.answers.on("whole", [](Message first, Flow& flow) -> Io<void> {
      co_await attempt(flow.send(first));
      while (const auto item = co_await attempt(flow.next())) co_await attempt(flow.send(*item));
      co_return {};
    });
    PeerOptions ours;
    PeerOptions theirs;
    if (follow) {
      ours.journeys = &both.here;
      theirs.journeys = &both.there;
    }
    EXPECT_TRUE(both.run(both.connect(std::move(ours), std::move(theirs))));
    std::string all;
    const auto story = [&]() -> Io<void> {
      ByteVector own;
      co_await attempt(append_entry(own, json_mime_type, as_bytes(std::string_view("own"))));
      Message message{.data = std::string(bytes, 'x')};
      auto opening = both.client->channel<Message, Message>("whole", message);
      auto channel = co_await attempt(std::move(opening));
      message.metadata = std::string(as_text(own));
      for (int i = 0; i < 3; ++i) {
        if (i == 2) message.metadata = "no composite";
        co_await attempt(channel.send(message));
      }
      channel.complete();
      while (const auto item = co_await attempt(channel.next()))
        all += item->data + (item->metadata ? " [" + *item->metadata + "]\n" : "\n");
      co_return co_await both.client->journeys_settled();
    };
    const auto done = both.run(story());
    EXPECT_TRUE(done) << to_string(done.error());
    return all;
  };
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{10}, std::size_t{70'000}})
    EXPECT_EQ(items(true, bytes), items(false, bytes)) << bytes;
}

TEST(RsocketJourney, ACallThatIsAnsweredByAnErrorHasBothHalves) {
  Both both;
  both.connect();
  const auto story = [&]() -> Io<void> {
    auto agreeing = both.client->journeys_agreed();
    co_await attempt(std::move(agreeing));
    for (const char* route : {"refuse", "nowhere"}) {
      auto asking = both.ask(route, "x");
      co_await attempt(std::move(asking));
    }
    co_return co_await both.client->journeys_settled();
  };
  ASSERT_TRUE(both.run(story()));
  ASSERT_EQ(both.journeys.size(), 2U);
  for (const Journey& journey : both.journeys) {
    EXPECT_EQ(journey::stamps_of(journey), 14) << journey::waterfall(journey);
    EXPECT_EQ(journey::spans_of(journey).spans.size(), 13U);
    expect_sum(journey);
  }
  EXPECT_TRUE(both.journeys[0].handler_in);
  EXPECT_TRUE(both.journeys[0].handler_out);
  EXPECT_FALSE(both.journeys[1].handler_in) << "there is none";
  EXPECT_EQ(both.client->journey_counts().untold, 0U);
}

TEST(RsocketJourney, AStreamThatIsGivenUpLeavesNothingBehind) {
  Both both;
  both.connect();
  const auto story = [&]() -> Io<void> {
    {
      auto opening = both.client->stream<int>("count", 1'000'000, journey::follow);
      auto numbers = co_await attempt(std::move(opening));
      for (int i = 0; i < 40; ++i) co_await attempt(numbers.next());
    }
    EXPECT_EQ(both.client->connection().streams(), 0U);
    co_return co_await both.client->journeys_settled();
  };
  ASSERT_TRUE(both.run(story()));
  EXPECT_GE(both.asked.journeys(), 20U);
  EXPECT_TRUE(both.follow("still here").journey);
}

TEST(RsocketJourney, AMessageTooLargeWithABlockGoesWithoutItAndItsHalfAfterIt) {
  Both both;
  PeerOptions small{.connection = {.message_bytes_max = 500}, .journeys = &both.there};
  ASSERT_TRUE(both.run(both.connect({.journeys = &both.here}, std::move(small))));
  ASSERT_TRUE(both.follow("they know each other").journey);
  // The server takes 500 bytes: no block fits beside so many in what it is sent.
  const std::string large(450, 'x');
  const auto half = both.follow(large);
  EXPECT_EQ(half.answer, large);
  ASSERT_TRUE(half.journey);
  EXPECT_EQ(journey::level_of(*half.journey), Level::one_end);
  EXPECT_EQ(both.client->journey_counts().left_out, 1U);
  EXPECT_EQ(both.client->journey_counts().untold, 0U) << "nobody promised it";

  both.answers.on("grow", [](std::string) -> Io<std::string> { co_return std::string(450, 'y'); });
  const auto whole = both.run(both.client->call<std::string>("grow", "", journey::follow));
  ASSERT_TRUE(whole) << to_string(whole.error());
  EXPECT_EQ(whole->answer.size(), 450U);
  ASSERT_TRUE(whole->journey);
  EXPECT_EQ(journey::stamps_of(*whole->journey), 14) << journey::waterfall(*whole->journey);
  EXPECT_EQ(both.server->journey_counts().left_out, 1U);
  EXPECT_TRUE(both.client->is_open());
}

TEST(RsocketJourney, APeerThatFollowsNothingGivesHalfOfEachWay) {
  Both both;
  ASSERT_TRUE(both.run(both.connect({.journeys = &both.here}, {})));
  const auto story = [&]() -> Io<FlowJourneys> {
    auto opening = both.client->stream<int>("count", 3, journey::follow);
    auto numbers = co_await attempt(std::move(opening));
    while (const auto number = co_await attempt(numbers.next())) EXPECT_LT(*number, 3);
    auto finding = numbers.journeys();
    co_return co_await finding;
  };
  const auto journeys = both.run(story());
  ASSERT_TRUE(journeys && journeys->request);
  EXPECT_TRUE(journeys->request->request.sched);
  EXPECT_FALSE(journeys->request->request.recv_out);
  ASSERT_EQ(journeys->items.size(), 3U);
  for (const ItemJourney& item : journeys->items) {
    EXPECT_TRUE(item.journey->reply.recv_out);
    EXPECT_FALSE(item.journey->reply.write_in);
  }
  EXPECT_EQ(both.client->journey_counts().untold, 0U);
}

}  // namespace
}  // namespace koine::rsocket
