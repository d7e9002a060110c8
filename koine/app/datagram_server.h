// DatagramServer: answers datagrams, one handler for each datagram or one for each peer.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "koine/app/server.h"
#include "koine/transport/datagram.h"

namespace koine {

/// One datagram, lent to its handler.
struct DatagramRequest {
  Bytes bytes;
  const Address& from;
  Datagram& socket;  ///< `co_await attempt(send_to(request.socket, answer, request.from))`
};

/// Answers one datagram. The next one is looked at when it has ended: what takes long belongs to a
/// handler for each peer.
using DatagramHandler = Function<Io<void>(const DatagramRequest& request)>;

class DatagramServer;

/// All that passes between a datagram socket and one of its peers.
class Conversation {
 public:
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;
  ~Conversation();

  class [[nodiscard]] Next final : public Trying<Next, std::vector<std::byte>> {
   public:
    explicit Next(Conversation& conversation) : conversation_(conversation) {}
    Result<std::vector<std::byte>> attempt_once();
    void park() { conversation_.arrived_.join(*this); }
    std::optional<std::vector<std::byte>> take();
    Activity activity() const override;

   private:
    Conversation& conversation_;
  };

  /// `while (auto bytes = co_await peer.next())`: the next datagram; nothing when the peer has been
  /// silent for the server's idle limit, or the server drains.
  Next next() { return Next(*this); }

  /// `co_await attempt(peer.send(bytes))`
  SendTo send(Bytes bytes) { return send_to(socket_, bytes, peer_); }

  const Address& peer() const { return peer_; }

 private:
  friend class DatagramServer;
  Conversation(DatagramServer& server, std::size_t socket, Address peer);

  DatagramServer* server_;
  std::size_t socket_number_;
  Datagram& socket_;
  Address peer_;
  std::deque<std::vector<std::byte>> waiting_;
  WaitList arrived_;
  Instant last_heard_;
  bool over_ = false;
};

/// Serves one peer. When it ends, the peer's next datagram begins a new conversation.
using ConversationHandler = Function<Io<void>(std::unique_ptr<Conversation>)>;

class DatagramServer {
 public:
  DatagramServer(Network& network, DatagramHandler handler, ServerOptions options = {});
  DatagramServer(Network& network, ConversationHandler handler, ServerOptions options = {});
  DatagramServer(const DatagramServer&) = delete;
  DatagramServer& operator=(const DatagramServer&) = delete;
  ~DatagramServer();

  /// Receives there too: the real endpoint. The host must not be a name.
  Result<Endpoint> listen(const Endpoint& at);

  /// The same from text, with names resolved.
  Io<Endpoint> listen(std::string at);

  /// Serves until it has drained; at once if it has no socket.
  Task<ServerCounts> run();

  /// Hears no more datagrams, lets the handlers finish, then ends run().
  void drain();

  /// The same without letting them: what runs now is cut.
  void cut();

  const ServerCounts& counts() const { return counts_; }

 private:
  friend class Conversation;
  class Sweeper final : public Timer {
   public:
    explicit Sweeper(DatagramServer& server) : server_(server) {}
    void run() override { server_.sweep(); }

   private:
    DatagramServer& server_;
  };

  Task<void> serve(std::size_t socket_number);
  Task<void> converse(std::unique_ptr<Conversation> conversation);
  void hand_to_peer(std::size_t socket_number, Bytes bytes, const Address& from);
  void end(Conversation& conversation);
  void sweep();
  void report(const Address& peer, const Result<void>& over);

  Network& network_;
  Loop& loop_;
  DatagramHandler handler_;
  ConversationHandler conversation_handler_;
  ServerOptions options_;
  ServerCounts counts_;
  std::vector<std::unique_ptr<Datagram>> sockets_;
  std::map<std::pair<std::size_t, Address>, Conversation*> conversations_;  // by socket and peer
  bool cutting_ = false;
  Event drain_;
  Event changed_;
  Sweeper sweeper_;
  Scope receivers_;
  Scope peers_;
};

}  // namespace koine
