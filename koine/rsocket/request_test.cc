#include "koine/rsocket/request.h"

#include <gtest/gtest.h>

#include <string>

#include "koine/rsocket/words_test.h"

namespace koine::rsocket {
namespace {

std::string told(std::string_view mime_type, Bytes metadata) {
  const auto head = parse_head(mime_type, metadata);
  if (!head) return to_string(head.error());
  std::string text(head->route);
  if (head->timeout) text += " in " + std::to_string(head->timeout->count()) + " ns";
  return text;
}

std::string there_and_back(std::string_view mime_type, const RequestHead& head) {
  ByteVector metadata;
  const auto written = append_head(metadata, mime_type, head);
  if (!written) return to_string(written.error());
  return told(mime_type, metadata);
}

TEST(RequestHead, ComesBackAsItWasWritten) {
  EXPECT_EQ(there_and_back(composite_mime_type, {.route = "add"}), "add");
  EXPECT_EQ(there_and_back(composite_mime_type, {.route = "add", .timeout = 200ms}),
            "add in 200000000 ns");
  EXPECT_EQ(there_and_back(composite_mime_type, {.route = "add", .timeout = -1ns}), "add in 0 ns");
  EXPECT_EQ(there_and_back(composite_mime_type, {.route = "", .timeout = Duration::max()}),
            " in 9223372036854775807 ns");
  EXPECT_EQ(there_and_back(routing_mime_type, {.route = "add", .timeout = 1s}), "add");
  EXPECT_EQ(there_and_back("text/plain", {.route = "add"}),
            "request add: not supported: the connection's metadata has no routes");
  EXPECT_EQ(there_and_back(composite_mime_type, {.route = std::string(256, 'x')}).find("write"),
            0u);
}

TEST(RequestHead, PassesOverWhatItDoesNotKnow) {
  ByteVector metadata;
  ASSERT_TRUE(append_entry(metadata, "text/plain", as_bytes("hello")));
  ASSERT_TRUE(append_head(metadata, composite_mime_type, {.route = "add", .timeout = 5ns}));
  ASSERT_TRUE(append_route(metadata, "second"));
  EXPECT_EQ(told(composite_mime_type, metadata), "add in 5 ns");
  EXPECT_EQ(told("text/plain", as_bytes("anything")), "");
}

TEST(RequestHead, SaysWhatIsWrong) {
  ByteVector metadata;
  ASSERT_TRUE(append_entry(metadata, timeout_mime_type, as_bytes("1234567")));
  EXPECT_EQ(told(composite_mime_type, metadata),
            "read timeout: malformed: expected 8 bytes, not 7");
  ByteVector whole;
  ASSERT_TRUE(append_head(whole, composite_mime_type, {.route = "add", .timeout = 5ns}));
  for (std::size_t size = 1; size < whole.size(); ++size) {
    const std::string text = told(composite_mime_type, Bytes(whole).first(size));
    if (text != "add") {  // all of the first entry, and nothing of the second
      EXPECT_NE(text.find("malformed"), std::string::npos) << size << ": " << text;
    }
  }
  // More than a Duration can hold is as good as for ever.
  ByteVector endless;
  ASSERT_TRUE(append_entry(endless, timeout_mime_type, bytes_of("ffffffff ffffffff")));
  EXPECT_EQ(told(composite_mime_type, endless), " in 9223372036854775807 ns");
}

}  // namespace
}  // namespace koine::rsocket
