// serve(): a Server as a whole program, with signals and shards.
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <optional>

#include "koine/base/joined.h"
#include "koine/os/network.h"
#include "koine/os/reactor.h"
#include "koine/os/shards.h"
#include "koine/os/signals.h"
#include "koine/serving.h"

namespace koine {
namespace {

using detail::DatagramService;
using detail::Job;
using detail::MakeWorkers;
using detail::Place;

/// Descriptors that a loop has beside its connections: multiplexer, doorbell, alarm, listeners,
/// lookups.
constexpr std::size_t descriptors_besides = 64;

/// A thread has a loop of its own for its one connection (that, multiplexer, doorbell, alarm), a
/// process is watched.
constexpr std::size_t descriptors_elsewhere = 4;

/// Nobody needs more, and the sum fits.
constexpr std::size_t descriptors_max = std::size_t{1} << 24;

void print(std::FILE* to, const std::string& text) {
  std::fputs(text.c_str(), to);
  std::fflush(to);
}

/// Lets this process have as many descriptors as it needs, if it may.
void allow_descriptors(const ServeOptions& options) {
  const bool elsewhere = options.concurrency != Concurrency::coroutine;
  const rlim_t wanted = std::min(options.limits.connections, descriptors_max) *
                            (elsewhere ? descriptors_elsewhere : 1) +
                        std::min(options.shards, descriptors_max) * descriptors_besides;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return;
  limit.rlim_cur = std::min(wanted, limit.rlim_max);
  ::setrlimit(RLIMIT_NOFILE, &limit);  // if not, accepting pauses where they run out
}

/// The servers of one shard. Only its own thread touches them.
struct Hall {
  Hall(os::Shard& shard, const std::shared_ptr<const Job>& job);

  Result<Endpoint> listen(const Endpoint& at);
  void drain() {
    connections.drain();
    if (datagrams) datagrams->drain();
  }
  void cut() {
    told.set();
    connections.cut();
    if (datagrams) datagrams->cut();
  }
  void open() {
    is_open = true;
    told.set();
  }

  Place place;
  const Served& served;
  Server connections;
  std::unique_ptr<DatagramService> datagrams;  // null if no handler is for them
  Event told;                                  // to open, or that there is nothing to do
  bool is_open = false;
};

/// What a hall is told.
using Word = void (Hall::*)();

Server server_of_connections(const Place& place) {
  const MakeWorkers commands = place.job->served.commands();
  const MakeWorkers make =
      commands != nullptr ? commands : place.job->options.concurrency.workers();
  if (make == nullptr) return {place.shard.network, connection_handler(place.job), place.options()};
  return {place.shard.network, make(place), place.options()};
}

Hall::Hall(os::Shard& shard, const std::shared_ptr<const Job>& job)
    : place{shard, job}, served(job->served), connections(server_of_connections(place)) {
  if (served.datagrams() != nullptr) datagrams = served.datagrams()(place);
}

Result<Endpoint> Hall::listen(const Endpoint& at) {
  // fd:// and systemd:// are what they turn out to be.
  const bool unknown =
      at.transport() == Transport::inherited || at.transport() == Transport::systemd;
  const bool is_datagram =
      at.transport() == Transport::udp || at.transport() == Transport::unix_datagram;
  const bool serves_datagrams = datagrams != nullptr;
  const bool serves_connections = served.on_connection || served.commands() != nullptr;
  if (!is_datagram && serves_connections) {
    auto real = connections.listen(at);
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
  /// Takes over what is served, and the options.
  Serving(const std::vector<std::string>& endpoints, Served& served, ServeOptions& options)
      : endpoints_(endpoints),
        job_(std::make_shared<const Job>(std::move(served), std::move(options))),
        seats_(job_->options.shards) {}

  Result<ServerCounts> run() {
    const ServeOptions& options = job_->options;
    // A command would inherit the limit, and select(2) in it might not bear it.
    if (job_->served.commands() == nullptr) allow_descriptors(options);
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
    std::vector<Word> told_early;
  };

  /// A hall as long as its shard can be told things. However the leader ends, the others end too;
  /// however a follower ends, the leader does not wait for it.
  class Open {
   public:
    Open(Serving& serving, std::size_t number, Hall& hall) : serving_(serving), number_(number) {
      Seat& mine = serving_.seats_[number_];
      mine.hall = &hall;
      for (const Word word : mine.told_early) (hall.*word)();
      mine.told_early.clear();
    }
    Open(const Open&) = delete;
    ~Open() {
      serving_.seats_[number_] = {.hall = nullptr, .is_over = true, .told_early = {}};
      if (number_ == 0) {
        serving_.tell_others(&Hall::cut);
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
    for (std::size_t i = 0; hall.is_open && i < real_.size(); ++i) {
      // Sockets that cannot be shared between listeners stay with shard 0.
      if (!real_[i].ip() && !real_[i].is_any()) continue;
      if (auto real = hall.listen(real_[i]); !real && listening)
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
    co_await attempt(std::move(listening));
    if (job_->options.on_listening) {
      job_->options.on_listening(real_);
    } else {
      for (const Endpoint& endpoint : real_)
        print(stdout, joined({"listening on ", to_string(endpoint), "\n"}));
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

  /// Listens on all shards.
  Io<void> listen(os::Shard& shard, Hall& hall) {
    if (endpoints_.empty())
      co_return std::unexpected(
          Error(Fault::not_found, "serve").with_note("no endpoint was given"));
    for (const std::string& text : endpoints_) {
      auto endpoint = co_await attempt(parse_endpoint(text));
      auto lookup = resolved(shard.network, std::move(endpoint));
      endpoint = co_await attempt(std::move(lookup));
      real_.push_back(co_await attempt(hall.listen(endpoint)));
    }
    tell_others(&Hall::open);
    while (followers_ready_ + 1 < shards_->count()) {
      news_.reset();
      co_await news_.wait();
    }
    if (follower_error_) co_return std::unexpected(std::move(*follower_error_));
    co_return {};
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
    auto served = hall.connections.run();
    if (hall.datagrams) served = hall.datagrams->run_beside(std::move(served));
    const ServerCounts counts = co_await served;
    const std::lock_guard lock(counts_mutex_);
    counts_ += counts;
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
            print(stderr, joined({"koine: tasks of shard ", number, "\n", Loop::current().dump()}));
          });
        }
      } else if (!std::exchange(draining, true)) {
        tell_all(&Hall::drain);
      } else {
        tell_all(&Hall::cut);
      }
    }
  }

  void tell(std::size_t number, Word word) {
    shards_->post(number, [this, number, word] {
      Seat& there = seats_[number];
      if (there.hall != nullptr) {
        (there.hall->*word)();
      } else if (!there.is_over) {
        there.told_early.push_back(word);
      }
    });
  }
  void tell_others(Word word) {
    for (std::size_t number = 1; number < shards_->count(); ++number) tell(number, word);
  }
  void tell_all(Word word) {
    for (std::size_t number = 0; number < shards_->count(); ++number) tell(number, word);
  }

  const std::vector<std::string>& endpoints_;
  std::shared_ptr<const Job> job_;
  os::Shards* shards_ = nullptr;
  std::vector<Seat> seats_;  // by shard, and each shard's own

  // Shard 0's own, but that the others read where to listen once they are told to open.
  std::vector<Endpoint> real_;
  std::size_t followers_ready_ = 0;
  std::size_t followers_over_ = 0;
  std::optional<Error> follower_error_;
  Event news_;

  std::mutex counts_mutex_;
  ServerCounts counts_;
};

Result<ServerCounts> serve_with(const std::vector<std::string>& endpoints, Served& served,
                                ServeOptions& options) {
  options.shards = std::max<std::size_t>(options.shards, 1);
  return Serving(endpoints, served, options).run();
}

}  // namespace

ServerOptions detail::Job::server_options(std::size_t number, std::size_t servers) const {
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

Handler detail::connection_handler(const std::shared_ptr<const Job>& job) {
  return [job](std::unique_ptr<Stream> stream) {
    return job->served.on_connection(std::move(stream));
  };
}

ServerOptions detail::Place::options() const {
  ServerOptions made = job->server_options(shard.number, job->options.shards);
  if (job->options.on_error) {
    made.on_error = [job = job](const std::string& peer, const Error& error) {
      job->options.on_error(peer, error);
    };
  }
  return made;
}

Result<ServerCounts> serve_until_told(const std::vector<std::string>& endpoints, Served served,
                                      ServeOptions options) {
  return serve_with(endpoints, served, options);
}

int serve(std::string_view endpoint, Served served, ServeOptions options) {
  const std::vector<std::string> endpoints(1, std::string(endpoint));
  const auto counts = serve_with(endpoints, served, options);
  if (!counts) {
    print(stderr, joined({"koine: ", to_string(counts.error()), "\n"}));
    return EXIT_FAILURE;
  }
  if (counts->cut == 0) return EXIT_SUCCESS;
  print(stderr, joined({"koine: cut ", counts->cut, " connections that did not end in time\n"}));
  return exit_cut;
}

}  // namespace koine
