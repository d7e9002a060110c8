#include "koine/app/datagram_server.h"

#include <algorithm>

#include "koine/async/combine.h"
#include "koine/async/sleep.h"
#include "koine/async/within.h"

namespace koine {
namespace {

constexpr Duration sweep_gap_min = 100ms;
constexpr Duration failed_pause = 50ms;

}  // namespace

Conversation::Conversation(DatagramServer& server, std::size_t socket, Address peer)
    : server_(&server),
      socket_number_(socket),
      socket_(*server.sockets_[socket]),
      peer_(std::move(peer)),
      last_heard_(server.loop_.now()) {}

Conversation::~Conversation() {
  server_->conversations_.erase({socket_number_, peer_});
  server_->changed_.set();
}

Result<std::vector<std::byte>> Conversation::Next::attempt_once() {
  auto& waiting = conversation_.waiting_;
  if (waiting.empty()) return fail(conversation_.over_ ? Fault::closed : Fault::would_block);
  std::vector<std::byte> bytes = std::move(waiting.front());
  waiting.pop_front();
  return bytes;
}

std::optional<std::vector<std::byte>> Conversation::Next::take() {
  auto bytes = Trying::take();
  if (!bytes) return std::nullopt;
  return std::move(*bytes);
}

Activity Conversation::Next::activity() const {
  return {"receive from", to_string(conversation_.peer_)};
}

DatagramServer::DatagramServer(Network& network, DatagramHandler handler, ServerOptions options)
    : network_(network),
      loop_(network.loop()),
      handler_(std::move(handler)),
      options_(std::move(options)),
      sweeper_(*this),
      receivers_(loop_),
      peers_(loop_) {}

DatagramServer::DatagramServer(Network& network, ConversationHandler handler, ServerOptions options)
    : DatagramServer(network, DatagramHandler(), std::move(options)) {
  conversation_handler_ = std::move(handler);
}

DatagramServer::~DatagramServer() = default;

Result<Endpoint> DatagramServer::listen(const Endpoint& at) {
  auto socket = network_.bind(at, options_.listen);
  if (!socket) return std::unexpected(std::move(socket.error()));
  const Address local = (*socket)->local();
  Endpoint real = at.at(local, local.is_unix() ? Transport::unix_datagram : Transport::udp);
  sockets_.push_back(std::move(*socket));
  receivers_.spawn(serve(sockets_.size() - 1));
  return real;
}

Io<Endpoint> DatagramServer::listen(std::string at) {
  auto endpoint = co_await attempt(parse_endpoint(at));
  auto lookup = resolved(network_, std::move(endpoint));
  endpoint = co_await attempt(std::move(lookup));
  co_return listen(endpoint);
}

Task<ServerCounts> DatagramServer::run() {
  if (sockets_.empty()) co_return counts_;
  co_await drain_.wait();
  receivers_.cancel();
  auto ended = receivers_.join();
  co_await ended;
  for (const auto& [key, conversation] : conversations_) end(*conversation);
  const Instant deadline = loop_.now() + options_.drain;
  while (peers_.running() != 0 && !cutting_ && loop_.now() < deadline) {
    changed_.reset();
    co_await within(deadline - loop_.now(), changed_.wait());
    co_await yield();  // the conversation's task ends after its conversation
  }
  counts_.cut += peers_.running();
  peers_.cancel();
  auto gone = peers_.join();
  co_await gone;
  co_return counts_;
}

void DatagramServer::drain() { drain_.set(); }

void DatagramServer::cut() {
  cutting_ = true;
  changed_.set();
  drain();
}

Task<void> DatagramServer::serve(std::size_t socket_number) {
  Datagram& socket = *sockets_[socket_number];
  std::vector<std::byte> room(datagram_bytes_max);
  for (;;) {
    const auto received = co_await receive_from(socket, room);
    if (!received) {
      // ICMP errors of earlier answers among them: they say nothing about this socket.
      if (received.error() != Fault::refused) co_await sleep(failed_pause);
      continue;
    }
    const Bytes bytes = Bytes(room).first(received->size);
    if (handler_) {
      ++counts_.datagrams;
      const DatagramRequest request{.bytes = bytes, .from = received->from, .socket = socket};
      auto task = handler_(request);
      report(received->from, co_await task);
    } else {
      hand_to_peer(socket_number, bytes, received->from);
    }
  }
}

void DatagramServer::hand_to_peer(std::size_t socket_number, Bytes bytes, const Address& from) {
  auto at = conversations_.find({socket_number, from});
  if (at == conversations_.end()) {
    if (conversations_.size() >= options_.limits.datagram_peers) {
      ++counts_.dropped;
      return;
    }
    std::unique_ptr<Conversation> begun(new Conversation(*this, socket_number, from));
    at = conversations_.emplace(std::pair(socket_number, from), begun.get()).first;
    ++counts_.accepted;
    peers_.spawn(converse(std::move(begun)));
    if (!sweeper_.armed()) loop_.arm(sweeper_, loop_.now() + options_.limits.idle);
  }
  Conversation& conversation = *at->second;
  conversation.last_heard_ = loop_.now();
  if (conversation.waiting_.size() >= options_.limits.datagrams_waiting) {
    ++counts_.dropped;
    return;
  }
  ++counts_.datagrams;
  conversation.waiting_.emplace_back(bytes.begin(), bytes.end());
  conversation.arrived_.wake_one(loop_);
}

Task<void> DatagramServer::converse(std::unique_ptr<Conversation> conversation) {
  const Address peer = conversation->peer();
  auto task = conversation_handler_(std::move(conversation));
  const auto over = co_await task;
  ++counts_.finished;
  report(peer, over);
}

void DatagramServer::end(Conversation& conversation) {
  conversation.over_ = true;
  conversation.arrived_.wake_all(loop_);
}

void DatagramServer::report(const Address& peer, const Result<void>& over) {
  if (over) return;
  ++counts_.failed;
  if (options_.on_error) options_.on_error(to_string(peer), over.error());
}

void DatagramServer::sweep() {
  Instant next = Instant::max();
  for (const auto& [key, conversation] : conversations_) {
    const Instant silent_at = conversation->last_heard_ + options_.limits.idle;
    if (silent_at <= loop_.now()) {
      if (!conversation->over_) ++counts_.idle;
      end(*conversation);
    } else {
      next = std::min(next, silent_at);
    }
  }
  if (next != Instant::max()) loop_.arm(sweeper_, std::max(next, loop_.now() + sweep_gap_min));
}

}  // namespace koine
