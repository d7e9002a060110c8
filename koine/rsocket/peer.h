// Peer: one end of an RSocket connection over a Stream. It asks, and it answers with a Service.
//
//     koine::Peer peer = co_await attempt(dial(network, "rsocket+tcp://10.0.0.2:7001"));
//     Sum sum = co_await attempt(within(200ms, peer.call<Sum>("add", Add{2, 3})));
//
// A Peer belongs to the loop it was made on, and outlives its calls and flows. Destroying it drops
// the connection and cancels its handlers; close() lets what is open end first.
//
// Back-pressure: while the stream takes nothing, calls and items wait (connection.h has the bound),
// and the peer is not listened to. A flow takes `window` items in advance and asks for more as they
// are taken.
//
// With `connection.resume` a peer that connect() has made comes back when its stream is lost, and
// finds its server's end in the Sessions there: calls, flows and handlers do not notice, and
// nothing that was sent is lost or arrives twice. What they notice is the end of the session, when
// nobody came back in time or the server does not know it any more.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "koine/async/event.h"
#include "koine/async/scope.h"
#include "koine/base/function.h"
#include "koine/base/list.h"
#include "koine/rsocket/call.h"
#include "koine/rsocket/connection.h"
#include "koine/rsocket/flow.h"
#include "koine/rsocket/request.h"
#include "koine/rsocket/service.h"
#include "koine/transport/network.h"
#include "koine/transport/reader.h"

namespace koine::rsocket {

class Sessions;

struct PeerOptions {
  ConnectionOptions connection = {};

  /// Server: where sessions are kept that may be resumed; without it none are. Lent as long as the
  /// peer lives. handler() and Service have their own.
  Sessions* sessions = nullptr;

  /// Items of a channel that a handler is sent in advance.
  std::uint32_t window = 16;

  /// Fire-and-forget handlers that run at a time; a message more is dropped, and counted.
  std::size_t fires_max = 256;

  /// Bytes of the requests whose handlers run. One request more is answered with REJECTED.
  std::size_t requests_bytes_max = std::size_t{16} << 20;

  /// Bytes of items that have come and nobody has taken yet, of all flows together. The flow whose
  /// item is one too many ends with Fault::over_limit.
  std::size_t items_bytes_max = std::size_t{16} << 20;

  /// A handler of a call, or of a message without an answer, that takes longer is cancelled; its
  /// caller hears CANCELED. A caller may allow it less.
  Duration handler_time_max = 60s;

  /// The same for a stream or channel on which no item has moved for so long.
  Duration quiet_max = 10min;
};

struct StreamOptions {
  /// Items that the peer may send in advance, at least 1.
  std::uint32_t window = 16;

  /// The peer is told that it has so long for all of it, and gives up when it has passed.
  std::optional<Duration> timeout = {};
};

class Handling;
struct InPeer : ListNode {};  // the list of a peer's handlers

class Peer {
 public:
  /// Takes over `stream`, whose other end has connected to us or we to it. `service`, if any, is
  /// lent as long as the peer lives.
  Peer(std::unique_ptr<Stream> stream, Side side, const Service* service, PeerOptions options);
  Peer(std::unique_ptr<Stream> stream, Side side, const Service* service);
  /// The client's, which answers nothing. (No default arguments: g++ 12 would destroy their strings
  /// twice in `Peer peer = co_await ...`.)
  Peer(std::unique_ptr<Stream> stream);  // NOLINT: a connection is a peer
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  ~Peer();

  /// One request for one answer: see call.h. `call<void>` waits until the peer has done it.
  template <class T = Message, class Request>
  Call<T> call(std::string_view route, Request&& request) {
    return {*this, route, encoded(std::forward<Request>(request))};
  }

  /// Sends a message that nobody answers; waits while there is no room. It may get lost with the
  /// connection.
  template <Encodable Request>
  Io<void> fire(std::string_view route, const Request& request) {
    return fire_encoded(std::string(route), Encoded(request).owned());
  }

  /// Asks for items.
  template <class T = Message, Encodable Request>
  Io<Source<T>> stream(std::string_view route, const Request& request, StreamOptions options = {}) {
    return open_as<Source<T>>(open_flow(FrameType::request_stream, std::string(route),
                                        Encoded(request).owned(), options));
  }

  /// Items in both directions, of which `first` is ours.
  template <class In = Message, class Out = std::string_view>
  Io<Channel<In, Out>> channel(std::string_view route, const std::type_identity_t<Out>& first,
                               StreamOptions options = {}) {
    return open_as<Channel<In, Out>>(
        open_flow(FrameType::request_channel, std::string(route), Encoded(first).owned(), options));
  }

  /// Opens and accepts no more requests; run() ends when those that are open have.
  void close();

  /// Waits until the connection is over: success if it ended in peace.
  Io<void> run();

  /// False once nothing more can be asked.
  bool is_open() const {
    return !is_ending_ && !connection_.is_over() && !connection_.is_closing();
  }

  const Connection& connection() const { return connection_; }
  std::size_t handlers() const { return running_; }
  std::uint64_t fires_dropped() const { return fires_dropped_; }
  /// Handlers that took too long.
  std::uint64_t timed_out() const { return timed_out_; }

 private:
  friend class AnyCall;
  friend class Flow;
  friend class Handling;
  friend class Sessions;
  friend Io<std::unique_ptr<Peer>> connect(Network& network, std::string url, PeerOptions options,
                                           const Service* service);
  class Opening;
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

  class Mender final : public Runnable {
   public:
    explicit Mender(Peer& peer) : peer_(peer) {}
    void run() override { peer_.mend(); }

   private:
    Peer& peer_;
  };

  template <class Made>
  static Io<Made> open_as(Io<std::unique_ptr<Flow>> opening) {
    auto flow = co_await opening;
    if (!flow) co_return std::unexpected(std::move(flow.error()));
    co_return Made(std::move(*flow));
  }

  // Asking.
  Io<void> fire_encoded(std::string route, Encoded request);
  Io<std::unique_ptr<Flow>> open_flow(FrameType type, std::string route, Encoded request,
                                      StreamOptions options);
  Result<std::uint32_t> open(FrameType type, const RequestHead& head, const Payload& request,
                             std::uint32_t n, StreamOwner* owner);
  void wake_opener() { openers_.wake_one(loop_); }

  // Answering.
  void answer(const Event& event);
  void ended(Handling& handling);

  // The connection.
  Io<void> read();
  void obey(const Event& event);
  void tick();
  void arm();
  void write();
  void make_room();
  void end(std::optional<Error> error);
  void finish();

  // Resuming: see peer_resume.cc.
  void lose(Error error);
  void drop_stream();
  void use_stream(std::unique_ptr<Stream> stream);
  void mend();
  Io<void> come_back();
  bool take_over(Peer& fresh);
  void give_up();
  void welcome(const Event& event);

  Loop& loop_;
  std::unique_ptr<Stream> stream_;  // null while a session has none, and once it was given away
  std::string name_;                // of the stream
  const Service* service_;
  PeerOptions options_;
  Connection connection_;
  std::unique_ptr<Reader> reader_;
  Ticker ticker_{*this};
  Writer writer_{*this};
  Ender ender_{*this};
  Mender mender_{*this};
  Function<Io<std::unique_ptr<Stream>>()> redial_;
  Duration pause_ = {};             // before the next attempt to come back
  std::optional<Instant> resumed_;  // when it last has
  WaitList openers_;      // who waits to request; one is woken when there may be room, and wakes
                          // the next
  WaitList output_room_;  // who waits for output to leave
  WaitList input_room_;   // the reader, while too many answers wait
  koine::Event over_;
  bool is_ending_ = false;
  std::optional<Error> error_;
  List<Handling, InPeer> handlings_;
  std::size_t running_ = 0;
  std::size_t fires_ = 0;
  std::size_t requests_bytes_ = 0;  // of handlings_
  std::size_t items_bytes_ = 0;     // of all flows
  std::uint64_t fires_dropped_ = 0;
  std::uint64_t timed_out_ = 0;
  std::optional<Scope> reading_;
};

/// Connects to `url` ("rsocket+tcp://host:port", "rsocket+unix:/path") and introduces itself.
/// `service` answers what the other side asks, and is lent as long as the peer lives.
Io<std::unique_ptr<Peer>> connect(Network& network, std::string url, PeerOptions options = {},
                                  const Service* service = nullptr);

/// The handler of a koine::Server or koine::serve(): answers on each connection with `service`.
Function<Io<void>(std::unique_ptr<Stream>)> handler(Service service, PeerOptions options = {});

}  // namespace koine::rsocket
