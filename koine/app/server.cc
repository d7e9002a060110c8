#include "koine/app/server.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "koine/app/stream_guard.h"
#include "koine/async/event.h"
#include "koine/async/frame_pool.h"
#include "koine/async/scope.h"
#include "koine/async/sleep.h"
#include "koine/async/within.h"
#include "koine/base/thrown.h"

namespace koine {
namespace {

/// How long accepting pauses when no descriptor or memory is left: short enough to recover within
/// 100 ms, long enough to cost nothing.
constexpr Duration exhausted_pause = 50ms;

/// How long handlers elsewhere have to end when they are cut.
constexpr Duration cut_time_max = 1s;

Io<void> failed(Error error) { co_return std::unexpected(std::move(error)); }

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

class Server::Body {
 public:
  Body(Network& network, Handler handler, std::shared_ptr<Workers> workers, ServerOptions options);
  Body(const Body&) = delete;
  ~Body() { destroy_guests(); }

  Result<Endpoint> listen(const Endpoint& at);
  Io<Endpoint> listen(std::string at);
  void adopt(std::unique_ptr<Stream> stream);
  Task<ServerCounts> run();
  void drain();
  void cut();

  const ServerCounts& counts() const { return counts_; }
  std::size_t connections() const { return connections_; }

 private:
  class Guest;
  using PerAddress = std::map<std::optional<IpAddress>, std::size_t>;  // nothing: no IP address

  /// Accepts the next connection once there is room for it.
  class AcceptNext final : public Trying<AcceptNext, std::unique_ptr<Stream>> {
   public:
    AcceptNext(Body& body, Listener& listener) : body_(body), listener_(listener) {}
    Result<std::unique_ptr<Stream>> attempt_once() {
      if (body_.is_full()) return fail(Fault::would_block);
      return listener_.accept_now();
    }
    void park() { (body_.is_full() ? body_.room_ : listener_.acceptable()).join(*this); }
    Activity activity() const override {
      return {body_.is_full() ? "wait for a connection to end, before accepting at" : "accept",
              to_string(listener_.endpoint())};
    }

   private:
    Body& body_;
    Listener& listener_;
  };

  bool is_full() const { return connections_ >= options_.limits.connections; }
  Task<void> accept_from(Listener& listener);
  void accept_the_rest(Listener& listener);
  Io<void> story_of(std::unique_ptr<Stream> stream);
  void ended(Guest& guest, const Result<void>& result);
  Task<void> let_finish();
  Task<void> cut_the_rest();
  void destroy_guests();
  void report(const std::string& peer, const Error& error);

  Network& network_;
  Loop& loop_;
  Handler handler_;
  std::shared_ptr<Workers> workers_;
  ServerOptions options_;
  ServerCounts counts_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  PerAddress per_address_;  // none is 0
  std::size_t connections_ = 0;
  bool draining_ = false;
  bool cutting_ = false;
  bool rest_is_cut_ = false;
  Event changed_;  // a connection ended, or drain() was called
  WaitList room_;  // acceptors, while it is full
  StreamGuard guard_;
  Scope acceptors_;
};

/// One connection that is being served: its handler, and its place under the limits. Smaller than a
/// coroutine around the handler would be.
class Server::Body::Guest final : public Root {
 public:
  Guest(Body& body, PerAddress::iterator address, std::uint16_t port, Io<void> story)
      : body_(body), address_(address), story_(std::move(story)), port_(port) {}
  Guest(const Guest&) = delete;
  ~Guest() {
    --body_.connections_;
    if (--address_->second == 0) body_.per_address_.erase(address_);
    body_.room_.wake_all(body_.loop_);
    body_.changed_.set();
  }

  static void* operator new(std::size_t bytes) { return frame_pool::allocate(bytes); }
  static void operator delete(void* guest) noexcept { frame_pool::release(guest, sizeof(Guest)); }

  /// Starts the handler, from the loop.
  void run() override {
    Continuation(story_.start({[](void* who) noexcept -> std::coroutine_handle<> {
                                 static_cast<Guest*>(who)->finished();
                                 return std::noop_coroutine();
                               },
                               this}))
        .resume();
  }
  const Awaited* awaited() const override { return story_.awaited(); }
  bool is_of(const Body& body) const { return &body_ == &body; }

  /// "127.0.0.1:4312", or "(unnamed)" behind a Unix socket.
  std::string peer() const {
    return to_string(address_->first ? Address(*address_->first, port_) : Address());
  }

 private:
  void finished() noexcept {
    Result<void> result;
    try {
      result = story_.take();
    } catch (...) {
      result = std::unexpected(thrown_error("serve"));
    }
    body_.ended(*this, result);  // destroys this
  }

  Body& body_;
  PerAddress::iterator address_;
  Io<void> story_;
  std::uint16_t port_;
};

Server::Body::Body(Network& network, Handler handler, std::shared_ptr<Workers> workers,
                   ServerOptions options)
    : network_(network),
      loop_(network.loop()),
      handler_(std::move(handler)),
      workers_(std::move(workers)),
      options_(std::move(options)),
      guard_(loop_, options_.limits, counts_),
      acceptors_(loop_) {}

Result<Endpoint> Server::Body::listen(const Endpoint& at) {
  if (draining_) return fail(Fault::closed, "listen", to_string(at));
  auto listener = network_.listen(at, options_.listen);
  if (!listener) return std::unexpected(std::move(listener.error()));
  Endpoint real = (*listener)->endpoint();
  acceptors_.spawn(accept_from(**listener));
  listeners_.push_back(std::move(*listener));
  return real;
}

Io<Endpoint> Server::Body::listen(std::string at) {
  auto endpoint = co_await attempt(parse_endpoint(at));
  auto lookup = resolved(network_, std::move(endpoint));
  endpoint = co_await attempt(std::move(lookup));
  co_return listen(endpoint);
}

Task<void> Server::Body::accept_from(Listener& listener) {
  for (bool told = false;;) {
    auto accepted = co_await AcceptNext(*this, listener);
    if (accepted) {
      told = false;
      adopt(std::move(*accepted));
      continue;
    }
    if (accepted.error() == Fault::closed) co_return;
    // Out of descriptors, or worse: the connection waits in the queue, and so do we.
    if (!std::exchange(told, true)) report({}, accepted.error());
    co_await sleep(exhausted_pause);
  }
}

void Server::Body::adopt(std::unique_ptr<Stream> stream) {
  // Peers behind Unix sockets have no address: they are bounded by the limit for all together.
  const Address peer = stream->peer();
  std::optional<IpAddress> ip;
  if (peer.is_ip()) ip = peer.ip().unmapped();
  auto address = per_address_.find(ip);
  const std::size_t others = address == per_address_.end() ? 0 : address->second;
  if (ip && others >= options_.limits.connections_per_address) {
    ++counts_.refused;
    stream->abort();
    return;
  }
  if (others == 0) address = per_address_.emplace(ip, 0).first;
  ++address->second;
  ++connections_;
  ++counts_.accepted;
  auto* guest = new Guest(*this, address, peer.port(), story_of(std::move(stream)));
  loop_.add(*guest);
  loop_.schedule(*guest);
}

Io<void> Server::Body::story_of(std::unique_ptr<Stream> stream) {
  try {
    if (workers_ != nullptr) return workers_->serve(std::move(stream));
    return handler_(guard_.guard(std::move(stream)));
  } catch (...) {  // no coroutine, then
    return failed(thrown_error("serve"));
  }
}

void Server::Body::ended(Guest& guest, const Result<void>& result) {
  if (rest_is_cut_) {  // and it was counted as that
    delete &guest;
    return;
  }
  ++counts_.finished;
  if (!result) {
    ++counts_.failed;
    report(guest.peer(), result.error());
  }
  delete &guest;
}

void Server::Body::report(const std::string& peer, const Error& error) {
  if (options_.on_error) options_.on_error(peer, error);
}

Task<ServerCounts> Server::Body::run() {
  while (!draining_ && (!listeners_.empty() || connections_ != 0)) {
    changed_.reset();
    co_await changed_.wait();
  }
  acceptors_.cancel();
  auto ended = acceptors_.join();
  co_await ended;
  for (const auto& listener : listeners_) {
    if (!cutting_) accept_the_rest(*listener);
    listener->close();
  }
  if (workers_ != nullptr && draining_) workers_->drain();
  auto finishing = let_finish();
  co_await finishing;
  auto cutting = cut_the_rest();
  co_await cutting;
  co_return counts_;
}

/// Those whose connection was complete before we stopped listening are served: closing the listener
/// would reset them.
void Server::Body::accept_the_rest(Listener& listener) {
  while (!is_full()) {
    auto accepted = listener.accept_now();
    if (!accepted) return;
    adopt(std::move(*accepted));
  }
}

Task<void> Server::Body::let_finish() {
  const Instant deadline = later(loop_.now(), options_.drain);
  const Duration look_again = std::clamp<Duration>(options_.drain_quiet / 4, 10ms, 250ms);
  while (connections_ != 0 && !cutting_ && loop_.now() < deadline) {
    guard_.end_quiet(options_.drain_quiet);
    changed_.reset();
    co_await within(std::min(deadline - loop_.now(), look_again), changed_.wait());
  }
}

Task<void> Server::Body::cut_the_rest() {
  counts_.cut += connections_;
  rest_is_cut_ = true;
  guard_.drop_when_closed();
  if (workers_ != nullptr && connections_ != 0) {
    workers_->cut();
    const Instant deadline = later(loop_.now(), cut_time_max);
    while (connections_ != 0 && loop_.now() < deadline) {
      changed_.reset();
      co_await within(deadline - loop_.now(), changed_.wait());
    }
  }
  destroy_guests();
}

void Server::Body::destroy_guests() {
  const Loop::Entered entered(loop_);  // what they held may wake somebody
  std::vector<Guest*> guests;
  loop_.for_each_root([&](Root& root) {
    auto* guest = dynamic_cast<Guest*>(&root);
    if (guest != nullptr && guest->is_of(*this)) guests.push_back(guest);
  });
  for (Guest* guest : guests) delete guest;
}

void Server::Body::drain() {
  draining_ = true;
  changed_.set();
}

void Server::Body::cut() {
  cutting_ = true;
  drain();
}

Server::Server(Network& network, Handler handler, ServerOptions options)
    : body_(std::make_unique<Body>(network, std::move(handler), nullptr, std::move(options))) {}

Server::Server(Network& network, std::shared_ptr<Workers> workers, ServerOptions options)
    : body_(std::make_unique<Body>(network, Handler(), std::move(workers), std::move(options))) {}

Server::~Server() = default;

Result<Endpoint> Server::listen(const Endpoint& at) { return body_->listen(at); }
Io<Endpoint> Server::listen(std::string at) { return body_->listen(std::move(at)); }
void Server::adopt(std::unique_ptr<Stream> stream) { body_->adopt(std::move(stream)); }
Task<ServerCounts> Server::run() { return body_->run(); }
void Server::drain() { body_->drain(); }
void Server::cut() { body_->cut(); }
const ServerCounts& Server::counts() const { return body_->counts(); }
std::size_t Server::connections() const { return body_->connections(); }

}  // namespace koine
