// Reaching a server from the tool: once, or patiently until it is there.
#pragma once

#include <memory>
#include <vector>

#include "koine/async/task.h"
#include "koine/transport/network.h"

namespace koine::cli {

struct ReachOptions {
  Duration timeout = 5s;  ///< for everything together
  bool patient = false;   ///< try again until it is there, or the time is up
};

/// Waits between attempts, as a koine::Client does, for as long as the options allow.
class Patience {
 public:
  explicit Patience(ReachOptions options);

  /// How much of the time is left; never negative.
  Duration left() const;

  /// Waits, if there is time for another attempt and it may help; otherwise fails with `error`,
  /// which then says how many attempts there were.
  Io<void> after(Error error);

 private:
  ReachOptions options_;
  Instant begun_;
  int attempts_ = 0;
};

/// A stream to `peer`.
Io<std::unique_ptr<Stream>> reach(Network& network, Endpoint peer, ReachOptions options);

/// Where datagrams for `peer` may go, best first, at least one: its address, or both loopback
/// addresses if the host is open.
Io<std::vector<Address>> datagram_peers(Network& network, Endpoint peer, Duration timeout);

/// A socket from any port that hears only `peer`.
Result<std::unique_ptr<Datagram>> datagram_to(Network& network, const Address& peer,
                                              Transport transport);

}  // namespace koine::cli
