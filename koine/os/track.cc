#include "koine/os/track.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <utility>

#include "koine/os/system.h"

namespace koine::os {
namespace {

using journey::Frame;
using journey::Journey;
using journey::Leg;
using journey::leg_of;
using journey::Quality;
using journey::Stamp;

/// What an unread report without a frame takes of the receive buffer, and how many a message may
/// have: scheduled, sent and confirmed, and some of them again.
constexpr std::size_t report_bytes = 832;
constexpr std::size_t reports_per_message = 4;

/// A write that takes longer than this may have been without a CPU.
constexpr std::int64_t slow_write_ns = 100'000;

/// select(2) does not say that reports are there.
constexpr Duration look_again = 10ms;

/// Half of what the receive buffer holds, in messages.
std::size_t messages_that_fit(int fd) {
  int bytes = 0;
  socklen_t size = sizeof(bytes);
  if (sys::getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, &size) != 0 || bytes <= 0) return 1;
  return std::max<std::size_t>(
      static_cast<std::size_t>(bytes) / 2 / (report_bytes * reports_per_message), 1);
}

/// True if a socket has more to read.
bool has_more(int fd) {
  int bytes = 0;
  return ::ioctl(fd, SIOCINQ, &bytes) == 0 && bytes > 0;
}

/// How long a frame was, by the IP header in it: reports have only what they were given room for.
std::size_t wire_bytes(Bytes frame, std::size_t reported) {
  const std::size_t ip = frame.size() >= 14 && (load_be16(frame.data() + 12) == 0x0800 ||
                                                load_be16(frame.data() + 12) == 0x86dd)
                             ? 14
                             : 0;
  if (frame.size() < ip + 6) return reported;
  const unsigned version = std::to_integer<unsigned>(frame[ip]) >> 4;
  const std::size_t length = version == 4   ? load_be16(frame.data() + ip + 2)
                             : version == 6 ? std::size_t{load_be16(frame.data() + ip + 4)} + 40
                                            : 0;
  return std::max(reported, length == 0 ? reported : ip + length);
}

}  // namespace

Track::Track(Reactor& reactor, journey::Recorder& recorder, int fd, Transport transport,
             const Stream* stream)
    : reactor_(reactor),
      recorder_(recorder),
      fd_(fd),
      transport_(transport),
      stream_(stream),
      can_(enable_timestamping(fd, transport, recorder.options().frames)),
      budget_(std::min<std::size_t>(recorder.options().budget, messages_that_fit(fd))) {
  while (next_report(fd, {})) {  // of who followed it before: keys begin at 0 again
  }
  ++reactor_.tracks;
  watches_cpu_ = recorder_.options().every == 1;
  if (watches_cpu_) run_delay_before_ = run_delay_.read().value_or(0);
  came_out_of_order();
}

Track::~Track() { --reactor_.tracks; }

journey::Level Track::level() const {
  return can_.receiving || can_.sending ? journey::Level::one_end : journey::Level::programs;
}

// Sending.

bool Track::send(std::shared_ptr<Journey> journey, Way way, std::size_t bytes,
                 std::size_t bytes_before) {
  if (can_.sending && waiting_.size() + marks_.size() >= budget_) drain();
  Leg& leg = leg_of(*journey, way);
  leg.bytes = bytes;
  if (!journey->clocks) journey->clocks = read_clocks();
  Message message{
      .way = way, .since = reactor_.loop().now(), .run_delay_ns = run_delay_.read().value_or(0)};
  if (way == Way::there) {
    run_delay_before_ = message.run_delay_ns;
    watches_cpu_ = true;
  }
  if (stream_ != nullptr) {
    std::uint64_t begin = sent_ + stream_->unsent() + bytes_before;
    if (!marks_.empty()) begin = std::max(begin, marks_.back().end);
    message.end = begin + bytes;
    if (is_tcp()) {
      if (const auto info = read_tcp_info(fd_)) {
        leg.tcp = {.cwnd = info->cwnd,
                   .srtt_us = info->srtt_us,
                   .mss = info->mss,
                   .unsent_bytes = info->unsent_bytes};
        message.before = *info;
        message.to_send = info->unsent_bytes + message.end - sent_;
        const auto before = looked_for_.lock();
        if (way == Way::there && (!before || before->reply.recv_out)) {
          out_of_order_ = info->out_of_order;
          looked_for_ = journey;
        }
        if (bytes > large_bytes_min) message.first_end = begin + info->mss;
      }
    }
  }
  const bool fits = !can_.sending || waiting_.size() + marks_.size() < budget_;
  message.journey = std::move(journey);
  leg.write_in = Stamp::exactly(realtime_ns());
  if (!fits || (stream_ != nullptr && bytes == 0)) {
    ++over_budget_;
    return false;
  }
  marks_.push_back(std::move(message));
  return can_.sending;
}

bool Track::awaits(const Journey& journey) const {
  const auto is_of_it = [&](const Message& message) { return message.journey.get() == &journey; };
  return std::ranges::any_of(marks_, is_of_it) || std::ranges::any_of(waiting_, is_of_it);
}

std::size_t Track::cut(std::size_t bytes) const {
  if (marks_.empty()) return bytes;
  const Message& next = marks_.front();
  const std::uint64_t to = sent_ < next.first_end ? next.first_end : next.end;
  return std::min<std::uint64_t>(bytes, to - sent_);
}

bool Track::ask(msghdr& message, ControlBuffer& room, std::size_t bytes) {
  if (!can_.sending || marks_.empty()) return false;
  const Message& next = marks_.front();
  std::optional<std::uint32_t> id;
  if (stream_ != nullptr) {
    if (sent_ + bytes != next.first_end && sent_ + bytes != next.end) return false;
  } else if (chooses_ids_) {
    id = next_id_;
  }
  ask_for_stamps(message, room, can_.confirming, id);
  return true;
}

void Track::sent(std::size_t bytes, bool asked) {
  sent_ += bytes;
  if (marks_.empty()) return;
  Message& next = marks_.front();
  if (stream_ != nullptr && sent_ < next.end) return;
  Leg& leg = leg_of(*next.journey, next.way);
  leg.write_out = Stamp::exactly(realtime_ns());
  if (leg.write_out.ns - leg.write_in.ns > slow_write_ns) {
    if (const auto delay = run_delay_.read()) leg.write_cpu_wait_ns = *delay - next.run_delay_ns;
  }
  if (asked) {
    next.since = reactor_.loop().now();
    next.id = stream_ != nullptr ? 0 : next_id_++;
    waiting_.push_back(std::move(next));
    arm();
  } else {
    end(next);
  }
  marks_.pop_front();
  settle();
}

bool Track::refused(int error, bool asked) {
  if (!asked) return false;
  if (error == EINVAL && chooses_ids_) {
    chooses_ids_ = false;
    return true;
  }
  if (!chooses_ids_) {
    // Whether the kernel has counted this one depends on its version: begin to count anew.
    can_ = enable_timestamping(fd_, transport_, can_.frames);
    for (Message& message : waiting_) end(message);
    waiting_.clear();
    next_id_ = 0;
    settle();
  }
  return false;
}

std::uint32_t Track::key_of(const Message& message) {
  return message.end == 0 ? message.id : static_cast<std::uint32_t>(message.end - 1);
}

// The kernel's reports.

unsigned Track::drain() {
  // Large enough for the headers of any frame, however many options it has.
  std::array<std::byte, Frame::bytes_max> room{};
  bool found = std::exchange(brought_, false);
  // Edge-triggered: what is left now is not told again. The receive buffer bounds how many there
  // are.
  while (const auto report = next_report(fd_, can_.frames ? MutableBytes(room) : MutableBytes())) {
    found = true;
    if (report->kind != Report::Kind::other)
      take(*report, Bytes(room).first(std::min(report->frame_bytes, room.size())));
  }
  if (found) settle();
  // What ends a TCP connection says so beside (EPOLLHUP). A datagram socket may have been told of a
  // closed port as well.
  if (found) return is_datagram() ? unsigned{readable_news} : 0U;
  return error_means;
}

void Track::report(std::uint32_t type, std::uint32_t key, std::int64_t ns) {
  brought_ = true;
  take({.kind = kind_of_stamp(type), .key = key, .ns = ns}, {});
  settle();
}

/// A key belongs to the message that ends there; and, if the kernel put several into one segment,
/// to those before it, which have no report of their own. That segment may have left later than
/// they would have.
void Track::take(const Report& report, Bytes frame) {
  if (first_piece_waits() && take_first_piece(marks_.front(), report)) return;
  for (std::size_t i = 0; i < waiting_.size();) {
    Message& message = waiting_[i];
    if (take_first_piece(message, report)) return;
    const std::uint32_t key = key_of(message);
    bool complete = false;
    if (key == report.key) {
      complete = take(message, report, true, frame);
    } else if (is_tcp() && static_cast<std::int32_t>(report.key - key) > 0) {
      complete = take(message, report, false, {});
    }
    if (complete) {
      end(message);
      waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
    } else {
      ++i;
    }
  }
}

/// True if the report is of a large message's first bytes.
bool Track::take_first_piece(Message& message, const Report& report) {
  if (message.first_end == 0 || static_cast<std::uint32_t>(message.first_end - 1) != report.key)
    return false;
  Stamp& first = leg_of(*message.journey, message.way).first_snd;
  if (report.kind == Report::Kind::sent && !first) first = Stamp::exactly(report.ns);
  return true;
}

/// True if nothing more is to be expected for the message.
bool Track::take(Message& message, const Report& report, bool exact, Bytes frame) {
  Journey& journey = *message.journey;
  Leg& leg = leg_of(journey, message.way);
  const Stamp stamp{report.ns, exact ? Quality::exact : Quality::at_most};
  switch (report.kind) {
    case Report::Kind::scheduled:
      if (!leg.sched) {
        leg.sched = stamp;
        look_what_held(message);
      }
      return false;
    case Report::Kind::sent:
      if (exact && !frame.empty() && leg.sendings == 0) {
        journey.frames.push_back({.reply = message.way == Way::back,
                                  .at = stamp,
                                  .bytes = {frame.begin(), frame.end()},
                                  .wire_bytes = wire_bytes(frame, report.frame_bytes)});
      }
      if (exact || leg.snd.empty()) {
        ++leg.sendings;
        if (leg.snd.size() < Leg::sendings_max) leg.snd.push_back(stamp);
      }
      return exact && !can_.confirming;
    case Report::Kind::confirmed:
      if (!leg.ack) leg.ack = stamp;
      return true;
    case Report::Kind::other: break;
  }
  return false;
}

/// Nothing more is expected for the message.
void Track::end(Message& message) {
  if (!is_tcp()) return;
  if (const auto info = read_tcp_info(fd_))
    leg_of(*message.journey, message.way).tcp.retransmits =
        info->retransmits - message.before.retransmits;
}

/// Asked when TCP has let go of it, if it did not do so at once. A message that it let go as soon
/// as it had it may have waited for the end of our turn, unless it is so large that it had it bit
/// by bit.
void Track::look_what_held(const Message& message) {
  Leg& leg = leg_of(*message.journey, message.way);
  const std::int64_t held_ns = leg.sched.ns - leg.write_in.ns - leg.write_cpu_wait_ns.value_or(0);
  const bool had_it = leg.sched.ns - leg.write_out.ns > slow_write_ns;
  if (!is_tcp() || held_ns <= slow_write_ns || (!had_it && message.to_send <= large_bytes_min))
    return;
  const auto now = read_tcp_info(fd_);
  if (!now) return;
  leg.tcp.held_by = what_held(message.before, *now, read_tcp_options(fd_),
                              {.bytes = message.to_send,
                               .ns = held_ns,
                               .late_ns = realtime_ns() - leg.sched.ns,
                               .had_it = had_it});
}

void Track::settle() {
  if (settled()) settling_.wake_all(reactor_.loop());
}

void Track::arm() {
  if (armed()) return;
  const bool is_told = reactor_.multiplexer() != "select";
  reactor_.loop().arm(
      *this, is_told ? waiting_.front().since + patience : reactor_.loop().now() + look_again);
}

void Track::run() {
  drain();
  const Instant now = reactor_.loop().now();
  while (!waiting_.empty() && waiting_.front().since + patience <= now) {
    end(waiting_.front());
    waiting_.pop_front();
  }
  if (!waiting_.empty()) arm();
  settle();
}

void Track::hung_up() {
  drain();
  waiting_.clear();
  marks_.clear();
  settle();
}

// Receiving.

void Track::give_room(msghdr& message, ControlBuffer& room) const {
  if (!can_.receiving) return;
  message.msg_control = room.bytes;
  message.msg_controllen = sizeof(room.bytes);
}

void Track::asks() {
  if (asked_) return;
  asked_ = true;
  wait_before_asked_ = reactor_.waiting_since_ns;
}

/// Who waits in the loop asks from when the loop last began to wait: what arrived before that found
/// the program busy.
std::int64_t Track::asking_since() const {
  const bool waited = asked_ && reactor_.waiting_since_ns != wait_before_asked_;
  return waited ? reactor_.waiting_since_ns : realtime_ns();
}

/// A segment that was read in part may be several that waited together, with the stamp of the last.
void Track::arrived(const msghdr& message, std::int64_t asking_since_ns, bool is_full) {
  arrived(arrival_of(message), asking_since_ns);
  if (last_.rx && is_full && is_tcp() && has_more(fd_)) last_.rx.quality = Quality::at_most;
}

void Track::arrived(std::optional<std::int64_t> stamp_ns, std::int64_t asking_since_ns) {
  Arrival arrival;
  arrival.recv_out = Stamp::exactly(realtime_ns());
  arrival.recv_in = Stamp::exactly(asking_since_ns);
  asked_ = false;
  if (stamp_ns) {
    arrival.rx = Stamp::exactly(*stamp_ns);
    if (last_.rx && last_.rx.ns == *stamp_ns) {
      // They waited together, and the kernel kept the stamp of the last.
      arrival.rx.quality = Quality::at_most;
      if (const auto before = last_received_.lock())
        leg_of(*before, last_way_).rx.quality = Quality::at_most;
    }
  }
  if (watches_cpu_) {
    const std::int64_t delay = run_delay_.read().value_or(run_delay_before_);
    arrival.cpu_wait_ns = delay - run_delay_before_;
    run_delay_before_ = delay;
    watches_cpu_ = recorder_.options().every == 1;
  }
  last_ = arrival;
  last_received_.reset();
}

/// True if segments have overtaken others since it was last looked at. What was read then has the
/// stamp of one that waited for others to come, and nobody knows when all of it was there.
bool Track::came_out_of_order() {
  const auto info = is_tcp() ? read_tcp_info(fd_) : std::nullopt;
  return info && info->out_of_order != std::exchange(out_of_order_, info->out_of_order);
}

void Track::receive(const std::shared_ptr<Journey>& journey, Way way, std::size_t bytes_behind) {
  if (!journey->clocks) journey->clocks = read_clocks();
  Leg& leg = leg_of(*journey, way);
  leg.rx = last_.rx;
  if (leg.rx && bytes_behind != 0) leg.rx.quality = Quality::at_most;
  if (leg.rx && came_out_of_order()) leg.rx = {};
  leg.recv_in = last_.recv_in;
  leg.recv_out = last_.recv_out;
  // Of several messages in one read, the stamp is the last one's.
  if (const auto before = last_received_.lock(); before && before != journey) {
    Stamp& rx = leg_of(*before, last_way_).rx;
    if (rx) rx.quality = Quality::at_most;
  }
  if (last_.cpu_wait_ns && last_.recv_out) {
    const Stamp& since = last_.rx ? last_.rx : last_.recv_in;
    leg.cpu_wait_ns = std::clamp<std::int64_t>(
        *last_.cpu_wait_ns, 0, std::max<std::int64_t>(last_.recv_out.ns - since.ns, 0));
  }
  last_received_ = journey;
  last_way_ = way;
}

void Track::expect() {
  run_delay_before_ = run_delay_.read().value_or(0);
  watches_cpu_ = true;
}

std::optional<Duration> Track::since_arrival() const {
  if (!last_.rx) return std::nullopt;
  return std::max(Duration(realtime_ns() - last_.rx.ns), Duration::zero());
}

bool Track::keep_frames(bool wanted) {
  if (can_.sending && can_.frames != wanted && give_frames(fd_, transport_, wanted))
    can_.frames = wanted;
  return can_.frames == wanted;
}

void Track::finish(const std::shared_ptr<Journey>& journey) {
  if (journey->clocks && journey->clocks->contradicts(read_clocks())) journey->clock_stepped = true;
  recorder_.finish(connection_, journey);
}

}  // namespace koine::os
