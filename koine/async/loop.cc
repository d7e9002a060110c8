#include "koine/async/loop.h"

#include <cassert>

namespace koine {
namespace {

thread_local constinit Loop* current_loop = nullptr;

std::string in_words(const Activity& activity) {
  std::string text(activity.operation);
  if (!activity.peer.empty()) text += " " + activity.peer;
  return text;
}

std::string in_words(const std::source_location& where) {
  std::string_view file = where.file_name();
  if (const auto slash = file.rfind('/'); slash != file.npos) file.remove_prefix(slash + 1);
  return std::string(file) + ":" + std::to_string(where.line());
}

/// "Io<void> koine::(anonymous namespace)::echo(std::unique_ptr<Stream>)" is "koine::echo" to a
/// person.
std::string short_name(std::string name) {
  for (const std::string_view unnamed : {"(anonymous namespace)::", "{anonymous}::"}) {
    if (const auto at = name.find(unnamed); at != name.npos) name.erase(at, unnamed.size());
  }
  name = name.substr(0, name.find('('));
  return name.substr(name.rfind(' ') + 1);
}

}  // namespace

Loop& Loop::current() {
  assert(current_loop != nullptr && "no loop runs on this thread");
  return *current_loop;
}

bool Loop::has_current() { return current_loop != nullptr; }

Loop::Entered::Entered(Loop& loop) : before_(current_loop) { current_loop = &loop; }

Loop::Entered::~Entered() { current_loop = before_; }

void Loop::advance(Instant now) {
  tick(now);
  timers_.expire(now_, ready_);
}

bool Loop::run_ready() {
  List<Runnable> batch;
  for (int round = 0; round < rounds_max && !ready_.empty(); ++round) {
    batch.splice(ready_);
    while (!batch.empty()) {
      budget_ = budget_per_run;
      batch.pop_front().run();
    }
  }
  batch.splice(ending_);
  while (!batch.empty()) batch.pop_front().run();
  return !idle();
}

std::string Loop::dump() const {
  std::string text;
  int number = 0;
  roots_.for_each([&](const Root& root) {
    text += "task " + std::to_string(++number);
    if (root.spawned_at.line() != 0) text += ", spawned at " + in_words(root.spawned_at);
    text += "\n";
    for (const Awaited* link = root.awaited(); link != nullptr; link = link->inner()) {
      const Activity activity = link->activity();
      const std::source_location where = link->where();
      if (where.line() != 0) {
        text += "  in " + std::string(short_name(where.function_name())) + " at " +
                in_words(where) + "\n";
      } else if (*activity.operation != '\0') {
        text += "  awaits " + in_words(activity) + "\n";
      }
    }
  });
  if (number == 0) text = "no tasks\n";
  return text;
}

}  // namespace koine
