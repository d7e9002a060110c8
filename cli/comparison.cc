#include "cli/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>

#include "cli/server_process.h"
#include "cli/terminal.h"
#include "koine/async/scope.h"
#include "koine/os/signals.h"

namespace koine::cli {
namespace {

/// The server knows best.
std::string why_it_failed(const LoadResult& result, ServerProcess& server) {
  if (std::string complaint = server.complaint(); !complaint.empty()) return complaint;
  return to_string(result.failures.begin()->second.first);
}

class Comparing {
 public:
  Comparing(os::Network& network, Comparison& comparison,
            std::vector<Result<ServerProcess>>& servers)
      : network_(network), comparison_(comparison), servers_(servers) {}

  Io<void> run() {
    auto made = os::Signals::make(network_.reactor(), {SIGINT, SIGTERM});
    const auto signals = co_await attempt(std::move(made));
    Scope attendants;
    attendants.spawn(heed(*signals));
    const ComparisonOptions& options = comparison_.options;
    for (round_ = 0; round_ < comparison_rounds; ++round_) {
      for (std::size_t c = 0; c < options.connections.size(); ++c) {
        for (std::size_t i = 0; i < options.multiplexers.size(); ++i) {
          // Each round another one begins.
          const std::size_t m = (i + round_) % options.multiplexers.size();
          if (comparison_.interrupted) co_return Result<void>();
          auto measuring = measure(m, c);
          co_await attempt(std::move(measuring));
        }
      }
    }
    co_return Result<void>();
  }

 private:
  Task<void> heed(os::Signals& signals) {
    for (;;) {
      auto next = signals.next();
      const auto signal = co_await next;
      if (!signal) co_return;
      comparison_.interrupted = true;
      if (meter_ != nullptr) meter_->interrupt();
    }
  }

  /// The server's CPU time from the first request to the last.
  Task<void> watch_cpu(const ServerProcess& server, Meter& meter, Duration& used) {
    co_await meter.begun().wait();
    const Duration before = server.cpu();
    co_await meter.over().wait();
    used = server.cpu() - before;
  }

  Io<void> measure(std::size_t m, std::size_t c) {
    ComparisonCell& cell = comparison_.cells[m][c];
    if (!cell.why_not.empty()) co_return Result<void>();
    const ComparisonOptions& options = comparison_.options;
    LoadOptions load = options.load;
    load.connections = options.connections[c];
    load.duration = std::max<Duration>(options.load.duration / comparison_rounds, 1ms);
    load.ends_at_first_error = true;
    progress_.show(fmt::format("round {} of {}: {} connections, {}", round_ + 1, comparison_rounds,
                               load.connections, options.multiplexers[m]));
    ServerProcess& server = *servers_[m];
    Meter meter(load);
    meter_ = &meter;
    Duration used{};
    Scope watcher;
    watcher.spawn(watch_cpu(server, meter, used));
    auto loading = put_load(network_, server.endpoint(), meter);
    const auto loaded = co_await loading;
    meter_ = nullptr;
    progress_.clear();
    if (!loaded) co_return std::unexpected(loaded.error());
    const LoadResult& result = meter.result();
    if (result.interrupted) co_return Result<void>();
    if (!result.flawless()) {
      cell.why_not = why_it_failed(result, server);
    } else if (result.answered_in_time != 0) {  // else the round was too short for anything
      cell.requests_per_second.push_back(result.answers_per_second());
      cell.cpu_ns.push_back(static_cast<double>(used.count()) /
                            static_cast<double>(result.answered_in_time));
    }
    co_return Result<void>();
  }

  os::Network& network_;
  Comparison& comparison_;
  std::vector<Result<ServerProcess>>& servers_;
  std::size_t round_ = 0;
  Meter* meter_ = nullptr;  // of the load that runs
  Progress progress_;
};

}  // namespace

double median_of(std::vector<double> values) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

Result<Comparison> compare(const ComparisonOptions& options) {
  const os::BlockedSignals blocked({SIGINT, SIGTERM});  // they wait until somebody heeds them
  Comparison comparison{.options = options, .cells = {}, .client = {}};
  const std::vector<int> cores = usable_cores();
  comparison.apart = cores.size() > 1;
  std::vector<Result<ServerProcess>> servers;
  for (const std::string& multiplexer : options.multiplexers) {
    servers.push_back(ServerProcess::start(multiplexer, comparison.apart ? cores[0] : -1));
    ComparisonCell cell;
    if (!servers.back()) cell.why_not = servers.back().error().note();
    comparison.cells.emplace_back(options.connections.size(), cell);
  }
  if (comparison.apart) stay_on(cores[1]);
  auto reactor = os::Reactor::make();
  if (!reactor) return std::unexpected(std::move(reactor.error()));
  comparison.client = (*reactor)->multiplexer();
  os::Network network(**reactor);
  Comparing comparing(network, comparison, servers);
  if (auto ran = (*reactor)->run(comparing.run()); !ran)
    return std::unexpected(std::move(ran.error()));
  return comparison;
}

}  // namespace koine::cli
