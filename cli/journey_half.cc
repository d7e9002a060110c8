#include "cli/journey_half.h"

#include <nlohmann/json.hpp>

#include <charconv>

namespace koine::cli {
namespace {

using Json = nlohmann::json;
using journey::Leg;
using journey::Stamp;

Stamp stamp_of(const Json& json) {
  if (json.is_number_integer()) return Stamp::exactly(json.get<std::int64_t>());
  const auto quality = json.at(1).get<std::string>();
  Stamp stamp{json.at(0).get<std::int64_t>(), journey::Quality::exact};
  for (const auto known : {journey::Quality::at_most, journey::Quality::at_least})
    if (quality == to_string(known)) stamp.quality = known;
  return stamp;
}

void read(const Json& json, const char* name, Stamp& into) {
  if (json.contains(name)) into = stamp_of(json.at(name));
}

std::vector<std::uint8_t> from_hex(const std::string& text) {
  std::vector<std::uint8_t> bytes;
  for (std::size_t at = 0; at + 2 <= text.size(); at += 2) {
    unsigned value = 0;
    std::from_chars(text.data() + at, text.data() + at + 2, value, 16);
    bytes.push_back(static_cast<std::uint8_t>(value));
  }
  return bytes;
}

Leg leg_of(const Json& json) {
  Leg leg;
  leg.bytes = json.at("bytes").get<std::uint64_t>();
  read(json, "write_in", leg.write_in);
  read(json, "write_out", leg.write_out);
  read(json, "sched", leg.sched);
  if (json.contains("snd")) {
    for (const Json& sending : json.at("snd")) leg.snd.push_back(stamp_of(sending));
    leg.sendings = json.at("sendings").get<std::uint32_t>();
  }
  read(json, "first_snd", leg.first_snd);
  read(json, "ack", leg.ack);
  if (json.contains("tcp")) {
    const Json& tcp = json.at("tcp");
    leg.tcp = {.cwnd = tcp.at("cwnd").get<std::uint32_t>(),
               .srtt_us = tcp.at("srtt_us").get<std::uint32_t>(),
               .mss = tcp.at("mss").get<std::uint32_t>(),
               .unsent_bytes = tcp.at("unsent_bytes").get<std::uint32_t>(),
               .retransmits = tcp.at("retransmits").get<std::uint32_t>()};
  }
  if (json.contains("write_cpu_wait_ns"))
    leg.write_cpu_wait_ns = json.at("write_cpu_wait_ns").get<std::int64_t>();
  read(json, "rx", leg.rx);
  read(json, "recv_in", leg.recv_in);
  read(json, "recv_out", leg.recv_out);
  if (json.contains("cpu_wait_ns")) leg.cpu_wait_ns = json.at("cpu_wait_ns").get<std::int64_t>();
  return leg;
}

journey::Frame frame_of(const Json& json) {
  journey::Frame frame;
  frame.reply = json.at("reply").get<bool>();
  frame.at = stamp_of(json.at("at"));
  frame.wire_bytes = json.at("wire_bytes").get<std::uint64_t>();
  for (const std::uint8_t byte : from_hex(json.at("bytes").get<std::string>()))
    frame.bytes.push_back(std::byte{byte});
  return frame;
}

journey::Journey journey_of(const Json& json) {
  journey::Journey journey;
  journey.id = json.at("id").get<std::uint64_t>();
  journey.client = json.value("client", "");
  journey.server = json.value("server", "");
  journey.verdict = json.value("verdict", "");
  journey.clock_stepped = json.value("clock_stepped", false);
  if (json.contains("trace_id")) {
    const auto bytes = from_hex(json.at("trace_id").get<std::string>());
    std::copy_n(bytes.begin(), std::min(bytes.size(), journey.trace_id.size()),
                journey.trace_id.begin());
  }
  journey.request = leg_of(json.at("request"));
  journey.reply = leg_of(json.at("reply"));
  if (json.contains("offset")) {
    const Json& offset = json.at("offset");
    journey.offset.theta_ns = offset.at("theta_ns").get<std::int64_t>();
    journey.offset.half_ns = offset.at("half_ns").get<std::int64_t>();
    const auto method = offset.at("method").get<std::string>();
    for (const auto known : {journey::Offset::Method::same_clock, journey::Offset::Method::bounds})
      if (method == to_string(known)) journey.offset.method = known;
  }
  if (json.contains("frames"))
    for (const Json& frame : json.at("frames")) journey.frames.push_back(frame_of(frame));
  return journey;
}

}  // namespace

Result<journey::Journey> parse_journey(std::string_view line) {
  try {
    const Json json = Json::parse(line);
    if (json.at("format") != "koine-journey/1") {
      return std::unexpected(
          Error(Fault::malformed, "read a journey").with_note("expected format koine-journey/1"));
    }
    return journey_of(json);
  } catch (const Json::exception& thrown) {
    return std::unexpected(Error(Fault::malformed, "read a journey").with_note(thrown.what()));
  }
}

}  // namespace koine::cli
