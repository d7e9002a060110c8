// serve(): a Server as a whole program, with signals, shards, threads and processes.
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <optional>

#include "koine/async/combine.h"
#include "koine/koine.h"
#include "koine/os/network.h"
#include "koine/os/reactor.h"
#include "koine/os/shards.h"
#include "koine/os/signals.h"
#include "koine/os/workers.h"

namespace koine {
namespace {

/// Descriptors that a loop has beside its connections: multiplexer, doorbell, listeners, lookups.
constexpr std::size_t descriptors_besides = 64;

/// A thread has a loop of its own for its one connection.
constexpr std::size_t descriptors_of_thread = 4;

/// Nobody needs more, and the sum fits.
constexpr std::size_t descriptors_max = std::size_t{1} << 24;

void print(std::FILE* to, const std::string& text) {
  std::fputs(text.c_str(), to);
  std::fflush(to);
}

/// Lets this process have as many descriptors as it needs, if it may.
void allow_descriptors(const ServeOptions& options) {
  const bool has_threads = options.concurrency == Concurrency::thread;
  const rlim_t wanted = std::min(options.limits.connections, descriptors_max) *
                            (has_threads ? descriptors_of_thread : 1) +
                        std::min(options.shards, descriptors_max) * descriptors_besides;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return;
  limit.rlim_cur = std::min(wanted, limit.rlim_max);
  ::setrlimit(RLIMIT_NOFILE, &limit);  // if not, accepting pauses where they run out
}

/// What is to be done. Threads that could not be stopped may outlive all else here, so it is
/// shared.
struct Job {
  Served served;
  ServeOptions options;

  /// The options of one of `servers` servers that together keep the limits.
  ServerOptions server_options(std::size_t number, std::size_t servers) const {
    const auto part_of = [&](std::size_t whole) {
      return std::max<std::size_t>(whole / servers + (number < whole % servers ? 1 : 0), 1);
    };
    ServerOptions part;
    part.limits = options.limits;
    part.limits.connections = part_of(options.limits.connections);
    part.limits.unsent_bytes = part_of(options.limits.unsent_bytes);
    part.limits.datagram_peers = part_of(options.limits.datagram_peers);
    part.limits.datagram_bytes_waiting = part_of(options.limits.datagram_bytes_waiting);
    part.drain = options.drain;
    part.listen.shared = servers > 1;
    return part;
  }
};

Handler connection_handler(const std::shared_ptr<const Job>& job) {
  return [job](std::unique_ptr<Stream> stream) {
    return job->served.on_connection(std::move(stream));
  };
}

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

/// Runs connections in threads or processes.
class Elsewhere final : public Workers {
 public:
  Elsewhere(os::Reactor& reactor, const std::shared_ptr<const Job>& job)
      : reactor_(reactor),
        serve_(std::make_shared<const os::ServeOne>(
            [job](os::Reactor& own, std::unique_ptr<Stream> stream, Event& drain) {
              return serve_alone(job, own, std::move(stream), drain);
            })),
        concurrency_(job->options.concurrency) {}

  Io<void> serve(std::unique_ptr<Stream> stream) override {
    if (concurrency_ == Concurrency::thread)
      return os::serve_in_thread(reactor_, std::move(stream), serve_, orders_);
    return os::serve_in_process(reactor_, std::move(stream), serve_, orders_);
  }
  void drain() override { orders_.drain.set(); }
  void cut() override { orders_.stop.set(); }

 private:
  os::Reactor& reactor_;
  std::shared_ptr<const os::ServeOne> serve_;
  Concurrency concurrency_;
  os::Orders orders_;
};

/// Runs a command for each connection.
class Commands final : public Workers {
 public:
  Commands(os::Reactor& reactor, const std::shared_ptr<const Job>& job, Duration drain_quiet)
      : reactor_(reactor), command_(job, &job->served.command), drain_quiet_(drain_quiet) {}

  Io<void> serve(std::unique_ptr<Stream> stream) override {
    return os::serve_with_command(reactor_, std::move(stream), command_, drain_quiet_, orders_);
  }
  void drain() override { orders_.drain.set(); }
  void cut() override { orders_.stop.set(); }

 private:
  os::Reactor& reactor_;
  std::shared_ptr<const std::vector<std::string>> command_;
  Duration drain_quiet_;
  os::Orders orders_;
};

/// The servers of one shard. Only its own thread touches them.
struct Hall {
  Hall(os::Shard& shard, const std::shared_ptr<const Job>& job);

  Result<Endpoint> listen(const Endpoint& at);
  void drain() {
    connections->drain();
    datagrams->drain();
  }
  void cut() {
    told.set();
    connections->cut();
    datagrams->cut();
  }

  const Served& served;
  std::unique_ptr<Server> connections;
  std::unique_ptr<DatagramServer> datagrams;
  Event told;                    // where to listen, or that there is nothing to do
  std::vector<Endpoint> places;  // there
};

Hall::Hall(os::Shard& shard, const std::shared_ptr<const Job>& job) : served(job->served) {
  const auto options = [&] {
    ServerOptions made = job->server_options(shard.number, job->options.shards);
    if (job->options.on_error) {
      made.on_error = [job](const std::string& peer, const Error& error) {
        job->options.on_error(peer, error);
      };
    }
    return made;
  };
  if (!served.command.empty()) {
    ServerOptions made = options();
    auto workers = std::make_shared<Commands>(shard.reactor, job, made.drain_quiet);
    connections = std::make_unique<Server>(shard.network, std::move(workers), std::move(made));
  } else if (job->options.concurrency == Concurrency::coroutine) {
    connections = std::make_unique<Server>(shard.network, connection_handler(job), options());
  } else {
    auto workers = std::make_shared<Elsewhere>(shard.reactor, job);
    connections = std::make_unique<Server>(shard.network, std::move(workers), options());
  }
  if (served.on_conversation) {
    ConversationHandler handler = [job](std::unique_ptr<Conversation> peer) {
      return job->served.on_conversation(std::move(peer));
    };
    datagrams = std::make_unique<DatagramServer>(shard.network, std::move(handler), options());
  } else {
    DatagramHandler handler = [job](const DatagramRequest& request) {
      return job->served.on_datagram(request);
    };
    datagrams = std::make_unique<DatagramServer>(shard.network, std::move(handler), options());
  }
}

Result<Endpoint> Hall::listen(const Endpoint& at) {
  // fd:// and systemd:// are what they turn out to be.
  const bool unknown =
      at.transport() == Transport::inherited || at.transport() == Transport::systemd;
  const bool is_datagram =
      at.transport() == Transport::udp || at.transport() == Transport::unix_datagram;
  const bool serves_datagrams = served.on_datagram || served.on_conversation;
  const bool serves_connections = served.on_connection || !served.command.empty();
  if (!is_datagram && serves_connections) {
    auto real = connections->listen(at);
    if (real || !unknown || !serves_datagrams || real.error() != Fault::unsupported) return real;
  }
  if ((is_datagram || unknown) && serves_datagrams) return datagrams->listen(at);
  return std::unexpected(Error(Fault::unsupported, "listen", to_string(at))
                             .with_note(is_datagram ? "this service answers connections only"
                                                    : "this service answers datagrams only"));
}

/// One program's serving, on all its shards. Shard 0 leads: it binds the endpoints, tells the
/// others where to listen, hears the signals and passes them on.
class Serving {
 public:
  Serving(const std::vector<std::string>& endpoints, Served served, ServeOptions options)
      : endpoints_(endpoints),
        job_(std::make_shared<const Job>(std::move(served), std::move(options))),
        seats_(job_->options.shards) {}

  Result<ServerCounts> run() {
    const ServeOptions& options = job_->options;
    // A command would inherit the limit, and select(2) in it might not bear it.
    if (job_->served.command.empty()) allow_descriptors(options);
    // Before there are threads, so that no signal finds one that would let it end the process.
    const os::BlockedSignals blocked({SIGTERM, SIGINT, SIGUSR1});
    auto shards = os::Shards::make(
        options.shards, {.multiplexer = options.multiplexer, .busy_poll = options.busy_poll});
    if (!shards) return std::unexpected(std::move(shards.error()));
    shards_ = shards->get();
    auto ended = shards_->run([this](os::Shard& shard) { return serve_on(shard); });
    if (!ended) return std::unexpected(std::move(ended.error()));
    return counts_;
  }

 private:
  /// Where what is told to a shard is heard. A message may come before its story has begun.
  struct Seat {
    Hall* hall = nullptr;
    bool is_over = false;
    std::vector<Function<void(Hall&)>> told_early;
  };

  /// A hall as long as its shard can be told things. However the leader ends, the others end too;
  /// however a follower ends, the leader does not wait for it.
  class Open {
   public:
    Open(Serving& serving, std::size_t number, Hall& hall) : serving_(serving), number_(number) {
      Seat& mine = serving_.seats_[number_];
      mine.hall = &hall;
      for (const auto& told : mine.told_early) told(hall);
      mine.told_early.clear();
    }
    Open(const Open&) = delete;
    ~Open() {
      serving_.seats_[number_] = {.hall = nullptr, .is_over = true, .told_early = {}};
      if (number_ == 0) {
        serving_.tell_others([](Hall& other) { other.cut(); });
      } else {
        if (!is_ready) serving_.follower_is_ready(fail(Fault::cancelled, "serve"));
        serving_.follower_is_over();
      }
    }

    bool is_ready = false;

   private:
    Serving& serving_;
    std::size_t number_;
  };

  Io<void> serve_on(os::Shard& shard) {
    Hall hall(shard, job_);
    Open open(*this, shard.number, hall);
    if (shard.number == 0) {
      auto led = lead(shard, hall);
      co_return co_await led;
    }
    co_await hall.told.wait();
    Result<void> listening;
    for (const Endpoint& place : hall.places) {
      if (auto real = hall.listen(place); !real && listening)
        listening = std::unexpected(std::move(real.error()));
    }
    open.is_ready = true;
    follower_is_ready(std::move(listening));
    auto served = serve_in(hall);
    co_await served;
    co_return {};
  }

  Io<void> lead(os::Shard& shard, Hall& hall) {
    auto made = os::Signals::make(shard.reactor, {SIGTERM, SIGINT, SIGUSR1});
    const auto signals = co_await attempt(std::move(made));
    auto listening = listen(shard, hall);
    const auto real = co_await attempt(std::move(listening));
    if (job_->options.on_listening) {
      job_->options.on_listening(real);
    } else {
      for (const Endpoint& endpoint : real)
        print(stdout, "listening on " + to_string(endpoint) + "\n");
    }
    Scope attendants;
    attendants.spawn(heed(*signals));
    auto served = serve_in(hall);
    co_await served;
    while (followers_over_ + 1 < shards_->count()) {  // they may still have to be told something
      news_.reset();
      co_await news_.wait();
    }
    co_return {};
  }

  /// Listens on all shards: the real endpoints.
  Io<std::vector<Endpoint>> listen(os::Shard& shard, Hall& hall) {
    if (endpoints_.empty())
      co_return std::unexpected(
          Error(Fault::not_found, "serve").with_note("no endpoint was given"));
    std::vector<Endpoint> real;
    for (const std::string& text : endpoints_) {
      auto endpoint = co_await attempt(parse_endpoint(text));
      auto lookup = resolved(shard.network, std::move(endpoint));
      endpoint = co_await attempt(std::move(lookup));
      real.push_back(co_await attempt(hall.listen(endpoint)));
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
    while (followers_ready_ + 1 < shards_->count()) {
      news_.reset();
      co_await news_.wait();
    }
    if (follower_error_) co_return std::unexpected(std::move(*follower_error_));
    co_return real;
  }

  /// From a follower: it listens, or cannot.
  void follower_is_ready(Result<void> listening) {
    shards_->post(0, [this, listening = std::move(listening)]() mutable {
      ++followers_ready_;
      if (!listening && !follower_error_) follower_error_ = std::move(listening.error());
      news_.set();
    });
  }

  void follower_is_over() {
    shards_->post(0, [this] {
      ++followers_over_;
      news_.set();
    });
  }

  Task<void> serve_in(Hall& hall) {
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
        for (std::size_t number = 0; number < shards_->count(); ++number) {
          shards_->post(number, [number] {
            print(stderr, "koine: tasks of shard " + std::to_string(number) + "\n" +
                              Loop::current().dump());
          });
        }
      } else if (!std::exchange(draining, true)) {
        tell_all([](Hall& hall) { hall.drain(); });
      } else {
        tell_all([](Hall& hall) { hall.cut(); });
      }
    }
  }

  template <class What>
  void tell(std::size_t number, What what) {
    shards_->post(number, [this, number, what] {
      Seat& there = seats_[number];
      if (there.hall != nullptr) {
        what(*there.hall);
      } else if (!there.is_over) {
        there.told_early.emplace_back(what);
      }
    });
  }
  template <class What>
  void tell_others(What what) {
    for (std::size_t number = 1; number < shards_->count(); ++number) tell(number, what);
  }
  template <class What>
  void tell_all(What what) {
    for (std::size_t number = 0; number < shards_->count(); ++number) tell(number, what);
  }

  std::vector<std::string> endpoints_;
  std::shared_ptr<const Job> job_;
  os::Shards* shards_ = nullptr;
  std::vector<Seat> seats_;  // by shard, and each shard's own

  // Shard 0's own.
  std::size_t followers_ready_ = 0;
  std::size_t followers_over_ = 0;
  std::optional<Error> follower_error_;
  Event news_;

  std::mutex counts_mutex_;
  ServerCounts counts_;
};

}  // namespace

Result<ServerCounts> serve_until_told(const std::vector<std::string>& endpoints, Served served,
                                      ServeOptions options) {
  options.shards = std::max<std::size_t>(options.shards, 1);
  return Serving(endpoints, std::move(served), std::move(options)).run();
}

int serve(std::string_view endpoint, Served served, ServeOptions options) {
  const auto counts =
      serve_until_told({std::string(endpoint)}, std::move(served), std::move(options));
  if (!counts) {
    print(stderr, "koine: " + to_string(counts.error()) + "\n");
    return EXIT_FAILURE;
  }
  if (counts->cut == 0) return EXIT_SUCCESS;
  print(stderr,
        "koine: cut " + std::to_string(counts->cut) + " connections that did not end in time\n");
  return exit_cut;
}

}  // namespace koine
