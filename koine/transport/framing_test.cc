#include "koine/transport/framing.h"

#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "koine/base/random.h"

namespace koine {
namespace {

using Find = std::function<Result<FrameDecision>(Bytes received, std::size_t& scanned)>;

/// All messages of `text` in order, `|` behind each, then what became of the rest: how many bytes
/// are missing, or the error. Brings `chunk_bytes` at a time, and holds the functions to what they
/// promise: that no message needs fewer bytes than were said to be missing.
std::string messages(const Find& find, std::string_view text, std::size_t chunk_bytes) {
  std::string log;
  std::string received;
  std::size_t scanned = 0;
  std::size_t missing = 1;
  while (true) {
    const std::string_view chunk = text.substr(0, chunk_bytes);
    received += chunk;
    text.remove_prefix(chunk.size());
    while (true) {
      // Exactly as large as it says: reading past the end is seen by AddressSanitizer.
      const std::vector<char> exact(received.begin(), received.end());
      const Bytes bytes = std::as_bytes(std::span(exact));
      const auto decision = find(bytes, scanned);
      if (!decision) return log + to_string(decision.error());
      if (!decision->is_complete) {
        missing = decision->missing;
        EXPECT_GE(missing, 1U);
        EXPECT_LE(scanned, received.size());
        break;
      }
      EXPECT_LE(decision->skip + decision->size, decision->consumed);
      EXPECT_LE(decision->consumed, received.size());
      log += as_text(decision->payload(bytes));
      log += '|';
      received.erase(0, decision->consumed);
      scanned = 0;
      missing = 1;
    }
    if (text.empty()) return log + std::to_string(missing) + " missing";
  }
}

Find lines(std::size_t bytes_max) {
  return
      [=](Bytes received, std::size_t& scanned) { return find_line(received, scanned, bytes_max); };
}

Find delimited(std::string delimiter, std::size_t bytes_max) {
  return [=](Bytes received, std::size_t& scanned) {
    return find_delimiter(received, as_bytes(delimiter), scanned, bytes_max);
  };
}

Find prefixed(LengthPrefix prefix, std::size_t bytes_max) {
  return [=](Bytes received, std::size_t&) { return find_prefixed(received, prefix, bytes_max); };
}

constexpr LengthPrefix every_prefix[] = {
    LengthPrefix::u8,   LengthPrefix::be16, LengthPrefix::be24,
    LengthPrefix::be32, LengthPrefix::be64, LengthPrefix::le16,
    LengthPrefix::le32, LengthPrefix::le64, LengthPrefix::varint};

std::string prefix_of(LengthPrefix prefix, std::uint64_t size) {
  return std::string(as_text(make_prefix(prefix, size).value().bytes()));
}

TEST(Line, EndsWithLfOrCrLf) {
  EXPECT_EQ(messages(lines(9), "one\ntwo\r\n\n\r\nend", 99), "one|two|||1 missing");
}

TEST(Line, ACarriageReturnElsewhereIsPartOfIt) {
  EXPECT_EQ(messages(lines(9), "a\rb\r\r\n", 99), "a\rb\r|1 missing");
}

TEST(Line, MayBeAsLongAsTheLimitAndNoLonger) {
  EXPECT_EQ(messages(lines(4), "four\nfour\r\n", 99), "four|four|1 missing");
  EXPECT_EQ(messages(lines(4), "fives\n", 99),
            "read: over the limit: a line is longer than 4 bytes");
  EXPECT_EQ(messages(lines(0), "\n\r\n", 99), "||1 missing");
  EXPECT_EQ(messages(lines(0), "x", 99), "read: over the limit: a line is longer than 0 bytes");
  EXPECT_EQ(messages(lines(std::numeric_limits<std::size_t>::max()), "x\ny", 99), "x|1 missing");
}

TEST(Line, IsTooLongAsSoonAsThatIsCertain) {
  std::size_t scanned = 0;
  // The CR may be half of the line's end.
  EXPECT_TRUE(find_line(as_bytes("four\r"), scanned, 4).has_value());
  EXPECT_EQ(find_line(as_bytes("four\r\r"), scanned, 4).error(), Fault::over_limit);
  scanned = 0;
  EXPECT_EQ(find_line(as_bytes("fives"), scanned, 4).error(), Fault::over_limit);
}

TEST(Line, IsLookedAtOnlyOnce) {
  // A LF that is put where the function has already been is not seen, which shows it was not there.
  std::string text(1000, 'a');
  std::size_t scanned = 0;
  EXPECT_FALSE(find_line(as_bytes(text), scanned, 9999)->is_complete);
  EXPECT_EQ(scanned, 1000U);
  text[500] = '\n';
  EXPECT_FALSE(find_line(as_bytes(text), scanned, 9999)->is_complete);
  text += '\n';
  EXPECT_EQ(find_line(as_bytes(text), scanned, 9999)->size, 1000U);
}

TEST(Delimiter, IsFoundAcrossTheBordersOfChunks) {
  for (std::size_t chunk_bytes = 1; chunk_bytes < 20; ++chunk_bytes)
    EXPECT_EQ(
        messages(delimited("\r\n\r\n", 20), "a: b\r\nc: d\r\n\r\nbody\r\r\n\r\n\r\n", chunk_bytes),
        "a: b\r\nc: d|body\r|2 missing");
}

TEST(Delimiter, TellsHowMuchIsMissingAtLeast) {
  EXPECT_EQ(messages(delimited("--end", 99), "", 99), "5 missing");
  EXPECT_EQ(messages(delimited("--end", 99), "x--e", 99), "2 missing");
  EXPECT_EQ(messages(delimited("--end", 99), "---", 99), "3 missing");
  EXPECT_EQ(messages(delimited("aab", 99), "aaa", 99), "1 missing");
}

TEST(Delimiter, OfOneByteIsEnough) {
  EXPECT_EQ(messages(delimited(std::string(1, '\0'), 9), std::string_view("a\0b\0\0c", 6), 99),
            "a|b||1 missing");
}

TEST(Delimiter, BoundsTheMessageInFrontOfIt) {
  EXPECT_EQ(messages(delimited("<>", 4), "four<>", 99), "four|2 missing");
  EXPECT_EQ(messages(delimited("<>", 4), "fives<>", 99),
            "read: over the limit: a message is longer than 4 bytes");
  EXPECT_EQ(messages(delimited("<>", 4), "four<", 99), "1 missing");
  EXPECT_EQ(messages(delimited("<>", 4), "four<<", 99),
            "read: over the limit: a message is longer than 4 bytes");
  EXPECT_EQ(messages(delimited("<>", std::numeric_limits<std::size_t>::max()), "x<>y", 99),
            "x|2 missing");
}

TEST(Prefixed, IsReadInEveryNotation) {
  const std::vector<std::pair<LengthPrefix, std::string>> of_258{
      {LengthPrefix::be16, {"\1\2", 2}},       {LengthPrefix::be24, {"\0\1\2", 3}},
      {LengthPrefix::be32, {"\0\0\1\2", 4}},   {LengthPrefix::be64, {"\0\0\0\0\0\0\1\2", 8}},
      {LengthPrefix::le16, {"\2\1", 2}},       {LengthPrefix::le32, {"\2\1\0\0", 4}},
      {LengthPrefix::varint, {"\x82\x02", 2}}, {LengthPrefix::le64, {"\2\1\0\0\0\0\0\0", 8}},
  };
  const std::string payload(258, 'p');
  for (const auto& [prefix, bytes] : of_258) {
    EXPECT_EQ(prefix_of(prefix, 258), bytes) << to_string(prefix);
    const auto found = find_prefixed(as_bytes(bytes + payload), prefix, 258);
    EXPECT_EQ(found, FrameDecision::frame(bytes.size(), 258, bytes.size() + 258));
  }
  EXPECT_EQ(prefix_of(LengthPrefix::u8, 255), "\xff");
  EXPECT_EQ(find_prefixed(as_bytes("\2ab"), LengthPrefix::u8, 9), FrameDecision::frame(1, 2, 3));
}

TEST(Prefixed, EveryPrefixOfAMessageTellsWhatIsMissing) {
  for (const LengthPrefix prefix : every_prefix) {
    const std::string head = prefix_of(prefix, 200);
    const std::string message = head + std::string(200, 'p');
    for (std::size_t size = 0; size < message.size(); ++size) {
      const auto decision =
          find_prefixed(as_bytes(std::string_view(message).substr(0, size)), prefix, 200);
      // Of a varint nobody knows how long it will be.
      const std::size_t missing = size >= head.size()              ? message.size() - size
                                  : prefix == LengthPrefix::varint ? 1
                                                                   : head.size() - size;
      EXPECT_EQ(decision, FrameDecision::need_more(missing)) << to_string(prefix) << size;
    }
    EXPECT_TRUE(find_prefixed(as_bytes(message), prefix, 200)->is_complete);
  }
}

TEST(Prefixed, AnnouncingMoreThanTheLimitFailsBeforeAnyOfItArrived) {
  for (const LengthPrefix prefix : every_prefix) {
    const auto decision = find_prefixed(as_bytes(prefix_of(prefix, 201)), prefix, 200);
    EXPECT_EQ(to_string(decision.error()),
              "read: over the limit: a message announces 201 bytes, more than 200");
  }
  const std::string largest(8, '\xff');
  EXPECT_EQ(to_string(find_prefixed(as_bytes(largest), LengthPrefix::be64, 200).error()),
            "read: over the limit: a message announces 18446744073709551615 bytes, more than 200");
  // Even without a limit the sum of prefix and payload has to be a size.
  EXPECT_EQ(find_prefixed(as_bytes(largest), LengthPrefix::be64, SIZE_MAX).error(),
            Fault::over_limit);
}

TEST(Prefixed, MayBeEmpty) {
  for (const LengthPrefix prefix : every_prefix) {
    const std::string head = prefix_of(prefix, 0);
    EXPECT_EQ(find_prefixed(as_bytes(head), prefix, 0),
              FrameDecision::frame(head.size(), 0, head.size()));
  }
}

TEST(Varint, WritesEveryNumberAndReadsItBack) {
  const std::vector<std::pair<std::uint64_t, std::string>> numbers{
      {0, {"\0", 1}},
      {1, "\1"},
      {127, "\x7f"},
      {128, {"\x80\x01", 2}},
      {16383, "\xff\x7f"},
      {16384, "\x80\x80\x01"},
      {UINT64_MAX, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"},
  };
  for (const auto& [number, bytes] : numbers)
    EXPECT_EQ(prefix_of(LengthPrefix::varint, number), bytes);
  // Others pad theirs to write the length afterwards.
  const std::string_view padded("\x83\x80\x80\x00...", 7);
  EXPECT_EQ(find_prefixed(as_bytes(padded), LengthPrefix::varint, 9),
            FrameDecision::frame(4, 3, 7));
}

TEST(Varint, OfMoreThan64BitsIsMalformed) {
  const std::string nine(9, '\xff');
  EXPECT_EQ(find_prefixed(as_bytes(nine), LengthPrefix::varint, 9), FrameDecision::need_more(1));
  EXPECT_EQ(find_prefixed(as_bytes(nine + "\x01"), LengthPrefix::varint, 9).error(),
            Fault::over_limit);
  for (const char tenth : {'\x02', '\x7f', '\x80', '\xff'})
    EXPECT_EQ(to_string(find_prefixed(as_bytes(nine + tenth), LengthPrefix::varint, 9).error()),
              "read: malformed: a varint of a length is longer than 64 bits");
}

TEST(Prefix, HasToHaveRoomForTheLength) {
  EXPECT_EQ(to_string(make_prefix(LengthPrefix::u8, 256).error()),
            "write: over the limit: a message of 256 bytes is too long for a prefix of u8");
  EXPECT_TRUE(make_prefix(LengthPrefix::be16, 65535));
  EXPECT_EQ(make_prefix(LengthPrefix::be16, 65536).error(), Fault::over_limit);
  EXPECT_TRUE(make_prefix(LengthPrefix::be24, 0xffffff));
  EXPECT_EQ(make_prefix(LengthPrefix::be24, 0x1000000).error(), Fault::over_limit);
  EXPECT_EQ(make_prefix(LengthPrefix::le32, std::uint64_t{1} << 32).error(), Fault::over_limit);
  EXPECT_TRUE(make_prefix(LengthPrefix::le64, UINT64_MAX));
  EXPECT_TRUE(make_prefix(LengthPrefix::varint, UINT64_MAX));
}

TEST(Prefix, WhatIsWrittenIsRead) {
  Prng random(4);
  for (int round = 0; round < 20'000; ++round) {
    const LengthPrefix prefix = every_prefix[random.below(std::size(every_prefix))];
    const std::uint64_t size = random() >> random.below(64);
    const auto made = make_prefix(prefix, size);
    if (!made) continue;
    const auto decision = find_prefixed(made->bytes(), prefix, SIZE_MAX - PrefixBytes::bytes_max);
    if (size > SIZE_MAX - PrefixBytes::bytes_max) {
      EXPECT_EQ(decision.error(), Fault::over_limit);
    } else if (size == 0) {
      EXPECT_TRUE(decision->is_complete);
    } else {
      EXPECT_EQ(decision, FrameDecision::need_more(size));
    }
  }
}

TEST(Framing, BytesInAnyChunksMakeTheSameMessages) {
  constexpr std::uint64_t seed = 5;
  Prng random(seed);
  // Few letters, so that delimiters, halves of them and limits are met often.
  constexpr std::string_view letters{"ab\r\n\0\1\2\x82", 8};
  for (int round = 0; round < 3'000; ++round) {
    std::string text(random.below(40), '\0');
    for (char& c : text) c = letters[random.below(letters.size())];
    std::string delimiter(1 + random.below(4), '\0');
    for (char& c : delimiter) c = letters[random.below(3)];
    const std::size_t bytes_max = random.below(12);
    std::vector<Find> finds{lines(bytes_max), delimited(delimiter, bytes_max)};
    for (const LengthPrefix prefix : every_prefix) finds.push_back(prefixed(prefix, bytes_max));
    for (const Find& find : finds) {
      const std::string whole = messages(find, text, text.size() + 1);
      for (const std::size_t chunk_bytes : {1U, 2U, 3U, 7U})
        ASSERT_EQ(messages(find, text, chunk_bytes), whole)
            << "seed " << seed << " round " << round;
    }
  }
}

TEST(Framing, LinesAndDelimitersAreWhereASimpleSearchFindsThem) {
  Prng random(6);
  constexpr std::string_view letters = "ab\r\n";
  for (int round = 0; round < 20'000; ++round) {
    std::string text(random.below(24), '\0');
    for (char& c : text) c = letters[random.below(letters.size())];
    const std::string delimiter = random.chance(0.5) ? "\r\n" : "aab";
    const std::size_t bytes_max = random.below(20);

    std::size_t scanned = 0;
    const auto found = find_delimiter(as_bytes(text), as_bytes(delimiter), scanned, bytes_max);
    if (const std::size_t at = text.find(delimiter); at <= bytes_max) {
      ASSERT_EQ(found, FrameDecision::frame(0, at, at + delimiter.size()));
    } else if (at != std::string::npos) {
      ASSERT_EQ(found.error(), Fault::over_limit);
    } else {
      ASSERT_TRUE(!found || !found->is_complete);
    }

    scanned = 0;
    const auto line = find_line(as_bytes(text), scanned, bytes_max);
    if (const std::size_t at = text.find('\n'); at != std::string::npos) {
      const std::size_t size = at > 0 && text[at - 1] == '\r' ? at - 1 : at;
      if (size <= bytes_max) {
        ASSERT_EQ(line, FrameDecision::frame(0, size, at + 1));
      } else {
        ASSERT_EQ(line.error(), Fault::over_limit);
      }
    } else {
      ASSERT_TRUE(!line || !line->is_complete);
    }
  }
}

}  // namespace
}  // namespace koine
