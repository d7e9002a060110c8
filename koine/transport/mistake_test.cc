#include "koine/transport/mistake.h"

#include <gtest/gtest.h>

namespace koine {
namespace {

TEST(Mistake, IsOneLineWithTheColumn) {
  const Error error = malformed("a,b", {1, "expected a dot"});
  EXPECT_EQ(to_string(error), "parse a,b: malformed: at column 2: expected a dot");
  EXPECT_EQ(error, Fault::malformed);
  EXPECT_EQ(column_of(error), 2U);
}

TEST(Mistake, IsPointedAt) {
  EXPECT_EQ(point_at(malformed("a,b", {1, "expected a dot"})), "a,b\n ^ expected a dot\n");
  EXPECT_EQ(point_at(malformed("ab", {2, "expected: more"})), "ab\n  ^ expected: more\n");
  EXPECT_EQ(point_at(malformed("", {0, "expected more"})), "\n^ expected more\n");
}

TEST(Mistake, AnErrorWithoutAColumnIsPrintedAsItIs) {
  const Error error(Fault::refused, "connect", "tcp://h:80");
  EXPECT_EQ(column_of(error), 0U);
  EXPECT_EQ(point_at(error), "connect tcp://h:80: refused\n");
  EXPECT_EQ(column_of(Error(Fault::malformed, "parse", "x").with_note("at column")), 0U);
  EXPECT_EQ(column_of(Error(Fault::malformed, "parse", "x").with_note("at column 7")), 0U);
  EXPECT_EQ(column_of(Error(Fault::malformed, "parse", "x").with_note("at column x: y")), 0U);
}

TEST(Mistake, TheCaretStandsUnderTheCharacterAsItIsShown) {
  // Two bytes that take one column, one byte that takes two.
  EXPECT_EQ(point_at(malformed("ü,", {2, "here"})), "ü,\n ^ here\n");
  EXPECT_EQ(point_at(malformed("\n,", {1, "here"})), "\\n,\n  ^ here\n");
  EXPECT_EQ(point_at(malformed("\xff,", {1, "here"})), "\\xff,\n    ^ here\n");
}

TEST(Mistake, OfALongTextThePartAroundIsShown) {
  std::string text(5000, 'a');
  text[2500] = '!';
  const std::string shown = "..." + std::string(100, 'a') + "!" + std::string(99, 'a') + "...\n";
  EXPECT_EQ(point_at(malformed(text, {2500, "here"})), shown + std::string(103, ' ') + "^ here\n");
  EXPECT_EQ(malformed(text, {0, "here"}).peer(), std::string(100, 'a') + "...");
  EXPECT_EQ(malformed(text, {5000, "here"}).peer(), "..." + std::string(100, 'a'));
  EXPECT_EQ(column_of(malformed(text, {5000, "here"})), 104U);
  EXPECT_EQ(malformed(text, {4999, "here"}).peer(), "..." + std::string(101, 'a'));

  // Characters are not cut in two.
  std::string umlauts;
  for (int i = 0; i < 1000; ++i) umlauts += "ü";
  for (const std::size_t offset : {1000U, 1001U, 1002U, 2000U}) {
    const std::string peer(malformed(umlauts, {offset, "here"}).peer());
    EXPECT_EQ(peer.find('\\'), std::string::npos) << peer;
  }
}

TEST(Printable, LetsOnlyThroughWhatDoesNotDisturbATerminal) {
  EXPECT_EQ(printable("plain, ü, €, 😀"), "plain, ü, €, 😀");
  EXPECT_EQ(printable("\t\r\n\x1b[31m\x7f"), "\\t\\r\\n\\x1b[31m\\x7f");
  EXPECT_EQ(printable(std::string_view("\0", 1)), "\\x00");
  EXPECT_EQ(printable("\xc2\x9b"), "\\u009b");           // a control sequence in one character
  EXPECT_EQ(printable("\xe2\x80\xae"), "\\u202e");       // turns the writing around
  EXPECT_EQ(printable("\xe2\x80\x8b"), "\\u200b");       // a space of no width
  EXPECT_EQ(printable("\xef\xbb\xbf"), "\\ufeff");       // the byte order mark
  EXPECT_EQ(printable("\xf3\xa0\x81\x81"), "\\ue0041");  // a tag
}

TEST(Printable, EscapesWhatIsNotUtf8) {
  EXPECT_EQ(printable("\xff\x80"), "\\xff\\x80");
  EXPECT_EQ(printable("\xc3"), "\\xc3");                             // cut off
  EXPECT_EQ(printable("\xc3z"), "\\xc3z");                           // not continued
  EXPECT_EQ(printable("\xc0\xaf"), "\\xc0\\xaf");                    // a slash, overlong
  EXPECT_EQ(printable("\xe0\x80\xaf"), "\\xe0\\x80\\xaf");           // the same in three
  EXPECT_EQ(printable("\xf0\x80\x80\xaf"), "\\xf0\\x80\\x80\\xaf");  // and in four
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");           // half a pair of UTF-16
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // past the end of Unicode
}

TEST(FoundAt, NamesTheWholeCharacter) {
  EXPECT_EQ(found_at("aü", 1), "found 'ü'");
  EXPECT_EQ(found_at("a\n", 1), "found '\\n'");
  EXPECT_EQ(found_at("a", 1), "found the end");
}

}  // namespace
}  // namespace koine
