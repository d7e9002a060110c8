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
  Token token;

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

  /// From the multiplexer.
  void news(Loop& loop, unsigned what) {
    ready_ |= static_cast<std::uint8_t>(what);
    if (can_read()) readers.wake_all(loop);
    if (can_write()) writers.wake_all(loop);
  }

 private:
  std::uint8_t ready_ = 0;

 public:
  WaitList readers;
  WaitList writers;
};

}  // namespace koine::os
