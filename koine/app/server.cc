#include "koine/app/server.h"

#include <algorithm>
#include <functional>

#include "koine/async/frame_pool.h"
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

/// One connection that is being served: its handler, and its place under the limits. Smaller than a
/// coroutine around the handler would be.
class Server::Guest final : public Root, public InServer {
 public:
  Guest(Server& server, PerAddress::iterator address, std::uint16_t port, Io<void> story)
      : server_(server), address_(address), story_(std::move(story)), port_(port) {}
  Guest(const Guest&) = delete;
  ~Guest() {
    --server_.connections_;
    if (--address_->second == 0) server_.per_address_.erase(address_);
    server_.room_.set();
    server_.changed_.set();
  }

  static void* operator new(std::size_t bytes) { return frame_pool::allocate(bytes); }
  static void operator delete(void* guest) noexcept { frame_pool::release(guest, sizeof(Guest)); }

  /// Starts the handler, from the loop.
  void run() override {
    story_
        .start({[](void* who) noexcept -> std::coroutine_handle<> {
                  static_cast<Guest*>(who)->finished();
                  return std::noop_coroutine();
                },
                this})
        .resume();
  }
  const Awaited* awaited() const override { return story_.awaited(); }

  /// "127.0.0.1:4312", or "(unnamed)" behind a Unix socket.
  std::string peer() const {
    return to_string(address_->first ? Address(*address_->first, port_) : Address());
  }

 private:
  void finished() noexcept {
    Result<void> over;
    try {
      over = story_.take();
    } catch (const std::exception& thrown) {
      over = std::unexpected(Error(Fault::system, "serve").with_note(thrown.what()));
    } catch (...) {
      over = std::unexpected(Error(Fault::system, "serve").with_note("an unknown exception"));
    }
    server_.ended(*this, std::move(over));  // destroys this
  }

  Server& server_;
  PerAddress::iterator address_;
  Io<void> story_;
  std::uint16_t port_;
};

Server::Server(Network& network, Handler handler, ServerOptions options)
    : network_(network),
      loop_(network.loop()),
      handler_(std::move(handler)),
      options_(std::move(options)),
      sweeper_(*this),
      acceptors_(loop_) {}

Server::Server(Network& network, std::shared_ptr<Workers> workers, ServerOptions options)
    : Server(network, Handler(), std::move(options)) {
  workers_ = std::move(workers);
}

Server::~Server() {
  while (!guests_.empty()) delete &guests_.pop_front();
}

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
  while (!guests_.empty()) delete &guests_.pop_front();
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

void Server::adopt(std::unique_ptr<Stream> stream) {
  // Peers behind Unix sockets have no address: they are bounded by the limit for all together.
  const Address peer = stream->peer();
  std::optional<IpAddress> ip;
  if (peer.is_ip()) ip = peer.ip().unmapped();
  const auto address = per_address_.try_emplace(ip, 0).first;
  if (ip && address->second >= options_.limits.connections_per_address) {
    ++counts_.refused;
    stream->abort();
    return;
  }
  ++address->second;
  ++connections_;
  ++counts_.accepted;
  auto* guest = new Guest(*this, address, peer.port(), story_of(std::move(stream)));
  guests_.push_back(*guest);
  loop_.add(*guest);
  loop_.schedule(*guest);
}

Io<void> Server::story_of(std::unique_ptr<Stream> stream) {
  if (workers_ != nullptr) return workers_->serve(std::move(stream));
  auto guarded = std::make_unique<GuardedStream>(std::move(stream), loop_);
  streams_.push_back(*guarded);
  sweep_later();
  return handler_(std::move(guarded));
}

void Server::ended(Guest& guest, Result<void> over) {
  ++counts_.finished;
  if (!over) {
    ++counts_.failed;
    report(guest.peer(), over.error());
  }
  delete &guest;
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
