#include <algorithm>
#include <map>

#include "koine/journey/export.h"
#include "koine/journey/frames.h"
#include "koine/journey/hops.h"
#include "koine/journey/spans.h"
#include "koine/journey/text.h"
#include "koine/wire/pcapng.h"

namespace koine::journey {
namespace {

/// The steps of the journey, one a line.
std::string breakdown(const Journey& journey) {
  const Spans spans = spans_of(journey);
  std::string text = "message " + std::to_string(journey.id) + ", " + short_time(spans.total_ns);
  if (!journey.verdict.empty()) text += "\nverdict: " + journey.verdict;
  for (const Span& span : spans.spans) {
    text += std::string("\n") + number_of(span.first);
    if (span.first != span.last) text += std::string("..") + number_of(span.last);
    text += std::string(" ") + name_of(span.first);
    if (span.first != span.last) text += " and so on";
    text += ": " + short_time(span.ns());
    if (span.half_ns != 0) text += " +-" + short_time(span.half_ns);
    for (const Hop& hop : hops_of(journey, span.first))
      text += "\n    " + label_of(hop) + ": " + short_time(hop.ns());
  }
  return text;
}

}  // namespace

Result<std::string> pcapng(std::span<const Journey> journeys) {
  std::string file;
  wire::PcapngWriter writer(file);
  if (auto begun = writer.begin_section("koine journeys: frames as the kernel gave them back with "
                                        "its stamps, cut to their headers; checksums of layer 4 "
                                        "may be the device's to complete");
      !begun)
    return std::unexpected(std::move(begun.error()));
  std::map<std::pair<bool, wire::LinkType>, std::uint32_t> interfaces;
  for (const Journey& journey : journeys) {
    std::string comment = breakdown(journey);
    for (const Frame& frame : journey.frames) {
      const auto key = std::pair(frame.reply, link_of(frame.bytes));
      auto found = interfaces.find(key);
      if (found == interfaces.end()) {
        auto made = writer.add_interface({.name = frame.reply ? "server TX" : "client TX",
                                          .link = key.second,
                                          .snap_length = Frame::bytes_max});
        if (!made) return std::unexpected(std::move(made.error()));
        found = interfaces.emplace(key, *made).first;
      }
      const std::int64_t shift = frame.reply ? journey.offset.theta_ns : 0;
      auto written =
          writer.write({.interface = found->second,
                        .at = Duration(std::max<std::int64_t>(subtract(frame.at.ns, shift), 0)),
                        .bytes = frame.bytes,
                        .wire_length = frame.wire_bytes,
                        .direction = wire::PcapngDirection::outbound,
                        .id = journey.id,
                        .comment = comment});
      if (!written) return std::unexpected(std::move(written.error()));
      comment.clear();
    }
  }
  return file;
}

}  // namespace koine::journey
