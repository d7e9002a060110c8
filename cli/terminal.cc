#include "cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace koine::cli {
namespace {

/// What the environment says; the tool sets none of it and has no other thread that would.
std::string_view environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  return value == nullptr ? std::string_view() : value;
}

}  // namespace

bool is_terminal(int fd) { return ::isatty(fd) == 1; }

int columns_of(int fd) {
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

Colours::Colours(int fd)
    : on_(is_terminal(fd) && environment("NO_COLOR").empty() && environment("TERM") != "dumb") {}

std::string Colours::in(std::string_view code, std::string_view text) const {
  if (!on_) return std::string(text);
  std::string coloured = "\x1b[";
  coloured.append(code).append("m").append(text).append("\x1b[0m");
  return coloured;
}

Progress::Progress() : wanted_(is_terminal(STDERR_FILENO)) {}

void Progress::show(std::string_view line) {
  if (!wanted_) return;
  // A line that wraps could not be taken back.
  const auto room = static_cast<std::size_t>(std::max(columns_of(STDERR_FILENO) - 1, 1));
  std::string text = "\r\x1b[K";
  text += line.substr(0, room);
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
  shown_ = true;
}

void Progress::clear() {
  if (!shown_) return;
  std::fputs("\r\x1b[K", stderr);
  std::fflush(stderr);
  shown_ = false;
}

}  // namespace koine::cli
