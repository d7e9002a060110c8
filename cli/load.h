// Load: asks an echo server the same thing again and again, on many connections at once, and
// measures how it answers.
//
// Closed loop: each connection has `pipeline` requests under way, and an answer makes room for the
// next request. A server that stalls is then asked less, so its worst moments count for little.
// Open loop (a rate is given): each request has a moment at which it is due, whatever the server
// does, and its latency counts from then. So nothing is left out of what the users of a service
// would have met (Tene, "coordinated omission").
//
//     Meter meter(options);
//     co_await attempt(put_load(network, peer, meter));   // and look at meter.result() meanwhile
#pragma once

#include <map>
#include <optional>
#include <string>

#include "koine/async/event.h"
#include "koine/base/histogram.h"
#include "koine/transport/network.h"

namespace koine::cli {

struct LoadOptions {
  std::uint64_t connections = 64;
  std::uint64_t size = 64;     ///< bytes of a request, and so of its answer
  std::uint64_t pipeline = 1;  ///< requests under way on a connection, in the closed loop
  std::optional<double> rate;  ///< requests a second over all connections, in the open loop
  Duration duration = 5s;
  bool streams = false;  ///< in messages: items of a stream, instead of answers to requests

  /// To connect. Afterwards, how long a connection may stand still with requests under way; a
  /// datagram without an answer for so long is lost.
  Duration timeout = 1s;

  /// One error is enough to end it: for who wants all or nothing.
  bool ends_at_first_error = false;
};

/// Requests of the open loop that may be under way on a connection; the next one waits for room,
/// and its latency counts all the same.
inline constexpr std::size_t under_way_max = 4096;

/// The smallest datagram: it begins with its number, so that a late answer is told from a lost one.
inline constexpr std::uint64_t datagram_bytes_min = 8;

/// The largest message, as RSocket services of koine's take it by default.
inline constexpr std::uint64_t message_bytes_max = std::uint64_t{1} << 20;

/// What was measured.
struct LoadResult {
  std::uint64_t connected = 0;  ///< connections at the beginning
  std::uint64_t sent = 0;
  std::uint64_t answered = 0;          ///< with every byte as it was sent
  std::uint64_t answered_in_time = 0;  ///< of these: before the load ended
  std::uint64_t lost = 0;              ///< datagrams without an answer
  Duration lasted{};                   ///< less than was asked for if it was interrupted
  bool interrupted = false;
  Histogram latency;  ///< in nanoseconds

  struct Failure {
    std::uint64_t times;
    Error first;
  };
  std::map<std::string, Failure> failures;  ///< by what happened: "connect: refused"

  /// Every request was answered, byte for byte.
  bool flawless() const { return failures.empty() && lost == 0; }
  double answers_per_second() const;
};

/// One load: what it is to be, when it begins and ends, and what came of it.
class Meter {
 public:
  explicit Meter(LoadOptions options) : options_(std::move(options)) {}
  Meter(const Meter&) = delete;
  Meter& operator=(const Meter&) = delete;

  const LoadOptions& options() const { return options_; }
  const LoadResult& result() const { return result_; }

  /// Ends it early; what is under way may still be answered. The second time it may not.
  void interrupt();

  /// How long it has lasted; nothing before all connections are there.
  std::optional<Duration> elapsed() const;

  // For the connections.

  /// A connection is ready to begin, or has failed to be.
  void ready(bool connected);
  void sent() { ++result_.sent; }
  void answered(Instant since, Instant now);
  void lost() { ++result_.lost; }
  void failed(Error error);

  Event& begun() { return begun_; }
  Event& over() { return over_; }
  bool is_over() const { return over_.is_set(); }

  /// When request `number` of all connections together is due, in the open loop.
  Instant due(std::uint64_t number) const;
  Instant ends() const { return begins_ + options_.duration; }

 private:
  friend Io<void> put_load(Network& network, Endpoint peer, Meter& meter);
  void begin();
  void end();

  LoadOptions options_;
  LoadResult result_;
  std::uint64_t ready_ = 0;
  Instant begins_;
  Event all_ready_;
  Event begun_;
  Event over_;  // no new requests
  Event cut_;   // no answers either
};

/// Connects, begins when every connection is ready or has failed, lasts as long as the options say,
/// and waits for what is under way then. Errors are counted, and connections that broke come back.
/// Fails only if nobody can be reached at all.
Io<void> put_load(Network& network, Endpoint peer, Meter& meter);

}  // namespace koine::cli
