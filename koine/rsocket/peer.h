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
#include "koine/journey/follow.h"
#include "koine/rsocket/call.h"
#include "koine/rsocket/connection.h"
#include "koine/rsocket/flow.h"
#include "koine/rsocket/following.h"
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

  /// Who follows messages (journeys.h), on the same loop. Lent as long as the peer lives.
  Journeys* journeys = nullptr;

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

/// The answer of a call that was followed, and its journey, as complete as it gets; null if nobody
/// could follow it.
template <class T>
struct Followed {
  T answer;
  std::shared_ptr<const journey::Journey> journey;
};
template <>
struct Followed<void> {
  std::shared_ptr<const journey::Journey> journey;
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

  /// The same, and its journey: in full, with the frames' headers if those can be had. Waits, after
  /// the answer, until the kernels of both ends have said all they will: at most a second,
  /// and a quarter of one for a peer that has not said yet whether it tells. A recorder must be
  /// attached. `timeout` is what the peer is told.
  template <class T = Message, Encodable Request>
  Io<Followed<T>> call(std::string_view route, const Request& request, journey::Follow follow,
                       std::optional<Duration> timeout = {}) {
    return call_followed<T>(std::string(route), Encoded(request).owned(), follow, timeout);
  }

  /// Sends a message that nobody answers; waits while there is no room. It may get lost with the
  /// connection.
  template <Encodable Request>
  Io<void> fire(std::string_view route, const Request& request) {
    return fire_encoded(std::string(route), Encoded(request).owned());
  }

  /// The same, and its journey, as far as the peer's program: see call().
  template <Encodable Request>
  Io<Followed<void>> fire(std::string_view route, const Request& request, journey::Follow follow) {
    return fire_followed(std::string(route), Encoded(request).owned(), follow);
  }

  /// Asks for items.
  template <class T = Message, Encodable Request>
  Io<Source<T>> stream(std::string_view route, const Request& request, StreamOptions options = {}) {
    return open_as<Source<T>>(open_flow(FrameType::request_stream, std::string(route),
                                        Encoded(request).owned(), options));
  }

  /// The same, and its journeys, in full: of the request, and of each item as far as the bounds of
  /// Journeys allow. Source::journeys() has the first; a recorder hears of all.
  template <class T = Message, Encodable Request>
  Io<Source<T>> stream(std::string_view route, const Request& request, journey::Follow follow,
                       StreamOptions options = {}) {
    return open_as<Source<T>>(open_followed(FrameType::request_stream, std::string(route),
                                            Encoded(request).owned(), follow, options));
  }

  /// Items in both directions, of which `first` is ours.
  template <class In = Message, class Out = std::string_view>
  Io<Channel<In, Out>> channel(std::string_view route, const std::type_identity_t<Out>& first,
                               StreamOptions options = {}) {
    return open_as<Channel<In, Out>>(
        open_flow(FrameType::request_channel, std::string(route), Encoded(first).owned(), options));
  }

  /// The same, and its journeys: see stream(). Items of both directions are followed.
  template <class In = Message, class Out = std::string_view>
  Io<Channel<In, Out>> channel(std::string_view route, const std::type_identity_t<Out>& first,
                               journey::Follow follow, StreamOptions options = {}) {
    return open_as<Channel<In, Out>>(open_followed(FrameType::request_channel, std::string(route),
                                                   Encoded(first).owned(), follow, options));
  }

  /// Opens and accepts no more requests; run() ends when those that are open have.
  void close();

  /// Waits until the connection is over: success if it ended in peace.
  Io<void> run();

  /// Follows messages of both sides from now on, for `recorder`, which the peer does not outlive,
  /// in the place of another; null: no longer. `tells`: what the peer is told of our end if it
  /// asks.
  void attach(journey::Recorder* recorder, Tells tells = Tells::stamps_and_frames);

  /// Waits until the peer has said whether it tells: at most a quarter of a second, and not at all
  /// while no recorder is attached.
  Io<void> journeys_agreed();

  /// Waits until no journey is under way but those of calls without an answer yet.
  Io<void> journeys_settled();

  /// What is missing of journeys, and why.
  JourneyCounts journey_counts() const;

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
  friend class Following;
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

  template <class T>
  Io<Followed<T>> call_followed(std::string route, Encoded request, journey::Follow follow,
                                std::optional<Duration> timeout) {
    auto beginning = follow_next(follow.frames);
    auto follower = co_await attempt(std::move(beginning));
    Call<T> call(*this, route, std::move(request));
    if (timeout) call.has_time(*timeout);
    call.follow(follower);
    auto answer = co_await call;
    if (!answer) co_return std::unexpected(std::move(answer.error()));
    co_await follower->done.wait();
    if constexpr (std::is_void_v<T>) {
      co_return Followed<void>{follower->journeys.request};
    } else {
      Followed<T> followed{std::move(*answer), follower->journeys.request};
      co_return followed;
    }
  }

  // Asking.
  Io<std::shared_ptr<Follower>> follow_next(bool frames);
  Io<void> fire_encoded(std::string route, Encoded request,
                        std::shared_ptr<Follower> follower = nullptr);
  Io<Followed<void>> fire_followed(std::string route, Encoded request, journey::Follow follow);
  Io<std::unique_ptr<Flow>> open_flow(FrameType type, std::string route, Encoded request,
                                      StreamOptions options,
                                      std::shared_ptr<Follower> follower = nullptr);
  Io<std::unique_ptr<Flow>> open_followed(FrameType type, std::string route, Encoded request,
                                          journey::Follow follow, StreamOptions options);
  Result<std::uint32_t> open(FrameType type, const RequestHead& head, const Payload& request,
                             std::uint32_t n, StreamOwner* owner,
                             const std::shared_ptr<Follower>& follower = {});
  void wake_opener() { openers_.wake_one(loop_); }

  // Answering.
  void answer(const Event& event);
  Result<void> reply(std::uint32_t id, const Payload& answer);
  void fail_stream(std::uint32_t id, ErrorCode code, std::string_view text);
  void complete_stream(std::uint32_t id);
  template <class Say>
  void end_stream(std::uint32_t id, Say&& say);
  Result<void> send_item(std::uint32_t id, const Payload& item);
  Instant arrival() const;
  void ended(Handling& handling);

  // The connection.
  Io<void> read();
  void obey(const Event& event);
  void hear_of_journeys(const Event& event);
  Following* joined();
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
  std::unique_ptr<Following> following_;  // null unless somebody follows messages
  Connection connection_;
  std::unique_ptr<Reader> reader_;
  Instant read_at_{};  // when the last frame's last byte was read
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
