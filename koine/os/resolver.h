// Host names on the real network, through c-ares: never blocks the loop, and can be cancelled.
#pragma once

#include <string>
#include <vector>

#include "koine/async/task.h"
#include "koine/os/reactor.h"
#include "koine/transport/address.h"

namespace koine::os {

/// The addresses of `name` from /etc/hosts and DNS, sorted by RFC 6724. Fault::not_found if there
/// are none, timed_out if no server answers.
Io<std::vector<IpAddress>> resolve(Reactor& reactor, std::string name);

}  // namespace koine::os
