// What koine demo tells of a message's way: the steps in words, then the same steps as they were
// measured, and the headers that were really sent: on one screen, of 80 columns and about 50 lines.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "koine/journey/journey.h"

namespace koine::cli {

/// What one end saw. Plain, because the server's goes through a pipe.
struct DemoReport {
  pid_t process = 0;
  std::uint16_t port = 0;
  std::array<char, 16> multiplexer{};
  std::int64_t asked_ns = 0;  // the client: before connect
  std::int64_t connected_ns = 0;
  std::int64_t sending_ns = 0;  // before send
  std::int64_t sent_ns = 0;     // after it
  std::uint64_t received_bytes = 0;
  std::uint32_t reads = 0;
};

std::string tell_story(const DemoReport& client, const DemoReport& server,
                       const journey::Journey& journey, std::string_view text);

}  // namespace koine::cli
