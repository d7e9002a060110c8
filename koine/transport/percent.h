// Percent-encoding: any byte as %XX in a text that allows few characters (RFC 3986, section 2.1).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "koine/transport/mistake.h"

namespace koine {

/// Writes `byte` as %XX, with upper-case digits.
void percent_encode(char byte, std::string& into);

/// `text` with every byte encoded that `keeps` says no to.
template <class Keeps>
std::string percent_encode(std::string_view text, Keeps keeps) {
  std::string encoded;
  for (const char c : text) {
    if (keeps(c)) {
      encoded += c;
    } else {
      percent_encode(c, encoded);
    }
  }
  return encoded;
}

/// The bytes that `text` stands for. The only mistake there is: a % without two hexadecimal digits.
Parsed<std::string> percent_decode(std::string_view text);

}  // namespace koine
