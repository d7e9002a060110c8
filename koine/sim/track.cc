#include "koine/sim/track.h"

#include <algorithm>
#include <utility>

#include "koine/sim/sockets.h"
#include "koine/sim/trace.h"
#include "koine/sim/world.h"

namespace koine::sim {

using journey::Journey;
using journey::Way;

Track::Track(World& world, journey::Recorder& recorder, const FlowKey& flow,
             Function<Positions()> positions)
    : world_(world),
      follower_(world.make_follower()),
      recorder_(recorder),
      flow_(flow),
      positions_(std::move(positions)) {
  follower_.follow(flow_);
  Track::keep_frames(recorder_.options().frames);
}

Track::Track(Host& host, journey::Recorder& recorder, std::uint16_t port)
    : world_(host.world()),
      follower_(world_.make_follower()),
      recorder_(recorder),
      host_(&host),
      port_(port) {
  follower_.follow(host, port);
  Track::keep_frames(recorder_.options().frames);
}

Track::~Track() {
  Track::keep_frames(false);
  if (host_ == nullptr) {
    follower_.let_go(flow_);
  } else {
    follower_.let_go(*host_, port_);
  }
}

/// The world's, whatever its hosts show: all stamps are of it.
journey::ClockIdentity Track::clock() const {
  return {.boot = (Trace::hash_of(as_bytes("a world")) ^ world_.seed()) | 1};
}

void Track::keep(Message message) {
  // Journeys that nobody has any more are finished by nobody.
  std::erase_if(messages_, [](const Message& each) { return each.journey.use_count() == 1; });
  if (messages_.size() == messages_max) messages_.erase(messages_.begin());
  messages_.push_back(std::move(message));
}

void Track::fill(const Message& message) const {
  follower_.fill(*message.journey, message.way == Way::back, message.flow, message.end);
  message.journey->offset = {0, 0, journey::Offset::Method::same_clock};
}

bool Track::send(std::shared_ptr<Journey> journey, Way way, std::size_t bytes,
                 std::size_t bytes_before) {
  journey::Leg& leg = leg_of(*journey, way);
  leg.bytes = bytes;
  leg.write_in = follower_.now();
  Message message{
      .journey = std::move(journey), .way = way, .is_ours = true, .since = leg.write_in};
  if (host_ != nullptr) {
    to_leave_.push_back(std::move(message));
    return true;
  }
  const Positions at = positions_();
  if (at.connection == nullptr || bytes == 0) return false;
  const std::uint32_t mss = at.connection->send_mss();
  leg.tcp = {.cwnd = at.connection->congestion_window() / std::max(mss, 1U),
             .srtt_us = static_cast<std::uint32_t>(at.connection->rtt().smoothed() / 1us),
             .mss = mss,
             .unsent_bytes = at.written - at.connection->snd_nxt().value};
  auto begin = static_cast<std::uint32_t>(at.written + bytes_before);
  // Several may be announced before they are written.
  if (has_sent_ && static_cast<std::int32_t>(sent_end_ - begin) > 0) begin = sent_end_;
  has_sent_ = true;
  sent_end_ = static_cast<std::uint32_t>(begin + bytes);
  message.flow = flow_;
  message.end = sent_end_;
  follower_.expect(flow_, begin, sent_end_, message.journey->trace_id);
  keep(std::move(message));
  return true;
}

void Track::datagram_written() {
  if (to_leave_.empty()) return;
  Message message = std::move(to_leave_.front());
  to_leave_.erase(to_leave_.begin());
  const auto written = follower_.last_written(*host_, port_);
  if (!written) return;
  message.flow = written->flow;
  message.end = written->number + 1;
  connection_.server = to_string(Endpoint::of(address_of(written->flow.target), Transport::udp));
  if (message.journey->server.empty()) message.journey->server = connection_.server;
  keep(std::move(message));
}

bool Track::awaits(const Journey& journey) const {
  const std::int64_t now = follower_.now().ns;
  const auto is_of_it = [&](const Message& message) {
    return message.journey.get() == &journey && message.is_ours;
  };
  if (std::ranges::any_of(to_leave_, is_of_it)) return true;
  return std::ranges::any_of(messages_, [&](const Message& message) {
    return is_of_it(message) && now - message.since.ns < Duration(patience).count() &&
           !follower_.arrival(message.flow, message.end);
  });
}

std::optional<Follower::DatagramAt> Track::last_read() const {
  if (host_ != nullptr) return follower_.last_read(*host_, port_);
  const Positions at = positions_();
  if (at.connection == nullptr) return std::nullopt;
  return Follower::DatagramAt{flow_.reverse(), at.read - 1};
}

void Track::receive(const std::shared_ptr<Journey>& journey, Way way, std::size_t bytes_behind) {
  const auto last = last_read();
  if (!last) return;
  Message message{.journey = journey,
                  .way = way,
                  .flow = last->flow,
                  .end = last->number + 1 - static_cast<std::uint32_t>(bytes_behind),
                  .since = follower_.now()};
  // What was read last may have ended several: where both ends follow, the sender said which.
  message.end = follower_.expected_end(message.flow, journey->trace_id).value_or(message.end);
  for (const Message& each : messages_)
    if (each.journey == journey) fill(each);
  fill(message);
  keep(std::move(message));
}

std::optional<Duration> Track::since_arrival() const {
  const auto last = last_read();
  const auto arrival = last ? follower_.arrival(last->flow, last->number + 1) : std::nullopt;
  if (!arrival) return std::nullopt;
  return world_.timeline().now() - *arrival;
}

bool Track::keep_frames(bool wanted) {
  if (std::exchange(keeps_frames_, wanted) == wanted) return true;
  if (wanted) {
    follower_.keep_frames();
  } else {
    follower_.let_go_of_frames();
  }
  return true;
}

void Track::finish(const std::shared_ptr<Journey>& journey) {
  for (const Message& message : messages_)
    if (message.journey == journey) fill(message);
  std::erase_if(messages_, [&](const Message& message) { return message.journey == journey; });
  recorder_.finish(connection_, journey);
}

}  // namespace koine::sim
