#include "koine/koine.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <optional>

#include "koine/os/network.h"
#include "koine/os/reactor.h"
#include "koine/os/shards.h"
#include "koine/os/signals.h"
#include "koine/os/workers.h"

namespace koine {
namespace {

void print(std::FILE* to, const std::string& text) {
  std::fputs(text.c_str(), to);
  std::fflush(to);
}

/// Runs connections in threads or processes; each has a small server of its own, with the same
/// limits.
class Elsewhere final : public Workers {
 public:
  Elsewhere(os::Reactor& reactor, std::shared_ptr<const os::ServeOne> serve,
            Concurrency concurrency)
      : reactor_(reactor), serve_(std::move(serve)), concurrency_(concurrency) {}

  Io<void> serve(std::unique_ptr<Stream> stream) override {
    if (concurrency_ == Concurrency::thread)
      return os::serve_in_thread(reactor_, std::move(stream), serve_, drain_);
    return os::serve_in_process(reactor_, std::move(stream), serve_, drain_);
  }
  void drain() override { drain_.set(); }

 private:
  os::Reactor& reactor_;
  std::shared_ptr<const os::ServeOne> serve_;
  Concurrency concurrency_;
  Event drain_;
};

/// Runs a command for each connection.
class Commands final : public Workers {
 public:
  Commands(os::Reactor& reactor, std::shared_ptr<const std::vector<std::string>> command,
           Duration drain_quiet)
      : reactor_(reactor), command_(std::move(command)), drain_quiet_(drain_quiet) {}

  Io<void> serve(std::unique_ptr<Stream> stream) override {
    return os::serve_with_command(reactor_, std::move(stream), command_, drain_quiet_, drain_);
  }
  void drain() override { drain_.set(); }

 private:
  os::Reactor& reactor_;
  std::shared_ptr<const std::vector<std::string>> command_;
  Duration drain_quiet_;
  Event drain_;
};

/// One program's serving, on all its shards. Shard 0 leads: it binds the endpoints, tells the
/// others where to listen, hears the signals and passes them on.
class Serving {
 public:
  Serving(const std::vector<std::string>& endpoints, Service service, ServeOptions options)
      : endpoints_(endpoints), service_(std::move(service)), options_(std::move(options)) {
    if (options_.shards == 0) options_.shards = 1;
    serve_one_ = std::make_shared<const os::ServeOne>(
        [this](os::Reactor& reactor, std::unique_ptr<Stream> stream, Event& drain) {
          return serve_alone(reactor, std::move(stream), drain);
        });
    if (!service_.command.empty())
      command_ = std::make_shared<const std::vector<std::string>>(service_.command);
  }

  Result<ServerCounts> run() {
    const os::BlockedSignals blocked({SIGTERM, SIGINT, SIGUSR1});  // in the shards' threads too
    auto shards = os::Shards::make(
        options_.shards, {.multiplexer = options_.multiplexer, .busy_poll = options_.busy_poll});
    if (!shards) return std::unexpected(std::move(shards.error()));
    shards_ = shards->get();
    halls_.resize(options_.shards);
    auto ended = shards_->run([this](os::Shard& shard) { return serve_on(shard); });
    if (!ended) return std::unexpected(std::move(ended.error()));
    return counts_;
  }

 private:
  /// The servers of one shard. Only its own thread touches them.
  struct Hall {
    std::unique_ptr<Server> connections;
    std::unique_ptr<DatagramServer> datagrams;
    Event told;                    // where to listen, or that there is nothing to do
    std::vector<Endpoint> places;  // there
  };

  ServerOptions server_options() {
    ServerOptions options;
    options.limits = options_.limits;
    options.drain = options_.drain;
    options.listen.shared = options_.shards > 1;
    if (options_.on_error) {
      options.on_error = [this](const std::string& peer, const Error& error) {
        options_.on_error(peer, error);
      };
    }
    return options;
  }

  Handler connection_handler() {
    return [this](std::unique_ptr<Stream> stream) {
      return service_.on_connection(std::move(stream));
    };
  }

  Io<void> serve_on(os::Shard& shard) {
    Hall hall;
    if (command_ != nullptr) {
      ServerOptions options = server_options();
      auto workers = std::make_shared<Commands>(shard.reactor, command_, options.drain_quiet);
      hall.connections =
          std::make_unique<Server>(shard.network, std::move(workers), std::move(options));
    } else if (options_.concurrency == Concurrency::coroutine) {
      hall.connections =
          std::make_unique<Server>(shard.network, connection_handler(), server_options());
    } else {
      auto workers = std::make_shared<Elsewhere>(shard.reactor, serve_one_, options_.concurrency);
      hall.connections =
          std::make_unique<Server>(shard.network, std::move(workers), server_options());
    }
    hall.datagrams = std::make_unique<DatagramServer>(
        shard.network, DatagramHandler([this](const DatagramRequest& request) {
          return service_.on_datagram(request);
        }),
        server_options());
    halls_[shard.number] = &hall;
    Result<void> result;
    if (shard.number == 0) {
      auto led = lead(shard, hall);
      result = co_await led;
      if (!result) tell_others([](Hall& other) { cut(other); });  // they may not even have begun
    } else {
      auto followed = follow(hall);
      result = co_await followed;
    }
    halls_[shard.number] = nullptr;
    co_return result;
  }

  Io<void> lead(os::Shard& shard, Hall& hall) {
    auto made = os::Signals::make(shard.reactor, {SIGTERM, SIGINT, SIGUSR1});
    const auto signals = co_await attempt(std::move(made));
    std::vector<Endpoint> real;
    for (const std::string& text : endpoints_) {
      auto endpoint = co_await attempt(parse_endpoint(text));
      auto lookup = resolved(shard.network, std::move(endpoint));
      endpoint = co_await attempt(std::move(lookup));
      real.push_back(co_await attempt(listen(hall, endpoint)));
    }
    // Sockets that cannot be shared between listeners stay with shard 0.
    std::vector<Endpoint> shared;
    for (const Endpoint& endpoint : real) {
      if (endpoint.ip() || endpoint.is_any()) shared.push_back(endpoint);
    }
    tell_others([shared](Hall& other) {
      other.places = shared;
      other.told.set();
    });
    while (followers_ready_ + 1 < options_.shards) {
      news_.reset();
      co_await news_.wait();
    }
    if (follower_error_) {
      co_return std::unexpected(std::move(*follower_error_));
    }
    if (options_.on_listening) {
      options_.on_listening(real);
    } else {
      for (const Endpoint& endpoint : real)
        print(stdout, "listening on " + to_string(endpoint) + "\n");
    }
    Scope attendants;
    attendants.spawn(heed(*signals));
    auto served = serve_hall(hall);
    co_await served;
    co_return {};
  }

  Io<void> follow(Hall& hall) {
    co_await hall.told.wait();
    Result<void> listening;
    for (const Endpoint& place : hall.places) {
      if (auto real = listen(hall, place); !real && listening)
        listening = std::unexpected(std::move(real.error()));
    }
    shards_->post(0, [this, listening]() mutable {
      ++followers_ready_;
      if (!listening && !follower_error_) follower_error_ = std::move(listening.error());
      news_.set();
    });
    auto served = serve_hall(hall);
    co_await served;
    co_return {};
  }

  Result<Endpoint> listen(Hall& hall, const Endpoint& at) {
    // fd:// and systemd:// are what they turn out to be.
    const bool unknown =
        at.transport() == Transport::inherited || at.transport() == Transport::systemd;
    const bool datagrams =
        at.transport() == Transport::udp || at.transport() == Transport::unix_datagram;
    if (!datagrams && (service_.on_connection || command_ != nullptr)) {
      auto real = hall.connections->listen(at);
      if (real || !unknown || !service_.on_datagram || real.error() != Fault::unsupported)
        return real;
    }
    if ((datagrams || unknown) && service_.on_datagram) return hall.datagrams->listen(at);
    return std::unexpected(Error(Fault::unsupported, "listen", to_string(at))
                               .with_note(datagrams ? "this service answers connections only"
                                                    : "this service answers datagrams only"));
  }

  Task<void> serve_hall(Hall& hall) {
    auto both = all(hall.connections->run(), hall.datagrams->run());
    const auto counts = co_await both;
    const std::lock_guard lock(counts_mutex_);
    counts_ += std::get<0>(*counts);
    counts_ += std::get<1>(*counts);
  }

  /// SIGTERM and SIGINT drain; a second one cuts. SIGUSR1 dumps every shard's tasks.
  Task<void> heed(os::Signals& signals) {
    for (bool draining = false;;) {
      auto next = signals.next();
      const auto signal = co_await next;
      if (!signal) co_return;
      if (*signal == SIGUSR1) {
        for (std::size_t number = 0; number < options_.shards; ++number) {
          shards_->post(number, [number] {
            print(stderr, "koine: tasks of shard " + std::to_string(number) + "\n" +
                              Loop::current().dump());
          });
        }
      } else if (!draining) {
        draining = true;
        tell_all([](Hall& hall) {
          hall.connections->drain();
          hall.datagrams->drain();
        });
      } else {
        tell_all([](Hall& hall) { cut(hall); });
      }
    }
  }

  static void cut(Hall& hall) {
    hall.told.set();
    hall.connections->cut();
    hall.datagrams->cut();
  }

  template <class What>
  void tell(std::size_t number, What what) {
    shards_->post(number, [this, number, what] {
      if (halls_[number] != nullptr) what(*halls_[number]);
    });
  }
  template <class What>
  void tell_others(What what) {
    for (std::size_t number = 1; number < options_.shards; ++number) tell(number, what);
  }
  template <class What>
  void tell_all(What what) {
    for (std::size_t number = 0; number < options_.shards; ++number) tell(number, what);
  }

  /// One connection in a thread or process of its own: a server with the same limits, and one
  /// guest.
  Io<void> serve_alone(os::Reactor& reactor, std::unique_ptr<Stream> stream, Event& drain) {
    os::Network network(reactor);
    ServerOptions options = server_options();
    std::optional<Error> failure;
    options.on_error = [&failure](const std::string&, const Error& error) { failure = error; };
    Server server(network, connection_handler(), std::move(options));
    server.adopt(std::move(stream));
    Scope attendants;
    attendants.spawn(drain_when(drain, server));
    auto served = server.run();
    co_await served;
    if (failure) co_return std::unexpected(std::move(*failure));
    co_return {};
  }

  static Task<void> drain_when(Event& drain, Server& server) {
    co_await drain.wait();
    server.drain();
  }

  std::vector<std::string> endpoints_;
  Service service_;
  ServeOptions options_;
  std::shared_ptr<const os::ServeOne> serve_one_;
  std::shared_ptr<const std::vector<std::string>> command_;  // null if handlers serve
  os::Shards* shards_ = nullptr;
  std::vector<Hall*> halls_;  // by shard; null before and after it serves

  // Shard 0's own.
  std::size_t followers_ready_ = 0;
  std::optional<Error> follower_error_;
  Event news_;

  std::mutex counts_mutex_;
  ServerCounts counts_;
};

}  // namespace

Result<ServerCounts> serve_until_told(const std::vector<std::string>& endpoints, Service service,
                                      ServeOptions options) {
  return Serving(endpoints, std::move(service), std::move(options)).run();
}

int serve(std::string_view endpoint, Service service, ServeOptions options) {
  const auto counts =
      serve_until_told({std::string(endpoint)}, std::move(service), std::move(options));
  if (!counts) {
    print(stderr, "koine: " + to_string(counts.error()) + "\n");
    return EXIT_FAILURE;
  }
  if (counts->cut == 0) return EXIT_SUCCESS;
  print(stderr,
        "koine: cut " + std::to_string(counts->cut) + " connections that did not end in time\n");
  return exit_cut;
}

int run(Function<Io<void>(Network&)> story) {
  auto reactor = os::Reactor::make();
  if (!reactor) {
    print(stderr, "koine: " + to_string(reactor.error()) + "\n");
    return EXIT_FAILURE;
  }
  os::Network network(**reactor);
  const auto ended = (*reactor)->run(story(network));
  (*reactor)->linger_out();
  if (ended) return EXIT_SUCCESS;
  print(stderr, "koine: " + to_string(ended.error()) + "\n");
  return EXIT_FAILURE;
}

}  // namespace koine
