// Colours of a picture, and lines that keep to its width.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace koine::journey {

class Ink {
 public:
  explicit Ink(bool on) : on_(on) {}

  std::string bold(std::string_view text) const { return in("1", text); }
  std::string dim(std::string_view text) const { return in("2", text); }
  std::string red(std::string_view text) const { return in("31", text); }
  std::string cyan(std::string_view text) const { return in("36", text); }
  std::string yellow(std::string_view text) const { return in("33", text); }

 private:
  std::string in(std::string_view code, std::string_view text) const {
    if (!on_ || text.empty()) return std::string(text);
    std::string coloured = "\x1b[";
    return coloured.append(code).append("m").append(text).append("\x1b[0m");
  }

  bool on_;
};

/// `text` as lines of at most `columns`, broken between words, and within one that is too long.
/// Each has `indent` columns before it: the first those of the caller, the others spaces.
inline std::string wrapped(std::string_view text, std::size_t columns, std::size_t indent) {
  const std::size_t room = columns - indent;
  std::string lines;
  std::size_t width = 0;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, std::min(text.find(' '), room));
    text.remove_prefix(std::min(word.size() + (word.size() < room ? 1 : 0), text.size()));
    if (width != 0 && width + 1 + word.size() > room) {
      lines += "\n" + std::string(indent, ' ');
      width = 0;
    } else if (width != 0) {
      lines += ' ';
      ++width;
    }
    lines += word;
    width += word.size();
  }
  return lines;
}

}  // namespace koine::journey
