#include "koine/os/multiplexer.h"

#include <cstdlib>

namespace koine::os {

void Multiplexer::Watchers::add(Watcher& watcher) {
  std::uint32_t slot = 0;
  if (free_.empty()) {
    slot = static_cast<std::uint32_t>(slots_.size());
    slots_.emplace_back();
    free_.reserve(slots_.capacity());  // so that remove() cannot fail
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  slots_[slot].watcher = &watcher;
  watcher.slot = slot;
}

void Multiplexer::Watchers::remove(Watcher& watcher) {
  Slot& slot = slots_[watcher.slot];
  slot.watcher = nullptr;
  slot.mark = false;
  ++slot.generation;
  free_.push_back(watcher.slot);
}

const std::vector<std::string_view>& multiplexer_names() {
  static const std::vector<std::string_view> names{"io_uring", "epoll", "poll", "select"};
  return names;
}

namespace {

Result<std::unique_ptr<Multiplexer>> make_named(std::string_view name) {
  Error why_not(Fault::unsupported);
  std::unique_ptr<Multiplexer> made;
  if (name == "io_uring") made = make_io_uring(why_not);
  if (name == "epoll") made = make_epoll(why_not);
  if (name == "poll") made = make_poll();
  if (name == "select") made = make_select();
  if (made == nullptr) return std::unexpected(std::move(why_not));
  return made;
}

}  // namespace

std::vector<MultiplexerReport> probe_multiplexers() {
  std::vector<MultiplexerReport> reports;
  for (const std::string_view name : multiplexer_names()) {
    const auto made = make_named(name);
    reports.push_back({name, made.has_value(), made ? std::string() : to_string(made.error())});
  }
  return reports;
}

Result<std::unique_ptr<Multiplexer>> make_multiplexer(std::string_view name) {
  std::string_view chosen = name;
  if (chosen.empty()) {
    const char* wish = std::getenv("KOINE_MULTIPLEXER");  // NOLINT(concurrency-mt-unsafe)
    if (wish != nullptr) chosen = wish;
  }
  if (!chosen.empty()) {
    for (const std::string_view known : multiplexer_names()) {
      if (chosen == known) return make_named(chosen);
    }
    return std::unexpected(Error(Fault::malformed, "choose multiplexer", chosen)
                               .with_note("expected io_uring, epoll, poll or select"));
  }
  Error last(Fault::unsupported);
  for (const std::string_view known : multiplexer_names()) {
    auto made = make_named(known);
    if (made) return made;
    last = std::move(made.error());
  }
  return std::unexpected(std::move(last));
}

}  // namespace koine::os
