// Watcher: what one descriptor is known to be ready for, and who waits for it to be.
//
// Readiness is remembered: it is set by news from the multiplexer and cleared by whoever meets
// EAGAIN or a short read, so edge-triggered and level-triggered multiplexers look the same from
// above.
#pragma once

#include <cstdint>

#include "koine/async/wait.h"

namespace koine::os {

/// What a multiplexer reports, and what Watcher remembers. Bits.
enum News : std::uint8_t {
  readable_news = 1,
  writable_news = 2,
  /// The peer has finished or the connection broke: reads no longer wait for new news.
  ended_news = 4,
  /// There is an error, or a report in the error queue. Never remembered: Watcher finds out which.
  error_news = 8,
};

/// What an error is to who waits.
inline constexpr unsigned error_means = readable_news | writable_news | ended_news;

/// Reads the reports that the kernel puts into a socket's error queue. EPOLLERR cannot be masked,
/// so whoever asks for reports has to read them, or a level-triggered multiplexer never sleeps
/// again.
class ErrorQueue {
 public:
  /// Reads all there is: the news that an error may still mean.
  virtual unsigned drain() = 0;

  /// The multiplexer has read one itself: an SCM_TSTAMP_ of linux/errqueue.h, its key, and when.
  virtual void report(std::uint32_t type, std::uint32_t key, std::int64_t ns) = 0;

  /// True while reports are due.
  virtual bool waits() const = 0;

  /// The connection is over: no more reports will come.
  virtual void hung_up() = 0;

 protected:
  ~ErrorQueue() = default;
};

/// The name of a watcher inside a multiplexer. A reused slot gets another generation, so news for a
/// descriptor that was closed meanwhile reaches nobody.
struct Token {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;

  std::uint64_t packed() const { return std::uint64_t{generation} << 32 | slot; }
  static Token unpacked(std::uint64_t word) {
    return {static_cast<std::uint32_t>(word), static_cast<std::uint32_t>(word >> 32)};
  }
};

class Watcher {
 public:
  Watcher() = default;
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  int fd = -1;
  std::uint32_t slot = 0;             ///< for the multiplexer: see Token
  ErrorQueue* error_queue = nullptr;  ///< whoever asked for reports, if anybody did

  /// What is presumed possible without waiting.
  bool can_read() const { return (ready_ & (readable_news | ended_news)) != 0; }
  bool can_write() const { return (ready_ & writable_news) != 0; }

  /// A read met EAGAIN, or took all there was.
  void drained() { ready_ &= static_cast<std::uint8_t>(~readable_news); }
  /// EAGAIN settles it: not even the end is there.
  void emptied() { ready_ &= static_cast<std::uint8_t>(~(readable_news | ended_news)); }
  /// A write met EAGAIN.
  void filled() { ready_ &= static_cast<std::uint8_t>(~writable_news); }
  void presume(unsigned news) { ready_ |= static_cast<std::uint8_t>(news); }

  /// What a level-triggered multiplexer has to ask about: only what somebody waits for.
  bool wants_read() const { return static_cast<bool>(readers); }
  bool wants_write() const { return static_cast<bool>(writers); }
  bool wants_reports() const { return error_queue != nullptr && error_queue->waits(); }

  /// From the multiplexer.
  void news(Loop& loop, unsigned what) {
    if ((what & error_news) != 0) what = meaning_of_error(what);
    ready_ |= static_cast<std::uint8_t>(what);
    if (can_read()) readers.wake_all(loop);
    if (can_write()) writers.wake_all(loop);
  }

 private:
  /// An error is found by the next read or write, whichever comes first.
  unsigned meaning_of_error(unsigned what) const {
    const unsigned meaning = error_queue == nullptr ? error_means : error_queue->drain();
    return (what & ~static_cast<unsigned>(error_news)) | meaning;
  }

 public:
  WaitList readers;
  WaitList writers;

 private:
  std::uint8_t ready_ = 0;  // last: whoever has a watcher may use the rest of its last word
};

}  // namespace koine::os
