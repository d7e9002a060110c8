// Typed handlers and calls: what users write, and what they hear when a message is not what it
// should be.
#include "koine/rsocket/service.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "koine/async/sleep.h"
#include "koine/rsocket/json.h"
#include "koine/rsocket/pair_test.h"

namespace koine::rsocket {
namespace {

struct Add {
  int a = 0;
  int b = 0;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Add, a, b)

struct Sum {
  int value = 0;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Sum, value)

/// The same in CBOR.
struct Pack {
  std::vector<int> numbers = {};
  std::string name = {};
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Pack, numbers, name)

/// A codec without any library: two letters.
struct Colour {
  std::string letters = "no";
};

}  // namespace
}  // namespace koine::rsocket

template <>
struct koine::Codec<koine::rsocket::Pack> : koine::CborCodec<koine::rsocket::Pack> {};

template <>
struct koine::Codec<koine::rsocket::Colour> {
  static Result<rsocket::Colour> decode(Bytes bytes) {
    if (bytes.size() == 2) return rsocket::Colour{std::string(as_text(bytes))};
    return rsocket::detail::not_a("two letters", bytes);
  }
  static Result<void> encode(const rsocket::Colour& colour, rsocket::ByteVector& out) {
    if (colour.letters.size() != 2) return fail(Fault::over_limit);
    rsocket::append(out, std::string_view(colour.letters));
    return {};
  }
};

namespace koine::rsocket {
namespace {

Io<Sum> add(Add request) { co_return Sum{request.a + request.b}; }

Io<void> count(int to, Sink<int>& out) {
  for (int i = 0; i < to; ++i) co_await attempt(out.send(i));
  co_return {};
}

Io<void> sums(Source<int>& in, Sink<Sum>& out) {
  Sum sum;
  while (auto number = co_await attempt(in.next())) {
    sum.value += *number;
    co_await attempt(out.send(sum));
  }
  co_return {};
}

Service typed_service(std::string& log) {
  Service service;
  service.on("add", add).on("count", count).on("sums", sums);
  service.on("note", [&log](std::string line) -> Io<void> {
    log += line + ", ";
    co_return {};
  });
  service.on("refuse", [](int number) -> Io<void> {
    co_return fail(Fault::denied, "take", std::to_string(number));
  });
  service.on("pack", [](Pack pack) -> Io<Pack> {
    pack.numbers.push_back(4);
    co_return pack;
  });
  service.on("colour", [](Colour colour) -> Io<Colour> { co_return colour; });
  service.on("long_colour", [](int) -> Io<Colour> { co_return Colour{"too long"}; });
  service.on("text", [](int) -> Io<std::string> { co_return std::string("text"); });
  service.on("bad_items", [](int, Sink<std::string>& out) -> Io<void> {
    for (const std::string item : {"1", "two", "3"}) co_await attempt(out.send(item));
    co_return {};
  });
  return service;
}

class Typed : public testing::Test {
 protected:
  std::string log;
  Pair pair{typed_service(log)};

  /// The JSON that an untyped caller gets.
  std::string raw(std::string_view route, std::string_view data) {
    return pair.answer(within(1s, pair.client->call(route, data)));
  }
};

TEST_F(Typed, ACallTakesAndGivesStructs) {
  const auto sum = pair.finish(within(200ms, pair.client->call<Sum>("add", Add{2, 3})));
  ASSERT_TRUE(sum) << to_string(sum.error());
  EXPECT_EQ(sum->value, 5);
  EXPECT_EQ(raw("add", R"({"a": 40, "b": 2})"), R"({"value":42})");
}

TEST_F(Typed, StructsTravelInBinaryAndInCodecsOfOnesOwn) {
  const Pack pack{{1, 2, 3}, "κόσμε"};
  const auto packed = pair.finish(pair.client->call<Pack>("pack", pack));
  ASSERT_TRUE(packed) << to_string(packed.error());
  EXPECT_EQ(packed->numbers, (std::vector{1, 2, 3, 4}));
  EXPECT_EQ(packed->name, "κόσμε");
  const Colour blue{"bl"};
  const auto colour = pair.finish(pair.client->call<Colour>("colour", blue));
  ASSERT_TRUE(colour) << to_string(colour.error());
  EXPECT_EQ(colour->letters, "bl");
}

TEST_F(Typed, ARequestThatIsNotWhatItShouldBeIsInvalidAndSaysWhy) {
  const std::string invalid = ": malformed: INVALID: decode request of ";
  EXPECT_EQ(raw("add", "{\"a\": 1}"),
            "call add" + invalid + "add: malformed: JSON: key 'b' not found");
  EXPECT_EQ(raw("add", "{\"a\": 1, \"b\": \"x\"}"),
            "call add" + invalid + "add: malformed: JSON: type must be number, but is string");
  EXPECT_EQ(raw("add", "{x"),
            "call add" + invalid +
                "add: malformed: JSON: parse error at line 1, column 2: syntax error while parsing "
                "object key - invalid literal; last read: '{x'; expected string literal");
  EXPECT_EQ(raw("text", "seven"),
            "call text" + invalid +
                "text: malformed: expected an integer from -2147483648 to 2147483647, not 'seven'");
  EXPECT_EQ(raw("text", "99999999999").find("call text" + invalid), 0u);
  EXPECT_EQ(raw("text", "").find("call text" + invalid), 0u);
  EXPECT_EQ(raw("colour", "blue"),
            "call colour" + invalid + "colour: malformed: expected two letters, not 'blue'");
}

TEST_F(Typed, JsonThatIsNestedTooDeepIsRefusedInEveryFormat) {
  EXPECT_NE(raw("add", std::string(100'000, '[')).find("more than 128 arrays and objects"),
            std::string::npos);
  // An array of one, 100,000 times: in CBOR 0x81.
  EXPECT_NE(raw("pack", std::string(100'000, '\x81')).find("CBOR: more than 128 arrays"),
            std::string::npos);
  EXPECT_EQ(raw("text", "1"), "text");  // and nobody else is harmed
}

TEST_F(Typed, AnAnswerThatIsNotWhatItShouldBeSaysWhatWasExpected) {
  const auto number = pair.finish(pair.client->call<int>("text", 1));
  ASSERT_FALSE(number);
  EXPECT_EQ(to_string(number.error()),
            "decode answer of text: malformed: expected an integer from -2147483648 to 2147483647, "
            "not 'text'");
}

TEST_F(Typed, WhatCannotBeEncodedIsNotSent) {
  const Colour too_long{"blue"};
  const auto colour = pair.finish(pair.client->call<Colour>("colour", too_long));
  ASSERT_FALSE(colour);
  EXPECT_EQ(to_string(colour.error()), "encode colour: over the limit");
  EXPECT_EQ(raw("long_colour", "1"),
            "call long_colour: failed: APPLICATION_ERROR: encode answer: over the limit");
  EXPECT_EQ(pair.finish(pair.client->fire("colour", too_long)).error(), Fault::over_limit);
}

TEST_F(Typed, AHandlerWithoutAnAnswerIsFiredAndCalled) {
  EXPECT_TRUE(pair.finish(pair.client->fire("note", std::string_view("fired"))));
  EXPECT_TRUE(pair.finish(pair.client->call<void>("note", "called")));
  EXPECT_EQ(log, "fired, called, ");
  const auto refused = pair.finish(pair.client->call<void>("refuse", 7));
  ASSERT_FALSE(refused);
  EXPECT_EQ(to_string(refused.error()),
            "call refuse: failed: APPLICATION_ERROR: take 7: permission denied");
}

Io<int> add_up(Peer& peer, int to) {
  auto opening = peer.stream<int>("count", to);
  auto numbers = co_await attempt(std::move(opening));
  int sum = 0;
  while (auto number = co_await attempt(numbers.next())) sum += *number;
  co_return sum;
}

TEST_F(Typed, AStreamSendsItemsUntilItsHandlerEnds) {
  const auto sum = pair.finish(add_up(*pair.client, 1000));
  ASSERT_TRUE(sum) << to_string(sum.error());
  EXPECT_EQ(*sum, 999 * 1000 / 2);
  EXPECT_EQ(pair.server->connection().streams(), 0u);
}

Io<std::string> take_numbers(Peer& peer) {
  auto opening = peer.stream<int>("bad_items", 0);
  auto numbers = co_await attempt(std::move(opening));
  std::string story;
  for (;;) {
    auto next = numbers.next();
    auto number = co_await next;
    if (!number) {
      story += to_string(number.error()) + "; ";
    } else if (*number) {
      story += std::to_string(**number) + "; ";
    } else {
      co_return story + "end";
    }
  }
}

TEST_F(Typed, AnItemThatIsNotWhatItShouldBeDoesNotEndTheStream) {
  const auto story = pair.finish(take_numbers(*pair.client));
  ASSERT_TRUE(story);
  EXPECT_EQ(*story,
            "1; decode item bad_items: malformed: expected an integer from -2147483648 to "
            "2147483647, not 'two'; 3; end");
}

Io<std::string> sum_up(Peer& peer) {
  auto opening = peer.channel<Sum, int>("sums", 1, {.window = 2});
  auto channel = co_await attempt(std::move(opening));
  std::string story;
  for (int i = 2; i <= 50; ++i) {
    const auto so_far = co_await attempt(channel.next());
    story = std::to_string(so_far ? so_far->value : -1);
    co_await attempt(channel.send(i));
  }
  channel.complete();
  while (const auto last = co_await attempt(channel.next())) story = std::to_string(last->value);
  co_return story;
}

TEST_F(Typed, TheRequestOfAChannelIsItsFirstItem) {
  const auto story = pair.finish(sum_up(*pair.client));
  ASSERT_TRUE(story) << to_string(story.error());
  EXPECT_EQ(*story, "1275");
  memory::settle(pair.time);
  EXPECT_EQ(pair.server->handlers(), 0u);
}

TEST_F(Typed, AWrongKindOfRequestHasNoHandler) {
  EXPECT_EQ(raw("count", "3"),
            "call count: malformed: INVALID: no handler for REQUEST_RESPONSE of route 'count'");
}

template <class T>
std::string coded(const T& value) {
  const Encoded encoded(value);
  if (!encoded.failure()) return to_string(encoded.failure().error());
  const auto back = decode<T>(encoded.payload());
  EXPECT_TRUE(back);
  if (back) {
    EXPECT_EQ(*back, value);
  }
  return std::string(as_text(encoded.payload().data));
}

TEST(Codecs, NumbersAreWrittenAsInJson) {
  EXPECT_EQ(coded(-7), "-7");
  EXPECT_EQ(coded(std::numeric_limits<std::uint64_t>::max()), "18446744073709551615");
  EXPECT_EQ(coded(std::numeric_limits<std::int8_t>::min()), "-128");
  EXPECT_EQ(coded(0.1), "0.1");
  EXPECT_EQ(coded(true), "true");
  EXPECT_EQ(coded(std::string("as it is")), "as it is");
  EXPECT_EQ(coded(std::numeric_limits<double>::infinity()),
            "encode: malformed: not a number, or infinite");
}

TEST(Codecs, WhatIsNoNumberIsRefused) {
  for (const char* text : {"", " 1", "1 ", "+1", "1.5", "0x1", "2147483648", "--1", "1,000"}) {
    EXPECT_FALSE(Codec<int>::decode(as_bytes(text))) << text;
  }
  for (const char* text : {"", "nan", "inf", "1.5x", " 1", "1e999"}) {
    EXPECT_FALSE(Codec<double>::decode(as_bytes(text))) << text;
  }
  EXPECT_FALSE(Codec<unsigned>::decode(as_bytes("-1")));
  EXPECT_FALSE(Codec<std::uint8_t>::decode(as_bytes("256")));
  EXPECT_FALSE(Codec<bool>::decode(as_bytes("1")));
  const std::string unprintable = "\x01" + std::string(100, 'x');
  EXPECT_EQ(to_string(Codec<bool>::decode(as_bytes(unprintable)).error()),
            "malformed: expected true or false, not '?xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...'");
}

}  // namespace
}  // namespace koine::rsocket
