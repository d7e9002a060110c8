// Recorder: which messages are followed, what is known about their connection, and which journeys
// are worth keeping.
//
// It reads no clock and touches no socket: who follows messages (koine/os/track.h) asks it. A
// recorder belongs to one loop, and outlives the connections it is attached to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "koine/journey/clock_offset.h"
#include "koine/journey/verdict.h"

namespace koine::os {
struct TrackMaker;
}

namespace koine::journey {

struct RecorderOptions {
  /// One message in so many is followed: the first, and then one more each time. At least 1. At
  /// 100 the cost is below what can be measured.
  std::uint32_t every = 100;

  /// How many of the slowest journeys are kept.
  std::size_t keep_slowest = 32;

  /// Keep the headers of the frames as well ("x-ray"): the kernel then gives back whole frames
  /// with its stamps, so ask for it only while somebody looks.
  bool frames = false;

  /// How many messages may wait for the kernel's reports on one socket, at most 16. The kernel
  /// charges unread reports to the socket's receive buffer: without a bound, following a message
  /// could stop its connection.
  std::uint32_t budget = 16;

  static constexpr std::uint32_t budget_max = 16;
};

/// What a recorder knows about one connection.
struct Connection {
  std::string client{};
  std::string server{};
  ClockOffset clocks{};
  Medians medians{};
};

class Recorder {
 public:
  explicit Recorder(RecorderOptions options = {});
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  const RecorderOptions& options() const { return options_; }

  /// How messages are followed on the kernel's sockets (koine/os/track.h); null in a program
  /// without them.
  const os::TrackMaker* kernel_tracks() const { return kernel_tracks_; }

  /// True for the messages to be followed.
  bool samples() { return messages_++ % options_.every == 0; }

  /// What samples() will answer: for what has to be known before the message is there.
  bool samples_next() const { return messages_ % options_.every == 0; }

  /// A new journey on that connection, with an id of its own.
  std::shared_ptr<Journey> begin(const Connection& connection);

  /// A journey is over, as complete as it gets: it is judged, compared with the others, and shown
  /// to whoever listens. One whose clock was stepped is only counted.
  void finish(Connection& connection, const std::shared_ptr<Journey>& journey);

  /// Called with each finished journey.
  std::function<void(const Journey&)> on_journey;

  /// The slowest ones first, at most `count`.
  std::vector<std::shared_ptr<const Journey>> slowest(std::size_t count = SIZE_MAX) const;

  std::uint64_t messages() const { return messages_; }    ///< all, followed or not
  std::uint64_t journeys() const { return journeys_; }    ///< that were finished
  std::uint64_t discarded() const { return discarded_; }  ///< because a clock was stepped

 private:
  struct Kept {
    std::int64_t total_ns;
    std::shared_ptr<const Journey> journey;
  };

  RecorderOptions options_;
  const os::TrackMaker* kernel_tracks_;
  std::uint64_t messages_ = 0;
  std::uint64_t journeys_ = 0;
  std::uint64_t discarded_ = 0;
  std::uint64_t begun_ = 0;
  std::vector<Kept> kept_;  // the slowest first
};

}  // namespace koine::journey
