#include "koine/rsocket/journey_block.h"

#include <algorithm>
#include <initializer_list>

namespace koine::rsocket {

namespace {

using journey::Frame;
using journey::Leg;
using journey::Quality;
using journey::Stamp;

enum class Kind : std::uint8_t { hello = 1, request, reply, late, item, half };

constexpr std::uint8_t version = 0;

constexpr std::uint8_t followed_flag = 1;
constexpr std::uint8_t frames_flag = 2;
constexpr std::uint8_t next_flag = 4;
constexpr std::uint8_t items_flag = 8;
constexpr std::uint8_t own_metadata_flag = 1;
constexpr std::uint8_t sender_joins_flag = 2;

constexpr std::uint64_t delta_max = (std::uint64_t{1} << 40) - 1;

/// Until 2116. Whoever calculates with two of them stays far from where 64 bits end.
constexpr std::uint64_t base_max = std::uint64_t{1} << 62;

class Writer {
 public:
  explicit Writer(ByteVector& out) : out_(out) {}

  void put(std::uint64_t value, int bytes) {
    for (int i = bytes - 1; i >= 0; --i) out_.push_back(static_cast<std::byte>(value >> (8 * i)));
  }

  /// A base, and later stamps that lie behind it.
  void put_base(std::initializer_list<const Stamp*> stamps) {
    std::int64_t first = INT64_MAX;
    for (const Stamp* stamp : stamps)
      if (*stamp) first = std::min(first, stamp->ns);
    base_ = first == INT64_MAX ? 0 : std::clamp<std::int64_t>(first, 0, base_max);
    put(static_cast<std::uint64_t>(base_), 8);
  }
  bool fits(const Stamp& stamp) const {
    return stamp && stamp.ns >= base_ &&
           static_cast<std::uint64_t>(stamp.ns) - static_cast<std::uint64_t>(base_) <= delta_max;
  }
  void put(const Stamp& stamp) {
    put(fits(stamp) ? static_cast<std::uint64_t>(stamp.ns - base_) : 0, 5);
  }
  std::uint64_t quality(const Stamp& stamp) const {
    return fits(stamp) ? static_cast<std::uint64_t>(stamp.quality) : 0;
  }
  void put_wait(const std::optional<std::int64_t>& ns) {
    const bool is_known = ns && *ns >= 0 && static_cast<std::uint64_t>(*ns) < delta_max;
    put(is_known ? static_cast<std::uint64_t>(*ns) : delta_max, 5);
  }

 private:
  ByteVector& out_;
  std::int64_t base_ = 0;
};

void write(ByteVector& out, const HelloBlock& hello) {
  Writer writer(out);
  writer.put(static_cast<std::uint8_t>(Kind::hello), 1);
  writer.put(version, 1);
  writer.put(static_cast<std::uint8_t>(hello.tells), 1);
  writer.put(hello.message_bytes_max, 4);
  writer.put(hello.clock.boot, 8);
  writer.put(hello.clock.time_namespace, 8);
}

void write(ByteVector& out, const RequestBlock& request) {
  Writer writer(out);
  writer.put(static_cast<std::uint8_t>(Kind::request), 1);
  writer.put((request.is_followed ? followed_flag : 0U) |
                 (request.wants_frames ? frames_flag : 0U) |
                 (request.next_is_followed ? next_flag : 0U) |
                 (request.items_every != 0 ? items_flag : 0U),
             1);
  if (request.is_followed)
    for (const std::uint8_t byte : request.trace_id) writer.put(byte, 1);
  if (request.items_every != 0) writer.put(request.items_every, 4);
}

/// From the qualities on.
void write_half(ByteVector& out, const ReplyBlock& reply) {
  const std::initializer_list<const Stamp*> stamps = {&reply.rx,          &reply.recv_in,
                                                      &reply.recv_out,    &reply.handler_in,
                                                      &reply.handler_out, &reply.write_in};
  Writer writer(out);
  // What fits is known once the base is: the qualities are filled in then.
  const std::size_t at = out.size();
  writer.put(0, 2);
  writer.put_base(stamps);
  std::uint64_t qualities = 0;
  for (const Stamp* stamp : stamps) {
    qualities = qualities << 2 | writer.quality(*stamp);
    writer.put(*stamp);
  }
  store_be16(&out[at], static_cast<std::uint16_t>(qualities));
  writer.put_wait(reply.cpu_wait_ns);
}

void write(ByteVector& out, const ReplyBlock& reply) {
  Writer writer(out);
  writer.put(static_cast<std::uint8_t>(Kind::reply), 1);
  writer.put(reply.has_own_metadata ? own_metadata_flag : 0U, 1);
  write_half(out, reply);
}

void write(ByteVector& out, const HalfBlock& half) {
  Writer writer(out);
  writer.put(static_cast<std::uint8_t>(Kind::half), 1);
  writer.put(half.stream_id, 4);
  writer.put(half.item, 8);
  write_half(out, half.half);
}

void write(ByteVector& out, const ItemBlock& item) {
  Writer writer(out);
  writer.put(static_cast<std::uint8_t>(Kind::item), 1);
  writer.put((item.has_own_metadata ? own_metadata_flag : 0U) |
                 (item.sender_joins ? sender_joins_flag : 0U),
             1);
  writer.put(item.item, 8);
  for (const std::uint8_t byte : item.trace_id) writer.put(byte, 1);
  const bool is_exact = item.write_in.quality == Quality::exact;
  const std::int64_t ns = std::clamp<std::int64_t>(item.write_in.ns, 0, base_max);
  writer.put(is_exact ? static_cast<std::uint64_t>(ns) : 0, 8);
}

void write(ByteVector& out, const LateBlock& late) {
  const Leg& leg = late.leg;
  const std::initializer_list<const Stamp*> stamps = {&leg.write_out, &leg.sched, &leg.ack,
                                                      &leg.first_snd};
  Stamp first_of_all = leg.snd.empty() ? Stamp() : leg.snd.front();
  for (const Stamp& sending : leg.snd) first_of_all.ns = std::min(first_of_all.ns, sending.ns);
  Writer writer(out);
  writer.put(static_cast<std::uint8_t>(Kind::late), 1);
  const std::size_t at = out.size();
  writer.put(0, 1);
  writer.put(late.stream_id, 4);
  writer.put(late.item, 8);
  writer.put_base({&leg.write_out, &leg.sched, &leg.ack, &leg.first_snd, &first_of_all});
  std::uint64_t qualities = 0;
  for (const Stamp* stamp : stamps) {
    qualities = qualities << 2 | writer.quality(*stamp);
    writer.put(*stamp);
  }
  out[at] = static_cast<std::byte>(qualities);
  for (const std::uint32_t value : {leg.sendings, leg.tcp.cwnd, leg.tcp.srtt_us, leg.tcp.mss,
                                    leg.tcp.unsent_bytes, leg.tcp.retransmits})
    writer.put(value, 4);
  writer.put(static_cast<std::uint8_t>(leg.tcp.held_by), 1);
  writer.put_wait(leg.write_cpu_wait_ns);
  std::size_t count = 0;
  while (count < std::min(leg.snd.size(), Leg::sendings_max) && writer.fits(leg.snd[count]))
    ++count;
  writer.put(count, 1);
  for (std::size_t i = 0; i < count; ++i) {
    writer.put(writer.quality(leg.snd[i]), 1);
    writer.put(leg.snd[i]);
  }
  const std::size_t frame_bytes =
      late.frame && count != 0 ? std::min(late.frame->bytes.size(), Frame::bytes_max) : 0;
  writer.put(frame_bytes, 1);
  if (frame_bytes == 0) return;
  writer.put(late.frame->wire_bytes, 4);
  out.insert(out.end(), late.frame->bytes.begin(),
             late.frame->bytes.begin() + static_cast<std::ptrdiff_t>(frame_bytes));
}

/// Reads until something is missing, and says so at the end.
class Reading {
 public:
  explicit Reading(Bytes content) : rest_(content) {}

  std::uint64_t take(std::size_t bytes) {
    if (rest_.size() < bytes) {
      is_good_ = false;
      rest_ = {};
    }
    std::uint64_t value = 0;
    if (!is_good_) return 0;
    for (const std::byte byte : rest_.first(bytes))
      value = value << 8 | std::to_integer<std::uint64_t>(byte);
    rest_ = rest_.subspan(bytes);
    return value;
  }
  std::uint32_t take32() { return static_cast<std::uint32_t>(take(4)); }
  Bytes take_bytes(std::size_t count) {
    is_good_ = is_good_ && count <= rest_.size();
    if (!is_good_) return {};
    const Bytes taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }
  void take_base() {
    base_ = take(8);
    refuse_unless(base_ <= base_max);
  }
  Stamp take_stamp(std::uint64_t quality) {
    const auto ns = static_cast<std::int64_t>(base_ + take(5));
    if ((quality & 3) == 0) return {};
    return {ns, static_cast<Quality>(quality & 3)};
  }

  std::optional<std::int64_t> take_wait() {
    const std::uint64_t ns = take(5);
    if (ns == delta_max) return std::nullopt;
    return static_cast<std::int64_t>(ns);
  }

  void refuse_unless(bool condition) { is_good_ = is_good_ && condition; }
  bool is_over() const { return is_good_ && rest_.empty(); }

 private:
  Bytes rest_;
  bool is_good_ = true;
  std::uint64_t base_ = 0;
};

HelloBlock read_hello(Reading& from) {
  HelloBlock hello;
  from.refuse_unless(from.take(1) == version);
  const std::uint64_t tells = from.take(1);
  from.refuse_unless(tells <= static_cast<std::uint64_t>(Tells::stamps_and_frames));
  hello.tells = static_cast<Tells>(tells & 3);
  hello.message_bytes_max = from.take32();
  hello.clock.boot = from.take(8);
  hello.clock.time_namespace = from.take(8);
  return hello;
}

RequestBlock read_request(Reading& from) {
  RequestBlock request;
  const std::uint64_t flags = from.take(1);
  from.refuse_unless(flags <= (followed_flag | frames_flag | next_flag | items_flag));
  request.is_followed = (flags & followed_flag) != 0;
  request.wants_frames = (flags & frames_flag) != 0;
  request.next_is_followed = (flags & next_flag) != 0;
  if (request.is_followed)
    for (std::uint8_t& byte : request.trace_id) byte = static_cast<std::uint8_t>(from.take(1));
  if ((flags & items_flag) != 0) {
    request.items_every = from.take32();
    from.refuse_unless(request.items_every != 0);
  }
  return request;
}

ReplyBlock read_half(Reading& from) {
  ReplyBlock reply;
  const std::uint64_t qualities = from.take(2);
  from.refuse_unless(qualities < 1U << 12);
  from.take_base();
  int shift = 10;
  for (Stamp* stamp : {&reply.rx, &reply.recv_in, &reply.recv_out, &reply.handler_in,
                       &reply.handler_out, &reply.write_in}) {
    *stamp = from.take_stamp(qualities >> shift);
    shift -= 2;
  }
  reply.cpu_wait_ns = from.take_wait();
  return reply;
}

ReplyBlock read_reply(Reading& from) {
  const std::uint64_t flags = from.take(1);
  from.refuse_unless(flags <= own_metadata_flag);
  ReplyBlock reply = read_half(from);
  reply.has_own_metadata = flags != 0;
  return reply;
}

HalfBlock read_half_block(Reading& from) {
  HalfBlock half;
  half.stream_id = from.take32();
  half.item = from.take(8);
  half.half = read_half(from);
  return half;
}

ItemBlock read_item(Reading& from) {
  ItemBlock item;
  const std::uint64_t flags = from.take(1);
  from.refuse_unless(flags <= (own_metadata_flag | sender_joins_flag));
  item.has_own_metadata = (flags & own_metadata_flag) != 0;
  item.sender_joins = (flags & sender_joins_flag) != 0;
  item.item = from.take(8);
  from.refuse_unless(item.item != 0);
  for (std::uint8_t& byte : item.trace_id) byte = static_cast<std::uint8_t>(from.take(1));
  const std::uint64_t ns = from.take(8);
  from.refuse_unless(ns <= base_max);
  if (ns != 0) item.write_in = Stamp::exactly(static_cast<std::int64_t>(std::min(ns, base_max)));
  return item;
}

LateBlock read_late(Reading& from) {
  LateBlock late;
  Leg& leg = late.leg;
  const std::uint64_t qualities = from.take(1);
  late.stream_id = from.take32();
  late.item = from.take(8);
  from.take_base();
  int shift = 6;
  for (Stamp* stamp : {&leg.write_out, &leg.sched, &leg.ack, &leg.first_snd}) {
    *stamp = from.take_stamp(qualities >> shift);
    shift -= 2;
  }
  for (std::uint32_t* value : {&leg.sendings, &leg.tcp.cwnd, &leg.tcp.srtt_us, &leg.tcp.mss,
                               &leg.tcp.unsent_bytes, &leg.tcp.retransmits})
    *value = from.take32();
  const std::uint64_t held_by = from.take(1);
  from.refuse_unless(held_by <= static_cast<std::uint8_t>(journey::HeldBy::nagle));
  leg.tcp.held_by = static_cast<journey::HeldBy>(held_by);
  leg.write_cpu_wait_ns = from.take_wait();
  const std::uint64_t count = from.take(1);
  from.refuse_unless(count <= Leg::sendings_max && count <= leg.sendings);
  for (std::uint64_t i = 0; i < std::min<std::uint64_t>(count, Leg::sendings_max); ++i) {
    const std::uint64_t quality = from.take(1);
    from.refuse_unless(quality != 0 && quality <= 3);
    leg.snd.push_back(from.take_stamp(quality));
  }
  const std::uint64_t frame_bytes = from.take(1);
  from.refuse_unless(frame_bytes <= Frame::bytes_max && (frame_bytes == 0 || !leg.snd.empty()));
  if (frame_bytes == 0) return late;
  Frame frame{.reply = true, .wire_bytes = from.take32()};
  const Bytes bytes = from.take_bytes(frame_bytes);
  frame.bytes.assign(bytes.begin(), bytes.end());
  if (!leg.snd.empty()) frame.at = leg.snd.front();
  late.frame = std::move(frame);
  return late;
}

}  // namespace

void append_block(ByteVector& metadata, const JourneyBlock& block) {
  ByteVector content;
  std::visit([&](const auto& known) { write(content, known); }, block);
  static_cast<void>(append_entry(metadata, journey_mime_type, content));  // it is never too long
}

Result<JourneyBlock> parse_block(Bytes content) {
  Reading from(content);
  JourneyBlock block;
  switch (static_cast<Kind>(from.take(1))) {
    case Kind::hello: block = read_hello(from); break;
    case Kind::request: block = read_request(from); break;
    case Kind::reply: block = read_reply(from); break;
    case Kind::late: block = read_late(from); break;
    case Kind::item: block = read_item(from); break;
    case Kind::half: block = read_half_block(from); break;
    default: from.refuse_unless(false);
  }
  if (from.is_over()) return block;
  return std::unexpected(
      Error(Fault::malformed, "read journey")
          .with_note(std::to_string(content.size()) + " bytes that are no block"));
}

ReplyBlock reply_block_of(const journey::Journey& journey) {
  return {.rx = journey.request.rx,
          .recv_in = journey.request.recv_in,
          .recv_out = journey.request.recv_out,
          .handler_in = journey.handler_in,
          .handler_out = journey.handler_out,
          .write_in = journey.reply.write_in,
          .cpu_wait_ns = journey.request.cpu_wait_ns};
}

void add_half(journey::Journey& journey, const ReplyBlock& reply) {
  journey.request.rx = reply.rx;
  journey.request.recv_in = reply.recv_in;
  journey.request.recv_out = reply.recv_out;
  journey.request.cpu_wait_ns = reply.cpu_wait_ns;
  journey.handler_in = reply.handler_in;
  journey.handler_out = reply.handler_out;
  journey.reply.write_in = reply.write_in;
}

void add_half(journey::Journey& journey, const LateBlock& late) {
  Leg& leg = journey.reply;
  leg.write_out = late.leg.write_out;
  leg.sched = late.leg.sched;
  leg.snd = late.leg.snd;
  leg.sendings = late.leg.sendings;
  leg.first_snd = late.leg.first_snd;
  leg.ack = late.leg.ack;
  leg.tcp = late.leg.tcp;
  leg.write_cpu_wait_ns = late.leg.write_cpu_wait_ns;
  if (late.frame) journey.frames.push_back(*late.frame);
}

}  // namespace koine::rsocket
