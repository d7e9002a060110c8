#include "koine/os/clocks.h"

#include <sys/stat.h>

#include <charconv>
#include <ctime>
#include <string_view>

#include "koine/os/system.h"

namespace koine::os {
namespace {

std::int64_t read_clock(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

std::int64_t realtime_ns() { return read_clock(CLOCK_REALTIME); }

journey::ClockPair read_clocks() {
  const std::int64_t before = read_clock(CLOCK_MONOTONIC);
  const std::int64_t real = read_clock(CLOCK_REALTIME);
  const std::int64_t after = read_clock(CLOCK_MONOTONIC);
  // The clocks' own resolution is a nanosecond, each way.
  return {real - after - 2, real - before + 2};
}

RunDelay::RunDelay() : file_(sys::open("/proc/thread-self/schedstat")) {}

std::optional<std::int64_t> RunDelay::read() const {
  if (!file_) return std::nullopt;
  char text[96];
  const ssize_t count = sys::pread(file_.get(), text, sizeof(text), 0);
  if (count <= 0) return std::nullopt;
  std::string_view rest(text, static_cast<std::size_t>(count));
  const std::size_t space = rest.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  rest.remove_prefix(space + 1);
  std::int64_t ns = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), ns);
  if (error != std::errc()) return std::nullopt;
  return ns;
}

journey::ClockIdentity clock_identity() {
  const Fd file(sys::open("/proc/sys/kernel/random/boot_id"));
  char text[64];
  const ssize_t count = file ? sys::read(file.get(), text, sizeof(text)) : 0;
  if (count <= 0) return {};
  std::string_view boot(text, static_cast<std::size_t>(count));
  boot = boot.substr(0, boot.find('\n'));
  journey::ClockIdentity identity{.boot = 0xcbf29ce484222325};  // FNV-1a: it names, and hides
  for (const char c : boot)
    identity.boot = (identity.boot ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  struct stat time_namespace{};
  if (::stat("/proc/self/ns/time", &time_namespace) == 0)
    identity.time_namespace = time_namespace.st_ino;
  return identity;
}

}  // namespace koine::os
