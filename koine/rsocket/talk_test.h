// One side of a connection, and a test that plays the other.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "koine/rsocket/connection.h"
#include "koine/rsocket/words_test.h"

namespace koine::rsocket {

/// An event in words; nothing if nothing happened.
inline std::string words(const Event& event) {
  using Kind = Event::Kind;
  static constexpr const char* names[] = {
      "",       "setup",     "resume",    "resumed", "lost",   "request", "next",  "completed",
      "failed", "cancelled", "requested", "pushed",  "leased", "closing", "closed"};
  if (event.kind == Kind::none) return event.is_over ? "(over)" : "";
  std::string text = names[static_cast<int>(event.kind)];
  if (event.stream_id != 0) text += " " + std::to_string(event.stream_id);
  if (event.kind == Kind::request) text += " " + std::string(to_string(event.type));
  if (event.kind == Kind::failed || event.kind == Kind::closed || event.kind == Kind::closing)
    text += " " + to_string(event.code) + " (" + std::string(to_string(event.fault)) + ")";
  if (event.payload.metadata) text += " [" + std::string(as_text(*event.payload.metadata)) + "]";
  if (!event.payload.data.empty()) text += " '" + std::string(as_text(event.payload.data)) + "'";
  if (!event.text.empty()) text += " " + std::string(event.text);
  if (event.is_last) text += " last";
  if (event.is_over) text += " over";
  return text;
}

inline constexpr const char* good_setup = "00000000 0400 0001 0000 00004e20 00015f90 01 'm' 01 'd'";

/// One side, and a test that plays the other.
class Talk {
 public:
  explicit Talk(Side side, ConnectionOptions options = {}) : connection(side, options, Instant()) {
    if (side == Side::server) {
      EXPECT_EQ(hear(good_setup), "setup");
    } else {
      EXPECT_EQ(said().substr(0, 11), "0 SETUP 1.0");
    }
  }
  struct Fresh {};
  Talk(Fresh, Side side, ConnectionOptions options = {}) : connection(side, options, Instant()) {}

  /// What a frame brings, in words.
  std::string hear(std::string_view written) {
    const auto bytes = bytes_of(written);
    return words(connection.receive(bytes, now));
  }
  /// What has been said since, in words.
  std::string said() {
    const Bytes out = connection.output();
    const std::string text = story(ByteVector(out.begin(), out.end()));
    connection.sent(out.size());
    return text;
  }
  std::string pass(Duration duration) {
    now += duration;
    return words(connection.tick(now));
  }
  Result<std::uint32_t> ask(FrameType type, std::string_view text, std::uint32_t n = 0) {
    return connection.open({.type = type, .initial_n = n, .payload = {as_bytes(text), {}}}, this,
                           now);
  }

  Instant now{};
  Connection connection;
};

}  // namespace koine::rsocket
