// What koine trace says at its end.
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>

#include "cli/figures.h"
#include "cli/standard_io.h"
#include "cli/terminal.h"
#include "cli/tracing.h"

namespace koine::cli {
namespace {

/// The request, and then the items that were taken, in their order.
std::string shown_stream(const rsocket::FlowJourneys& stream, std::uint64_t taken,
                         bool with_layers) {
  const Colours colours(STDOUT_FILENO);
  std::string text = colours.bold("request") + "\n" + shown(*stream.request, with_layers);
  auto items = stream.items;
  std::ranges::sort(items, {}, &rsocket::ItemJourney::item);
  for (const rsocket::ItemJourney& item : items) {
    if (item.item > taken) break;
    text += "\n" + colours.bold(fmt::format("item {}", item.item)) + "\n";
    text += shown(*item.journey, with_layers);
  }
  return text;
}

/// Why journeys are not whole, or not there.
std::string words_of(const rsocket::JourneyCounts& missing) {
  std::string text;
  const auto say = [&](std::uint64_t count, std::string_view one, std::string_view more,
                       std::string_view why) {
    if (count != 0)
      text += fmt::format("{} {}: {}\n", grouped(count), count == 1 ? one : more, why);
  };
  say(missing.untold, "half is missing", "halves are missing",
      "the server did not tell within a second");
  say(missing.left_out, "message has no half of the server's",
      "messages have no half of the server's",
      "with what asks for it they would be too large for the server");
  say(missing.crowded, "was not followed", "were not followed", "as many as can be were under way");
  say(missing.malformed, "block was passed over", "blocks were passed over",
      "nobody can read what the server told");
  return text;
}

}  // namespace

Result<void> report(const TraceOptions& options, const Traced& traced,
                    const journey::Recorder& recorder) {
  if (options.json) return traced.printed;
  const Colours colours(STDOUT_FILENO);
  std::string text;
  if (options.count == 1 && traced.stream.request) {
    text = shown_stream(traced.stream, options.take, options.layers);
  } else {
    for (const auto& journey : recorder.slowest(options.slowest)) {
      if (!text.empty()) text += "\n";
      text += shown(*journey, options.layers);
    }
  }
  if (!traced.lacking.empty()) text += "      " + traced.lacking + "\n";
  if (options.count > 1 && traced.totals.count() != 0) {
    const auto time = [&](double quantile) {
      return short_time(Duration(static_cast<std::int64_t>(traced.totals.at(quantile))));
    };
    text += "\n" +
            colours.bold(fmt::format("{} messages, {} followed", grouped(recorder.messages()),
                                     grouped(recorder.journeys()))) +
            fmt::format(": p50 {}, p90 {}, p99 {}, slowest {}\n", time(0.5), time(0.9), time(0.99),
                        time(1));
  }
  if (traced.unanswered != 0)
    text += fmt::format("{} without an answer\n", grouped(traced.unanswered));
  if (traced.not_in_files != 0) {
    text += fmt::format("{} are not in the files, which hold the first {}\n",
                        grouped(traced.not_in_files), grouped(journeys_max));
  }
  if (recorder.discarded() != 0) {
    text +=
        fmt::format("{} thrown away: a clock was set meanwhile\n", grouped(recorder.discarded()));
  }
  text += words_of(traced.missing);
  return write_output(as_bytes(text));
}

}  // namespace koine::cli
