#include "koine/os/shards.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>

namespace koine::os {

namespace {

/// Lets the first error of several threads out, by number.
class FirstError {
 public:
  void note(std::size_t number, Error error) {
    const std::lock_guard lock(mutex_);
    if (!error_ || number < number_) {
      number_ = number;
      error_ = std::move(error);
    }
  }
  Result<void> result() {
    if (error_) return std::unexpected(std::move(*error_));
    return {};
  }

 private:
  std::mutex mutex_;
  std::size_t number_ = 0;
  std::optional<Error> error_;
};

/// Where threads wait for each other. (A std::latch would do, and bring a table of who waits for
/// which address into every program.)
class Meeting {
 public:
  explicit Meeting(std::size_t expected) : missing_(expected) {}

  /// Returns when all have come, but for those of whom it is known that they will not.
  void come() {
    std::unique_lock lock(mutex_);
    one_less();
    while (missing_ != 0) all_are_here_.wait(lock);
  }
  void one_will_not_come() {
    const std::lock_guard lock(mutex_);
    one_less();
  }

 private:
  void one_less() {
    if (--missing_ == 0) all_are_here_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable all_are_here_;
  std::size_t missing_;
};

}  // namespace

Result<std::unique_ptr<Shards>> Shards::make(std::size_t count, const ReactorOptions& options) {
  // One is made to see that it can be; the threads will make their own.
  if (auto probe = Reactor::make(options); !probe) return std::unexpected(std::move(probe.error()));
  std::unique_ptr<Shards> shards(new Shards);
  shards->options_ = options;
  for (std::size_t i = 0; i < count; ++i) {
    auto mailbox = Mailbox::make();
    if (!mailbox) return std::unexpected(std::move(mailbox.error()));
    shards->mailboxes_.push_back(std::move(*mailbox));
  }
  return shards;
}

Result<void> Shards::run(Function<Io<void>(Shard&)> story) {
  FirstError first;
  // Either all begin or none: each may count on the others to hear what it posts. An error that
  // comes of beginning is no reason for others not to begin.
  std::atomic<bool> all_can_begin = true;
  Meeting meeting(mailboxes_.size());
  const auto run_one = [&](std::size_t number) {
    // It belongs to the thread that makes it: io_uring insists.
    auto reactor = Reactor::make(options_, mailboxes_[number]);
    if (!reactor) {
      first.note(number, std::move(reactor.error()));
      all_can_begin = false;
    }
    meeting.come();
    if (!all_can_begin) return mailboxes_[number]->close();
    Network network(**reactor);
    Shard shard{.number = number, .reactor = **reactor, .network = network};
    if (auto ended = (*reactor)->run(story(shard)); !ended)
      first.note(number, std::move(ended.error()));
    (*reactor)->linger_out();
  };
  std::vector<std::thread> threads;
  for (std::size_t number = 1; number < mailboxes_.size(); ++number) {
    try {
      threads.emplace_back(run_one, number);
    } catch (const std::system_error& failed) {
      first.note(number, Error(Fault::exhausted, "start a thread", {}, failed.code().value()));
      all_can_begin = false;
      mailboxes_[number]->close();
      meeting.one_will_not_come();
    }
  }
  run_one(0);
  for (std::thread& thread : threads) thread.join();
  return first.result();
}

}  // namespace koine::os
