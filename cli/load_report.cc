#include "cli/load_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>

#include "cli/exit_code.h"
#include "cli/figures.h"
#include "koine/transport/units.h"

namespace koine::cli {
namespace {

struct Quantile {
  const char* name;
  const char* key;
  double share;
};
constexpr std::array quantiles{Quantile{"p50", "p50", 0.5}, Quantile{"p90", "p90", 0.9},
                               Quantile{"p99", "p99", 0.99}, Quantile{"p99.9", "p99_9", 0.999},
                               Quantile{"max", "max", 1}};

std::string row(std::string_view what, std::string_view text) {
  return fmt::format("{:<11}{}\n", what, text);
}

std::string heading(const Endpoint& peer, const Meter& meter, const Colours& colours) {
  const LoadOptions& options = meter.options();
  const LoadResult& result = meter.result();
  std::string text = colours.bold(to_string(peer)) + "\n";
  std::string how = fmt::format("{} connection{}, {} a request, ", options.connections,
                                options.connections == 1 ? "" : "s", format_size(options.size));
  how += options.rate ? format_rate(*options.rate) + "/s asked for"
                      : fmt::format("{} under way on each", options.pipeline);
  how += ", " + short_time(result.lasted);
  if (result.interrupted) how += " of " + format_duration(options.duration) + ": interrupted";
  text += how + "\n\n";
  if (result.connected < options.connections)
    text += row("connected", fmt::format("{} at the beginning", result.connected));
  return text;
}

std::string latency_rows(const LoadResult& result) {
  std::string names;
  std::string values;
  for (const Quantile& quantile : quantiles) {
    const auto ns = static_cast<Duration::rep>(result.latency.at(quantile.share));
    names += fmt::format("{:>11}", quantile.name);
    values += fmt::format("{:>11}", short_time(Duration(ns)));
  }
  return row("latency", names) + row("", values);
}

std::string error_rows(const LoadResult& result, const Colours& colours) {
  if (result.flawless()) return row("errors", colours.green("none"));
  std::string text;
  const auto add = [&](const std::string& line) {
    text += row(text.empty() ? "errors" : "", line);
  };
  if (result.lost != 0)
    add(colours.red(grouped(result.lost)) + " x datagram lost: without an answer in time");
  for (const auto& [kind, failure] : result.failures) {
    add(colours.red(grouped(failure.times)) + " x " + kind);
    if (!failure.first.note().empty()) add("the first: " + std::string(failure.first.note()));
  }
  return text;
}

}  // namespace

std::string report_text(const Endpoint& peer, const Meter& meter, const Colours& colours) {
  const LoadResult& result = meter.result();
  const double rate = result.answers_per_second();
  std::string text = heading(peer, meter, colours);
  std::string requests = grouped(result.answered) + " answered";
  if (result.answered != result.sent) requests += " of " + grouped(result.sent) + " sent";
  text += row("requests", requests + ", " + colours.bold(three_digits(rate) + "/s"));
  text += row("bytes", byte_rate(rate * static_cast<double>(meter.options().size)) +
                           " each way, every one compared");
  if (result.latency.count() != 0) text += latency_rows(result);
  if (meter.options().rate) text += row("", colours.dim("from when each request was due"));
  return text + error_rows(result, colours);
}

std::string report_json(const Endpoint& peer, const Meter& meter) {
  using Json = nlohmann::ordered_json;
  const LoadOptions& options = meter.options();
  const LoadResult& result = meter.result();
  Json latency = {{"min", result.latency.min()}, {"mean", result.latency.mean()}};
  for (const Quantile& quantile : quantiles)
    latency[quantile.key] = result.latency.at(quantile.share);
  Json errors = Json::object();
  for (const auto& [kind, failure] : result.failures) errors[kind] = failure.times;
  const double rate = result.answers_per_second();
  const Json all = {{"url", to_string(peer)},
                    {"connections", options.connections},
                    {"connected", result.connected},
                    {"size", options.size},
                    {"pipeline", options.rate ? Json(nullptr) : Json(options.pipeline)},
                    {"rate", options.rate ? Json(*options.rate) : Json(nullptr)},
                    {"seconds", std::chrono::duration<double>(result.lasted).count()},
                    {"interrupted", result.interrupted},
                    {"sent", result.sent},
                    {"answered", result.answered},
                    {"lost", result.lost},
                    {"requests_per_second", rate},
                    {"bytes_per_second", rate * static_cast<double>(options.size)},
                    {"latency_ns", std::move(latency)},
                    {"errors", std::move(errors)}};
  return all.dump() + "\n";
}

std::string progress_line(const Meter& meter) {
  const LoadResult& result = meter.result();
  const auto elapsed = meter.elapsed();
  if (!elapsed)
    return fmt::format("connecting: {} of {}", result.connected, meter.options().connections);
  const double seconds = std::chrono::duration<double>(*elapsed).count();
  const double part = seconds / std::chrono::duration<double>(meter.options().duration).count();
  constexpr std::size_t width = 20;
  const auto done = static_cast<std::size_t>(std::clamp(part, 0.0, 1.0) * width);
  std::uint64_t errors = result.lost;
  for (const auto& [kind, failure] : result.failures) errors += failure.times;
  std::string line = fmt::format("[{:<{}}] {:.1f} s  {}/s", std::string(done, '#'), width, seconds,
                                 short_count(static_cast<double>(result.answered) / seconds));
  if (result.latency.count() != 0) {
    const auto ns = static_cast<Duration::rep>(result.latency.at(0.99));
    line += "  p99 " + short_time(Duration(ns));
  }
  if (errors != 0) line += fmt::format("  {} errors", errors);
  return line;
}

}  // namespace koine::cli
