// How a host asks name servers: the resolver of its operating system, over its own network.
//
// Both kinds of address are asked for at once over UDP, each server in turn and again, with twice
// the patience each time; a truncated answer is asked for again over TCP. Who wants to be believed
// has to be the one that was asked, and to repeat the number and the question (RFC 5452).
#pragma once

#include <string>
#include <vector>

#include "koine/async/task.h"
#include "koine/transport/network.h"

namespace koine::sim {

struct ResolverOptions {
  Duration timeout =
      2s;         ///< for the first question to each server; each further one has twice that
  int tries = 3;  ///< how often each server is asked, at least once
};

/// The addresses of `name`, IPv4 before IPv6, from the first of `servers` that answers. `localhost`
/// is always loopback (RFC 6761, section 6.3). Fault::not_found if the name does not exist or has
/// no addresses; timed_out if no server answers; unreachable if all that answer fail or refuse, and
/// none is silent; malformed if `name` cannot be a name.
Io<std::vector<IpAddress>> resolve(Network& network, std::string name, std::vector<Address> servers,
                                   ResolverOptions options = {});

}  // namespace koine::sim
