// Tracing: what koine trace does with one server, and what it says of it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/journeys.h"
#include "koine/base/histogram.h"
#include "koine/messages.h"
#include "koine/os/network.h"
#include "koine/os/track.h"

namespace koine::cli {

/// As many journeys are kept for files; of more, the first.
inline constexpr std::size_t journeys_max = 100'000;

struct TraceOptions {
  Endpoint peer;
  std::string route;
  std::string text;
  bool has_route = false;
  bool has_text = false;
  std::uint64_t count = 1;
  std::uint64_t every = 1;
  std::uint64_t slowest = 1;
  std::uint64_t reply_bytes = 0;
  Duration pause = Duration::zero();
  Duration timeout = 5s;
  bool wants_reply = true;
  bool streams = false;
  std::uint64_t take = 3;  // items of a stream
  bool layers = false;
  bool json = false;
  JourneyFiles files;
  std::string multiplexer;

  /// Its server talks in messages.
  bool has_messages() const { return !peer.protocol().empty(); }
};

/// What is known once it is over.
struct Traced {
  std::vector<journey::Journey> journeys;
  Histogram totals;
  std::uint64_t unanswered = 0;
  std::uint64_t not_in_files = 0;
  std::string lacking;
  rsocket::FlowJourneys stream;  // of the only one
  rsocket::JourneyCounts missing;
  Result<void> printed;  // what standard output said to the first line that it did not take
};

class Tracing {
 public:
  /// All of them are lent.
  Tracing(os::Network& network, const TraceOptions& options, const std::string& message,
          Traced& traced);

  journey::Recorder& recorder() { return recorder_; }

  Io<void> over_stream();
  /// A server that follows messages as well tells its end of their way.
  Io<void> over_messages();
  Io<void> over_datagrams();

 private:
  Io<void> ask(Peer& peer);
  Io<void> take_items(Peer& peer);
  Io<void> over_datagrams(const Address& peer);
  std::shared_ptr<journey::Journey> begin();
  Io<void> hear(Stream& stream, const std::shared_ptr<journey::Journey>& journey);
  Io<void> end(const std::shared_ptr<journey::Journey>& journey);
  void keep(const journey::Journey& journey);

  os::Network& network_;
  const TraceOptions& options_;
  const std::string& message_;
  Traced& traced_;
  journey::Recorder recorder_;
  os::Tracker tracker_;
  rsocket::Journeys journeys_{recorder_};
  os::Track* track_ = nullptr;
};

/// Prints what was found, unless it was printed already.
Result<void> report(const TraceOptions& options, const Traced& traced,
                    const journey::Recorder& recorder);

}  // namespace koine::cli
