// What the connections of a load have in common: the bytes they send, and which of their requests
// are under way.
#pragma once

#include <deque>

#include "cli/load.h"

namespace koine::cli {

/// Endless bytes that do not repeat for 65521 of them, so what is lost, doubled or exchanged on the
/// way is seen. Each connection begins elsewhere in it.
class Pattern {
 public:
  static constexpr std::uint64_t period = 65'521;  // a prime: no size of request divides it

  explicit Pattern(std::uint64_t connection) : begin_(connection * 7919 % period) {}

  /// The bytes from `position` on: `bytes_max`, or `period` if that is less.
  Bytes at(std::uint64_t position, std::uint64_t bytes_max) const;

 private:
  std::uint64_t begin_;
};

/// An error if `got` differs from the expected bytes, of which there are as many. `position` is
/// that of the first of them.
Result<void> verify(Bytes got, Bytes expected, std::uint64_t position, const std::string& peer);

/// The requests of one connection, through all the times that it breaks and comes back.
class Requests {
 public:
  Requests(Meter& meter, std::uint64_t connection) : meter_(meter), connection_(connection) {}
  Requests(const Requests&) = delete;
  Requests& operator=(const Requests&) = delete;

  /// Waits until one more may be sent, which is then under way; false if no more shall be.
  Task<bool> next();

  /// Waits until none is under way.
  Task<void> all_answered();

  /// Number `number` was answered, counted from 0 since the connection came (back). False if it was
  /// not under way: too late, or twice.
  bool answer(std::uint64_t number, Instant now);

  /// The number of the oldest that is under way.
  std::uint64_t oldest() const { return oldest_; }
  /// The number of the one that next() let go last.
  std::uint64_t newest() const { return oldest_ + under_way_.size() - 1; }

  /// Bytes moved; nobody is as patient as before with an answer that is on its way.
  void moved(Instant now) { moved_ = now; }

  /// How much longer to wait for something to move; zero if it is too late.
  Duration patience(Instant now) const;
  bool idle() const { return under_way_.empty(); }

  /// The oldest was lost.
  void lose();

  /// The connection is gone, and what was under way with it.
  void restart();

  std::uint64_t connection() const { return connection_; }
  Meter& meter() { return meter_; }
  std::uint64_t size() const { return meter_.options().size; }

 private:
  struct UnderWay {
    Instant since;  // its latency counts from here
    Instant sent;
    bool answered = false;  // but an older one is not
  };

  void drop_answered();

  Meter& meter_;
  std::uint64_t connection_;
  std::uint64_t sent_ = 0;
  std::uint64_t oldest_ = 0;
  std::deque<UnderWay> under_way_;
  Instant moved_;
  Event room_;
};

/// Asks over a stream until the load is over and everything is answered. An error means that the
/// stream is of no use any more.
Io<void> ask_by_stream(Stream& stream, Requests& requests);

/// The same in messages, to route echo of an RSocket service. With `streams` it asks for the items
/// of route count instead: the latency of each counts from the one before it.
Io<void> ask_by_messages(std::unique_ptr<Stream> stream, Requests& requests, bool streams);

/// The same over a datagram socket that is connected to `peer`. What is not answered in time is
/// lost, and no error.
Io<void> ask_by_datagram(Datagram& socket, const Address& peer, Requests& requests);

}  // namespace koine::cli
