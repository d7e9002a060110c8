#include "koine/transport/mistake.h"

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <utility>

#include "koine/base/joined.h"

namespace koine {
namespace {

// Of a longer text, so many bytes before the mistake and so many after it are shown.
constexpr std::size_t shown_bytes_max = 400;
constexpr std::size_t around_bytes = 100;

constexpr std::string_view at_column = "at column ";

std::uint32_t byte_at(std::string_view text, std::size_t at) {
  return static_cast<unsigned char>(text[at]);
}

bool continues(std::string_view text, std::size_t at) {
  return at < text.size() && (byte_at(text, at) & 0xc0) == 0x80;
}

/// One character of UTF-8 (RFC 3629), or one byte that is not.
struct Character {
  std::uint32_t code;
  std::size_t size;
  bool is_valid;
};

Character character_at(std::string_view text, std::size_t at) {
  const std::uint32_t first = byte_at(text, at);
  if (first < 0x80) return {first, 1, true};
  const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4) return {first, 1, false};
  std::uint32_t code = first & (0xffU >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    if (!continues(text, at + i)) return {first, 1, false};
    code = code << 6 | (byte_at(text, at + i) & 0x3f);
  }
  // Overlong forms, halves of UTF-16 pairs, and what lies past Unicode's end.
  const bool is_valid = code >= (size == 2   ? 0x80U
                                 : size == 3 ? 0x800U
                                             : 0x10000U) &&
                        (code < 0xd800 || code > 0xdfff) && code <= 0x10ffff;
  if (!is_valid) return {first, 1, false};
  return {code, size, true};
}

/// Characters that take no room, or change the order of those around them.
bool is_invisible(std::uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0xad ||
         (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
         (code >= 0x2060 && code <= 0x206f) || code == 0x061c || code == 0xfeff ||
         (code >= 0xe0000 && code <= 0xe0fff);
}

/// Appends one character as a terminal may show it; answers how many columns it takes there.
std::size_t show(const Character& character, std::string_view bytes, std::string& into) {
  if (character.is_valid && !is_invisible(character.code)) {
    into += bytes;
    return 1;
  }
  char escape[16];
  switch (character.code) {
    case '\n': std::snprintf(escape, sizeof(escape), "\\n"); break;
    case '\r': std::snprintf(escape, sizeof(escape), "\\r"); break;
    case '\t': std::snprintf(escape, sizeof(escape), "\\t"); break;
    default:
      std::snprintf(escape, sizeof(escape),
                    !character.is_valid || character.code < 0x80 ? "\\x%02x" : "\\u%04x",
                    static_cast<unsigned>(character.code));
  }
  into += escape;
  return std::string_view(escape).size();
}

struct Shown {
  std::string text;
  std::size_t column;  // of the mistake, from 1
};

Shown shown_around(std::string_view text, std::size_t offset) {
  std::size_t begin = 0;
  std::size_t end = text.size();
  if (text.size() > shown_bytes_max) {
    begin = offset > around_bytes ? offset - around_bytes : 0;
    while (begin > 0 && continues(text, begin)) --begin;
    end = offset < text.size() - around_bytes ? offset + around_bytes : text.size();
    while (continues(text, end)) ++end;
  }
  Shown shown{begin > 0 ? "..." : "", begin > 0 ? 4U : 1U};
  for (std::size_t at = begin; at < end;) {
    const Character character = character_at(text, at);
    const std::size_t columns = show(character, text.substr(at, character.size), shown.text);
    at += character.size;
    if (at <= offset) shown.column += columns;
  }
  if (end < text.size()) shown.text += "...";
  return shown;
}

}  // namespace

std::unexpected<Mistake> mistaken(std::size_t offset, std::string_view note) {
  return std::unexpected(Mistake{offset, std::string(note)});
}

Error malformed(std::string_view text, const Mistake& mistake) {
  const Shown shown = shown_around(text, mistake.offset);
  return Error(Fault::malformed, "parse", shown.text)
      .with_note(joined({at_column, shown.column, ": ", mistake.note}));
}

std::size_t column_of(const Error& error) {
  std::string_view note = error.note();
  if (!note.starts_with(at_column)) return 0;
  note.remove_prefix(at_column.size());
  std::size_t column = 0;
  const auto [rest, problem] = std::from_chars(note.data(), note.data() + note.size(), column);
  const bool is_ours = problem == std::errc() && rest != note.data() + note.size() && *rest == ':';
  return is_ours ? column : 0;
}

std::string point_at(const Error& error) {
  const std::size_t column = column_of(error);
  if (column == 0) return to_string(error) + "\n";
  std::string lines(error.peer());
  lines += '\n';
  lines.append(column - 1, ' ');
  lines += "^ ";
  lines += error.note().substr(error.note().find(": ") + 2);
  lines += '\n';
  return lines;
}

std::string found_at(std::string_view text, std::size_t offset) {
  if (offset >= text.size()) return "found the end";
  return joined({"found '", printable(text.substr(offset, character_at(text, offset).size)), "'"});
}

std::string printable(std::string_view text) {
  std::string shown;
  for (std::size_t at = 0; at < text.size();) {
    const Character character = character_at(text, at);
    show(character, text.substr(at, character.size), shown);
    at += character.size;
  }
  return shown;
}

}  // namespace koine
