#include "koine/rsocket/peer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "koine/rsocket/event_error.h"
#include "koine/rsocket/handling.h"
#include "koine/rsocket/sessions.h"

namespace koine::rsocket {

/// Waits until so much output has left that the peer may be listened to again.
class [[nodiscard]] Peer::Room final : public Trying<Room, void> {
 public:
  explicit Room(Peer& peer) : peer_(peer) {}
  Result<void> attempt_once() {
    if (!peer_.connection_.wants_input()) return fail(Fault::would_block);
    return {};
  }
  void park() { peer_.input_room_.join(*this); }
  Activity activity() const override { return {"wait for room", peer_.name_}; }

 private:
  Peer& peer_;
};

// The peer.

namespace {

/// Sessions that have no place cannot be resumed. Who offers to follow says so in SETUP.
ConnectionOptions connection_options(const PeerOptions& options, Side side, Following* following) {
  ConnectionOptions connection = options.connection;
  if (side == Side::server && options.sessions == nullptr) connection.resume = false;
  const bool may_offer = connection.metadata_mime_type == composite_mime_type;
  if (side == Side::client && following != nullptr && may_offer)
    connection.setup_metadata += as_text(following->offer());
  return connection;
}

}  // namespace

Peer::Peer(std::unique_ptr<Stream> stream, Side side, const Service* service, PeerOptions options)
    : loop_(Loop::current()),
      stream_(std::move(stream)),
      name_(stream_->name()),
      service_(service),
      options_(std::move(options)),
      following_(options_.journeys == nullptr || options_.journeys->only_who_offers
                     ? nullptr
                     : std::make_unique<Following>(*this)),
      connection_(side, connection_options(options_, side, joined()), loop_.now()) {
  use_stream(std::move(stream_));
  if (following_) following_->connected();
  reading_.emplace(loop_).spawn(read());
  write();
}

Peer::Peer(std::unique_ptr<Stream> stream, Side side, const Service* service)
    : Peer(std::move(stream), side, service, PeerOptions()) {}

Peer::Peer(std::unique_ptr<Stream> stream) : Peer(std::move(stream), Side::client, nullptr) {}

Peer::~Peer() {
  const Loop::Entered entered(loop_);
  is_ending_ = true;
  if (!error_) error_ = Error(Fault::closed, "rsocket", name_);
  finish();
}

void Peer::close() {
  connection_.close();
  write();
}

Io<void> Peer::run() {
  co_await over_.wait();
  if (error_) co_return std::unexpected(*error_);
  co_return {};
}

Io<void> Peer::read() {
  for (;;) {
    if (!connection_.wants_input()) {
      Room room(*this);
      static_cast<void>(co_await room);
    }
    const bool had_bytes = reader_->has_buffered();
    const Instant asked = loop_.now();
    auto reading = reader_->prefixed(LengthPrefix::be24);
    auto frame = co_await reading;
    if (!had_bytes || loop_.now() != asked) read_at_ = loop_.now();
    if (is_ending_) co_return {};
    if (!frame) {
      if (frame.error() == Fault::over_limit) {
        connection_.abort(ErrorCode::connection_error, "a frame is too large");
        end(std::move(frame.error()));
      } else {
        lose(std::move(frame.error()));
      }
      co_return {};
    }
    if (!*frame) {
      // A peer that goes while nothing is open goes in peace, unless it may come back.
      if (connection_.streams() == 0 && !connection_.is_resumable()) {
        end(std::nullopt);
      } else {
        lose(Error(Fault::ended, "rsocket", name_));
      }
      co_return {};
    }
    const bool was_full = !connection_.takes_messages();
    obey(connection_.receive(**frame, loop_.now()));
    write();
    if (was_full && connection_.takes_messages()) make_room();
    if (is_ending_ || connection_.is_detached()) co_return {};
  }
}

void Peer::obey(const Event& event) {
  if (event.kind == Event::Kind::closed) {
    end(Error(event.fault, "rsocket", name_).with_note(note_of(event)));
    return;
  }
  if (event.kind == Event::Kind::lost) {
    lose(Error(Fault::timed_out, "rsocket", name_));
    return;
  }
  if (event.kind == Event::Kind::setup || event.kind == Event::Kind::resume) {
    welcome(event);
    return;
  }
  if (event.kind == Event::Kind::resumed) {
    resumed_ = loop_.now();
    make_room();
    return;
  }
  const bool is_over = event.is_over;
  if (event.kind == Event::Kind::pushed) {
    hear_of_journeys(event);
  } else if (event.owner != nullptr && following_) {
    Event heard = event;
    following_->hear(heard);
    static_cast<StreamOwner*>(heard.owner)->hear(heard);
  } else if (event.owner != nullptr) {
    static_cast<StreamOwner*>(event.owner)->hear(event);
  } else if (event.kind == Event::Kind::request) {
    answer(event);
  }
  // One more may be open, or all that a lease allows.
  if (is_over || event.kind == Event::Kind::leased) wake_opener();
}

void Peer::tick() {
  obey(connection_.tick(loop_.now()));
  write();
  if (!is_ending_) arm();  // without a stream nothing was written
}

/// A deadline that has moved away need not move the timer: a tick too early does no harm.
void Peer::arm() {
  const auto deadline = connection_.next_deadline();
  if (!deadline || (ticker_.armed() && ticker_.deadline() <= *deadline)) return;
  loop_.arm(ticker_, *deadline);
}

/// Gives the stream what waits to be sent; the stream collects it until the end of the turn.
void Peer::write() {
  if (is_ending_ && error_) return;
  bool has_moved = false;
  while (stream_ != nullptr && !connection_.output().empty()) {
    const auto taken = stream_->write_now(connection_.output());
    if (!taken) {
      if (taken.error() == Fault::would_block) {
        if (!writer_.listed()) stream_->writable().join(writer_);
      } else {
        lose(taken.error());
      }
      break;
    }
    connection_.sent(*taken);
    has_moved = true;
  }
  if (has_moved) make_room();
  if (connection_.is_over() && connection_.output().empty()) end(std::nullopt);
  if (!is_ending_) arm();
}

/// Wakes whoever may find room now.
void Peer::make_room() {
  if (connection_.wants_input()) input_room_.wake_all(loop_);
  if (!connection_.takes_messages()) return;
  if (following_) following_->has_room();
  output_room_.wake_all(loop_);
  wake_opener();
}

/// The connection is over. Who is told may be who called, so it is done in a moment.
void Peer::end(std::optional<Error> error) {
  if (is_ending_) return;
  is_ending_ = true;
  write();
  error_ = std::move(error);
  loop_.schedule(ender_);
}

void Peer::finish() {
  const bool would_be_waited_for = connection_.is_resumable() && !connection_.is_detached();
  connection_.abort(ErrorCode::connection_error, "closing");  // nothing, if it is over
  if (would_be_waited_for && stream_) {
    while (!connection_.output().empty()) {
      const auto taken = stream_->write_now(connection_.output());
      if (!taken) break;
      connection_.sent(*taken);
    }
  }
  if (options_.sessions != nullptr) options_.sessions->remove(connection_.resume_token(), *this);
  if (following_) following_->lose();
  const Error error = error_ ? *error_ : Error(Fault::closed, "rsocket", name_);
  connection_.for_each_stream([&](OpenStream& stream) {
    // Each is told once: it may be gone when the peer itself dies.
    void* const owner = std::exchange(stream.owner, nullptr);
    if (owner != nullptr) static_cast<StreamOwner*>(owner)->lost(error);
  });
  while (!handlings_.empty()) ended(handlings_.front());
  ticker_.cancel();
  writer_.leave();
  mender_.leave();
  if (stream_) static_cast<void>(stream_->finish());
  if (reading_) reading_->cancel();
  over_.set();
  input_room_.wake_all(loop_);
  output_room_.wake_all(loop_);
  openers_.wake_all(loop_);
}

Io<std::unique_ptr<Peer>> connect(Network& network, std::string url, PeerOptions options,
                                  const Service* service) {
  ConnectionOptions& connection = options.connection;
  if (connection.resume && connection.resume_token.empty()) {
    for (int i = 0; i < 4; ++i) {
      std::array<std::byte, 8> word;
      store_be64(word.data(), network.loop().chance()());
      connection.resume_token += as_text(word);
    }
  }
  auto dialing = dial(network, url);
  auto stream = co_await attempt(std::move(dialing));
  const bool resumes = connection.resume;
  auto peer = std::make_unique<Peer>(std::move(stream), Side::client, service, std::move(options));
  if (resumes) peer->redial_ = [&network, url = std::move(url)] { return dial(network, url); };
  co_return std::move(peer);
}

namespace {

Io<void> serve(std::unique_ptr<Stream> stream, const Service& service, PeerOptions options) {
  Peer peer(std::move(stream), Side::server, &service, std::move(options));
  auto running = peer.run();
  co_return co_await running;
}

}  // namespace

Io<void> Service::operator()(std::unique_ptr<Stream> connection) const {
  return serve(std::move(connection), *this, {});
}

Function<Io<void>(std::unique_ptr<Stream>)> handler(Service service, PeerOptions options) {
  std::shared_ptr<ShardedSessions> sessions;
  if (options.connection.resume && options.sessions == nullptr)
    sessions = std::make_shared<ShardedSessions>();
  return [service = std::move(service), options = std::move(options),
          sessions = std::move(sessions)](std::unique_ptr<Stream> stream) {
    PeerOptions with_sessions = options;
    if (sessions) with_sessions.sessions = &sessions->here();
    return serve(std::move(stream), service, std::move(with_sessions));
  };
}

}  // namespace koine::rsocket
