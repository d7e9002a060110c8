// What a connection owes to both its ends.
#include <array>
#include <string>

#include "koine/async/combine.h"
#include "koine/async/scope.h"
#include "tests/contract/place.h"
#include "tests/contract/stories.h"

namespace koine::contract {
namespace {

using StreamContract = ContractTest;

INSTANTIATE_CONTRACT(StreamContract);

TEST_P(StreamContract, CarriesTenMegabytesBothWaysAtOnceInOrderAndThenTheEnd) {
  constexpr std::size_t total = 10'000'000;
  auto [ours, theirs] = connected();
  const auto [said, heard, their_said, their_heard] =
      place->run(write_pattern(*ours, 1, total), read_pattern(*ours, 2),
                 write_pattern(*theirs, 2, total), read_pattern(*theirs, 1));
  EXPECT_TRUE(said) << why(said);
  EXPECT_TRUE(their_said) << why(their_said);
  ASSERT_TRUE(heard) << why(heard);
  ASSERT_TRUE(their_heard) << why(their_heard);
  EXPECT_EQ(*heard, total);
  EXPECT_EQ(*their_heard, total);
}

TEST_P(StreamContract, CarriesPiecesOfEverySizeInOrder) {
  // Around the sizes at which an implementation may choose another way: a byte, a segment, a block.
  for (const std::size_t piece : {1UL, 1447UL, 1448UL, 16'383UL, 16'384UL, 65'535UL, 65'536UL}) {
    const std::size_t total = piece == 1 ? 20'000 : 1'000'000;
    auto [ours, theirs] = connected();
    const auto [said, heard] =
        place->run(write_pattern(*ours, 3, total, piece), read_pattern(*theirs, 3));
    EXPECT_TRUE(said) << piece << ": " << why(said);
    ASSERT_TRUE(heard) << piece << ": " << why(heard);
    EXPECT_EQ(*heard, total) << piece;
  }
}

TEST_P(StreamContract, KeepsTheOrderOfSmallAndLargePieces) {
  auto story = [](Stream& to) -> Io<void> {
    Pattern pattern(4);
    std::size_t piece = 1;
    for (int round = 0; round < 2'000; ++round) {
      const Bytes next = pattern.next(piece);
      co_await attempt(write_all(to, next));
      pattern.taken(next.size());
      piece = piece * 7 % 40'009;  // from 1 to 40 008 in no order
    }
    co_return to.finish();
  };
  auto [ours, theirs] = connected();
  const auto [said, heard] = place->run(story(*ours), read_pattern(*theirs, 4));
  EXPECT_TRUE(said) << why(said);
  EXPECT_TRUE(heard) << why(heard);
}

TEST_P(StreamContract, SendsTheSmallWritesOfOneTurnTogether) {
  auto [ours, theirs] = connected();
  auto sixteen = [](Stream& to) -> Io<void> {
    const std::string piece(64, 'k');
    for (int i = 0; i < 16; ++i) co_await attempt(write_all(to, piece));
    co_return {};
  };
  const auto [said, heard] = place->run(sixteen(*ours), receive(*theirs));
  EXPECT_TRUE(said) << why(said);
  ASSERT_TRUE(heard) << why(heard);
  EXPECT_EQ(heard->text(), std::string(1024, 'k'));
}

TEST_P(StreamContract, WritesAllPiecesOfOneCallInOrder) {
  auto [ours, theirs] = connected();
  auto story = [](Stream& to) -> Io<void> {
    const std::string large(100'000, 'b');
    const std::string last = "c";
    co_await attempt(write_all(to, "a", std::string_view(), large, last));
    co_return to.finish();
  };
  const auto [said, heard] = place->run(story(*ours), read_to_end(*theirs));
  EXPECT_TRUE(said) << why(said);
  ASSERT_TRUE(heard) << why(heard);
  EXPECT_EQ(*heard, "a" + std::string(100'000, 'b') + "c");
}

TEST_P(StreamContract, LendsWhatArrivedUntilTheBufferDies) {
  auto [ours, theirs] = connected();
  auto ask_twice = [](Stream& from, Stream& to) -> Io<std::string> {
    co_await attempt(write_all(to, "first"));
    Buffer first = co_await attempt(receive(from));
    co_await attempt(write_all(to, "second"));
    const Buffer second = co_await attempt(receive(from));
    first.consume(1);
    co_return std::string(first.text()) + " " + std::string(second.text());
  };
  const auto heard = place->run(ask_twice(*theirs, *ours));
  ASSERT_TRUE(heard) << why(heard);
  EXPECT_EQ(*heard, "irst second");
}

// Ends.

TEST_P(StreamContract, ClientMayFinishAndStillHear) {
  auto [ours, theirs] = connected();
  auto answer = [](Stream& stream) -> Io<std::string> {
    auto rest = read_to_end(stream);
    auto question = co_await attempt(std::move(rest));
    co_await attempt(write_all(stream, "you said ", question));
    co_await attempt(stream.finish());
    co_return question;
  };
  const auto [said, question, heard] =
      place->run(say(*ours, "hello"), answer(*theirs), read_to_end(*ours));
  EXPECT_TRUE(said) << why(said);
  EXPECT_EQ(question, "hello") << why(question);
  EXPECT_EQ(heard, "you said hello") << why(heard);
}

TEST_P(StreamContract, ServerMayFinishFirstAndStillHear) {
  auto [ours, theirs] = connected();
  const auto [greeted, greeting] = place->run(say(*theirs, "only listening"), read_to_end(*ours));
  EXPECT_TRUE(greeted) << why(greeted);
  EXPECT_EQ(greeting, "only listening") << why(greeting);
  const auto [said, heard] = place->run(say(*ours, "thank you"), read_to_end(*theirs));
  EXPECT_TRUE(said) << why(said);
  EXPECT_EQ(heard, "thank you") << why(heard);
}

TEST_P(StreamContract, TheEndStaysTheEnd) {
  auto [ours, theirs] = connected();
  ASSERT_TRUE(ours->finish());
  std::array<std::byte, 8> room;
  for (int time = 0; time < 3; ++time) {
    const auto count = place->run(read_some(*theirs, room));
    ASSERT_TRUE(count) << why(count);
    EXPECT_EQ(*count, 0U);
    const auto bytes = place->run(receive(*theirs));
    ASSERT_TRUE(bytes) << why(bytes);
    EXPECT_FALSE(*bytes);
  }
}

TEST_P(StreamContract, FinishingTwiceIsFinishingOnce) {
  auto [ours, theirs] = connected();
  EXPECT_TRUE(ours->finish());
  EXPECT_TRUE(ours->finish());
  const auto heard = place->run(read_to_end(*theirs));
  EXPECT_EQ(heard, "") << why(heard);
}

TEST_P(StreamContract, FinishesOnlyAfterWhatWasWritten) {
  auto [ours, theirs] = connected();
  // More than the network takes at once: the end has to wait behind it.
  auto story = [](Stream& to) -> Io<void> {
    const std::string large(3'000'000, 'x');
    co_await attempt(write_all(to, large));
    co_return to.finish();
  };
  const auto [said, heard] = place->run(story(*ours), read_to_end(*theirs));
  EXPECT_TRUE(said) << why(said);
  ASSERT_TRUE(heard) << why(heard);
  EXPECT_EQ(*heard, std::string(3'000'000, 'x'));
}

TEST_P(StreamContract, NothingCanBeWrittenAfterFinish) {
  auto [ours, theirs] = connected();
  ASSERT_TRUE(ours->finish());
  const auto written = place->run(write_all(*ours, "more"));
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error(), Fault::closed) << why(written);
  EXPECT_EQ(place->run(read_to_end(*theirs)), "");
}

TEST_P(StreamContract, FlushSaysThatTheNetworkHasIt) {
  auto [ours, theirs] = connected();
  auto story = [](Stream& to) -> Io<std::size_t> {
    co_await attempt(write_all(to, "a few bytes"));
    co_await attempt(flush(to));
    co_return to.unsent();
  };
  EXPECT_EQ(place->run(story(*ours)), 0U);
  ours.reset();
  EXPECT_EQ(place->run(read_to_end(*theirs)), "a few bytes");
}

// Resets.

TEST_P(StreamContract, AbortIsAResetForThePeer) {
  auto [ours, theirs] = connected();
  ours->abort();
  const auto heard = place->run(receive(*theirs));
  ASSERT_FALSE(heard);
  EXPECT_EQ(heard.error(), Fault::reset) << why(heard);
}

TEST_P(StreamContract, AResetIsNeverTakenForTheEnd) {
  auto [ours, theirs] = connected();
  ours->abort();
  for (int time = 0; time < 3; ++time) {
    const auto heard = place->run(receive(*theirs));
    ASSERT_FALSE(heard) << "read number " << time;
    EXPECT_EQ(heard.error(), Fault::reset) << why(heard);
  }
}

/// Writes until that fails.
Io<void> write_for_ever(Stream& to) {
  const std::string piece(1000, 'w');
  for (;;) {
    co_await attempt(write_all(to, piece));
    co_await attempt(flush(to));
  }
}

TEST_P(StreamContract, AResetThatAWriteMeetsIsNoEndForTheReader) {
  auto [ours, theirs] = connected();
  ours->abort();
  const auto written = place->run(write_for_ever(*theirs));
  EXPECT_EQ(written.error(), Fault::reset) << why(written);
  const auto heard = place->run(receive(*theirs));
  ASSERT_FALSE(heard) << "a connection that was torn down must not look finished";
  EXPECT_EQ(heard.error(), Fault::reset) << why(heard);
}

TEST_P(StreamContract, APeerThatVanishesWhileWeWriteIsAResetForEachWriteThatFollows) {
  auto [ours, theirs] = connected();
  auto vanish = [](std::unique_ptr<Stream> stream) -> Io<void> {
    for (int i = 0; i < 3; ++i) co_await attempt(receive(*stream));
    stream->abort();
    co_return {};
  };
  const auto [gone, written] = place->run(vanish(std::move(ours)), write_for_ever(*theirs));
  EXPECT_TRUE(gone) << why(gone);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error(), Fault::reset) << why(written);
  for (int time = 0; time < 3; ++time) {
    const auto again = place->run(write_all(*theirs, "still there?"));
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error(), Fault::reset) << why(again);
  }
}

TEST_P(StreamContract, AWriterThatWaitsHearsOfAReset) {
  auto [ours, theirs] = connected();
  // `theirs` reads nothing, so the writer fills what there is and waits; then comes the reset.
  auto vanish = [](std::unique_ptr<Stream> stream, Stream& writer) -> Io<void> {
    while (writer.unsent() == 0) co_await sleep(1ms);
    co_await sleep(1ms);
    stream->abort();
    co_return {};
  };
  const auto [gone, written] =
      place->run(vanish(std::move(theirs), *ours), write_pattern(*ours, 5, 100'000'000));
  EXPECT_TRUE(gone) << why(gone);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error(), Fault::reset) << why(written);
}

TEST_P(StreamContract, AfterAbortEverythingIsClosed) {
  auto [ours, theirs] = connected();
  ours->abort();
  ours->abort();
  std::array<std::byte, 8> room;
  const auto heard = place->run(read_some(*ours, room));
  ASSERT_FALSE(heard);
  EXPECT_EQ(heard.error(), Fault::closed) << why(heard);
  const auto lent = place->run(receive(*ours));
  ASSERT_FALSE(lent);
  EXPECT_EQ(lent.error(), Fault::closed) << why(lent);
  const auto written = place->run(write_all(*ours, "x"));
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error(), Fault::closed) << why(written);
  const auto flushed = place->run(flush(*ours));
  ASSERT_FALSE(flushed);
  EXPECT_EQ(flushed.error(), Fault::closed) << why(flushed);
  const auto finished = ours->finish();
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error(), Fault::closed) << why(finished);
  EXPECT_EQ(ours->unsent(), 0U);
}

TEST_P(StreamContract, AbortWakesWhoeverWaits) {
  auto [ours, theirs] = connected();
  auto abort_soon = [](Stream& stream) -> Io<void> {
    while (stream.unsent() == 0) co_await sleep(1ms);
    stream.abort();
    co_return {};
  };
  const auto [heard, written, aborted] =
      place->run(receive(*ours), write_pattern(*ours, 6, 100'000'000), abort_soon(*ours));
  ASSERT_FALSE(heard);
  EXPECT_EQ(heard.error(), Fault::closed) << why(heard);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error(), Fault::closed) << why(written);
  EXPECT_TRUE(aborted);
}

TEST_P(StreamContract, ErrorsNameTheOperationAndThePeer) {
  auto [ours, theirs] = connected();
  const std::string peer = "tcp://" + to_string(theirs->peer());
  ours->abort();
  const auto heard = place->run(receive(*theirs));
  ASSERT_FALSE(heard);
  EXPECT_EQ(to_string(heard.error()), "read " + peer + ": connection reset");
}

// Back-pressure.

TEST_P(StreamContract, ASlowReaderStopsTheWriterWithinABound) {
  constexpr std::size_t bound = 64 << 20;  // of all that may be under way, on both hosts
  static constexpr std::size_t unsent_bound = 1 << 20;  // of that, what the stream itself collects
  struct Progress {
    std::size_t written = 0;
    bool over = false;
  };
  auto flood = [](Stream& to, Progress& progress) -> Io<void> {
    Pattern pattern(7);
    while (progress.written < 4 * bound) {
      const Bytes next = pattern.next(10'000);
      co_await attempt(write_all(to, next));
      pattern.taken(next.size());
      progress.written += next.size();
    }
    progress.over = true;
    co_return {};
  };
  // Reads only when nothing has been written for a while.
  auto drain = [](Stream& from, const Stream& writer, const Progress& progress) -> Io<std::size_t> {
    std::size_t before = 0;
    do {
      before = progress.written;
      co_await sleep(20ms);
    } while (progress.written != before || before == 0);
    const std::size_t stopped_at = progress.written;
    EXPECT_LE(writer.unsent(), unsent_bound);
    EXPECT_GT(writer.unsent(), 0U);
    Pattern pattern(7);
    for (std::size_t read = 0; read < stopped_at;) {
      const Buffer bytes = co_await attempt(receive(from));
      EXPECT_TRUE(pattern.goes_on_with(bytes));
      read += bytes.size();
    }
    while (progress.written == stopped_at) co_await sleep(1ms);  // it goes on
    co_return stopped_at;
  };
  auto both = [&](Stream& ours, Stream& theirs, Progress& progress) -> Io<std::size_t> {
    Scope writer;
    writer.spawn(flood(ours, progress));
    auto draining = drain(theirs, ours, progress);
    co_return co_await draining;
  };
  auto [ours, theirs] = connected();
  Progress progress;
  const auto stopped_at = place->run(both(*ours, *theirs, progress));
  ASSERT_TRUE(stopped_at) << why(stopped_at);
  EXPECT_LT(*stopped_at, bound);
  EXPECT_FALSE(progress.over);
}

TEST_P(StreamContract, AFloodOnOneConnectionLeavesAnotherServed) {
  auto [flooded, sink] = connected();
  auto [ours, theirs] = connected();
  auto discard = [](Stream& from) -> Io<void> {
    while (const Buffer bytes = co_await attempt(receive(from))) {
    }
    co_return {};
  };
  auto story = [&](Stream& out, Stream& in, Stream& asks, Stream& answers) -> Io<std::string> {
    Scope others;
    others.spawn(write_for_ever(out));
    others.spawn(discard(in));
    others.spawn(echo(answers));
    std::string heard;
    for (int round = 0; round < 100; ++round) {
      co_await attempt(write_all(asks, "?"));
      const Buffer answer = co_await attempt(receive(asks));
      heard += answer.text();
    }
    co_return heard;
  };
  EXPECT_EQ(place->run(story(*flooded, *sink, *ours, *theirs)), std::string(100, '?'));
}

// Cancelling.

TEST_P(StreamContract, ACancelledReadLosesNothing) {
  auto [ours, theirs] = connected();
  std::array<std::byte, 100> room;
  const auto late = place->run(within(2ms, read_some(*theirs, room)));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error(), Fault::timed_out) << why(late);
  const auto [said, heard] = place->run(say(*ours, "all of it"), read_to_end(*theirs));
  EXPECT_TRUE(said);
  EXPECT_EQ(heard, "all of it");
}

TEST_P(StreamContract, ACancelledWriteHasSentAPrefix) {
  auto [ours, theirs] = connected();
  const auto late = place->run(within(5ms, write_pattern(*ours, 8, 100'000'000)));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error(), Fault::timed_out) << why(late);
  const auto finished = ours->finish();
  EXPECT_TRUE(finished) << why(finished);
  const auto heard = place->run(read_pattern(*theirs, 8));
  ASSERT_TRUE(heard) << why(heard);
  EXPECT_GT(*heard, 0U);
}

// Closing.

TEST_P(StreamContract, DestroyingAStreamEndsIt) {
  auto [ours, theirs] = connected();
  ours.reset();
  EXPECT_EQ(place->run(read_to_end(*theirs)), "");
}

TEST_P(StreamContract, WhatWasWrittenBeforeItWasDestroyedArrives) {
  const std::size_t held = place->held();
  for (const std::size_t size : {10UL, 60'000UL, 1'000'000UL, 4'000'000UL}) {
    auto [ours, theirs] = connected();
    auto write_and_go = [](std::unique_ptr<Stream> lent, std::size_t bytes) -> Io<void> {
      const auto stream = std::move(lent);  // a local dies when the coroutine is over
      const std::string text(bytes, 'g');
      co_await attempt(write_all(*stream, text));
      co_return {};
    };
    const auto [gone, heard] =
        place->run(write_and_go(std::move(ours), size), read_to_end(*theirs));
    EXPECT_TRUE(gone) << why(gone);
    ASSERT_TRUE(heard) << size << ": " << why(heard);
    EXPECT_EQ(heard->size(), size);
  }
  EXPECT_TRUE(place->settles_at(held));
}

/// Fills the network until it takes no more, for a while: how many bytes it and the stream took.
Io<std::size_t> fill(Stream& to, std::size_t bytes_max) {
  Pattern pattern(9);
  std::size_t total = 0;
  while (total < bytes_max) {
    const Bytes next = pattern.next(std::min<std::size_t>(10'000, bytes_max - total));
    const auto taken = to.write_now(next);
    if (!taken && taken.error() == Fault::would_block) {
      auto flushed = co_await within(20ms, flush(to));
      if (!flushed) break;
      continue;
    }
    if (!taken) co_return std::unexpected(taken.error());
    pattern.taken(*taken);
    total += *taken;
  }
  co_return total;
}

TEST_P(StreamContract, WhatWasWrittenBeforeItWasDestroyedArrivesThoughThePeerIsSlow) {
  const std::size_t held = place->held();
  auto [ours, theirs] = connected();
  const auto written = place->run(fill(*ours, 100'000'000));
  ASSERT_TRUE(written) << why(written);
  EXPECT_GT(ours->unsent(), 0U) << "the network took all; nothing was left to linger";
  ours.reset();

  auto read_slowly = [](Stream& from) -> Io<std::size_t> {
    Pattern pattern(9);
    std::size_t total = 0;
    std::vector<std::byte> room(100'000);
    for (;;) {
      const std::size_t count = co_await attempt(read_some(from, room));
      if (count == 0) co_return total;
      if (!pattern.goes_on_with(Bytes(room).first(count))) co_return fail(Fault::malformed);
      total += count;
      co_await yield();
    }
  };
  const auto heard = place->run(read_slowly(*theirs));
  ASSERT_TRUE(heard) << why(heard);
  EXPECT_EQ(*heard, *written);
  theirs.reset();
  EXPECT_TRUE(place->settles_at(held));
}

TEST_P(StreamContract, WhatWasWrittenArrivesThoughItsWriterLeftInputUnread) {
  const std::size_t held = place->held();
  auto [ours, theirs] = connected();
  // The peer's words are there before we go, and we never read them.
  const auto spoken = place->run(write_all(*theirs, "nobody will read this"));
  ASSERT_TRUE(spoken);
  ASSERT_TRUE(place->run(flush(*theirs)));
  auto go = [](std::unique_ptr<Stream> lent) -> Io<void> {
    const auto stream = std::move(lent);
    std::array<std::byte, 1> first;
    co_await attempt(read_some(*stream, first));
    const std::string text(200'000, 'g');
    co_await attempt(write_all(*stream, text));
    co_return {};
  };
  const auto [gone, heard] = place->run(go(std::move(ours)), read_to_end(*theirs));
  EXPECT_TRUE(gone) << why(gone);
  ASSERT_TRUE(heard) << why(heard);
  EXPECT_EQ(heard->size(), 200'000U);
  theirs.reset();
  EXPECT_TRUE(place->settles_at(held));
}

TEST_P(StreamContract, WhatWasWrittenArrivesThoughThePeerWritesAfterItsWriterLeft) {
  const std::size_t held = place->held();
  // Some of these fit into the network whole and wait there for the peer to make room.
  for (const std::size_t size : {1'000UL, 100'000UL, 200'000UL, 300'000UL, 500'000UL}) {
    auto [ours, theirs] = connected();
    const auto written = place->run(fill(*ours, size));
    ASSERT_TRUE(written) << why(written);
    ours.reset();
    // A kernel that closed the connection would answer this with a reset, and forget what it had to
    // send.
    ASSERT_TRUE(place->run(write_all(*theirs, "more for you")));
    ASSERT_TRUE(place->run(flush(*theirs)));
    const auto heard = place->run(read_pattern(*theirs, 9));
    ASSERT_TRUE(heard) << size << ": " << why(heard);
    EXPECT_EQ(*heard, *written);
  }
  EXPECT_TRUE(place->settles_at(held));
}

TEST_P(StreamContract, WhatWasWrittenArrivesThoughThePeerHasToBeReadBeforeItReads) {
  const std::size_t held = place->held();
  auto [ours, theirs] = connected();
  const auto written = place->run(fill(*ours, 100'000'000));
  ASSERT_TRUE(written) << why(written);
  EXPECT_GT(ours->unsent(), 0U);
  ours.reset();
  auto write_then_read = [](Stream& stream) -> Io<std::size_t> {
    const std::string text(900'000, 't');  // more than fits into the network
    co_await attempt(write_all(stream, text));
    auto reading = read_pattern(stream, 9);
    co_return co_await reading;
  };
  const auto heard = place->run(write_then_read(*theirs));
  ASSERT_TRUE(heard) << why(heard);
  EXPECT_EQ(*heard, *written);
  theirs.reset();
  EXPECT_TRUE(place->settles_at(held));
}

TEST_P(StreamContract, LeavesNothingBehindWhenBothEndsAreGone) {
  const std::size_t held = place->held();
  for (int round = 0; round < 10; ++round) {
    auto [ours, theirs] = connected();
    const auto written = place->run(write_all(*ours, "never read"));
    EXPECT_TRUE(written) << why(written);
  }
  EXPECT_TRUE(place->settles_at(held));
}

// Names, numbers.

TEST_P(StreamContract, BothEndsAgreeOnTheirAddresses) {
  auto [ours, theirs] = connected();
  EXPECT_EQ(ours->local(), theirs->peer());
  EXPECT_EQ(theirs->local(), ours->peer());
  EXPECT_EQ(ours->peer().ip(), place->v4());
  EXPECT_NE(ours->peer().port(), 0);
  EXPECT_EQ(ours->name(), "tcp://" + to_string(ours->peer()));
}

TEST_P(StreamContract, AThousandConnectionsAtOnceAreAllServed) {
  const std::size_t count = std::min<std::size_t>(1000, place->connections_max());
  ASSERT_GE(count, 400U) << "raise the limit on open files";
  const std::size_t held = place->held();
  auto serve_all = [](Listener& listener) -> Io<void> {
    Scope guests;
    auto echo_to = [](std::unique_ptr<Stream> guest) -> Io<void> {
      auto echoing = echo(*guest);
      co_return co_await echoing;
    };
    for (;;) {
      auto guest = co_await attempt(accept(listener));
      guests.spawn(echo_to(std::move(guest)));
    }
  };
  auto story = [&](Listener& listener, std::size_t number) -> Io<std::size_t> {
    Scope serving;
    serving.spawn(serve_all(listener));
    std::vector<std::unique_ptr<Stream>> streams;
    for (std::size_t i = 0; i < number; ++i) {
      auto connection = dial(client(), listener.endpoint());
      streams.push_back(co_await attempt(std::move(connection)));
    }
    // All are open now; each says something of its own, and hears it.
    for (std::size_t i = 0; i < number; ++i) {
      const std::string said = "I am " + std::to_string(i);
      co_await attempt(write_all(*streams[i], said));
    }
    std::size_t right = 0;
    for (std::size_t i = 0; i < number; ++i) {
      const std::string said = "I am " + std::to_string(i);
      std::string heard(said.size(), ' ');
      auto reading = read_exactly(*streams[i], std::as_writable_bytes(std::span(heard)));
      co_await attempt(std::move(reading));
      right += heard == said ? 1 : 0;
    }
    co_return right;
  };
  auto listener = server().listen(place->any_tcp());
  ASSERT_TRUE(listener) << why(listener);
  const auto right = place->run(story(**listener, count));
  ASSERT_TRUE(right) << why(right);
  EXPECT_EQ(*right, count);
  listener->reset();
  EXPECT_TRUE(place->settles_at(held));
}

}  // namespace
}  // namespace koine::contract
