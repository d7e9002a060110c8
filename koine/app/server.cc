#include "koine/app/server.h"

#include <algorithm>
#include <functional>

#include "koine/async/sleep.h"
#include "koine/async/within.h"

namespace koine {
namespace {

/// How long accepting pauses when no descriptor or memory is left: short enough to recover within
/// 100 ms, long enough to cost nothing.
constexpr Duration exhausted_pause = 50ms;

/// Sweeps look at every connection; they are never closer together.
constexpr Duration sweep_gap_min = 100ms;

/// While output waits, progress is looked at this often.
constexpr Duration unsent_gap = 1s;

}  // namespace

ServerCounts& ServerCounts::operator+=(const ServerCounts& other) {
  accepted += other.accepted;
  finished += other.finished;
  failed += other.failed;
  refused += other.refused;
  idle += other.idle;
  slow += other.slow;
  cut += other.cut;
  datagrams += other.datagrams;
  dropped += other.dropped;
  return *this;
}

/// One connection's place under the limits.
class Server::Slot {
 public:
  Slot(Server& server, const Address& peer) : server_(&server) {
    if (peer.is_ip()) ip_ = peer.ip().unmapped();
    has_ip_ = peer.is_ip();
  }
  Slot(Slot&& other) noexcept
      : server_(std::exchange(other.server_, nullptr)), ip_(other.ip_), has_ip_(other.has_ip_) {}
  ~Slot() {
    if (server_ == nullptr) return;
    --server_->connections_;
    if (has_ip_) {
      const auto at = server_->per_address_.find(ip_);
      if (--at->second == 0) server_->per_address_.erase(at);
    }
    server_->room_.set();
    server_->changed_.set();
  }

 private:
  Server* server_;
  IpAddress ip_;
  bool has_ip_ = false;
};

Server::Server(Network& network, Handler handler, ServerOptions options)
    : network_(network),
      loop_(network.loop()),
      handler_(std::move(handler)),
      options_(std::move(options)),
      sweeper_(*this),
      acceptors_(loop_),
      guests_(loop_) {}

Server::Server(Network& network, std::shared_ptr<Workers> workers, ServerOptions options)
    : Server(network, Handler(), std::move(options)) {
  workers_ = std::move(workers);
}

Server::~Server() = default;

Result<Endpoint> Server::listen(const Endpoint& at) {
  auto listener = network_.listen(at, options_.listen);
  if (!listener) return std::unexpected(std::move(listener.error()));
  Endpoint real = (*listener)->endpoint();
  acceptors_.spawn(accept_from(**listener));
  listeners_.push_back(std::move(*listener));
  return real;
}

Io<Endpoint> Server::listen(std::string at) {
  auto endpoint = co_await attempt(parse_endpoint(at));
  auto lookup = resolved(network_, std::move(endpoint));
  endpoint = co_await attempt(std::move(lookup));
  co_return listen(endpoint);
}

Task<ServerCounts> Server::run() {
  while (!draining_ && (!listeners_.empty() || connections_ != 0)) {
    changed_.reset();
    co_await changed_.wait();
  }
  if (!listeners_.empty()) {
    for (const auto& listener : listeners_) listener->close();
    auto ended = acceptors_.join();
    co_await ended;
  }
  if (workers_ != nullptr && draining_) workers_->drain();
  const Instant deadline = loop_.now() + options_.drain;
  while (connections_ != 0 && !cutting_ && loop_.now() < deadline) {
    changed_.reset();
    co_await within(std::min(deadline - loop_.now(), options_.drain_quiet / 4), changed_.wait());
    streams_.for_each([&](GuardedStream& stream) {
      if (loop_.now() - stream.last_moved() >= options_.drain_quiet) stream.end_input();
    });
  }
  counts_.cut += connections_;
  guests_.cancel();
  auto gone = guests_.join();
  co_await gone;
  co_return counts_;
}

void Server::drain() {
  draining_ = true;
  changed_.set();
}

void Server::cut() {
  cutting_ = true;
  drain();
}

Task<void> Server::accept_from(Listener& listener) {
  for (;;) {
    while (connections_ >= options_.limits.connections) {
      room_.reset();
      co_await room_.wait();
    }
    auto accepted = co_await accept(listener);
    if (!accepted) {
      if (accepted.error() == Fault::closed) co_return;
      // Out of descriptors, or worse: the connection waits in the queue, and so do we.
      if (accepted.error() != Fault::exhausted) report({}, accepted.error());
      co_await sleep(exhausted_pause);
      continue;
    }
    adopt(std::move(*accepted));
  }
}

/// Counts a connection from `peer` in, unless its address has too many.
bool Server::admit(const Address& peer) {
  if (peer.is_ip()) {
    std::size_t& count = per_address_[peer.ip().unmapped()];
    if (count >= options_.limits.connections_per_address) {
      ++counts_.refused;
      return false;
    }
    ++count;
  }
  ++connections_;
  ++counts_.accepted;
  return true;
}

void Server::adopt(std::unique_ptr<Stream> stream) {
  if (!admit(stream->peer())) {
    stream->abort();
    return;
  }
  if (workers_ != nullptr) {
    Slot slot(*this, stream->peer());
    guests_.spawn(guest_elsewhere(std::move(stream), std::move(slot)));
  } else {
    guests_.spawn(guest(std::move(stream)));
  }
}

Task<void> Server::guest(std::unique_ptr<Stream> stream) {
  const Slot slot(*this, stream->peer());
  auto guarded = std::make_unique<GuardedStream>(std::move(stream), loop_);
  streams_.push_back(*guarded);
  sweep_later();
  // The name is wanted only when something went wrong, and then the stream is gone.
  const Address peer = guarded->peer();
  Result<void> over;
  try {
    auto task = handler_(std::move(guarded));
    over = co_await task;
  } catch (const std::exception& thrown) {
    over = std::unexpected(Error(Fault::system, "serve").with_note(thrown.what()));
  }
  ++counts_.finished;
  if (!over) {
    ++counts_.failed;
    report(to_string(peer), over.error());
  }
}

Task<void> Server::guest_elsewhere(std::unique_ptr<Stream> stream, Slot slot) {
  const Slot held(std::move(slot));
  const std::string peer = stream->name();
  auto task = workers_->serve(std::move(stream));
  const auto over = co_await task;
  ++counts_.finished;
  if (!over) {
    ++counts_.failed;
    report(peer, over.error());
  }
}

void Server::report(const std::string& peer, const Error& error) {
  if (options_.on_error) options_.on_error(peer, error);
}

void Server::sweep_later() {
  if (!sweeper_.armed()) loop_.arm(sweeper_, loop_.now() + options_.limits.idle);
}

/// Ends the connections that do not move, and finds out when to look again.
void Server::sweep() {
  Instant next = Instant::max();
  std::size_t unsent = 0;
  std::vector<GuardedStream*> condemned;
  streams_.for_each([&](GuardedStream& stream) {
    const Verdict verdict = stream.judge(options_.limits);
    if (verdict != Verdict::fine) {
      ++(verdict == Verdict::idle ? counts_.idle : counts_.slow);
      condemned.push_back(&stream);
      return;
    }
    unsent += stream.unsent();
    next = std::min(next, stream.next_judgement(options_.limits));
  });
  for (GuardedStream* stream : condemned) {
    stream->leave();
    stream->abort();
  }
  if (unsent > options_.limits.unsent_bytes) shed_unsent();
  if (unsent != 0) next = std::min(next, loop_.now() + unsent_gap);
  if (next != Instant::max()) loop_.arm(sweeper_, std::max(next, loop_.now() + sweep_gap_min));
}

/// Ends those that let the most wait, until what waits fits.
void Server::shed_unsent() {
  std::multimap<std::size_t, GuardedStream*, std::greater<>> waiting;  // equal ones: oldest first
  std::size_t unsent = 0;
  streams_.for_each([&](GuardedStream& stream) {
    if (stream.unsent() != 0) waiting.emplace(stream.unsent(), &stream);
    unsent += stream.unsent();
  });
  for (const auto& [bytes, stream] : waiting) {
    if (unsent <= options_.limits.unsent_bytes) return;
    unsent -= bytes;
    ++counts_.slow;
    stream->leave();
    stream->abort();
  }
}

}  // namespace koine
