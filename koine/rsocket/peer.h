// Peer: one end of an RSocket connection over a Stream. It asks, and it answers with a Service.
//
//     auto peer = co_await attempt(rsocket::connect(network, "rsocket+tcp://10.0.0.2:7001"));
//     Message sum = co_await attempt(within(200ms, peer->call("add", "2 3")));
//
// A Peer belongs to the loop it was made on, and outlives its calls and flows. Destroying it drops
// the connection and cancels its handlers; close() lets what is open end first.
//
// Back-pressure: while the stream takes nothing, calls and items wait (connection.h has the bound),
// and the peer is not listened to. A flow takes `window` items in advance and asks for more as they
// are taken.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "koine/async/event.h"
#include "koine/async/scope.h"
#include "koine/base/function.h"
#include "koine/base/list.h"
#include "koine/base/ring.h"
#include "koine/rsocket/connection.h"
#include "koine/rsocket/service.h"
#include "koine/transport/network.h"
#include "koine/transport/reader.h"

namespace koine::rsocket {

struct PeerOptions {
  ConnectionOptions connection = {};

  /// Items of a channel that a handler is sent in advance.
  std::uint32_t window = 16;

  /// Fire-and-forget handlers that run at a time; a message more is dropped, and counted.
  std::size_t fires_max = 256;
};

/// Who hears of a stream. lost() is the last, when the connection is over.
class StreamOwner {
 public:
  virtual void hear(const Event& event) = 0;
  virtual void lost(const Error& error) = 0;

 protected:
  ~StreamOwner() = default;
};

class Peer;

/// `Message answer = co_await attempt(peer.call("add", "2 3"))`. Destroying it cancels the request.
///
/// Errors carry the peer's words as their note. REJECTED is Fault::refused: the peer did not
/// process it, and asking again is safe. CANCELED is cancelled, INVALID malformed, any other
/// system.
class [[nodiscard]] Call final : public Runnable, public CoAwait<Call>, private StreamOwner {
 public:
  Call(Peer& peer, std::string_view route, Bytes data) : peer_(&peer), route_(route), data_(data) {}
  Call(Call&&) = default;
  ~Call();

  bool ready();
  std::coroutine_handle<> start(Completion completion);
  Result<Message>&& take() { return std::move(answer_); }
  Error* error() noexcept { return answer_.has_value() ? nullptr : &answer_.error(); }
  const Awaited* awaited() const noexcept { return this; }
  void run() override;
  Activity activity() const override { return {"call", std::string(route_)}; }

 private:
  bool begin();
  void hear(const Event& event) override;
  void lost(const Error& error) override;
  void over(Result<Message> answer);

  Peer* peer_;
  std::string_view route_;
  Bytes data_;
  std::uint32_t id_ = 0;
  bool is_over_ = false;
  Completion completion_;
  Result<Message> answer_{std::unexpect, Fault::would_block};
};

/// The items of one stream, in either direction.
class Flow final : private StreamOwner {
 public:
  Flow(const Flow&) = delete;
  Flow& operator=(const Flow&) = delete;
  /// Ours: cancels it if it is not over.
  ~Flow();

  class [[nodiscard]] Take final : public Trying<Take, std::optional<Message>> {
   public:
    explicit Take(Flow& flow) : flow_(flow) {}
    Result<std::optional<Message>> attempt_once() { return flow_.take_now(); }
    void park() { flow_.takeable_.join(*this); }
    Activity activity() const override { return {"take item", flow_.route_}; }

   private:
    Flow& flow_;
  };

  class [[nodiscard]] Send final : public Trying<Send, void> {
   public:
    Send(Flow& flow, Bytes data) : flow_(flow), data_(data) {}
    Result<void> attempt_once() { return flow_.send_now({data_, {}}); }
    void park() { flow_.sendable().join(*this); }
    Activity activity() const override { return {"send item", flow_.route_}; }

   private:
    Flow& flow_;
    Bytes data_;
  };

  /// `while (auto item = co_await attempt(flow.next()))`: nothing once the peer has completed.
  Take next() { return Take(*this); }

  /// `co_await attempt(flow.send("one"))`: waits until the peer has requested it and there is room;
  /// the data is lent so long. Fault::closed if the peer wants no more.
  Send send(std::string_view data) { return {*this, as_bytes(data)}; }
  Send send(Bytes data) { return {*this, data}; }

  /// No more items of ours follow.
  void complete();

 private:
  friend class Peer;
  friend class Handling;
  Flow(Peer& peer, std::string route, std::uint32_t window)
      : peer_(peer), route_(std::move(route)), items_(window) {}

  Result<std::optional<Message>> take_now();
  Result<void> send_now(const Payload& payload);
  WaitList& sendable();
  void hear(const Event& event) override;
  void lost(const Error& error) override;

  Peer& peer_;
  std::string route_;
  std::uint32_t id_ = 0;     // 0 once it is over
  std::uint32_t taken_ = 0;  // and not requested again
  bool is_ended_ = false;    // the peer sends no more
  std::optional<Error> error_;
  Ring<Message> items_;
  WaitList takeable_;
  WaitList requested_;
};

class Handling;
struct InPeer : ListNode {};  // the list of a peer's handlers

class Peer {
 public:
  /// Takes over `stream`, whose other end has connected to us or we to it. `service`, if any, is
  /// lent as long as the peer lives.
  Peer(std::unique_ptr<Stream> stream, Side side, const Service* service, PeerOptions options = {});
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  ~Peer();

  /// Route and data are lent until it is over.
  Call call(std::string_view route, std::string_view data) {
    return {*this, route, as_bytes(data)};
  }
  Call call(std::string_view route, Bytes data) { return {*this, route, data}; }

  /// Sends a message that nobody answers; waits while there is no room.
  Io<void> fire(std::string route, std::string data);

  /// Asks for items, `window` in advance (at least 1).
  Io<std::unique_ptr<Flow>> stream(std::string route, std::string data, std::uint32_t window = 16);

  /// The same in both directions; `data` is the first item.
  Io<std::unique_ptr<Flow>> channel(std::string route, std::string data, std::uint32_t window = 16);

  /// Opens and accepts no more requests; run() ends when those that are open have.
  void close();

  /// Waits until the connection is over: success if it ended in peace.
  Io<void> run();

  const Connection& connection() const { return connection_; }
  std::uint64_t fires_dropped() const { return fires_dropped_; }
  std::size_t handlers() const { return running_; }

 private:
  friend class Call;
  friend class Flow;
  friend class Handling;
  class Opening;
  class Reply;
  class Room;

  class Ticker final : public Timer {
   public:
    explicit Ticker(Peer& peer) : peer_(peer) {}
    void run() override { peer_.tick(); }

   private:
    Peer& peer_;
  };
  class Writer final : public Runnable {
   public:
    explicit Writer(Peer& peer) : peer_(peer) {}
    void run() override { peer_.write(); }

   private:
    Peer& peer_;
  };

  class Ender final : public Runnable {
   public:
    explicit Ender(Peer& peer) : peer_(peer) {}
    void run() override { peer_.finish(); }

   private:
    Peer& peer_;
  };

  Io<void> read();
  Io<std::unique_ptr<Flow>> open_flow(FrameType type, std::string route, std::string data,
                                      std::uint32_t window);
  Result<std::uint32_t> open(FrameType type, std::string_view route, Bytes data, std::uint32_t n,
                             StreamOwner* owner);
  void obey(const Event& event);
  void answer(const Event& event);
  void tick();
  void arm();
  void write();
  void end(std::optional<Error> error);
  void finish();
  void ended(Handling& handling);

  Loop& loop_;
  std::unique_ptr<Stream> stream_;
  const Service* service_;
  PeerOptions options_;
  Connection connection_;
  Reader reader_;
  Ticker ticker_{*this};
  Writer writer_{*this};
  Ender ender_{*this};
  WaitList room_;  // who waits for output to leave, or for a request to end
  koine::Event over_;
  bool is_ending_ = false;
  std::optional<Error> error_;
  List<Handling, InPeer> handlings_;
  std::size_t running_ = 0;
  std::size_t fires_ = 0;
  std::uint64_t fires_dropped_ = 0;
  Scope reading_;
};

/// Connects to `url` ("rsocket+tcp://host:port") and introduces itself. `service` answers what the
/// other side asks, and is lent as long as the peer lives.
Io<std::unique_ptr<Peer>> connect(Network& network, std::string url, PeerOptions options = {},
                                  const Service* service = nullptr);

/// The handler of a koine::Server: serves each connection with `service`, which is kept.
Function<Io<void>(std::unique_ptr<Stream>)> handler(std::shared_ptr<const Service> service,
                                                    PeerOptions options = {});

}  // namespace koine::rsocket
