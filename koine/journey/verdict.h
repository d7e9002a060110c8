// Verdict: what made a message slow, in words.
//
// Not the longest step: waking a program always takes the longest. The step that exceeds most what
// the same step usually takes on the same connection.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "koine/journey/spans.h"

namespace koine::journey {

/// What the steps of a connection usually take: medians of its latest journeys.
class Medians {
 public:
  /// How many journeys are remembered.
  static constexpr std::size_t journeys_max = 101;
  /// Fewer say nothing about what is usual.
  static constexpr std::size_t journeys_min = 5;

  /// How many different hops are remembered, of a simulated world.
  static constexpr std::size_t hops_max = 256;

  void learn(const Journey& journey, const Spans& spans);

  bool known() const { return totals_.size() >= journeys_min; }
  std::int64_t total_ns() const;
  /// Of a step or a run of steps; nothing if too few journeys had it.
  std::optional<std::int64_t> of(Step first, Step last) const;
  /// Of a hop.
  std::optional<std::int64_t> of(const Hop& hop) const;

 private:
  struct Row {
    Step first;
    Step last;
    std::vector<std::int64_t> ns;  // a ring, once it is full
    std::size_t next = 0;
  };
  struct HopRow {
    Hop hop;
    std::vector<std::int64_t> ns;
    std::size_t next = 0;
  };
  static void push(std::vector<std::int64_t>& ring, std::size_t& next, std::int64_t value);

  std::vector<std::int64_t> totals_;
  std::size_t next_total_ = 0;
  std::vector<Row> rows_;
  std::vector<HopRow> hops_;
};

struct Verdict {
  Span span{};                 ///< the step it names; of no meaning if there are no spans
  std::int64_t excess_ns = 0;  ///< over what is usual
  std::int64_t usual_ns = 0;   ///< of that step on this connection; 0: nobody knows
  bool compared = false;       ///< with medians; otherwise it is only the longest step
  std::string words{};
};

/// Learn from a journey after it was judged: it shall not be measured against itself.
Verdict judge(const Journey& journey, const Spans& spans, const Medians& medians);

}  // namespace koine::journey
