#include "koine/journey/recorder.h"

#include <algorithm>

// A weak name: it is there if the kernel's sockets are, and is never looked for. See
// docs/decisions/0010-parts-are-linked-by-who-names-them.md.
namespace koine::os {
[[gnu::weak]] extern const TrackMaker track_maker;
}

namespace koine::journey {

Recorder::Recorder(RecorderOptions options) : options_(options), kernel_tracks_(&os::track_maker) {
  options_.every = std::max(options_.every, 1U);
  options_.budget = std::clamp(options_.budget, 1U, RecorderOptions::budget_max);
}

std::shared_ptr<Journey> Recorder::begin(const Connection& connection) {
  auto journey = std::make_shared<Journey>();
  journey->id = ++begun_;
  journey->client = connection.client;
  journey->server = connection.server;
  return journey;
}

void Recorder::finish(Connection& connection, const std::shared_ptr<Journey>& journey) {
  if (journey->clock_stepped) {
    ++discarded_;
    return;
  }
  ++journeys_;
  const Spans spans = spans_of(*journey);
  journey->verdict = judge(*journey, spans, connection.medians).words;
  connection.medians.learn(*journey, spans);
  const auto place = std::find_if(kept_.begin(), kept_.end(),
                                  [&](const Kept& kept) { return kept.total_ns < spans.total_ns; });
  if (place != kept_.end() || kept_.size() < options_.keep_slowest) {
    kept_.insert(place, {spans.total_ns, journey});
    if (kept_.size() > options_.keep_slowest) kept_.pop_back();
  }
  if (on_journey) on_journey(*journey);
}

std::vector<std::shared_ptr<const Journey>> Recorder::slowest(std::size_t count) const {
  std::vector<std::shared_ptr<const Journey>> journeys;
  for (const Kept& kept : kept_) {
    if (journeys.size() == count) break;
    journeys.push_back(kept.journey);
  }
  return journeys;
}

}  // namespace koine::journey
