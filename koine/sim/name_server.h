// The domain name service of a world: a program that answers what the world knows about names.
//
// It speaks DNS (RFC 1035) over UDP, where an answer that does not fit is truncated and asked for
// again over TCP. It knows the names of hosts and what World::add_name() added, and says of all
// others that they do not exist. As any program it may run on the kernel's network as well.
#pragma once

#include <cstdint>

#include "koine/async/task.h"
#include "koine/base/bytes.h"
#include "koine/transport/network.h"

namespace koine::sim {

class World;

struct NameServerOptions {
  std::uint16_t port = 53;
  Duration time_to_live = 60s;            ///< what askers are told about an answer, whole seconds
  Duration time_to_live_of_nothing = 5s;  ///< and about a name that is not there (RFC 2308)
  Duration idle_max = 10s;                ///< a TCP client that says nothing is hung up on
  std::size_t clients_max = 100;          ///< over TCP, at one time; more are turned away
};

/// Serves for ever. `world` must outlive it.
Io<void> serve_names(Network& network, const World& world, NameServerOptions options = {});

/// The answer to one message, at most that long; empty for what deserves none.
std::vector<std::byte> answer_about_names(const World& world, Bytes query, std::size_t bytes_max,
                                          const NameServerOptions& options = {});

}  // namespace koine::sim
