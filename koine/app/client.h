// Client: reaches a server that may not be there yet, or not now.
#pragma once

#include <string>

#include "koine/base/unique_ptr.h"
#include "koine/transport/network.h"

namespace koine {

struct RetryOptions {
  /// Connecting is tried so often at most; 1 is no retry.
  int attempts_max = 10;

  /// The pause after the first failure; each further one is `factor` times as long, up to
  /// `pause_max`, and to one hour.
  Duration pause_first = 50ms;
  Duration pause_max = 5s;
  double factor = 2;

  /// A pause is shortened by up to this part of it, by chance, so that many clients that lost one
  /// server do not return in step.
  double jitter = 0.5;

  /// For all attempts and pauses together.
  Duration timeout = 30s;

  /// Each attempt.
  DialOptions dial = {};
};

/// True if trying again later may help: nobody listens there yet, no way, no answer, no resources.
bool may_pass(Fault fault);

/// The pause after the `failures`-th failure in a row, which is at least 1.
Duration pause_after(int failures, const RetryOptions& options, Prng& chance);

/// Connects, and tries again as `retry` allows. Fails with the error of the last attempt that
/// ended, which says how many there were.
Io<std::unique_ptr<Stream>> dial_with_retry(Network& network, Endpoint peer,
                                            RetryOptions retry = {});

/// One server, as a client sees it.
class Client {
 public:
  Client(Network& network, Endpoint peer, RetryOptions retry = {})
      : network_(network), peer_(std::move(peer)), retry_(std::move(retry)) {}

  /// A new connection.
  Io<std::unique_ptr<Stream>> connect() { return dial_with_retry(network_, peer_, retry_); }

  const Endpoint& peer() const { return peer_; }

 private:
  Network& network_;
  Endpoint peer_;
  RetryOptions retry_;
};

}  // namespace koine
