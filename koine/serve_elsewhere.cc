// Serving in a thread or a process for each connection: what Concurrency::thread and
// Concurrency::process are linked with.
#include <optional>

#include "koine/os/workers.h"
#include "koine/serving.h"

namespace koine::detail {
namespace {

Task<void> drain_when(Event& told, Server& server) {
  co_await told.wait();
  server.drain();
}

/// One connection in a thread or process of its own: a server with the same limits, and one guest.
Io<void> serve_alone(std::shared_ptr<const Job> job, os::Reactor& reactor,
                     std::unique_ptr<Stream> stream, Event& drain) {
  os::Network network(reactor);
  ServerOptions options = job->server_options(0, 1);
  std::optional<Error> failure;
  options.on_error = [&failure](const std::string&, const Error& error) { failure = error; };
  Server server(network, connection_handler(job), std::move(options));
  server.adopt(std::move(stream));
  Scope attendants;
  attendants.spawn(drain_when(drain, server));
  auto served = server.run();
  co_await served;
  if (failure) co_return std::unexpected(std::move(*failure));
  co_return {};
}

using ServeElsewhere = Io<void> (*)(os::Reactor& reactor, std::unique_ptr<Stream> stream,
                                    std::shared_ptr<const os::ServeOne> serve, os::Orders& orders);

/// Runs connections in threads or processes.
class Elsewhere final : public Workers {
 public:
  Elsewhere(const Place& place, ServeElsewhere function)
      : reactor_(place.shard.reactor),
        serve_one_(std::make_shared<const os::ServeOne>(
            [job = place.job](os::Reactor& own, std::unique_ptr<Stream> stream, Event& drain) {
              return serve_alone(job, own, std::move(stream), drain);
            })),
        serve_(function) {}

  Io<void> serve(std::unique_ptr<Stream> stream) override {
    return serve_(reactor_, std::move(stream), serve_one_, orders_);
  }
  void drain() override { orders_.drain.set(); }
  void cut() override { orders_.stop.set(); }

 private:
  os::Reactor& reactor_;
  std::shared_ptr<const os::ServeOne> serve_one_;
  ServeElsewhere serve_;
  os::Orders orders_;
};

}  // namespace

std::unique_ptr<Workers> make_thread_workers(const Place& place) {
  return std::make_unique<Elsewhere>(place, os::serve_in_thread);
}

std::unique_ptr<Workers> make_process_workers(const Place& place) {
  return std::make_unique<Elsewhere>(place, os::serve_in_process);
}

}  // namespace koine::detail
