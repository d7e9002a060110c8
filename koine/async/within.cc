#include "koine/async/within.h"

namespace koine::detail {

Activity innermost(const Awaited* awaited) {
  Activity found;
  for (; awaited != nullptr; awaited = awaited->inner()) {
    Activity activity = awaited->activity();
    if (*activity.operation != '\0') found = std::move(activity);
  }
  return found;
}

Error timed_out(const Awaited* awaited, Duration after) {
  const Activity activity = innermost(awaited);
  return Error(Fault::timed_out, activity.operation, activity.peer).with_elapsed(after);
}

}  // namespace koine::detail
