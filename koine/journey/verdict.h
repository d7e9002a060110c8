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

/// The latest of many values, and their median at hand: each message that is followed asks for a
/// dozen of them.
class Latest {
 public:
  static constexpr std::size_t values_max = 101;

  void push(std::int64_t value);
  std::size_t count() const { return in_order_.size(); }
  /// Of at least one.
  std::int64_t median() const { return in_order_[in_order_.size() / 2]; }

 private:
  std::vector<std::int64_t> as_they_came_{};  // a ring, once it is full
  std::vector<std::int64_t> in_order_{};
  std::size_t oldest_ = 0;
};

/// What the steps of a connection usually take: medians of its latest journeys.
class Medians {
 public:
  /// Fewer say nothing about what is usual.
  static constexpr std::size_t journeys_min = 5;

  /// How many different hops are remembered, of a simulated world.
  static constexpr std::size_t hops_max = 256;

  void learn(const Journey& journey, const Spans& spans);

  bool known() const { return totals_.count() >= journeys_min; }
  std::int64_t total_ns() const;
  /// Of a step or a run of steps; nothing if too few journeys had it. What a run usually takes is
  /// the sum of its steps, if more journeys tell them apart than do not.
  std::optional<std::int64_t> of(Step first, Step last) const;
  /// Of a hop.
  std::optional<std::int64_t> of(const Hop& hop) const;

 private:
  struct Row {
    Step first;
    Step last;
    Latest ns{};
    std::uint64_t journeys = 0;
  };
  const Row* row_of(Step first, Step last) const;
  struct HopRow {
    Hop hop;
    Latest ns{};
  };

  Latest totals_;
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
