// Host names on the real network, through c-ares: never blocks the loop, and can be cancelled.
#pragma once

#include <string>
#include <vector>

#include "koine/async/task.h"
#include "koine/os/reactor.h"
#include "koine/transport/address.h"

namespace koine::os {

struct ResolverOptions {
  /// Whom to ask instead of the servers in /etc/resolv.conf: "192.0.2.53,[2001:db8::53]:5353".
  /// Empty: those.
  std::string servers;

  /// For the first question to each server; each further one waits twice as long as the one before.
  Duration timeout = 2s;

  /// How often each server is asked, at least once.
  int tries = 3;
};

/// The addresses of `name` from /etc/hosts and DNS, sorted by RFC 6724. `localhost`, in lower case,
/// is always loopback (RFC 6761, section 6.3), and an address is itself. Fault::not_found if there
/// are none, timed_out if no server answers, unreachable if none can be asked or all fail;
/// malformed if options.servers is not a list of addresses.
Io<std::vector<IpAddress>> resolve(Reactor& reactor, std::string name,
                                   ResolverOptions options = {});

}  // namespace koine::os
