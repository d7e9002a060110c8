// A comparison as tables, plots, JSON and SVG.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include <algorithm>

#include "cli/chart.h"
#include "cli/comparison.h"
#include "cli/figures.h"
#include "cli/machine.h"
#include "cli/reference.h"
#include "cli/terminal.h"
#include "koine/transport/units.h"

namespace koine::cli {
namespace {

using Figure = double (*)(const ComparisonCell& cell);

double rate_of(const ComparisonCell& cell) { return median_of(cell.requests_per_second); }
double cpu_us_of(const ComparisonCell& cell) { return median_of(cell.cpu_ns) / 1000; }

constexpr const char* rate_title = "Requests answered in a second";
constexpr const char* cpu_title = "CPU of the server for each request, in us";

/// How it was measured, in lines of at most 80 columns.
std::vector<std::string> conditions(const Comparison& comparison) {
  const LoadOptions& load = comparison.options.load;
  const Duration round = load.duration / comparison_rounds;
  std::vector<std::string> lines;
  lines.push_back(format_size(load.size) + " a request, " +
                  (load.rate ? format_rate(*load.rate) + "/s in all"
                             : fmt::format("{} under way on each connection", load.pipeline)));
  lines.push_back(fmt::format("each figure the median of {} rounds of {}", comparison_rounds,
                              short_time(round)));
  lines.push_back(
      fmt::format("one thread serves, one asks (by {}){}", comparison.client,
                  comparison.apart ? ", each on a core of its own" : "; both share one core"));
  return lines;
}

/// Why figures are missing, each reason once, with whom it concerns.
std::vector<std::string> reasons(const Comparison& comparison) {
  std::vector<std::string> lines;
  for (std::size_t m = 0; m < comparison.cells.size(); ++m) {
    std::string before;
    for (std::size_t c = 0; c < comparison.cells[m].size(); ++c) {
      const std::string& why = comparison.cells[m][c].why_not;
      if (!why.empty() && before.empty()) {
        lines.push_back(fmt::format("{} at {}: {}", comparison.options.multiplexers[m],
                                    comparison.options.connections[c], why));
      }
      before = why;
    }
  }
  if (comparison.interrupted) lines.emplace_back("interrupted: what there was until then");
  return lines;
}

std::string cell_text(const ComparisonCell& cell, Figure figure) {
  if (!cell.why_not.empty()) return "refused";
  return cell.measured() ? three_digits(figure(cell)) : "-";
}

std::string table(const Comparison& comparison, const std::string& title, Figure figure,
                  const Colours& colours) {
  std::string text = colours.bold(title) + "\n" + fmt::format("{:<12}", "connections");
  for (const std::uint64_t connections : comparison.options.connections)
    text += fmt::format("{:>11}", grouped(connections));
  text += "\n";
  for (std::size_t m = 0; m < comparison.cells.size(); ++m) {
    text += fmt::format("{:<12}", comparison.options.multiplexers[m]);
    for (const ComparisonCell& cell : comparison.cells[m])
      text += fmt::format("{:>11}", cell_text(cell, figure));
    text += "\n";
  }
  return text;
}

Chart chart_of(const Comparison& comparison, const std::string& title, Figure figure) {
  Chart chart{
      .title = title, .x_title = "connections", .x = comparison.options.connections, .series = {}};
  for (std::size_t m = 0; m < comparison.cells.size(); ++m) {
    Series series{.name = comparison.options.multiplexers[m], .values = {}};
    for (const ComparisonCell& cell : comparison.cells[m]) {
      series.values.push_back(cell.measured() ? std::optional(figure(cell)) : std::nullopt);
    }
    chart.series.push_back(std::move(series));
  }
  return chart;
}

bool is_empty(const Comparison& comparison) {
  return std::ranges::none_of(comparison.cells, [](const auto& row) {
    return std::ranges::any_of(row, [](const ComparisonCell& cell) { return cell.measured(); });
  });
}

}  // namespace

std::string comparison_text(const Comparison& comparison, std::size_t columns,
                            const Colours& colours) {
  std::string text = table(comparison, rate_title, rate_of, colours) + "\n" +
                     table(comparison, cpu_title, cpu_us_of, colours) + "\n";
  for (const std::string& line : conditions(comparison)) text += colours.dim(line) + "\n";
  for (const std::string& line : reasons(comparison)) text += wrapped(line, 0, columns);
  if (comparison.options.connections.size() < 2 || is_empty(comparison)) return text;
  return text + "\n" + plot(chart_of(comparison, rate_title, rate_of), columns, colours) + "\n" +
         plot(chart_of(comparison, cpu_title, cpu_us_of), columns, colours);
}

std::string comparison_json(const Comparison& comparison) {
  using Json = nlohmann::ordered_json;
  const ComparisonOptions& options = comparison.options;
  std::string lines;
  for (std::size_t m = 0; m < comparison.cells.size(); ++m) {
    for (std::size_t c = 0; c < options.connections.size(); ++c) {
      const ComparisonCell& cell = comparison.cells[m][c];
      const bool there = cell.measured();
      const Json one = {
          {"multiplexer", options.multiplexers[m]},
          {"connections", options.connections[c]},
          {"size", options.load.size},
          {"pipeline", options.load.rate ? Json(nullptr) : Json(options.load.pipeline)},
          {"rate", options.load.rate ? Json(*options.load.rate) : Json(nullptr)},
          {"rounds", cell.requests_per_second.size()},
          {"requests_per_second", there ? Json(rate_of(cell)) : Json(nullptr)},
          {"server_cpu_ns_per_request", there ? Json(median_of(cell.cpu_ns)) : Json(nullptr)},
          {"refused", cell.why_not.empty() ? Json(nullptr) : Json(cell.why_not)},
          {"interrupted", comparison.interrupted}};
      lines += one.dump() + "\n";
    }
  }
  return lines;
}

std::string comparison_svg(const Comparison& comparison) {
  const Machine machine = examine_machine();
  std::vector<std::string> notes = conditions(comparison);
  for (std::string& line : reasons(comparison)) notes.push_back(std::move(line));
  return svg(
      {chart_of(comparison, rate_title, rate_of), chart_of(comparison, cpu_title, cpu_us_of)},
      "One echo server, asked by few and by many",
      fmt::format("koine " KOINE_VERSION ", {} {} {}, {} cores", machine.system, machine.release,
                  machine.architecture, machine.cores),
      notes);
}

}  // namespace koine::cli
