// DatagramServer: answers datagrams, one handler for each datagram or one for each peer.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "koine/app/server.h"
#include "koine/base/unique_ptr.h"
#include "koine/transport/datagram.h"

namespace koine {

/// One datagram, lent to its handler.
struct DatagramRequest {
  Bytes bytes;
  const Address& from;
  Datagram& socket;  ///< `co_await attempt(send_to(request.socket, answer, request.from))`
};

/// Answers one datagram. The next one that came to the same socket is looked at when it has ended:
/// what takes long belongs to a handler for each peer. An error it returns, or an exception that
/// leaves it, is counted and reported, and harms nobody else.
using DatagramHandler = Function<Io<void>(const DatagramRequest& request)>;

class DatagramServer;

/// All that passes between a datagram socket and one of its peers. It must not outlive its server.
class Conversation {
 public:
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;
  ~Conversation();

  class [[nodiscard]] Next final : public Trying<Next, std::vector<std::byte>> {
   public:
    explicit Next(Conversation& conversation) : conversation_(conversation) {}
    Result<std::vector<std::byte>> attempt_once() { return conversation_.take(); }
    void park() { conversation_.arrived_.join(*this); }
    std::optional<std::vector<std::byte>> take() {
      auto bytes = Trying::take();
      return bytes ? std::optional(std::move(*bytes)) : std::nullopt;
    }
    Activity activity() const override { return {"receive from", to_string(conversation_.peer())}; }

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
  struct Home;  // what its server knows of it
  Conversation(std::unique_ptr<Home> home, Datagram& socket, Address peer);

  Result<std::vector<std::byte>> take();

  std::unique_ptr<Home> home_;
  Datagram& socket_;
  Address peer_;
  WaitList arrived_;
};

/// Serves one peer. When it ends, the peer's next datagram begins a new conversation; what waits
/// then is dropped.
using ConversationHandler = Function<Io<void>(std::unique_ptr<Conversation>)>;

class DatagramServer {
 public:
  /// Lives on the loop of `network`, which outlives it.
  DatagramServer(Network& network, DatagramHandler handler, ServerOptions options = {});
  DatagramServer(Network& network, ConversationHandler handler, ServerOptions options = {});
  DatagramServer(const DatagramServer&) = delete;
  DatagramServer& operator=(const DatagramServer&) = delete;

  /// Cancels what still runs. No task of run() or listen() may be left then.
  ~DatagramServer();

  /// Receives there too, from now on: the real endpoint. The host must not be a name. Fault::closed
  /// once it drains.
  Result<Endpoint> listen(const Endpoint& at);

  /// The same from text, with names resolved.
  Io<Endpoint> listen(std::string at);

  /// Serves until it has drained; at once if it has no socket.
  Task<ServerCounts> run();

  /// Hears no more datagrams, lets the handlers finish, then ends run(). Conversations end once
  /// their handlers have seen what had come.
  void drain();

  /// The same without letting them: what runs now is cut.
  void cut();

  const ServerCounts& counts() const;

  /// Peers whose handler runs.
  std::size_t peers() const;

 private:
  friend class Conversation;
  class Body;
  std::unique_ptr<Body> body_;
};

}  // namespace koine
