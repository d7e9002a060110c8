// Preloaded into a program (LD_PRELOAD), it gives it another clock: CLOCK_REALTIME, and the stamps
// of the kernel that are of it, are ahead by KOINE_AHEAD_NS, and drift away from the true one by
// KOINE_DRIFT_PPB billionths of what has passed since KOINE_DRIFT_FROM_NS. CLOCK_MONOTONIC drifts
// as well, as where NTP slews a clock. Linux has no namespace of CLOCK_REALTIME.
//
// With KOINE_OTHER_HOST the program is in a time namespace of its own, by what it can see, so it
// does not take its clock for that of other programs here.
//
// The kernel is asked directly: looking up the next function of a name takes memory, which the
// sanitizers, who read clocks before anything else, do not have yet.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace {

std::int64_t number(const char* name) {
  const char* const text = std::getenv(name);
  return text == nullptr ? 0 : std::strtoll(text, nullptr, 10);
}

timespec plus(const timespec& time, std::int64_t ns) {
  const std::int64_t sum = std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec + ns;
  return {.tv_sec = sum / 1'000'000'000, .tv_nsec = sum % 1'000'000'000};
}

std::int64_t ns_of(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

/// In pieces, so that nothing overflows.
std::int64_t drift(std::int64_t ns) {
  static const std::int64_t ppb = number("KOINE_DRIFT_PPB");
  return ns / 1'000'000 * ppb / 1000;
}

timespec shown(const timespec& true_time) {
  static const std::int64_t ahead = number("KOINE_AHEAD_NS");
  static const std::int64_t from = number("KOINE_DRIFT_FROM_NS");
  return plus(true_time, ahead + drift(ns_of(true_time) - from));
}

void shift_stamps(msghdr& message) {
  for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr;
       control = CMSG_NXTHDR(&message, control)) {
    if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SO_TIMESTAMPING) continue;
    timespec stamp{};
    std::memcpy(&stamp, CMSG_DATA(control), sizeof(stamp));
    if (stamp.tv_sec == 0) continue;
    stamp = shown(stamp);
    std::memcpy(CMSG_DATA(control), &stamp, sizeof(stamp));
  }
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* now) noexcept {
  const auto failed = static_cast<int>(::syscall(SYS_clock_gettime, clock, now));
  if (failed == 0 && clock == CLOCK_REALTIME) *now = shown(*now);
  if (failed == 0 && clock == CLOCK_MONOTONIC) *now = plus(*now, drift(ns_of(*now)));
  return failed;
}

ssize_t recvmsg(int fd, msghdr* message, int flags) {
  const ssize_t count = ::syscall(SYS_recvmsg, fd, message, flags);
  if (count >= 0) shift_stamps(*message);
  return count;
}

int stat(const char* path, struct stat* found) noexcept {
  const int failed = ::fstatat(AT_FDCWD, path, found, 0);
  static const bool is_other = std::getenv("KOINE_OTHER_HOST") != nullptr;
  if (failed == 0 && is_other && std::strcmp(path, "/proc/self/ns/time") == 0) ++found->st_ino;
  return failed;
}

}  // extern "C"
