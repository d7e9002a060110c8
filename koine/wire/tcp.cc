// The walk over TCP options, and flags as text.
#include "koine/wire/tcp.h"

#include <string>

namespace koine::wire {

namespace {

enum Kind : std::uint8_t {
  end = 0,
  no_operation = 1,
  mss = 2,
  window_scale = 3,
  sack_permitted = 4,
  sack = 5,
  timestamps = 8,
};

/// One option of a kind that has a length; `option` begins with the kind.
void take(Bytes option, TcpOptions& into) {
  const std::byte* const data = option.data() + 2;
  switch (std::to_integer<std::uint8_t>(option[0])) {
    case mss:
      if (option.size() == 4) into.mss = load_be16(data);
      break;
    case window_scale:
      // More than 14 has to be taken as 14 (RFC 7323, section 2.3).
      if (option.size() == 3)
        into.window_scale = std::min(std::to_integer<std::uint8_t>(*data), std::uint8_t{14});
      break;
    case sack_permitted:
      if (option.size() == 2) into.sack_permitted = true;
      break;
    case sack:
      if (option.size() < 10 || option.size() % 8 != 2) break;
      into.sack.clear();
      for (std::size_t i = 2; i < option.size() && !into.sack.full(); i += 8)
        into.sack.push_back({{load_be32(option.data() + i)}, {load_be32(option.data() + i + 4)}});
      break;
    case timestamps:
      if (option.size() == 10) into.timestamps = {load_be32(data), load_be32(data + 4)};
      break;
    default: break;  // skipped, as RFC 9293, section 3.2 (MUST-6) wants it
  }
}

}  // namespace

TcpOptions parse_tcp_options(Bytes options) {
  TcpOptions found;
  while (!options.empty()) {
    const auto kind = std::to_integer<std::uint8_t>(options[0]);
    if (kind == end) break;
    if (kind == no_operation) {
      options = options.subspan(1);
      continue;
    }
    // A length of 0 would keep us here for ever, and 1 would read the length as a kind (MUST-7).
    const std::size_t length = options.size() < 2 ? 0 : std::to_integer<std::size_t>(options[1]);
    if (length < 2 || length > options.size()) {
      found.broken = true;
      break;
    }
    take(options.first(length), found);
    options = options.subspan(length);
  }
  return found;
}

std::string to_string(TcpFlags flags) {
  static constexpr struct {
    TcpFlags flag;
    const char* name;
  } names[] = {{tcp_syn, "SYN"}, {tcp_fin, "FIN"}, {tcp_rst, "RST"}, {tcp_psh, "PSH"},
               {tcp_ack, "ACK"}, {tcp_urg, "URG"}, {tcp_ece, "ECE"}, {tcp_cwr, "CWR"}};
  std::string text;
  for (const auto& [flag, name] : names) {
    if (!flags.has(flag)) continue;
    if (!text.empty()) text += ' ';
    text += name;
  }
  return text.empty() ? "none" : text;
}

}  // namespace koine::wire
