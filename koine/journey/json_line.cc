#include "koine/journey/export.h"
#include "koine/journey/json.h"
#include "koine/journey/spans.h"

namespace koine::journey {
namespace {

std::string hex(std::span<const std::uint8_t> bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

std::string stamp(const Stamp& stamp) {
  const std::string ns = std::to_string(stamp.ns);
  if (stamp.quality == Quality::exact) return ns;
  return JsonList('[').item(ns).item(json_text(to_string(stamp.quality))).done();
}

std::string hop(const Hop& hop) {
  JsonList one('{');
  one.member("what", json_text(to_string(hop.what))).member("at", json_text(hop.at));
  if (!hop.towards.empty()) one.member("towards", json_text(hop.towards));
  if (!hop.why.empty()) one.member("why", json_text(hop.why));
  return one.member("in", hop.in_ns)
      .member("out", hop.out_ns)
      .member("sending", hop.sending)
      .done();
}

std::string leg(const Leg& leg) {
  JsonList all('{');
  all.member("bytes", std::to_string(leg.bytes));
  const auto put = [&](const char* name, const Stamp& at) {
    if (at) all.member(name, stamp(at));
  };
  put("write_in", leg.write_in);
  put("write_out", leg.write_out);
  put("sched", leg.sched);
  if (!leg.snd.empty()) {
    JsonList sendings('[');
    for (const Stamp& sending : leg.snd) sendings.item(stamp(sending));
    all.member("snd", sendings.done()).member("sendings", leg.sendings);
  }
  put("first_snd", leg.first_snd);
  put("ack", leg.ack);
  if (leg.tcp != TcpState{}) {
    JsonList tcp('{');
    tcp.member("cwnd", leg.tcp.cwnd)
        .member("srtt_us", leg.tcp.srtt_us)
        .member("mss", leg.tcp.mss)
        .member("unsent_bytes", leg.tcp.unsent_bytes)
        .member("retransmits", leg.tcp.retransmits);
    if (leg.tcp.held_by != HeldBy::unknown)
      tcp.member("held_by", json_text(to_string(leg.tcp.held_by)));
    all.member("tcp", tcp.done());
  }
  if (leg.write_cpu_wait_ns) all.member("write_cpu_wait_ns", *leg.write_cpu_wait_ns);
  put("rx", leg.rx);
  put("recv_in", leg.recv_in);
  put("recv_out", leg.recv_out);
  if (leg.cpu_wait_ns) all.member("cpu_wait_ns", *leg.cpu_wait_ns);
  if (!leg.hops.empty()) {
    JsonList hops('[');
    for (const Hop& each : leg.hops) hops.item(hop(each));
    all.member("hops", hops.done());
  }
  return all.done();
}

std::string frame(const Frame& frame) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(frame.bytes.data());
  return JsonList('{')
      .member("reply", frame.reply ? "true" : "false")
      .member("at", stamp(frame.at))
      .member("wire_bytes", static_cast<std::int64_t>(frame.wire_bytes))
      .member("bytes", json_text(hex({bytes, frame.bytes.size()})))
      .done();
}

std::string spans(const Spans& spans) {
  JsonList all('[');
  for (const Span& span : spans.spans) {
    JsonList one('{');
    one.member("first", json_text(number_of(span.first)))
        .member("last", json_text(number_of(span.last)))
        .member("ns", span.ns());
    if (span.quality != Quality::exact) one.member("quality", json_text(to_string(span.quality)));
    if (span.half_ns != 0) one.member("half_ns", span.half_ns);
    all.item(one.done());
  }
  return all.done();
}

}  // namespace

std::string json_line(const Journey& journey) {
  JsonList all('{');
  all.member("format", json_text("koine-journey/1")).member("id", std::to_string(journey.id));
  if (journey.trace_id != std::array<std::uint8_t, 16>{})
    all.member("trace_id", json_text(hex(journey.trace_id)));
  if (!journey.client.empty()) all.member("client", json_text(journey.client));
  if (!journey.server.empty()) all.member("server", json_text(journey.server));
  all.member("request", leg(journey.request)).member("reply", leg(journey.reply));
  if (journey.handler_in) all.member("handler_in", stamp(journey.handler_in));
  if (journey.handler_out) all.member("handler_out", stamp(journey.handler_out));
  if (journey.offset.method != Offset::Method::unknown) {
    all.member("offset", JsonList('{')
                             .member("theta_ns", journey.offset.theta_ns)
                             .member("half_ns", journey.offset.half_ns)
                             .member("method", json_text(to_string(journey.offset.method)))
                             .done());
  }
  if (!journey.frames.empty()) {
    JsonList frames('[');
    for (const Frame& one : journey.frames) frames.item(frame(one));
    all.member("frames", frames.done());
  }
  if (journey.clock_stepped) all.member("clock_stepped", "true");
  const Spans derived = spans_of(journey);
  all.member("total_ns", derived.total_ns).member("spans", spans(derived));
  if (!journey.verdict.empty()) all.member("verdict", json_text(journey.verdict));
  return all.done() + "\n";
}

}  // namespace koine::journey
