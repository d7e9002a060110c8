#include "koine/transport/percent.h"

#include "koine/base/joined.h"
#include "koine/transport/characters.h"

namespace koine {

void percent_encode(char byte, std::string& into) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  const auto value = static_cast<unsigned char>(byte);
  into += '%';
  into += digits[value >> 4];
  into += digits[value & 0xf];
}

Parsed<std::string> percent_decode(std::string_view text) {
  std::string bytes;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%') {
      bytes += text[at];
      continue;
    }
    for (std::size_t digit = at + 1; digit <= at + 2; ++digit)
      if (digit >= text.size() || url::hex_value(text[digit]) < 0)
        return std::unexpected(
            Mistake{digit, joined({"expected two hexadecimal digits after %, ",
                                   found_at(text, digit), " (a % itself is written %25)"})});
    bytes += static_cast<char>(url::hex_value(text[at + 1]) << 4 | url::hex_value(text[at + 2]));
    at += 2;
  }
  return bytes;
}

}  // namespace koine
