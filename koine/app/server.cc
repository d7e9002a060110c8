#include "koine/app/server.h"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "koine/app/stream_guard.h"
#include "koine/async/event.h"
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
  Body(Network& network, Handler handler, std::unique_ptr<Workers> workers, ServerOptions options);
  Body(const Body&) = delete;
  ~Body() { destroy_guests(); }

  Result<Endpoint> listen(const Endpoint& at);
  Io<Endpoint> listen(std::string at);
  void adopt(std::unique_ptr<Stream> stream);
  Task<ServerCounts> run();
  void drain();
  void cut();

  const ServerCounts& counts() const { return counts_; }
  std::size_t connections() const { return guests_.count(); }

 private:
  /// The connections from one IP address.
  struct Origin {
    Body& body;
    std::size_t connections = 0;  // there is at least one
  };
  using Origins = std::map<std::optional<IpAddress>, Origin>;  // nothing: no IP address

  /// One connection that is being served: its handler, and its place under the limits.
  struct Guest {
    Origins::iterator origin;
    Io<void> story;  // none: the place is free
    std::uint16_t port;

    bool is_here() const { return story.awaited() != nullptr; }
    /// "127.0.0.1:4312", or "(unnamed)" behind a Unix socket.
    std::string peer() const {
      return to_string(origin->first ? Address(*origin->first, port) : Address());
    }
  };

  /// All of them, three words each: one task in the loop's dump, because what one takes of its own
  /// is larger than that.
  class Guests final : public Root {
   public:
    explicit Guests(Loop& loop) : loop_(loop) {}

    std::size_t count() const { return count_; }
    /// Its handler is started by the loop.
    void add(Guest guest);
    void leaves(Guest& guest);
    /// Cancels all, and calls `left` for each that is gone.
    template <class Left>
    void cancel(Left&& left);

    void run() override;
    const Awaited* awaited() const override { return this; }
    Activity activity() const override { return {"connections", {}}; }
    void visit_inner(AwaitedVisitor& visitor) const override;

   private:
    Guest& placed(Guest guest);

    Loop& loop_;
    std::deque<Guest> places_;
    std::vector<Guest*> free_;
    std::vector<Guest*> to_start_;
    std::size_t count_ = 0;
  };

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

  bool is_full() const { return connections() >= options_.limits.connections; }
  Task<void> accept_from(Listener& listener);
  void accept_the_rest(Listener& listener);
  Io<void> story_of(std::unique_ptr<Stream> stream);
  void ended(Guest& guest) noexcept;
  void forget(Origins::iterator origin);
  Task<void> let_finish();
  Task<void> cut_the_rest();
  void destroy_guests();
  void report(const std::string& peer, const Error& error);

  Network& network_;
  Loop& loop_;
  Handler handler_;
  std::unique_ptr<Workers> workers_;
  ServerOptions options_;
  ServerCounts counts_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  Origins origins_;
  Guests guests_;
  bool draining_ = false;
  bool cutting_ = false;
  bool rest_is_cut_ = false;
  Event changed_;  // a connection ended, or drain() was called
  WaitList room_;  // acceptors, while it is full
  StreamGuard guard_;
  Scope acceptors_;
};

Server::Body::Body(Network& network, Handler handler, std::unique_ptr<Workers> workers,
                   ServerOptions options)
    : network_(network),
      loop_(network.loop()),
      handler_(std::move(handler)),
      workers_(std::move(workers)),
      options_(std::move(options)),
      guests_(loop_),
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
  auto origin = origins_.find(ip);
  const std::size_t others = origin == origins_.end() ? 0 : origin->second.connections;
  if (ip && others >= options_.limits.connections_per_address) {
    ++counts_.refused;
    stream->abort();
    return;
  }
  if (others == 0) origin = origins_.emplace(ip, Origin{*this}).first;
  ++origin->second.connections;
  ++counts_.accepted;
  guests_.add({origin, story_of(std::move(stream)), peer.port()});
}

void Server::Body::Guests::add(Guest guest) {
  to_start_.push_back(&placed(std::move(guest)));
  if (count_++ == 0) loop_.add(*this);
  if (!Runnable::listed()) loop_.schedule(*this);
}

Server::Body::Guest& Server::Body::Guests::placed(Guest guest) {
  if (free_.empty()) return places_.emplace_back(std::move(guest));
  Guest& place = *free_.back();
  free_.pop_back();
  place = std::move(guest);
  return place;
}

void Server::Body::Guests::run() {
  std::vector<Guest*> starting;
  starting.swap(to_start_);
  for (Guest* guest : starting) {
    Continuation(guest->story.start({[](void* who) noexcept -> std::coroutine_handle<> {
                                       auto& over = *static_cast<Guest*>(who);
                                       over.origin->second.body.ended(over);
                                       return std::noop_coroutine();
                                     },
                                     guest}))
        .resume();
  }
  starting.clear();
  if (to_start_.empty()) to_start_.swap(starting);  // the memory serves the next time
}

void Server::Body::Guests::visit_inner(AwaitedVisitor& visitor) const {
  for (const Guest& guest : places_) {
    if (guest.is_here()) visitor.visit(*guest.story.awaited());
  }
}

/// Its story is over, or cancelled.
void Server::Body::Guests::leaves(Guest& guest) {
  free_.push_back(&guest);
  if (--count_ == 0) InDump::leave();
}

template <class Left>
void Server::Body::Guests::cancel(Left&& left) {
  to_start_.clear();
  for (Guest& guest : places_) {
    if (!guest.is_here()) continue;
    {
      const auto cancelled = std::move(guest.story);
    }
    leaves(guest);
    left(guest);
  }
}

Io<void> Server::Body::story_of(std::unique_ptr<Stream> stream) {
  try {
    if (workers_ != nullptr) return workers_->serve(std::move(stream));
    return handler_(guard_.guard(std::move(stream)));
  } catch (...) {  // no coroutine, then
    return failed(thrown_error("serve"));
  }
}

void Server::Body::ended(Guest& guest) noexcept {
  Result<void> result;
  try {
    result = guest.story.take();
  } catch (...) {
    result = std::unexpected(thrown_error("serve"));
  }
  if (!rest_is_cut_) {  // or it was counted as that
    ++counts_.finished;
    if (!result) {
      ++counts_.failed;
      report(guest.peer(), result.error());
    }
  }
  guests_.leaves(guest);
  forget(guest.origin);
}

/// One connection from there is over.
void Server::Body::forget(Origins::iterator origin) {
  if (--origin->second.connections == 0) origins_.erase(origin);
  room_.wake_all(loop_);
  changed_.set();
}

void Server::Body::report(const std::string& peer, const Error& error) {
  if (options_.on_error) options_.on_error(peer, error);
}

Task<ServerCounts> Server::Body::run() {
  while (!draining_ && (!listeners_.empty() || connections() != 0)) {
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
  while (connections() != 0 && !cutting_ && loop_.now() < deadline) {
    guard_.end_quiet(options_.drain_quiet);
    changed_.reset();
    co_await within(std::min(deadline - loop_.now(), look_again), changed_.wait());
  }
}

Task<void> Server::Body::cut_the_rest() {
  counts_.cut += connections();
  rest_is_cut_ = true;
  guard_.drop_when_closed();
  if (workers_ != nullptr && connections() != 0) {
    workers_->cut();
    const Instant deadline = later(loop_.now(), cut_time_max);
    while (connections() != 0 && loop_.now() < deadline) {
      changed_.reset();
      co_await within(deadline - loop_.now(), changed_.wait());
    }
  }
  destroy_guests();
}

void Server::Body::destroy_guests() {
  const Loop::Entered entered(loop_);  // what they held may wake somebody
  guests_.cancel([this](const Guest& guest) { forget(guest.origin); });
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
    : body_(new Body(network, std::move(handler), nullptr, std::move(options))) {}

Server::Server(Network& network, std::unique_ptr<Workers> workers, ServerOptions options)
    : body_(new Body(network, Handler(), std::move(workers), std::move(options))) {}

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
