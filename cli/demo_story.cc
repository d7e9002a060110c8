#include "cli/demo_story.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "cli/journeys.h"
#include "cli/terminal.h"
#include "koine/journey/text.h"

namespace koine::cli {
namespace {

std::string shown(std::string_view text) {
  constexpr std::size_t most = 40;
  std::string safe;
  std::size_t end = std::min(most, text.size());
  const auto continues = [&] { return (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80; };
  while (end != 0 && end < text.size() && continues()) --end;  // not within a character of UTF-8
  for (const char c : text.substr(0, end))
    safe += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '.' : c;
  return "\"" + safe + (end < text.size() ? "...\"" : "\"");
}

class Story {
 public:
  Story(const DemoReport& client, const DemoReport& server, const journey::Journey& journey,
        std::string_view text)
      : client_(client), server_(server), journey_(journey), text_(text), colours_(STDOUT_FILENO) {
    std::erase_if(journey_.frames, [](const journey::Frame& frame) { return frame.reply; });
  }

  std::string tell() {
    begin();
    step(1, "The client program has data in its memory and asks its system to copy it.",
         fmt::format("send(2) of {} bytes took {}: the kernel has its own copy now", text_.size(),
                     journey::short_time(client_.sent_ns - client_.sending_ns)));
    const char* const below = journey_.frames.empty() ? "" : " (below)";
    step(2, fmt::format("Its system wraps it, layer by layer{}, and queues it to be sent.", below));
    step(3, "The network carries it: here \"lo\", which has no cable and no router.");
    step(4, fmt::format("The server program asks its system for data: it waited in {}.",
                        server_.multiplexer.data()));
    step(5, "The server's system has received and unwrapped it, and wakes the program.",
         fmt::format("recv(2) gave it {} bytes in {} call{}; its answer goes back by 1' to 5'",
                     server_.received_bytes, server_.reads, server_.reads == 1 ? "" : "s"));
    out_ += "\n" + cli::shown(journey_, true);
    end();
    return out_;
  }

 private:
  void begin() {
    out_ += colours_.bold("A message on its way: ") + shown(text_) +
            fmt::format(", {} bytes\n", text_.size());
    out_ +=
        fmt::format("  client  process {}, tcp://127.0.0.1:{}\n", client_.process, client_.port);
    out_ +=
        fmt::format("  server  process {}, tcp://127.0.0.1:{}\n", server_.process, server_.port);
    out_ += fmt::format("  connected in {}, by three segments: SYN, SYN ACK, ACK\n\n",
                        journey::short_time(client_.connected_ns - client_.asked_ns));
  }

  /// Where the kernel gave less, the picture says how much less.
  void end() {
    if (level_of(journey_) != journey::Level::both_with_frames) return;
    out_ += colours_.dim(
        "\nMeasured: times by the kernel's stamps on one clock; bytes as it gave them back\n"
        "(the device completes TCP's checksum). The answer's headers are like these, with\n"
        "the ends exchanged.\n");
  }

  void step(int number, std::string_view what, std::string_view measured = {}) {
    out_ += fmt::format("{} {}\n", colours_.cyan(std::to_string(number)), colours_.bold(what));
    if (!measured.empty()) out_ += fmt::format("    {}\n", measured);
  }

  const DemoReport& client_;
  const DemoReport& server_;
  journey::Journey journey_;  // with the frame of what was asked alone
  std::string_view text_;
  Colours colours_;
  std::string out_;
};

}  // namespace

std::string tell_story(const DemoReport& client, const DemoReport& server,
                       const journey::Journey& journey, std::string_view text) {
  return Story(client, server, journey, text).tell();
}

}  // namespace koine::cli
