// Following: what `koine serve --journeys` knows of the messages that it follows, over all loops.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "koine/app/server.h"
#include "koine/journey/recorder.h"

namespace koine::cli {

class Following {
 public:
  /// One message in `every` of a loop is followed, and the `keep` slowest are kept.
  Following(std::uint32_t every, std::size_t keep);

  /// The recorder of the calling thread's loop. It lives as long as this does.
  journey::Recorder& here();

  // For when nothing is served any more.

  /// The slowest first, at most `count`.
  std::vector<std::shared_ptr<const journey::Journey>> slowest(std::size_t count) const;
  std::uint64_t messages() const;  ///< all, followed or not
  std::uint64_t journeys() const;

 private:
  journey::RecorderOptions options_;
  mutable std::mutex mutex_;
  std::map<std::thread::id, std::unique_ptr<journey::Recorder>> recorders_;
};

/// RFC 862, with some of its messages followed from their arrival to their answer's confirmation.
/// What one read gives is a message.
Handler followed_echo(std::shared_ptr<Following> following);

}  // namespace koine::cli
