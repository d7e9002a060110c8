// Messages of Protocol Buffers between a client and a server, and what is said about bad ones.
#include "koine/rsocket/protobuf.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "koine/rsocket/json.h"  // claims none of protobuf's classes
#include "koine/rsocket/pair_test.h"
#include "lite.pb.h"
#include "required.pb.h"
#include "words.pb.h"

namespace koine::rsocket {
namespace {

using namespace std::string_view_literals;
using words::Add;
using words::Box;
using words::Light;
using words::Move;
using words::Nothing;
using words::Sum;

static_assert(!Decodable<google::protobuf::Message>, "an interface is no message");

Add add_of(int a, int b) {
  Add add;
  add.set_a(a);
  add.set_b(b);
  return add;
}

Io<Sum> add(Add request) {
  Sum sum;
  sum.set_value(request.a() + request.b());
  sum.set_name("ένα");
  co_return sum;
}

Io<void> count(Add from_to, Sink<Sum>& out) {
  for (int i = from_to.a(); i < from_to.b(); ++i) {
    Sum sum;
    sum.set_value(i);
    co_await attempt(out.send(sum));
  }
  co_return {};
}

Service words_service() {
  Service service;
  service.on("add", add).on("count", count);
  service.on("nothing", [](Nothing nothing) -> Io<Nothing> { co_return nothing; });
  service.on("move", [](Move move) -> Io<std::string> { co_return move.from() + move.to(); });
  service.on("half_move", [](int) -> Io<Move> { co_return Move(); });
  service.on("box", [](Box box) -> Io<Box> { co_return box; });
  service.on("text", [](int) -> Io<std::string> { co_return std::string("text"); });
  return service;
}

class Protobuf : public testing::Test {
 protected:
  Pair pair{words_service()};

  std::string raw(std::string_view route, std::string_view data) {
    return pair.answer(pair.client->call(route, data));
  }
};

/// `depth` boxes, each in the one before it.
std::string boxes(std::size_t depth) {
  std::string bytes;
  for (std::size_t i = 1; i < depth; ++i) {
    std::string size;
    for (std::size_t left = bytes.size(); size.empty() || left != 0; left >>= 7) {
      size += static_cast<char>((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
    }
    bytes.insert(0, "\x0a" + size);
  }
  return bytes;
}

TEST_F(Protobuf, ACallTakesAndGivesMessages) {
  const Add two_and_three = add_of(2, 3);
  const auto sum = pair.finish(pair.client->call<Sum>("add", two_and_three));
  ASSERT_TRUE(sum) << to_string(sum.error());
  EXPECT_EQ(sum->value(), 5);
  EXPECT_EQ(sum->name(), "ένα");
  // As the encoding has it, with nothing around it: field 1, 40; field 2, 2.
  EXPECT_EQ(raw("add", "\x08\x28\x10\x02"), "\x08\x2a\x12\x06ένα");
}

Io<std::string> take_sums(Peer& peer) {
  const Add from_to = add_of(7, 10);
  auto opening = peer.stream<Sum>("count", from_to);
  auto sums = co_await attempt(std::move(opening));
  std::string story;
  while (const auto sum = co_await attempt(sums.next())) {
    story += std::to_string(sum->value()) + ", ";
  }
  co_return story;
}

TEST_F(Protobuf, AStreamSendsMessages) {
  const auto story = pair.finish(take_sums(*pair.client));
  ASSERT_TRUE(story) << to_string(story.error());
  EXPECT_EQ(*story, "7, 8, 9, ");
}

TEST_F(Protobuf, AMessageWithoutFieldsHasNoBytes) {
  const Nothing nothing;
  const auto answer = pair.finish(pair.client->call<Nothing>("nothing", nothing));
  ASSERT_TRUE(answer) << to_string(answer.error());
  EXPECT_EQ(raw("nothing", ""), "");
  const Add zeros;
  const auto sum = pair.finish(pair.client->call<Sum>("add", zeros));
  ASSERT_TRUE(sum) << to_string(sum.error());
  EXPECT_EQ(sum->value(), 0);
}

TEST_F(Protobuf, BytesThatAreNoMessageAreInvalidAndSayWhichMessage) {
  const std::string invalid = "call add: malformed: INVALID: decode request of add: malformed: ";
  EXPECT_EQ(raw("add", "\x08\x28\x10"),
            invalid + "protobuf: koine.words.Add of 3 bytes cannot be read");
  EXPECT_EQ(raw("add", "\x08"), invalid + "protobuf: koine.words.Add of 1 byte cannot be read");
  for (const std::string_view bytes : {
           "{\"a\": 1}"sv,
           "\x00\x01"sv,                                      // field 0
           "\x0f"sv,                                          // wire type 7
           "\x0c"sv,                                          // the end of no group
           "\x12\x7f"sv,                                      // longer than all of it
           "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"sv,  // a number without an end
       }) {
    EXPECT_EQ(raw("add", bytes), invalid + "protobuf: koine.words.Add of " +
                                     std::to_string(bytes.size()) +
                                     (bytes.size() == 1 ? " byte" : " bytes") + " cannot be read");
  }
  EXPECT_EQ(raw("add", "\x08\x01\x10\x01"), "\x08\x02\x12\x06ένα");  // and nobody else is harmed
}

TEST_F(Protobuf, AnAnswerThatIsNoMessageIsTheCallersError) {
  const auto sum = pair.finish(pair.client->call<Sum>("text", 1));
  ASSERT_FALSE(sum);
  EXPECT_EQ(
      to_string(sum.error()),
      "decode answer of text: malformed: protobuf: koine.words.Sum of 4 bytes cannot be read");
}

TEST_F(Protobuf, ARequiredFieldThatIsMissingIsNamed) {
  Move move;
  move.set_from("e2");
  const auto unsent = pair.finish(pair.client->call<std::string>("move", move));
  ASSERT_FALSE(unsent);
  EXPECT_EQ(
      to_string(unsent.error()),
      "encode move: malformed: protobuf: koine.words.Move of 4 bytes lacks required fields: to");
  EXPECT_EQ(raw("move", "\x18\x05"),
            "call move: malformed: INVALID: decode request of move: malformed: "
            "protobuf: koine.words.Move of 2 bytes lacks required fields: from, to");
  EXPECT_EQ(raw("half_move", "1"),
            "call half_move: failed: APPLICATION_ERROR: encode answer: malformed: "
            "protobuf: koine.words.Move of 0 bytes lacks required fields: from, to");
  move.set_to("e4");
  const auto sent = pair.finish(pair.client->call<std::string>("move", move));
  ASSERT_TRUE(sent) << to_string(sent.error());
  EXPECT_EQ(*sent, "e2e4");
}

TEST_F(Protobuf, MessagesInsideEachOtherEndAtProtobufsDepth) {
  const std::string deep = boxes(100);
  EXPECT_EQ(raw("box", deep), deep);
  const std::string too_deep = boxes(1'000);
  EXPECT_EQ(raw("box", too_deep),
            "call box: malformed: INVALID: decode request of box: malformed: protobuf: "
            "koine.words.Box of " +
                std::to_string(too_deep.size()) + " bytes cannot be read");
}

TEST(ProtobufCodec, AppendsToWhatIsThere) {
  ByteVector out;
  append(out, "before "sv);
  Light light;
  light.set_data("light");
  ASSERT_TRUE(Codec<Light>::encode(light, out));
  EXPECT_EQ(as_text(out), "before \x0a\x05light");
  const Light empty;
  EXPECT_FALSE(Codec<Light>::encode(empty, out));
  EXPECT_EQ(as_text(out), "before \x0a\x05light");
}

TEST(ProtobufCodec, RefusesTextThatIsNoUtf8) {
  EXPECT_TRUE(Codec<Sum>::decode(as_bytes("\x12\x02\xce\xad"sv)));
  EXPECT_EQ(to_string(Codec<Sum>::decode(as_bytes("\x12\x02\xce\x41"sv)).error()),
            "malformed: protobuf: koine.words.Sum of 4 bytes cannot be read");
}

TEST(ProtobufCodec, ReadsWhatItWroteAndRefusesEveryPartOfIt) {
  Light light;
  light.set_data("light");
  ByteVector out;
  ASSERT_TRUE(Codec<Light>::encode(light, out));
  const auto back = Codec<Light>::decode(out);
  ASSERT_TRUE(back) << to_string(back.error());
  EXPECT_EQ(back->data(), "light");
  for (std::size_t size = 0; size < out.size(); ++size) {
    const auto part = Codec<Light>::decode(Bytes(out).first(size));
    ASSERT_FALSE(part) << size;
    EXPECT_EQ(part.error(), Fault::malformed) << size;
  }
}

}  // namespace
}  // namespace koine::rsocket
