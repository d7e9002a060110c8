// Journeys as files: for Wireshark, for Perfetto, for OpenTelemetry, and for programs.
//
// All of them write what the stamps say and derive the rest as the pictures do. None does I/O.
#pragma once

#include <span>
#include <string>

#include "koine/base/error.h"
#include "koine/journey/journey.h"

namespace koine::journey {

/// One line of JSON with its line feed, format "koine-journey/1": everything a Journey holds.
/// Stamps are integers, nanoseconds since 1970 on the clock of the host that took them; one that
/// is not exact is an array, [ns, "at most"]; one that is missing is left out.
std::string json_line(const Journey& journey);

/// The trace event format of Chrome, which ui.perfetto.dev opens: a process each for client,
/// network and server, a slice for each span on the client's clock, arrows between the hosts.
std::string perfetto_json(std::span<const Journey> journeys);

/// OpenTelemetry's OTLP/JSON (ExportTraceServiceRequest), one object and a line feed: a client
/// span and a server span with the same trace id for each journey, the stamps as events, times as
/// each host read them, the offset as an attribute.
std::string otlp_json(std::span<const Journey> journeys);

/// The frames of the journeys that have any, in pcapng: an interface for each end and direction,
/// times on the client's clock, the steps of the journey in the comment of its first frame.
Result<std::string> pcapng(std::span<const Journey> journeys);

}  // namespace koine::journey
