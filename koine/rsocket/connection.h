// One RSocket connection as a state machine: frames and the time in, bytes and events out.
//
// It has no socket and no clock. Whoever drives it (peer.h, a test, a fuzzer)
//
//   - gives it each frame that arrived, and does what the event says;
//   - sends what stands in output(), and says so with sent();
//   - calls tick() when next_deadline() has come.
//
// Nothing in it grows without a bound. What the peer can make us keep is bounded by the limits in
// ConnectionOptions; what waits to be sent is bounded because next() and open() answer would_block
// while more than `output_bytes_max` waits, and because wants_input() is false while so much of it
// is answers to what the peer did: a peer that never reads is not listened to either, until it is
// taken for dead. Messages of ours are no reason not to listen: the peer may be waiting as well.
// What breaks the protocol ends the stream or the connection, with the error that the specification
// asks for, and what it asks to ignore is counted and ignored.
//
// With `resume` it is a session that outlives its transport. When that is lost, detach() is told;
// streams, and what is sent meanwhile, wait. The client calls resume() on a new transport, the
// server resumed() with the RESUME that another Connection has received there, and all goes on
// where it was. What has no position is not sent again: KEEPALIVE, LEASE, METADATA_PUSH.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "koine/base/time.h"
#include "koine/rsocket/frame.h"
#include "koine/rsocket/metadata.h"
#include "koine/rsocket/resume.h"
#include "koine/rsocket/streams.h"

namespace koine::rsocket {

/// The client connects, sends SETUP and KEEPALIVE, and has the odd stream ids. Either may request.
enum class Side : std::uint8_t { client, server };

struct ConnectionOptions {
  /// The client's, for SETUP: between its KEEPALIVEs, and how long either side may say nothing.
  /// Whole milliseconds, at least one. A server goes by what its client says.
  Duration keepalive = 20s;
  Duration lifetime = 90s;

  /// A server waits so long for SETUP.
  Duration setup = 10s;

  /// The client's, for SETUP.
  std::string metadata_mime_type = std::string(composite_mime_type);
  std::string data_mime_type = std::string(binary_mime_type);
  std::string setup_metadata = {};  ///< none if it is empty

  /// Client: go by leases, which then holds for both sides: neither requests anything before the
  /// other has granted it. Server: serve clients that want leases; others need none.
  bool lease = false;

  /// What is granted by itself to a peer that goes by leases: so many requests, but no more than
  /// are free of `requests_max`, for so long, again when half of either is used up. With 0 requests
  /// nothing is granted but by grant().
  std::uint32_t lease_requests = 64;
  Duration lease_time = 10s;

  /// open() without a lease: would_block until one comes, or fail with exhausted.
  bool lease_wait = true;

  /// Client: ask in SETUP for a session that can be resumed, and know it again by this token: 1 to
  /// 65535 bytes that nobody can guess. Server: serve such clients; then the token is the client's.
  bool resume = false;
  std::string resume_token = {};

  /// A session waits so long for its next connection.
  Duration session = 60s;

  /// While so much was sent that the peer is not known to have, it is asked, and no message is
  /// taken. A peer that does not say what it has is sent more, and if it comes back for what is no
  /// longer here, the session is refused.
  std::size_t retained_bytes_max = std::size_t{1} << 20;

  /// Requests of one side that are open at a time. One more of the peer's is answered with
  /// REJECTED, one more of ours would block.
  std::size_t requests_max = 1024;

  /// Data and metadata of one message, in either direction. A larger one of the peer's ends its
  /// stream.
  std::size_t message_bytes_max = std::size_t{1} << 20;

  /// Messages of the peer's that are not complete, all together.
  std::size_t partial_bytes_max = std::size_t{4} << 20;

  /// While more waits to be sent no message is taken, and while more of it is answers no input
  /// wanted. What can wait is twice this, one message, and a few bytes for each open stream.
  std::size_t output_bytes_max = std::size_t{64} << 10;

  /// Messages leave in frames of at most so many bytes, 64 or more.
  std::size_t frame_bytes_max = std::size_t{64} << 10;
};

/// What a frame, or the time, has brought. Everything in it is lent until the next call.
struct Event {
  enum class Kind : std::uint8_t {
    none,
    setup,      ///< server: the client is welcome, unless abort() is called now
    resume,     ///< server, before SETUP: a client wants to go on; see asked()
    resumed,    ///< client: the session goes on
    lost,       ///< of a session: the transport is dead; detach() and go on with another
    request,    ///< a new one: `type`, `payload`, and for channels `is_last`
    next,       ///< an item; `is_last` if no further one comes
    completed,  ///< the peer sends no more items
    failed,     ///< the stream is over: the peer said ERROR, or broke a rule (see `fault`)
    cancelled,  ///< the peer wants no more items from us
    requested,  ///< the peer wants more items from us
    pushed,     ///< METADATA_PUSH: payload.metadata
    leased,     ///< we may request, or, with a lease of nothing, no more
    closing,    ///< the peer lets the open streams end and opens no new ones
    closed,     ///< the connection is over, and all its streams with it
  };

  Kind kind = Kind::none;
  FrameType type = FrameType::request_response;
  bool is_last = false;
  bool is_over = false;  ///< the stream is not known any more; its owner is free
  std::uint32_t stream_id = 0;
  void* owner = nullptr;
  Payload payload = {};
  ErrorCode code = ErrorCode::reserved;
  std::string_view text = {};  ///< why
  /// How it failed: malformed, over_limit or timed_out if we found out, reset for what the peer
  /// said.
  Fault fault = Fault::reset;
};

class Connection {
 public:
  /// A client has its SETUP in output() at once, and may request at once.
  Connection(Side side, ConnectionOptions options, Instant now);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // In.

  /// One whole frame without its length prefix, of at most frame_bytes_max_in() bytes.
  Event receive(Bytes frame, Instant now);

  /// A larger frame has no place here. Framing that fails is to be told with abort().
  std::size_t frame_bytes_max_in() const;

  /// False while too many answers wait to be sent: give it no frames then.
  bool wants_input() const { return answers_ < options_.output_bytes_max; }

  // Out.

  /// What waits to be sent, frames behind their length prefixes. Lent until the next call.
  Bytes output();

  /// False while open(), next() and push() would block because too much waits.
  bool takes_messages() const {
    return waiting() < options_.output_bytes_max &&
           (is_silent_ || retained_.size() < options_.retained_bytes_max);
  }

  /// The first `count` bytes of it are sent.
  void sent(std::size_t count);

  /// Nothing happens by itself before this.
  std::optional<Instant> next_deadline() const;
  Event tick(Instant now);

  // Requests of ours.

  /// Opens a stream and sends its request; `owner` comes back with its events. The answer is its
  /// id. REQUEST_FNF is over when this returns. `request.follows` is not looked at.
  ///
  /// Fails with would_block (too much waits to be sent, too many requests are open, or a lease is
  /// waited for), exhausted (no lease), over_limit (too large), closed.
  Result<std::uint32_t> open(const Request& request, void* owner, Instant now);

  // Streams of either side. Ids that are not open are passed over, as they may have ended just now.

  /// Sends an item, and with `is_last` that no more follow; the answer to REQUEST_RESPONSE always
  /// is the last. Fails with would_block (none is requested, or too much waits), over_limit, closed
  /// (the stream is over, or our direction of it).
  Result<void> next(std::uint32_t id, const Payload& payload, bool is_last);

  /// No more items follow.
  void complete(std::uint32_t id);

  /// Ends the stream with an ERROR. Of the text at most 1 KiB is sent.
  void fail_stream(std::uint32_t id, ErrorCode code, std::string_view text);

  /// Of a stream that we requested: ends it. Of a channel that the peer requested: wants no more of
  /// its items.
  void cancel(std::uint32_t id);

  /// Allows the peer `n` items more, at least one: at most one call for each item that came.
  void request_more(std::uint32_t id, std::uint32_t n);

  void set_owner(std::uint32_t id, void* owner);
  /// For an owner that dies, whatever has become of its stream.
  void release_owner(std::uint32_t id, const void* owner);
  bool is_open(std::uint32_t id) { return streams_.find(id) != nullptr; }
  /// Items that may be sent there now.
  std::uint32_t may_send(std::uint32_t id);

  // Resuming.

  /// Both sides have agreed that the session can outlive its transport, and it goes on.
  bool is_resumable() const { return is_resumable_ && is_going(); }
  bool is_detached() const { return state_ == State::detached; }

  /// What is written now leaves on the transport that is there.
  bool has_transport() const { return state_ == State::open; }

  /// The transport is gone: from now on nothing is in output() and receive() ignores what it is
  /// given. False, and nothing is changed, if the session cannot go on without it.
  bool detach(Instant now);

  /// Client, detached: begins on a new transport, with RESUME in output(). What comes is `resumed`,
  /// or `closed` with Fault::reset if the server does not know the session any more: what was asked
  /// may have been processed.
  void resume(Instant now);

  /// Server: what the client asked for that wants to go on. The token is lent until the next call.
  const Resume& asked() const { return asked_; }

  /// Server, detached or not: goes on, on the transport on which `asked` came. False, and nothing
  /// is changed, if it cannot: then REJECTED_RESUME is to be said there. Perhaps a transport that
  /// the client has given up has delivered it late, and the client is here or yet to come.
  bool resumed(const Resume& asked, Instant now);

  // The connection.

  /// Allows the peer `requests` for `time`, whole milliseconds, instead of what it was allowed
  /// before; with 0 of either, nothing. For peers that go by leases. False if too much waits to be
  /// sent: then nothing has changed.
  bool grant(std::uint32_t requests, Duration time, Instant now);

  /// Fails with would_block or over_limit.
  Result<void> push(Bytes metadata);

  /// Opens and accepts no more streams; is_over() when those that are open have ended.
  void close();

  /// Is over at once and says nothing: another speaks for it.
  void leave() { state_ = State::over; }

  /// Says why and is over at once.
  void abort(ErrorCode code, std::string_view text);

  /// Nothing more happens; what stands in output() may still be sent.
  bool is_over() const { return state_ == State::over; }
  bool is_closing() const { return we_close_ || peer_closes_; }

  std::size_t streams() const { return streams_.size(); }
  Side side() const { return side_; }

  /// `visit(OpenStream&)`: for telling the owners that the connection is over.
  template <class Visit>
  void for_each_stream(Visit&& visit) {
    streams_.for_each(visit);
  }

  /// Of the client's SETUP, at both sides.
  const std::string& resume_token() const { return options_.resume_token; }
  std::string_view metadata_mime_type() const { return options_.metadata_mime_type; }
  std::string_view data_mime_type() const { return options_.data_mime_type; }

  struct Counts {
    std::uint64_t frames = 0;    ///< received
    std::uint64_t ignored = 0;   ///< of these, as the specification asks
    std::uint64_t rejected = 0;  ///< requests that were one too many
    std::uint64_t resumed = 0;   ///< how often the session went on with another transport
  };
  const Counts& counts() const { return counts_; }

  /// Bytes kept for the peer: what waits to be sent, or may have to be sent again, and messages in
  /// fragments.
  std::size_t bytes_kept() const { return waiting() + partial_bytes_ + retained_.size(); }

 private:
  enum class State : std::uint8_t { awaiting_setup, open, detached, resuming, over };

  static constexpr std::size_t error_text_bytes_max = 1024;  // of what an ERROR says

  static bool has_items(FrameType type) {
    return type == FrameType::request_stream || type == FrameType::request_channel;
  }

  /// What one side may request.
  struct Permits {
    std::uint32_t left = 0;
    std::uint32_t granted = 0;  // by the last LEASE alone
    std::uint32_t used = 0;     // since then
    Instant renewal{};          // of theirs: when half of its time is over
    Instant until{};

    bool allows(Instant now) const { return left != 0 && now < until; }
  };

  Event take(const Frame& frame, Instant now);
  Event take_setup(const rsocket::Setup& setup, Instant now);
  Event take_request(std::uint32_t id, const Request& request, Instant now);
  Event take_next(std::uint32_t id, const Next& next);
  Event take_lease(const Lease& lease, Instant now);
  Event take_resume(const Resume* resume);
  void learn(const KeepAlive& keepalive);
  Event take_while_resuming(const Frame& frame, Instant now);
  Event take_failure(std::uint32_t id, const Failure& failure);
  Event take_cancel(std::uint32_t id);
  Event take_request_n(std::uint32_t id, std::uint32_t n);
  Event take_mistake(Bytes frame, const Mistake& mistake);

  Event announce(OpenStream& stream, const Payload& payload);
  Event deliver(OpenStream& stream, const Payload& payload, bool has_item, bool is_last);
  bool keep(OpenStream& stream, const Payload& part);
  Payload assembled(OpenStream& stream);
  Event break_off(OpenStream& stream, ErrorCode code, Fault fault, const char* text);
  Event ignore() {
    ++counts_.ignored;
    return {};
  }
  Event end(ErrorCode code, Fault fault, std::string_view text);
  Event about(const OpenStream& stream, Event::Kind kind) const;

  void renew_lease(Instant now);
  void retain();
  void go_on(Instant now);
  void drop_output();
  void answered(std::size_t before) { answers_ += out_.size() - before; }
  void forget(OpenStream& stream);
  bool forget_if_over(OpenStream& stream);
  void over_if_closing();
  void allow_more(std::uint32_t& permits, std::uint32_t n);
  std::uint32_t unused_id();
  bool is_of_peer(std::uint32_t id) const { return (id % 2 == 1) == (side_ == Side::server); }
  bool is_going() const { return state_ != State::awaiting_setup && state_ != State::over; }
  std::size_t waiting() const { return out_.size() - sent_; }

  ConnectionOptions options_;
  Side side_;
  State state_;
  bool is_accepted_ = false;  // client: the server has shown that it took our SETUP
  bool we_close_ = false;
  bool peer_closes_ = false;
  bool needs_leases_ = false;  // both sides do
  bool is_starved_ = false;    // there was nothing free to grant
  std::uint32_t next_id_;
  std::size_t ours_ = 0;    // open streams that we requested
  std::size_t theirs_ = 0;  // and the peer
  std::size_t partial_bytes_ = 0;
  std::size_t sent_ = 0;     // of out_
  std::size_t answers_ = 0;  // of what waits, at most: what the peer has caused
  ByteVector out_;
  FrameWriter writer_{out_};
  bool is_resumable_ = false;
  bool is_asked_ = false;          // the peer is to say what it has
  bool is_silent_ = false;         // and does not
  std::size_t retained_upto_ = 0;  // of out_
  std::uint64_t received_ = 0;     // our position in what the peer sends
  Retained retained_;
  ByteVector greeting_;  // RESUME, while it is all that may be sent
  Instant detached_{};   // since when
  Resume asked_;
  Streams streams_;
  Permits our_lease_;    // what we may request
  Permits their_lease_;  // what the peer may
  Instant heard_;        // when the last frame came
  Instant next_keepalive_{};
  std::unique_ptr<Partial> whole_;  // the message that the last event lends
  std::string said_;                // why the connection is over
  Counts counts_;
};

}  // namespace koine::rsocket
