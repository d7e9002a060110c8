// How a peer goes on when its stream is lost: the client connects again, the server waits for that.
#include <algorithm>
#include <utility>

#include "koine/async/sleep.h"
#include "koine/rsocket/peer.h"
#include "koine/rsocket/sessions.h"

namespace koine::rsocket {

/// The stream is of no more use. Whoever notices may be in the middle of using it, so it is taken
/// away in a moment.
void Peer::lose(Error error) {
  if (is_ending_) return;
  const bool can_come_back = redial_ || options_.sessions != nullptr;
  if (!can_come_back || !connection_.detach(loop_.now())) {
    end(std::move(error));
    return;
  }
  if (options_.sessions != nullptr) options_.sessions->set_lost(connection_.resume_token(), true);
  if (!is_ending_) loop_.schedule(mender_);
}

void Peer::drop_stream() {
  if (following_) following_->lose();
  mender_.leave();
  writer_.leave();
  reading_.reset();
  reader_.reset();
  stream_.reset();
}

void Peer::use_stream(std::unique_ptr<Stream> stream) {
  stream_ = std::move(stream);
  reader_ = std::make_unique<Reader>(
      *stream_, ReaderOptions{.message_bytes_max = connection_.frame_bytes_max_in()});
}

void Peer::mend() {
  if (is_ending_) return;
  drop_stream();
  if (redial_) reading_.emplace(loop_).spawn(come_back());
  arm();
}

/// Tries until the session's time is over, which ends the peer and this with it.
Io<void> Peer::come_back() {
  constexpr Duration first_pause = 50ms;
  constexpr Duration pause_max = 5s;
  // A session that was resumed only to be cut again at once has not come back.
  if (resumed_ && loop_.now() - *resumed_ >= pause_max) pause_ = {};
  for (;;) {
    if (pause_ != Duration::zero()) {
      // Not all who lost their server at once come back at once.
      const auto spread = static_cast<std::uint64_t>(pause_.count());
      co_await sleep(pause_ / 2 +
                     Duration(static_cast<Duration::rep>(loop_.chance().below(spread))));
    }
    pause_ = std::clamp(2 * pause_, first_pause, pause_max);
    auto dialing = redial_();
    auto stream = co_await dialing;
    if (!stream) continue;
    use_stream(std::move(*stream));
    if (following_) following_->begin_anew();
    connection_.resume(loop_.now());
    reading_->spawn(read());
    write();
    co_return {};
  }
}

/// The server's part: a client that was here before, on a connection that is new. True if `fresh`
/// has given its stream away.
bool Peer::take_over(Peer& fresh) {
  if (is_ending_ || !connection_.resumed(fresh.connection_.asked(), loop_.now())) return false;
  options_.sessions->set_lost(connection_.resume_token(), false);
  drop_stream();
  name_ = fresh.name_;
  stream_ = std::move(fresh.stream_);
  reader_ = std::move(fresh.reader_);
  if (following_) following_->begin_anew();
  reading_.emplace(loop_).spawn(read());
  write();
  make_room();
  return true;
}

/// Another session needs the room.
void Peer::give_up() {
  connection_.abort(ErrorCode::connection_error, "too many sessions wait for their clients");
  end(Error(Fault::exhausted, "rsocket", name_)
          .with_note("too many sessions wait for their clients"));
}

/// Whether the session or the connection may begin as the client wants it.
void Peer::welcome(const Event& event) {
  if (event.kind == Event::Kind::setup) {
    hear_of_journeys(event);
    if (!connection_.is_resumable() || options_.sessions->add(connection_.resume_token(), *this))
      return;
    connection_.abort(ErrorCode::rejected_setup, "the resume token is in use");
    end(Error(Fault::refused, "rsocket", name_).with_note("the resume token is in use"));
    return;
  }
  const std::string token(as_text(connection_.asked().token));
  Peer* const session = options_.sessions->find(token);
  if (session != nullptr && session->take_over(*this)) {
    connection_.leave();
    end(std::nullopt);
    return;
  }
  const char* const why =
      session == nullptr ? "the session is not known here" : "the session cannot go on from there";
  connection_.abort(ErrorCode::rejected_resume, why);
  end(Error(Fault::refused, "rsocket", name_).with_note(why));
}

}  // namespace koine::rsocket
