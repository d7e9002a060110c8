// Timeline: the time of a world, what will happen in it, and in which order.
//
// A Component is what something happens to: a host, one direction of a link. It has at most one
// appointment, the earliest thing that it waits for; a host with a thousand connections takes one
// place in the queue. An appointment that was moved stays in the queue and is passed over.
//
// A world is over when nothing is left to happen that anybody waits for. Routers greet each other
// for ever, so components say how much of what they have to do is awaited.
#pragma once

#include <cassert>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "koine/base/random.h"
#include "koine/base/time.h"
#include "koine/sim/event_queue.h"
#include "koine/sim/trace.h"

namespace koine::sim {

class Timeline;

class Component {
 public:
  explicit Component(Timeline& timeline);
  Component(const Component&) = delete;
  Component& operator=(const Component&) = delete;

 protected:
  ~Component();

  Instant now() const;
  Timeline& timeline() const { return timeline_; }

  /// Called at the time of the appointment, which is over then.
  virtual void happen() = 0;

  /// Makes the appointment, or moves it to an earlier time; a later one changes nothing. (Who comes
  /// too early looks, and makes another.)
  void wake_at(Instant at);

  /// How much of what is to come somebody waits for.
  void set_awaited(std::uint64_t count);

 private:
  friend class Timeline;
  Timeline& timeline_;
  std::uint32_t number_;
  std::uint64_t awaited_ = 0;
  Instant wake_at_ = Instant::max();
};

class Timeline {
 public:
  explicit Timeline(std::uint64_t seed) : seed_(seed) {}
  Timeline(const Timeline&) = delete;
  Timeline& operator=(const Timeline&) = delete;

  /// Nanoseconds since the beginning of the world.
  Instant now() const { return now_; }

  /// When the next thing happens, at the earliest; nothing if nothing will.
  std::optional<Instant> next() const {
    if (queue_.empty()) return std::nullopt;
    return Instant(Duration(static_cast<Duration::rep>(queue_.next())));
  }

  /// Lets the next thing happen. False if nothing is left that is due at `until` or before.
  bool step(Instant until = Instant::max());

  /// Lets time pass in which nothing happens: next() must not be before `until`.
  void pass(Instant until) {
    assert(!next() || *next() >= until);
    if (until > now_) now_ = until;
  }

  /// How much is to come that somebody waits for.
  std::uint64_t awaited() const { return awaited_; }

  /// A source of chance for what has that name: the same for the same seed and name, whatever else
  /// the world holds and in which order it was made.
  Prng chance_for(std::string_view name) const;

  Trace& trace() { return trace_; }
  std::uint64_t events() const { return events_; }
  std::uint64_t seed() const { return seed_; }

 private:
  friend class Component;

  std::uint64_t seed_;
  Instant now_{};
  EventQueue queue_;
  std::vector<Component*> components_;  // null: it is gone
  std::uint64_t awaited_ = 0;
  std::uint64_t events_ = 0;
  Trace trace_;
};

inline Component::Component(Timeline& timeline)
    : timeline_(timeline), number_(static_cast<std::uint32_t>(timeline.components_.size())) {
  assert(number_ < EventQueue::components_max);
  timeline.components_.push_back(this);
}

inline Component::~Component() {
  set_awaited(0);
  timeline_.components_[number_] = nullptr;
}

inline Instant Component::now() const { return timeline_.now_; }

inline void Component::wake_at(Instant at) {
  if (at < timeline_.now_) at = timeline_.now_;
  if (at >= wake_at_) return;
  wake_at_ = at;
  timeline_.queue_.push(static_cast<std::uint64_t>(at.time_since_epoch().count()), number_);
}

inline void Component::set_awaited(std::uint64_t count) {
  timeline_.awaited_ = timeline_.awaited_ - awaited_ + count;
  awaited_ = count;
}

inline bool Timeline::step(Instant until) {
  while (!queue_.empty() && *next() <= until) {
    const Appointment event = queue_.pop();
    const Instant at{Duration(static_cast<Duration::rep>(event.at))};
    if (at > now_) now_ = at;
    Component* const component = components_[event.component()];
    if (component == nullptr || component->wake_at_ != at) continue;  // moved, or gone
    component->wake_at_ = Instant::max();
    ++events_;
    trace_.mix(event.at);
    trace_.mix(event.component());
    component->happen();
    return true;
  }
  return false;
}

inline Prng Timeline::chance_for(std::string_view name) const {
  return Prng(seed_ ^ Trace::hash_of(as_bytes(name)));
}

}  // namespace koine::sim
