// A mistake in something people wrote: where it is, and what was expected there.
//
// The parsers of endpoints, addresses, durations and sizes find mistakes at an offset. As an Error
// the offset becomes a column of the text as a terminal shows it, so that the sentence and the
// caret agree:
//
//     parse tcp://127.0.0.1:99999: malformed: at column 17: port 99999 is larger than 65535
//
//     tcp://127.0.0.1:99999
//                     ^ port 99999 is larger than 65535
#pragma once

#include <cstddef>
#include <expected>
#include <string>
#include <string_view>

#include "koine/base/error.h"

namespace koine {

/// What a parser found wrong.
struct Mistake {
  std::size_t offset;  ///< in bytes from the start of the text; its size for "something is missing"
  std::string note;    ///< what it is, and what was expected
};

template <class T>
using Parsed = std::expected<T, Mistake>;

/// `return mistaken(at, "expected ...")` from a function that answers Parsed<...>.
std::unexpected<Mistake> mistaken(std::size_t offset, std::string_view note);

/// The mistake as an Error: Fault::malformed, "parse", the text made printable, and a note that
/// begins with `at column N: `, counted from 1. Of a text longer than 400 bytes only the part
/// around the mistake is shown, and the column is one of what is shown.
Error malformed(std::string_view text, const Mistake& mistake);

/// The column such an Error names, counted from 1 in error.peer(); 0 if it names none.
std::size_t column_of(const Error& error);

/// The text, and under it a caret with the note: two lines, each ended by a newline. An Error
/// without a column gives its one line.
std::string point_at(const Error& error);

/// "found 'x'" for the character at that offset, or "found the end".
std::string found_at(std::string_view text, std::size_t offset);

/// `text` as a terminal may show it: control characters, bytes that are not UTF-8, and the
/// invisible characters that reorder text are escaped as `\n`, `\x1b`, `\u202e`.
std::string printable(std::string_view text);

}  // namespace koine
