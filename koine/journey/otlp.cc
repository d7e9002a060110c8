// OTLP/JSON (opentelemetry-proto, "JSON Protobuf Encoding"): ids in hex, 64-bit numbers as text.
#include <algorithm>
#include <cstdio>

#include "koine/journey/export.h"
#include "koine/journey/hops.h"
#include "koine/journey/json.h"
#include "koine/journey/spans.h"

namespace koine::journey {
namespace {

constexpr int kind_server = 2;
constexpr int kind_client = 3;

std::string hex64(std::uint64_t number) {
  char text[20];
  std::snprintf(text, sizeof(text), "%016llx", static_cast<unsigned long long>(number));
  return text;
}

/// The journey's own, or one made of its id and time: no two journeys of a file share it.
std::string trace_id_of(const Journey& journey) {
  std::string text;
  for (const std::uint8_t byte : journey.trace_id) {
    char two[4];
    std::snprintf(two, sizeof(two), "%02x", byte);
    text += two;
  }
  if (journey.trace_id != std::array<std::uint8_t, 16>{}) return text;
  const Stamp& begun = journey.request.write_in ? journey.request.write_in : journey.request.rx;
  return hex64(static_cast<std::uint64_t>(begun.ns)) + hex64(journey.id);
}

std::string number(std::int64_t ns) { return json_text(std::to_string(ns)); }

std::string attribute(std::string_view key, std::string_view value) {
  return JsonList('{')
      .member("key", json_text(key))
      .member("value", JsonList('{').member("stringValue", json_text(value)).done())
      .done();
}

std::string attribute(std::string_view key, std::int64_t value) {
  return JsonList('{')
      .member("key", json_text(key))
      .member("value", JsonList('{').member("intValue", number(value)).done())
      .done();
}

class Events {
 public:
  void put(const char* name, const Stamp& at) {
    if (!at || !at.can_be()) return;
    JsonList event('{');
    event.member("timeUnixNano", number(at.ns)).member("name", json_text(name));
    if (at.quality != Quality::exact)
      event.member("attributes",
                   JsonList('[').item(attribute("koine.quality", to_string(at.quality))).done());
    events_.item(event.done());
  }
  void sender(const Leg& leg) {
    put("koine.write_in", leg.write_in);
    put("koine.write_out", leg.write_out);
    put("koine.tx_sched", leg.sched);
    for (const Stamp& sending : leg.snd) put("koine.tx_software", sending);
    put("koine.tx_ack", leg.ack);
    for (const Hop& hop : leg.hops) {
      const std::string attributes = JsonList('[')
                                         .item(attribute("koine.hop", label_of(hop)))
                                         .item(attribute("koine.hop.ns", hop.ns()))
                                         .done();
      events_.item(JsonList('{')
                       .member("timeUnixNano", number(hop.in_ns))
                       .member("name", json_text(std::string("koine.hop.") + to_string(hop.what)))
                       .member("attributes", attributes)
                       .done());
    }
  }
  void receiver(const Leg& leg) {
    put("koine.rx_software", leg.rx);
    put("koine.recv_in", leg.recv_in);
    put("koine.recv_out", leg.recv_out);
  }
  std::string done() { return events_.done(); }

 private:
  JsonList events_{'['};
};

/// The first of these stamps that is there.
std::int64_t first_of(std::initializer_list<Stamp> stamps) {
  for (const Stamp& stamp : stamps)
    if (stamp && stamp.can_be()) return stamp.ns;
  return 0;
}

struct End {
  int kind;
  std::uint64_t id;
  std::uint64_t parent;
  std::int64_t begin_ns;
  std::int64_t end_ns;
};

std::string span(const Journey& journey, const End& end, std::string events) {
  JsonList attributes('[');
  attributes.item(attribute("koine.journey.id", static_cast<std::int64_t>(journey.id)))
      .item(attribute("koine.clock.method", to_string(journey.offset.method)))
      .item(attribute("koine.clock.theta_ns", journey.offset.theta_ns))
      .item(attribute("koine.clock.half_ns", journey.offset.half_ns));
  if (!journey.verdict.empty()) attributes.item(attribute("koine.verdict", journey.verdict));
  if (!journey.client.empty()) attributes.item(attribute("koine.client", journey.client));
  if (!journey.server.empty()) attributes.item(attribute("koine.server", journey.server));
  JsonList span('{');
  span.member("traceId", json_text(trace_id_of(journey)))
      .member("spanId", json_text(hex64(end.id)));
  if (end.parent != 0) span.member("parentSpanId", json_text(hex64(end.parent)));
  return span.member("name", json_text("message"))
      .member("kind", end.kind)
      .member("startTimeUnixNano", number(end.begin_ns))
      .member("endTimeUnixNano", number(std::max(end.begin_ns, end.end_ns)))
      .member("attributes", attributes.done())
      .member("events", std::move(events))
      .done();
}

std::string resource(std::string_view service, std::string spans) {
  const std::string attributes = JsonList('[').item(attribute("service.name", service)).done();
  const std::string scope =
      JsonList('{')
          .member("scope", JsonList('{').member("name", json_text("koine.journey")).done())
          .member("spans", std::move(spans))
          .done();
  return JsonList('{')
      .member("resource", JsonList('{').member("attributes", attributes).done())
      .member("scopeSpans", JsonList('[').item(scope).done())
      .done();
}

}  // namespace

std::string otlp_json(std::span<const Journey> journeys) {
  JsonList client('[');
  JsonList server('[');
  for (const Journey& journey : journeys) {
    if (journey.clock_stepped) continue;
    const Leg& there = journey.request;
    const Leg& back = journey.reply;
    const std::uint64_t client_id = journey.id * 2 + 1;
    const bool has_client = static_cast<bool>(there.write_in);
    if (has_client) {
      Events events;
      events.sender(there);
      events.receiver(back);
      client.item(span(journey,
                       {kind_client, client_id, 0, first_of({there.write_in}),
                        first_of({back.recv_out, there.ack, there.write_out, there.write_in})},
                       events.done()));
    }
    if (there.rx || there.recv_out) {
      Events events;
      events.receiver(there);
      events.sender(back);
      server.item(span(journey,
                       {kind_server, journey.id * 2 + 2, has_client ? client_id : 0,
                        first_of({there.rx, there.recv_out}),
                        first_of({back.write_out, back.write_in, there.recv_out})},
                       events.done()));
    }
  }
  return JsonList('{')
             .member("resourceSpans", JsonList('[')
                                          .item(resource("client", client.done()))
                                          .item(resource("server", server.done()))
                                          .done())
             .done() +
         "\n";
}

}  // namespace koine::journey
