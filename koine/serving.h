// What the parts of serve() share. It is not for programs.
//
// serve.cc knows connections, shards and signals. Datagrams, threads, processes and commands it
// knows by pointers to the functions below, which only a program that wants them names: in the
// constructor of Served that takes its handler, in Concurrency::thread. So a program that serves
// connections on one loop does not carry the rest.
#pragma once

#include <memory>

#include "koine/koine.h"
#include "koine/os/shards.h"

namespace koine::detail {

/// What is to be done. Threads that could not be stopped may outlive all else here, so it is
/// shared.
struct Job {
  Served served;
  ServeOptions options;

  /// The options of one of `servers` servers that together keep the limits.
  ServerOptions server_options(std::size_t number, std::size_t servers) const;
};

Handler connection_handler(const std::shared_ptr<const Job>& job);

/// One shard's part of a job.
struct Place {
  os::Shard& shard;
  const std::shared_ptr<const Job>& job;

  ServerOptions options() const;
};

/// A DatagramServer, where there may be none.
class DatagramService {
 public:
  virtual ~DatagramService() = default;
  virtual Result<Endpoint> listen(const Endpoint& at) = 0;

  /// Runs it and the server of connections beside it: what happened to both.
  virtual Task<ServerCounts> run_beside(Task<ServerCounts> connections) = 0;
  virtual void drain() = 0;
  virtual void cut() = 0;
};

}  // namespace koine::detail
