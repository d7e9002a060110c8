// Shards: one loop a core, nothing shared between them but messages.
//
//     auto shards = Shards::make(4, options);
//     (*shards)->run([](Shard& shard) -> Io<void> { ... });   // once on each loop, until all end
//
// Each shard listens on the same port (ListenOptions::shared) and the kernel spreads the
// connections. A connection lives and dies on one shard.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "koine/async/task.h"
#include "koine/base/function.h"
#include "koine/os/cross_call.h"
#include "koine/os/network.h"
#include "koine/os/reactor.h"

namespace koine::os {

/// One loop of several.
struct Shard {
  std::size_t number;  ///< 0 runs on the thread that called run()
  Reactor& reactor;
  Network& network;
};

class Shards {
 public:
  /// Fails if a reactor cannot be made. `count` is at least 1.
  static Result<std::unique_ptr<Shards>> make(std::size_t count, const ReactorOptions& options);
  Shards(const Shards&) = delete;
  Shards& operator=(const Shards&) = delete;

  std::size_t count() const { return mailboxes_.size(); }

  /// Calls `story` on every shard and returns when all have ended: the first error, by number. An
  /// error of one does not end the others; tell them with post(). If a thread or a reactor cannot
  /// be made, none begins. It runs once.
  Result<void> run(Function<Io<void>(Shard&)> story);

  /// Calls `f`, which must not throw, on the loop of shard `number`, after what the same thread
  /// posted before it. Any thread may post, also before run() begins. A shard ends some time after
  /// its story: `f` must not touch what the story owned without asking whether it is still there.
  /// What a shard has not called when it ends is destroyed; false, once it has ended.
  template <class F>
  bool post(std::size_t number, F&& f) {
    return mailboxes_[number]->post(std::forward<F>(f));
  }

  /// Has shard `number` call `f`, and `co_await`s on shard `from` what it returns; see
  /// cross_call.h.
  template <class F>
  CrossCall<std::decay_t<F>> call(const Shard& from, std::size_t number, F&& f) {
    return {from.reactor.mailbox(), *mailboxes_[number], std::forward<F>(f)};
  }

  /// How many messages shard `number` did not hear, because it had ended or ended before.
  std::size_t unheard(std::size_t number) const { return mailboxes_[number]->unheard(); }

 private:
  Shards() = default;

  ReactorOptions options_;
  std::vector<std::shared_ptr<Mailbox>> mailboxes_;
};

}  // namespace koine::os
