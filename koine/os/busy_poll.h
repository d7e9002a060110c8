// BusyPoll: for how long a loop looks for news again and again before it sleeps.
//
// Waking up takes about 13 us, another look a few tenths of one. So looking pays where the next
// news is near; where it is not, it takes a core from somebody else. The window follows what
// happened, as the Linux kernel's own does (Documentation/virt/kvm/halt-polling.rst): a wait that
// was longer than the bound halves it, down to nothing, and one that more looking would have met
// doubles it, up to the bound.
//
// It knows no clock and no kernel: whoever waits hands both in.
#pragma once

#include <algorithm>

#include "koine/base/time.h"

namespace koine::os {

class BusyPoll {
 public:
  /// Never longer than `bound`; zero: never.
  explicit BusyPoll(Duration bound);

  bool is_on() const { return bound_ > Duration::zero(); }

  /// For how long it would look now.
  Duration window() const { return window_; }

  /// Looks until `look()` says that there is something, for as long as the window, but not longer
  /// than `limit`. False if there was nothing. After some looks it calls `yield()`, so that others
  /// on this core get to run.
  template <class Look, class Now, class Yield>
  bool spin(Duration limit, Look&& look, Now&& now, Yield&& yield) {
    const Duration window = std::min(window_, limit);
    if (window <= Duration::zero()) return false;
    const Spinner spinner;
    if (!spinner.has_a_core()) return false;
    const Instant began = now();
    for (unsigned looks = 1; !look(); ++looks) {
      if (now() - began >= window) return false;
      if (looks % looks_between_yields == 0) yield();
    }
    return true;
  }

  /// A wait is over: how long it was, looking and sleeping together.
  void waited(Duration time);

  static constexpr unsigned looks_between_yields = 16;

 private:
  /// A thread that does not sleep. There are never more of them than cores this process may use:
  /// who comes when all are taken has none, and sleeps.
  class Spinner {
   public:
    Spinner();
    Spinner(const Spinner&) = delete;
    ~Spinner();
    bool has_a_core() const { return has_a_core_; }

   private:
    bool has_a_core_;
  };

  Duration bound_;
  Duration window_;
};

}  // namespace koine::os
