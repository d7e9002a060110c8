#include "koine/transport/reader.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "koine/async/within.h"
#include "koine/transport/memory_test.h"

namespace koine {
namespace {

using namespace std::string_literals;
using memory::MemoryStream;
using memory::Pipe;

/// A stream that brings what a test puts into it.
struct Scripted {
  explicit Scripted(Loop& loop)
      : in(std::make_shared<Pipe>(loop, 0)),
        stream(blocks, in, std::make_shared<Pipe>(loop, 0), Address(loopback_v4, 1),
               Address(IpAddress::v4(10, 0, 0, 7), 80)) {}

  void put(std::string_view text) { in->put(as_bytes(text)); }

  memory::Blocks blocks;
  std::shared_ptr<Pipe> in;
  MemoryStream stream;
};

// Each writes down what it read: `[line]`, or how it ended.

void note(std::string& story, std::string_view text) { story += "[" + std::string(text) + "]"; }
void note(std::string& story, Bytes bytes) { note(story, as_text(bytes)); }
template <class T>
void note(std::string& story, const std::optional<T>& found) {
  found ? note(story, *found) : note(story, std::string_view("end"));
}

template <class Op>
Task<bool> read_one(Op op, std::string& story) {
  auto answer = co_await op;
  if (answer) {
    note(story, *answer);
  } else {
    story += "{" + std::string(to_string(answer.error().fault())) + "}";
  }
  co_return answer.has_value();
}

using Plan = std::function<Task<bool>(Reader&, std::string& story)>;

Plan line() {
  return [](Reader& reader, std::string& story) { return read_one(reader.line(), story); };
}
Plan until(std::string_view delimiter) {
  return [delimiter](Reader& reader, std::string& story) {
    return read_one(reader.until(as_bytes(delimiter)), story);
  };
}
Plan exactly(std::size_t size) {
  return
      [size](Reader& reader, std::string& story) { return read_one(reader.exactly(size), story); };
}
Plan prefixed(LengthPrefix prefix) {
  return [prefix](Reader& reader, std::string& story) {
    return read_one(reader.prefixed(prefix), story);
  };
}

Task<void> follow(Reader& reader, const std::vector<Plan>& plans, std::string& story) {
  for (const Plan& plan : plans) {
    auto step = plan(reader, story);
    if (!co_await step) co_return;
  }
}

using Chunks = std::vector<std::string>;

/// What a reader makes of `chunks`, then the end. They arrive one by one when it waits for them, or
/// all before it looks.
std::string story_of(const Chunks& chunks, bool one_by_one, const std::vector<Plan>& plans,
                     ReaderOptions options = {}) {
  VirtualTime time;
  Scripted script(time.loop());
  std::string story;
  {
    Reader reader(script.stream, options);
    Started<Task<void>> started(time.loop(), follow(reader, plans, story));
    for (const std::string& chunk : chunks) {
      if (one_by_one) memory::settle(time);
      script.put(chunk);
    }
    if (one_by_one) memory::settle(time);
    script.in->finish();
    memory::settle(time);
    EXPECT_TRUE(started.done());
  }
  EXPECT_EQ(script.blocks.lent, 0);
  return story;
}

/// Every way to cut `text` in up to three, and into single bytes.
std::vector<Chunks> ways_to_cut(const std::string& text) {
  std::vector<Chunks> ways{{text}};
  for (std::size_t first = 1; first < text.size(); ++first) {
    ways.push_back({text.substr(0, first), text.substr(first)});
    for (std::size_t second = first + 1; second < text.size(); ++second) {
      ways.push_back(
          {text.substr(0, first), text.substr(first, second - first), text.substr(second)});
    }
  }
  Chunks bytes;
  for (const char byte : text) bytes.emplace_back(1, byte);
  ways.push_back(std::move(bytes));
  return ways;
}

void expect_story(const std::string& text, const std::vector<Plan>& plans,
                  const std::string& expected, ReaderOptions options = {}) {
  for (const Chunks& chunks : ways_to_cut(text)) {
    for (const bool one_by_one : {false, true}) {
      std::string cut;
      for (const std::string& chunk : chunks) cut += std::to_string(chunk.size()) + " ";
      ASSERT_EQ(story_of(chunks, one_by_one, plans, options), expected)
          << "cut into " << cut << "bytes, " << (one_by_one ? "one by one" : "all at once");
    }
  }
}

TEST(Reader, FindsTheSameLinesHoweverTheyArrive) {
  expect_story("one\ntwo\r\n\nfour\r\r\nfi\rve\n", {line(), line(), line(), line(), line(), line()},
               "[one][two][][four\r][fi\rve][end]");
}

TEST(Reader, TakesALastLineWithoutItsEnd) {
  expect_story("one\nand", {line(), line(), line()}, "[one][and][end]");
  expect_story("\nand\r", {line(), line(), line()}, "[][and\r][end]");
}

TEST(Reader, SaysTheEndAgainAndAgain) {
  expect_story("x\n", {line(), line(), line(), until(";"), prefixed(LengthPrefix::u8)},
               "[x][end][end][end][end]");
}

TEST(Reader, FindsDelimitersThatOverlapThemselves) {
  expect_story("aab;aaaab;", {until("aab;"), until("aab;"), until("aab;")}, "[][aa][end]");
  expect_story("x--y---z--", {until("--"), until("--"), until("--"), until("--")},
               "[x][y][-z][end]");
}

TEST(Reader, TakesExactNumbersOfBytes) {
  expect_story("abcdefghij", {exactly(1), exactly(4), exactly(0), exactly(5), exactly(0)},
               "[a][bcde][][fghij][]");
}

TEST(Reader, FindsLengthPrefixedMessages) {
  expect_story("\x03"s + "abc" + "\x00"s + "\x01"s + "d",
               {prefixed(LengthPrefix::u8), prefixed(LengthPrefix::u8), prefixed(LengthPrefix::u8),
                prefixed(LengthPrefix::u8)},
               "[abc][][d][end]");
  expect_story(
      "\x00\x03"s + "abc" + "\x00\x00"s,
      {prefixed(LengthPrefix::be16), prefixed(LengthPrefix::be16), prefixed(LengthPrefix::be16)},
      "[abc][][end]");
}

TEST(Reader, MixesAllKindsOnOneStream) {
  expect_story("head 5\nhello\x02okkey=value;tail",
               {line(), exactly(5), prefixed(LengthPrefix::u8), until("="), until(";"), line()},
               "[head 5][hello][ok][key][value][tail]");
}

TEST(Reader, FailsWithEndedWhenTheEndComesInTheMiddle) {
  expect_story("abc", {exactly(2), exactly(2)}, "[ab]{ended too early}");
  expect_story("ab", {exactly(2), exactly(1)}, "[ab]{ended too early}");
  expect_story("ab;c", {until(";"), until(";")}, "[ab]{ended too early}");
  expect_story("\x02"s + "ab" + "\x02" + "c",
               {prefixed(LengthPrefix::u8), prefixed(LengthPrefix::u8)}, "[ab]{ended too early}");
  expect_story("\x00"s, {prefixed(LengthPrefix::be16)}, "{ended too early}");
}

TEST(Reader, RefusesWhatIsLongerThanAMessageMayBe) {
  const ReaderOptions options{.message_bytes_max = 4};
  expect_story("1234\n12345\n", {line(), line()}, "[1234]{over the limit}", options);
  expect_story("1234\r\n12345\r\n", {line(), line()}, "[1234]{over the limit}", options);
  expect_story("1234;12345;", {until(";"), until(";")}, "[1234]{over the limit}", options);
  expect_story("1234", {exactly(4), exactly(5)}, "[1234]{over the limit}", options);
  expect_story("\x04"s + "1234" + "\x05", {prefixed(LengthPrefix::u8), prefixed(LengthPrefix::u8)},
               "[1234]{over the limit}", options);
}

TEST(Reader, NeverHoldsMuchMoreThanOneMessage) {
  VirtualTime time;
  Scripted script(time.loop());
  for (int i = 0; i < 1000; ++i) script.put(std::string(100, 'x'));
  Reader reader(script.stream, {.message_bytes_max = 1000});
  const auto line = time.finish(reader.line());

  ASSERT_TRUE(line.has_value());
  EXPECT_EQ(*line, std::unexpected(Fault::over_limit));
  // Eleven arrivals of a hundred bytes show that the line is too long; nobody asked for more.
  std::size_t left = 0;
  while (!script.in->read(1000).empty()) ++left;
  EXPECT_EQ(left, 1000 - 11);
}

TEST(Reader, NamesThePeerAndThePlaceInItsErrors) {
  VirtualTime time;
  Scripted script(time.loop());
  script.put("12345");
  script.in->finish();
  Reader reader(script.stream, {.message_bytes_max = 64});
  EXPECT_EQ(to_string(time.finish(reader.until(as_bytes(";")))->error()),
            "read tcp://10.0.0.7:80: ended too early: after 5 bytes of a message");
  EXPECT_EQ(to_string(time.finish(reader.exactly(65))->error()),
            "read tcp://10.0.0.7:80: over the limit: 65 bytes, where a message may have 64");
}

TEST(Reader, GivesWhatIsThereWithoutWaitingForMore) {
  VirtualTime time;
  Scripted script(time.loop());
  Reader reader(script.stream);
  script.put("ab");
  script.put("cd");
  EXPECT_EQ(as_text(**time.finish(reader.some())), "ab");
  EXPECT_EQ(as_text(**time.finish(reader.some())), "cd");
  script.in->finish();
  EXPECT_TRUE((*time.finish(reader.some()))->empty());
  EXPECT_TRUE((*time.finish(reader.some()))->empty());
}

TEST(Reader, KnowsWhetherBytesArriveThatNobodyTook) {
  VirtualTime time;
  Scripted script(time.loop());
  Reader reader(script.stream);
  EXPECT_FALSE(reader.has_buffered());
  script.put("one\nt");
  script.put("wo\nthree\n");
  EXPECT_EQ(**time.finish(reader.line()), "one");
  EXPECT_TRUE(reader.has_buffered());
  EXPECT_EQ(**time.finish(reader.line()), "two");
  EXPECT_TRUE(reader.has_buffered());
  EXPECT_EQ(reader.buffered(), 6U);
  EXPECT_EQ(**time.finish(reader.line()), "three");
  EXPECT_FALSE(reader.has_buffered());
}

TEST(Reader, LosesNothingWhenCancelledInTheMiddleOfAMessage) {
  VirtualTime time;
  Scripted script(time.loop());
  Reader reader(script.stream);
  for (const char* part : {"he", "ll", "o"}) {
    script.put(part);
    const auto late = time.finish(within(1s, reader.line()));
    EXPECT_EQ(*late, std::unexpected(Fault::timed_out));
  }
  script.put("\nworld\n");
  EXPECT_EQ(**time.finish(reader.line()), "hello");
  EXPECT_EQ(**time.finish(reader.line()), "world");
}

TEST(Reader, MayBeAskedForSomethingElseAfterACancelledOperation) {
  VirtualTime time;
  Scripted script(time.loop());
  Reader reader(script.stream);
  script.put("a;b");
  script.put("c;d");
  EXPECT_EQ(*time.finish(within(1s, reader.line())), std::unexpected(Fault::timed_out));
  // The line was looked for in all of it; the delimiter was not.
  const auto until_semicolon = *time.finish(reader.until(as_bytes(";")));
  EXPECT_EQ(as_text(**until_semicolon), "a");
  EXPECT_EQ(as_text(**time.finish(reader.exactly(1))), "b");
  EXPECT_EQ(as_text(**time.finish(reader.some())), "c;d");
}

TEST(Reader, LosesNothingOnErrorsThatPass) {
  VirtualTime time;
  Scripted script(time.loop());
  Reader reader(script.stream, {.message_bytes_max = 4});
  script.put("12345;6\n");
  EXPECT_EQ(*time.finish(reader.line()), std::unexpected(Fault::over_limit));
  EXPECT_EQ(as_text(**time.finish(reader.exactly(4))), "1234");
  EXPECT_EQ(**time.finish(reader.line()), "5;6");
}

TEST(Reader, HandsOnTheErrorsOfItsStream) {
  VirtualTime time;
  Scripted script(time.loop());
  Reader reader(script.stream);
  script.put("half");
  EXPECT_EQ(*time.finish(within(1s, reader.line())), std::unexpected(Fault::timed_out));
  script.in->reset();
  EXPECT_EQ(*time.finish(reader.line()), std::unexpected(Fault::reset));
  script.stream.abort();
  EXPECT_EQ(*time.finish(reader.line()), std::unexpected(Fault::closed));
  EXPECT_EQ(as_text(**time.finish(reader.some())), "half");  // that had come before
}

TEST(Reader, EndsAMessageThatComesTooSlowly) {
  VirtualTime time;
  Scripted script(time.loop());
  Reader reader(script.stream, {.message_time = 10s, .bytes_per_second_min = 2});
  std::string story;
  Started<Task<bool>> started(time.loop(), read_one(reader.line(), story));
  // A byte a second: half of what is asked for. After t seconds t+1 bytes are there, for which
  // 10 + (t+1)/2 s are allowed, so the end is at the first t > 21.
  int seconds = 0;
  script.put("x");
  memory::settle(time);
  while (!started.done() && seconds < 100) {
    memory::pass(time, 1s);
    ++seconds;
    script.put("x");
    memory::settle(time);
  }
  EXPECT_EQ(seconds, 22);
  EXPECT_EQ(story, "{timed out}");
}

TEST(Reader, LetsASlowMessageComeThatIsFastEnough) {
  VirtualTime time;
  Scripted script(time.loop());
  Reader reader(script.stream, {.message_time = 10s, .bytes_per_second_min = 2});
  std::string story;
  Started<Task<bool>> started(time.loop(), read_one(reader.line(), story));
  for (int second = 0; second < 1000; ++second) {
    script.put("xx");
    memory::pass(time, 1s);
  }
  script.put("\n");
  memory::settle(time);
  ASSERT_TRUE(started.done());
  EXPECT_EQ(story, "[" + std::string(2000, 'x') + "]");
}

TEST(Reader, CountsNoSilenceBetweenMessages) {
  VirtualTime time;
  Scripted script(time.loop());
  Reader reader(script.stream, {.message_time = 1s, .bytes_per_second_min = 1'000'000});
  for (int hour = 0; hour < 3; ++hour) {
    memory::pass(time, 1h);
    script.put("tick\n");
    EXPECT_EQ(**time.finish(reader.line()), "tick");
  }
  // Nor does it hold against the peer what we took long to ask for.
  script.put("half");
  script.put("\n");
  memory::pass(time, 1h);
  EXPECT_EQ(**time.finish(reader.line()), "half");
}

TEST(Reader, AllowsAnyRateIfAskedTo) {
  VirtualTime time;
  Scripted script(time.loop());
  Reader reader(script.stream, {.bytes_per_second_min = 0});
  std::string story;
  Started<Task<bool>> started(time.loop(), read_one(reader.line(), story));
  for (const char* byte : {"s", "l", "o", "w", "\n"}) {
    script.put(byte);
    memory::pass(time, 24h);
  }
  EXPECT_EQ(story, "[slow]");
}

TEST(Reader, HoldsNoMemoryWhileItWaitsForAMessageToBegin) {
  VirtualTime time;
  Scripted script(time.loop());
  Reader reader(script.stream);
  std::string story;
  const std::vector<Plan> plans{line(), line(), line(), line()};
  Started<Task<void>> started(time.loop(), follow(reader, plans, story));
  script.put("one\n");
  memory::settle(time);
  EXPECT_EQ(script.blocks.lent, 0);
  script.put("t");
  script.put("wo\nthree\n");  // straddles, so it was gathered
  memory::settle(time);
  EXPECT_EQ(story, "[one][two][three]");
  EXPECT_EQ(script.blocks.lent, 0);
}

}  // namespace
}  // namespace koine
