// The classic comparison: one echo server on select, poll, epoll and io_uring, under the same load
// from few connections and from many.
//
// Each server is a process of its own, with nothing else in it, so what the kernel counts as its
// CPU time is what the requests cost. Rounds go through all servers in turn, so that whatever else
// this machine does meets all alike; a figure is the median of the rounds.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/load.h"
#include "cli/terminal.h"
#include "koine/os/network.h"

namespace koine::cli {

struct ComparisonOptions {
  std::vector<std::string> multiplexers;
  std::vector<std::uint64_t> connections{16, 64, 256, 1024, 4096};
  LoadOptions load;  ///< `duration` is for all rounds of one figure together
};

inline constexpr std::size_t comparison_rounds = 5;

/// One multiplexer with one number of connections.
struct ComparisonCell {
  std::vector<double> requests_per_second;  ///< of each round
  std::vector<double> cpu_ns;               ///< of the server, for a request
  std::string why_not;                      ///< what went wrong, in words; then the rest is void

  bool measured() const { return why_not.empty() && !requests_per_second.empty(); }
};

double median_of(std::vector<double> values);

struct Comparison {
  ComparisonOptions options;
  std::vector<std::vector<ComparisonCell>> cells;  ///< by multiplexer, then by connections
  std::string client;                              ///< the multiplexer of the load itself
  bool apart = false;                              ///< the servers have one core, the load another
  bool interrupted = false;
};

/// Starts the servers, and measures all there is to measure until that is done or SIGINT comes.
/// Before it no reactor and no thread may exist: it forks.
Result<Comparison> compare(const ComparisonOptions& options);

/// Tables and plots, `columns` wide.
std::string comparison_text(const Comparison& comparison, std::size_t columns,
                            const Colours& colours);

/// One object a line for each figure.
std::string comparison_json(const Comparison& comparison);

std::string comparison_svg(const Comparison& comparison);

}  // namespace koine::cli
