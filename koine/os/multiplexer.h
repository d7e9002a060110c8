// Multiplexer: waits for news about many descriptors at once. io_uring, epoll, poll or select.
//
// One file each. None moves data, so the kernel never holds a pointer into a task's frame: what
// cancels a task has nothing to take back (docs/decisions explains).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "koine/base/error.h"
#include "koine/base/time.h"
#include "koine/os/watcher.h"

namespace koine::os {

/// Hears what a multiplexer found, one descriptor at a time; it may add and remove watchers.
class Newsroom {
 public:
  virtual void heard(Watcher& watcher, unsigned news) = 0;

 protected:
  ~Newsroom() = default;
};

class Multiplexer {
 public:
  virtual ~Multiplexer() = default;

  virtual std::string_view name() const = 0;

  /// Begins to watch watcher.fd in both directions. over_limit if it cannot watch so high a
  /// descriptor.
  virtual Result<void> add(Watcher& watcher) = 0;

  /// Stops watching; before the descriptor is closed.
  virtual void remove(Watcher& watcher) = 0;

  /// Waits until there is news, or for at most `timeout` (for ever without one), and reports it.
  virtual Result<void> wait(std::optional<Duration> timeout, Newsroom& newsroom) = 0;

 protected:
  /// The watchers, by token.
  class Watchers {
   public:
    void add(Watcher& watcher);
    void remove(Watcher& watcher);
    Token token_of(const Watcher& watcher) const {
      return {watcher.slot, slots_[watcher.slot].generation};
    }
    /// Null if it was removed.
    Watcher* find(Token token) const {
      if (token.slot >= slots_.size()) return nullptr;
      const Slot& slot = slots_[token.slot];
      return slot.generation == token.generation ? slot.watcher : nullptr;
    }
    std::size_t slots() const { return slots_.size(); }
    Watcher* at(std::size_t slot) const { return slots_[slot].watcher; }
    /// The multiplexer's own; false again for the next in that slot.
    bool& mark_of(const Watcher& watcher) { return slots_[watcher.slot].mark; }

   private:
    struct Slot {
      Watcher* watcher = nullptr;
      std::uint32_t generation = 0;
      bool mark = false;
    };
    std::vector<Slot> slots_;
    std::vector<std::uint32_t> free_;
  };
};

std::unique_ptr<Multiplexer> make_epoll(Error& why_not);
std::unique_ptr<Multiplexer> make_poll();
std::unique_ptr<Multiplexer> make_select();
std::unique_ptr<Multiplexer> make_io_uring(Error& why_not);

/// The names that can be chosen, best first: "io_uring", "epoll", "poll", "select".
const std::vector<std::string_view>& multiplexer_names();

/// What one of them says about this machine.
struct MultiplexerReport {
  std::string_view name;
  bool usable = false;
  std::string reason;  ///< why not, or what it was found to offer
};

/// Tries each of them, best first.
std::vector<MultiplexerReport> probe_multiplexers();

/// The one with that name; "" means KOINE_MULTIPLEXER if it is set, else the first that works.
/// Fault::malformed for a name that is none; unsupported where the kernel refuses it.
Result<std::unique_ptr<Multiplexer>> make_multiplexer(std::string_view name = {});

}  // namespace koine::os
