#include "koine/rsocket/metadata.h"

#include <gtest/gtest.h>

#include <string>

namespace koine::rsocket {
namespace {

using namespace std::string_literals;

/// All entries in words, or why there are none.
std::string entries(std::string_view bytes) {
  std::string text;
  CompositeReader reader(as_bytes(bytes));
  for (;;) {
    const auto entry = reader.next();
    if (!entry) return text + "! " + std::string(entry.error().note());
    if (!*entry) return text;
    text += "[" + std::string((*entry)->mime_type) + "|" + std::string(as_text((*entry)->content)) +
            "]";
  }
}

TEST(CompositeMetadata, IsReadInOrderWithKnownAndOtherTypes) {
  ByteVector out;
  ASSERT_TRUE(append_entry(out, json_mime_type, as_bytes("{}")));
  ASSERT_TRUE(append_entry(out, "x/y", as_bytes("z")));
  ASSERT_TRUE(append_entry(out, json_mime_type, {}));
  EXPECT_EQ(entries(as_text(out)), "[application/json|{}][x/y|z][application/json|]");
  // CompositeMetadata.md: a known type is one byte, another its length less one and its name.
  EXPECT_EQ(std::to_integer<int>(out[0]), 0x85);
  EXPECT_EQ(std::to_integer<int>(out[6]), 2);
}

TEST(CompositeMetadata, PassesOverNumbersThatNobodyDefined) {
  EXPECT_EQ(entries("\xf0\x00\x00\x01"s + "a"), "[|a]");
}

TEST(CompositeMetadata, SaysWhatIsCutOff) {
  EXPECT_EQ(entries("\x05"s + "abc"), "! the mime type is cut off");
  EXPECT_EQ(entries("\x00"s + "\xe9" + "\x00\x00\x00"s), "! the mime type is not ASCII");
  EXPECT_EQ(entries("\x85\x00\x00"s), "! the length of an entry is cut off");
  EXPECT_EQ(entries("\x85\x00\x00\x02{"s), "! an entry is longer than the rest");
  EXPECT_EQ(entries("\x85\x00\x00\x01{\x85"s),
            "[application/json|{]! the length of an entry is cut off");
}

TEST(CompositeMetadata, RefusesToWriteWhatHasNoRoom) {
  ByteVector out;
  EXPECT_EQ(append_entry(out, "", {}).error(), Fault::malformed);
  EXPECT_EQ(append_entry(out, std::string(129, 'x'), {}).error(), Fault::malformed);
  EXPECT_EQ(append_entry(out, "caf\xc3\xa9", {}).error(), Fault::malformed);
  const std::string large(length_max + 1, 'x');
  EXPECT_EQ(append_entry(out, "x/y", as_bytes(large)).error(), Fault::over_limit);
  EXPECT_TRUE(out.empty());
  EXPECT_TRUE(append_entry(out, std::string(128, 'x'), {}));
}

TEST(WellKnownMimeTypes, AreFoundBothWays) {
  int known = 0;
  for (int id = 0; id < 128; ++id) {
    const auto number = static_cast<std::uint8_t>(id);
    const std::string_view type = well_known_mime_type(number);
    if (type.empty()) continue;
    EXPECT_EQ(well_known_id(type), number) << type;
    ++known;
  }
  EXPECT_EQ(known, 49);
  EXPECT_EQ(well_known_mime_type(33), "text/plain");
  EXPECT_EQ(well_known_id(routing_mime_type), 126);
  EXPECT_EQ(well_known_id(composite_mime_type), 127);
  EXPECT_EQ(well_known_id("x/y"), std::nullopt);
}

TEST(RoutingMetadata, IsTheFirstTagOfTheFirstRoutingEntry) {
  ByteVector out;
  ASSERT_TRUE(append_entry(out, "x/y", as_bytes("z")));
  ASSERT_TRUE(append_route(out, "add"));
  ASSERT_TRUE(append_route(out, "other"));
  EXPECT_EQ(find_route(composite_mime_type, out).value(), "add");
}

TEST(RoutingMetadata, MayStandAlone) {
  ByteVector out;
  ASSERT_TRUE(append_tag(out, "one"));
  ASSERT_TRUE(append_tag(out, "two"));
  EXPECT_EQ(find_route(routing_mime_type, out).value(), "one");
  TagReader tags(out);
  EXPECT_EQ(tags.next().value(), "one");
  EXPECT_EQ(tags.next().value(), "two");
  EXPECT_EQ(tags.next().value(), std::nullopt);
}

TEST(RoutingMetadata, MayBeMissingOrCutOff) {
  EXPECT_EQ(find_route(composite_mime_type, {}).value(), std::nullopt);
  EXPECT_EQ(find_route("application/json", as_bytes("{}")).value(), std::nullopt);
  EXPECT_EQ(find_route(routing_mime_type, as_bytes("\x05"
                                                   "add"))
                .error(),
            Fault::malformed);
  ByteVector out;
  EXPECT_EQ(append_route(out, std::string(256, 'r')).error(), Fault::over_limit);
  EXPECT_TRUE(append_route(out, std::string(255, 'r')));
}

}  // namespace
}  // namespace koine::rsocket
