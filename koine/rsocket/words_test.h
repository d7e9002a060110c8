// Frames as tests write and read them: in hexadecimal, and in words.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "koine/rsocket/frame.h"

namespace koine::rsocket {

/// Bytes of "00 ff 'text' ...": hexadecimal pairs, and text in quotes.
inline std::vector<std::byte> bytes_of(std::string_view written) {
  std::vector<std::byte> bytes;
  for (std::size_t at = 0; at < written.size();) {
    if (written[at] == ' ') {
      ++at;
    } else if (written[at] == '\'') {
      for (++at; written[at] != '\''; ++at) bytes.push_back(static_cast<std::byte>(written[at]));
      ++at;
    } else {
      bytes.push_back(
          static_cast<std::byte>(std::stoi(std::string(written.substr(at, 2)), nullptr, 16)));
      at += 2;
    }
  }
  return bytes;
}

/// The frame in words, or what is to be done instead.
inline std::string meaning(Bytes bytes) {
  // Of exactly this size, so that AddressSanitizer sees the first byte read past it.
  const auto exact = std::make_unique<std::byte[]>(bytes.size());
  std::copy(bytes.begin(), bytes.end(), exact.get());
  const auto frame = parse_frame({exact.get(), bytes.size()});
  if (frame) return to_string(*frame);
  const Mistake& mistake = frame.error();
  if (mistake.is_ignored()) return std::string("ignored: ") + mistake.reason;
  return std::to_string(mistake.stream_id) + " " + to_string(mistake.code) + ": " + mistake.reason;
}

/// The frames in `out`, each without its length.
inline std::vector<Bytes> frames_in(Bytes out) {
  std::vector<Bytes> frames;
  while (!out.empty()) {
    const std::size_t size = std::to_integer<std::size_t>(out[0]) << 16 | load_be16(&out[1]);
    frames.push_back(out.subspan(3, size));
    out = out.subspan(3 + size);
  }
  return frames;
}

inline std::string story(const ByteVector& out) {
  std::string text;
  for (const Bytes frame : frames_in(out)) text += meaning(frame) + "\n";
  return text;
}

}  // namespace koine::rsocket
