#include "koine/app/datagram_server.h"

#include <algorithm>
#include <cassert>
#include <deque>
#include <map>
#include <utility>

#include "koine/async/event.h"
#include "koine/async/scope.h"
#include "koine/async/sleep.h"
#include "koine/async/within.h"
#include "koine/base/thrown.h"

namespace koine {
namespace {

constexpr Duration sweep_gap_min = 100ms;

/// Receiving failed, and may fail at once again.
constexpr Duration failed_pause = 50ms;

}  // namespace

class DatagramServer::Body {
 public:
  Body(Network& network, DatagramHandler handler, ConversationHandler conversation_handler,
       ServerOptions options);
  Body(const Body&) = delete;
  ~Body();

  Result<Endpoint> listen(const Endpoint& at);
  Io<Endpoint> listen(std::string at);
  Task<ServerCounts> run();
  void drain();
  void cut();

  const ServerCounts& counts() const { return counts_; }
  std::size_t peers() const { return conversations_.size(); }

 private:
  friend class Conversation;
  using Key = std::pair<std::size_t, Address>;  // the number of the socket, and the peer

  class Sweeper final : public Timer {
   public:
    explicit Sweeper(Body& body) : body_(body) {}
    void run() override { body_.sweep(); }

   private:
    Body& body_;
  };

  /// The next datagram, until the server drains.
  class Hear final : public Trying<Hear, Received> {
   public:
    Hear(Body& body, Datagram& socket, MutableBytes room)
        : body_(body), socket_(socket), room_(room) {}
    Result<Received> attempt_once() {
      if (body_.draining_) return fail(Fault::closed, "receive at", socket_.name());
      return socket_.receive_now(room_);
    }
    void park() { socket_.readable().join(*this); }
    Activity activity() const override { return {"receive at", socket_.name()}; }

   private:
    Body& body_;
    Datagram& socket_;
    MutableBytes room_;
  };

  Task<void> serve(std::size_t socket_number);
  Task<void> converse(std::unique_ptr<Conversation> conversation);
  void hand_to_peer(std::size_t socket_number, Bytes bytes, const Address& from);
  Conversation& begin(const Key& key);
  void end(Conversation& conversation);
  void over(const Address& peer, const Result<void>& result);
  void sweep();

  Network& network_;
  Loop& loop_;
  DatagramHandler handler_;
  ConversationHandler conversation_handler_;
  ServerOptions options_;
  ServerCounts counts_;
  std::vector<std::unique_ptr<Datagram>> sockets_;
  std::map<Key, Conversation*> conversations_;
  std::size_t waiting_bytes_ = 0;  // of all conversations
  std::size_t handlers_ = 0;       // that run
  bool draining_ = false;
  bool cutting_ = false;
  bool rest_is_cut_ = false;
  Event changed_;  // a handler ended, or drain() was called
  Sweeper sweeper_;
  std::optional<Scope> receivers_;
  std::optional<Scope> peers_;
};

struct Conversation::Home {
  Home(DatagramServer::Body& its_server, DatagramServer::Body::Key its_key)
      : server(its_server), key(std::move(its_key)), last_heard(its_server.loop_.now()) {}

  DatagramServer::Body& server;
  DatagramServer::Body::Key key;
  std::deque<std::vector<std::byte>> waiting;
  Instant last_heard;
  bool over = false;
};

Conversation::Conversation(std::unique_ptr<Home> home, Datagram& socket, Address peer)
    : home_(std::move(home)), socket_(socket), peer_(std::move(peer)) {}

Conversation::~Conversation() {
  DatagramServer::Body& server = home_->server;
  server.counts_.dropped += home_->waiting.size();
  server.counts_.datagrams -= home_->waiting.size();
  for (const auto& bytes : home_->waiting) server.waiting_bytes_ -= bytes.size();
  server.conversations_.erase(home_->key);
}

Result<std::vector<std::byte>> Conversation::take() {
  if (home_->waiting.empty()) return fail(home_->over ? Fault::closed : Fault::would_block);
  std::vector<std::byte> bytes = std::move(home_->waiting.front());
  home_->waiting.pop_front();
  home_->server.waiting_bytes_ -= bytes.size();
  return bytes;
}

DatagramServer::Body::Body(Network& network, DatagramHandler handler,
                           ConversationHandler conversation_handler, ServerOptions options)
    : network_(network),
      loop_(network.loop()),
      handler_(std::move(handler)),
      conversation_handler_(std::move(conversation_handler)),
      options_(std::move(options)),
      sweeper_(*this),
      receivers_(std::in_place, loop_),
      peers_(std::in_place, loop_) {}

DatagramServer::Body::~Body() {
  receivers_.reset();
  peers_.reset();
  assert(conversations_.empty() && "a conversation must not outlive its server");
}

Result<Endpoint> DatagramServer::Body::listen(const Endpoint& at) {
  if (draining_) return fail(Fault::closed, "listen", to_string(at));
  auto socket = network_.bind(at, options_.listen);
  if (!socket) return std::unexpected(std::move(socket.error()));
  const Address local = (*socket)->local();
  Endpoint real = at.at(local, local.is_unix() ? Transport::unix_datagram : Transport::udp);
  sockets_.push_back(std::move(*socket));
  receivers_->spawn(serve(sockets_.size() - 1));
  return real;
}

Io<Endpoint> DatagramServer::Body::listen(std::string at) {
  auto endpoint = co_await attempt(parse_endpoint(at));
  auto lookup = resolved(network_, std::move(endpoint));
  endpoint = co_await attempt(std::move(lookup));
  co_return listen(endpoint);
}

Task<ServerCounts> DatagramServer::Body::run() {
  while (!draining_ && !sockets_.empty()) {
    changed_.reset();
    co_await changed_.wait();
  }
  for (const auto& [key, conversation] : conversations_) end(*conversation);
  const Instant deadline = later(loop_.now(), options_.drain);
  while (handlers_ != 0 && !cutting_ && loop_.now() < deadline) {
    changed_.reset();
    co_await within(deadline - loop_.now(), changed_.wait());
  }
  rest_is_cut_ = true;
  counts_.cut += handlers_;
  receivers_->cancel();
  peers_->cancel();
  auto deaf = receivers_->join();
  co_await deaf;
  auto gone = peers_->join();
  co_await gone;
  co_return counts_;
}

void DatagramServer::Body::drain() {
  draining_ = true;
  for (const auto& socket : sockets_) socket->readable().wake_all(loop_);
  changed_.set();
}

void DatagramServer::Body::cut() {
  cutting_ = true;
  drain();
}

Task<void> DatagramServer::Body::serve(std::size_t socket_number) {
  Datagram& socket = *sockets_[socket_number];
  std::vector<std::byte> room(datagram_bytes_max);
  for (bool told = false;;) {
    const auto received = co_await Hear(*this, socket, room);
    if (received) {
      told = false;
      const Bytes bytes = Bytes(room).first(received->size);
      if (handler_) {
        ++counts_.datagrams;
        ++handlers_;
        const DatagramRequest request{.bytes = bytes, .from = received->from, .socket = socket};
        Result<void> result;
        try {
          auto task = handler_(request);
          result = co_await task;
        } catch (...) {
          result = std::unexpected(thrown_error("serve"));
        }
        over(received->from, result);
      } else {
        hand_to_peer(socket_number, bytes, received->from);
      }
      continue;
    }
    if (received.error() == Fault::closed) co_return;
    // What an earlier answer met, by ICMP, says nothing about this socket.
    if (received.error() == Fault::refused) continue;
    if (!std::exchange(told, true)) {
      if (options_.on_error) options_.on_error({}, received.error());
      continue;  // it may have been of one datagram that was sent
    }
    co_await sleep(failed_pause);
  }
}

void DatagramServer::Body::hand_to_peer(std::size_t socket_number, Bytes bytes,
                                        const Address& from) {
  const Key key(socket_number, from);
  const auto at = conversations_.find(key);
  const bool is_known = at != conversations_.end();
  const Limits& limits = options_.limits;
  if ((!is_known && conversations_.size() >= limits.datagram_peers) ||
      (is_known && at->second->home_->waiting.size() >= limits.datagrams_waiting) ||
      waiting_bytes_ + bytes.size() > limits.datagram_bytes_waiting) {
    ++counts_.dropped;
    return;
  }
  Conversation& conversation = is_known ? *at->second : begin(key);
  conversation.home_->last_heard = loop_.now();
  conversation.home_->waiting.emplace_back(bytes.begin(), bytes.end());
  waiting_bytes_ += bytes.size();
  ++counts_.datagrams;
  conversation.arrived_.wake_one(loop_);
}

Conversation& DatagramServer::Body::begin(const Key& key) {
  const auto& [socket_number, peer] = key;
  std::unique_ptr<Conversation> begun(new Conversation(
      std::make_unique<Conversation::Home>(*this, key), *sockets_[socket_number], peer));
  Conversation& conversation = *begun;
  conversations_.emplace(key, &conversation);
  ++counts_.accepted;
  ++handlers_;
  peers_->spawn(converse(std::move(begun)));
  if (!sweeper_.armed()) loop_.arm(sweeper_, later(loop_.now(), options_.limits.idle));
  return conversation;
}

Task<void> DatagramServer::Body::converse(std::unique_ptr<Conversation> conversation) {
  const Address peer = conversation->peer();
  Result<void> result;
  try {
    auto task = conversation_handler_(std::move(conversation));
    result = co_await task;
  } catch (...) {
    result = std::unexpected(thrown_error("serve"));
  }
  over(peer, result);
}

void DatagramServer::Body::end(Conversation& conversation) {
  conversation.home_->over = true;
  conversation.arrived_.wake_all(loop_);
}

/// A handler ended.
void DatagramServer::Body::over(const Address& peer, const Result<void>& result) {
  --handlers_;
  changed_.set();
  if (rest_is_cut_) return;  // it was counted as that
  if (conversation_handler_) ++counts_.finished;
  if (result) return;
  ++counts_.failed;
  if (options_.on_error) options_.on_error(to_string(peer), result.error());
}

void DatagramServer::Body::sweep() {
  Instant next = Instant::max();
  for (const auto& [key, conversation] : conversations_) {
    const Instant silent_at = later(conversation->home_->last_heard, options_.limits.idle);
    if (silent_at > loop_.now()) {
      next = std::min(next, silent_at);
    } else if (!conversation->home_->over) {
      ++counts_.idle;
      end(*conversation);
    }
  }
  if (next != Instant::max())
    loop_.arm(sweeper_, std::max(next, later(loop_.now(), sweep_gap_min)));
}

DatagramServer::DatagramServer(Network& network, DatagramHandler handler, ServerOptions options)
    : body_(std::make_unique<Body>(network, std::move(handler), ConversationHandler(),
                                   std::move(options))) {}

DatagramServer::DatagramServer(Network& network, ConversationHandler handler, ServerOptions options)
    : body_(std::make_unique<Body>(network, DatagramHandler(), std::move(handler),
                                   std::move(options))) {}

DatagramServer::~DatagramServer() = default;

Result<Endpoint> DatagramServer::listen(const Endpoint& at) { return body_->listen(at); }
Io<Endpoint> DatagramServer::listen(std::string at) { return body_->listen(std::move(at)); }
Task<ServerCounts> DatagramServer::run() { return body_->run(); }
void DatagramServer::drain() { body_->drain(); }
void DatagramServer::cut() { body_->cut(); }
const ServerCounts& DatagramServer::counts() const { return body_->counts(); }
std::size_t DatagramServer::peers() const { return body_->peers(); }

}  // namespace koine
