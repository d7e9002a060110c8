#include "cli/tracing.h"

#include <algorithm>
#include <utility>

#include "cli/reach.h"
#include "cli/standard_io.h"
#include "koine/async/sleep.h"
#include "koine/async/within.h"
#include "koine/journey/export.h"
#include "koine/journey/spans.h"

namespace koine::cli {
namespace {

/// The kernel's last words about a message; a confirmation may be delayed by 40 ms and more.
constexpr Duration settle_patience = 250ms;

}  // namespace

Tracing::Tracing(os::Network& network, const TraceOptions& options, const std::string& message,
                 Traced& traced)
    : network_(network),
      options_(options),
      message_(message),
      traced_(traced),
      recorder_({.every = static_cast<std::uint32_t>(options.every),
                 .keep_slowest = options.slowest,
                 .frames = options.layers || options.files.wants_frames()}),
      tracker_(recorder_) {
  recorder_.on_journey = [this](const journey::Journey& journey) { keep(journey); };
}

Io<void> Tracing::over_stream() {
  auto beginning = tracker_.ready();
  co_await attempt(std::move(beginning));
  auto reaching = reach(network_, options_.peer, {.timeout = options_.timeout});
  const auto stream = co_await attempt(std::move(reaching));
  track_ = co_await attempt(tracker_.attach(*stream));
  traced_.lacking = track_->timestamping().lacking;
  for (std::uint64_t i = 0; i < options_.count; ++i) {
    if (i != 0 && options_.pause > Duration::zero()) co_await sleep(options_.pause);
    auto journey = begin();
    co_await attempt(within(options_.timeout, write_all(*stream, message_)));
    co_await attempt(within(options_.timeout, flush(*stream)));
    if (options_.wants_reply) {
      auto hearing = hear(*stream, journey);
      co_await attempt(std::move(hearing));
    }
    auto ending = end(journey);
    co_await attempt(std::move(ending));
  }
  co_return stream->finish();
}

Io<void> Tracing::over_messages() {
  auto beginning = tracker_.ready();
  co_await attempt(std::move(beginning));
  auto reaching = reach(network_, options_.peer, {.timeout = options_.timeout});
  auto stream = co_await attempt(std::move(reaching));
  Stream& connection = *stream;
  PeerOptions peer_options{.journeys = &journeys_};
  Peer peer(std::move(stream), rsocket::Side::client, nullptr, std::move(peer_options));
  track_ = dynamic_cast<os::Track*>(connection.track());
  if (track_ != nullptr) traced_.lacking = track_->timestamping().lacking;
  auto agreeing = peer.journeys_agreed();
  co_await attempt(std::move(agreeing));
  Result<void> answered;
  for (std::uint64_t i = 0; i < options_.count && answered; ++i) {
    if (i != 0 && options_.pause > Duration::zero()) co_await sleep(options_.pause);
    auto asking = ask(peer);
    answered = co_await asking;
  }
  // An error of its handler's is an answer, and has had its way.
  auto settling = peer.journeys_settled();
  co_await attempt(std::move(settling));
  traced_.missing = peer.journey_counts();
  if (!answered) co_return answered;
  peer.close();
  static_cast<void>(co_await within(options_.timeout, peer.run()));
  co_return {};
}

Io<void> Tracing::ask(Peer& peer) {
  if (!options_.wants_reply) {
    auto firing = within(options_.timeout, peer.fire(options_.route, message_));
    co_return co_await firing;
  }
  if (options_.streams) {
    auto taking = take_items(peer);
    co_return co_await taking;
  }
  co_await attempt(within(options_.timeout, peer.call(options_.route, message_)));
  co_return {};
}

/// The first items; what else there would be is not asked for.
Io<void> Tracing::take_items(Peer& peer) {
  const rsocket::StreamOptions window{.window = static_cast<std::uint32_t>(options_.take)};
  const journey::Follow follow{.frames = recorder_.options().frames};
  auto opening = peer.stream(options_.route, message_, window);
  if (options_.every == 1) opening = peer.stream(options_.route, message_, follow, window);
  auto items = co_await attempt(within(options_.timeout, std::move(opening)));
  for (std::uint64_t taken = 0; taken < options_.take; ++taken) {
    const auto item = co_await attempt(within(options_.timeout, items.next()));
    if (!item) break;
  }
  auto finding = items.journeys();
  traced_.stream = co_await attempt(std::move(finding));
  co_return {};
}

Io<void> Tracing::over_datagrams() {
  auto beginning = tracker_.ready();
  co_await attempt(std::move(beginning));
  auto looking_up = datagram_peers(network_, options_.peer, options_.timeout);
  const std::vector<Address> peers = co_await attempt(std::move(looking_up));
  // An open host may have somebody at either of its loopback addresses.
  for (const Address& peer : peers) {
    auto tracing = over_datagrams(peer);
    auto traced = co_await tracing;
    const bool refused = !traced && traced.error() == Fault::refused;
    if (!refused || &peer == &peers.back()) co_return traced;
  }
  co_return {};
}

Io<void> Tracing::over_datagrams(const Address& peer) {
  const auto socket = co_await attempt(datagram_to(network_, peer, options_.peer.transport()));
  track_ = co_await attempt(tracker_.attach(*socket));
  traced_.lacking = track_->timestamping().lacking;
  std::vector<std::byte> room(datagram_bytes_max);
  for (std::uint64_t i = 0; i < options_.count; ++i) {
    if (i != 0 && options_.pause > Duration::zero()) co_await sleep(options_.pause);
    auto journey = begin();
    co_await attempt(within(options_.timeout, send_to(*socket, as_bytes(message_), peer)));
    if (options_.wants_reply) {
      const auto reply = co_await within(options_.timeout, receive_from(*socket, room));
      if (reply && journey) {
        journey->reply.bytes = reply->size;
        track_->receive(journey, os::Way::back);
      } else if (!reply && reply.error() == Fault::timed_out) {
        ++traced_.unanswered;
      } else if (!reply) {
        co_return std::unexpected(reply.error());
      }
    }
    auto ending = end(journey);
    co_await attempt(std::move(ending));
  }
  co_return {};
}

/// A journey, for the messages that are followed.
std::shared_ptr<journey::Journey> Tracing::begin() {
  if (!recorder_.samples()) return nullptr;
  auto journey = recorder_.begin(track_->connection());
  track_->send(journey, os::Way::there, message_.size());
  return journey;
}

/// The answer's first piece, or as many bytes as were asked for; what else is there is thrown
/// away.
Io<void> Tracing::hear(Stream& stream, const std::shared_ptr<journey::Journey>& journey) {
  std::uint64_t heard = 0;
  do {
    const Buffer bytes = co_await attempt(within(options_.timeout, receive(stream)));
    if (!bytes) {
      co_return std::unexpected(Error(Fault::ended, "read", stream.name())
                                    .with_note("the server finished without an answer"));
    }
    heard += bytes.size();
  } while (heard < options_.reply_bytes);
  if (journey) {
    journey->reply.bytes = heard;
    const bool is_more = options_.reply_bytes != 0 && heard > options_.reply_bytes;
    track_->receive(journey, os::Way::back, is_more ? heard - options_.reply_bytes : 0);
  }
  for (;;) {
    const auto more = stream.receive_now();
    if (!more || !*more) break;
  }
  co_return {};
}

Io<void> Tracing::end(const std::shared_ptr<journey::Journey>& journey) {
  if (!journey) co_return {};
  co_await within(settle_patience, settled(*track_));
  track_->finish(journey);
  co_return {};
}

void Tracing::keep(const journey::Journey& journey) {
  const std::int64_t total = spans_of(journey).total_ns;
  traced_.totals.record(static_cast<std::uint64_t>(std::max<std::int64_t>(total, 0)));
  if (options_.json && traced_.printed) {
    const std::string line = json_line(journey);
    traced_.printed = write_output(as_bytes(line));
  }
  if (!options_.files.any()) return;
  if (traced_.journeys.size() < journeys_max) {
    traced_.journeys.push_back(journey);
  } else {
    ++traced_.not_in_files;
  }
}

}  // namespace koine::cli
