// Track: follows messages through one connection, for whoever knows what a message is.
//
// The connection says when bytes left and arrived; which of them are a message, and of which
// journey, only the protocol above it knows. A stream has a track while a recorder is attached to
// it (Stream::attach), on the kernel's network (koine/os/track.h) and wherever else somebody can
// stamp bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "koine/base/time.h"
#include "koine/journey/recorder.h"

namespace koine::journey {

/// Which message of a journey.
enum class Way : std::uint8_t { there, back };

inline Leg& leg_of(Journey& journey, Way way) {
  return way == Way::there ? journey.request : journey.reply;
}

class Track {
 public:
  virtual Recorder& recorder() = 0;
  virtual Connection& connection() = 0;

  /// What this end can give.
  virtual Level level() const = 0;

  /// The time, on the clock that stamps are of.
  virtual Stamp now() const = 0;

  /// What names that clock.
  virtual ClockIdentity clock() const = 0;

  /// The bytes that are written next are this message, behind `bytes_before` others. False if it
  /// gets no more than the program's stamps: too many wait for theirs.
  virtual bool send(std::shared_ptr<Journey> journey, Way way, std::size_t bytes,
                    std::size_t bytes_before = 0) = 0;

  /// True while more is to be heard of what this end has sent of it.
  virtual bool awaits(const Journey& journey) const = 0;

  /// The bytes that were read last end this message, but for `bytes_behind` of them, which are not
  /// its own. What several bytes of one read say of their arrival is true of the last of them only:
  /// a message with others behind it arrived then, or earlier.
  virtual void receive(const std::shared_ptr<Journey>& journey, Way way,
                       std::size_t bytes_behind = 0) = 0;

  /// The next message that arrives will be followed: what has to be known before it comes is noted
  /// now.
  virtual void expect() = 0;

  /// How long ago the bytes that were read last reached this host; nothing if nobody stamped them.
  virtual std::optional<Duration> since_arrival() const = 0;

  /// From now on the headers of frames are kept as well, or no longer. False if they cannot be had.
  virtual bool keep_frames(bool wanted) = 0;

  /// The journey is over: hands it to the recorder, unless a clock was set meanwhile.
  virtual void finish(const std::shared_ptr<Journey>& journey) = 0;

 protected:
  ~Track() = default;
};

}  // namespace koine::journey
