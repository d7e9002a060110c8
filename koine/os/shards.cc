#include "koine/os/shards.h"

#include <atomic>
#include <latch>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>

namespace koine::os {

/// A reactor belongs to the thread that makes it (io_uring insists), so each thread makes its own.
class Shards::OneLoop {
 public:
  void begin(Reactor& reactor) {
    const std::lock_guard lock(mutex_);
    reactor_ = &reactor;
    for (auto& message : early_) reactor.post(std::move(message));
    early_.clear();
  }
  void post(Function<void()> message) {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    if (reactor_ == nullptr) {
      early_.push_back(std::move(message));
    } else {
      reactor_->post(std::move(message));
    }
  }
  /// What is posted from now on is dropped.
  void end() {
    const std::lock_guard lock(mutex_);
    reactor_ = nullptr;
    early_.clear();
    ended_ = true;
  }

 private:
  std::mutex mutex_;
  Reactor* reactor_ = nullptr;           // while its thread runs it
  std::vector<Function<void()>> early_;  // posted before that
  bool ended_ = false;
};

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

}  // namespace

Shards::Shards() = default;
Shards::~Shards() = default;

Result<std::unique_ptr<Shards>> Shards::make(std::size_t count, const ReactorOptions& options) {
  // One is made to see that it can be; the threads will make their own.
  if (auto probe = Reactor::make(options); !probe) return std::unexpected(std::move(probe.error()));
  std::unique_ptr<Shards> shards(new Shards);
  shards->options_ = options;
  for (std::size_t i = 0; i < count; ++i) shards->loops_.push_back(std::make_unique<OneLoop>());
  return shards;
}

Result<void> Shards::run(Function<Io<void>(Shard&)> story) {
  FirstError first;
  // Either all begin or none: each may count on the others to hear what it posts. An error that
  // comes of beginning is no reason for others not to begin.
  std::atomic<bool> all_can_begin = true;
  std::latch all_are_made(static_cast<std::ptrdiff_t>(loops_.size()));
  const auto run_one = [&](std::size_t number) {
    OneLoop& mine = *loops_[number];
    auto reactor = Reactor::make(options_);
    if (!reactor) {
      first.note(number, std::move(reactor.error()));
      all_can_begin = false;
    }
    all_are_made.arrive_and_wait();
    if (!all_can_begin) return mine.end();
    Network network(**reactor);
    Shard shard{.number = number, .reactor = **reactor, .network = network};
    mine.begin(**reactor);
    if (auto ended = (*reactor)->run(story(shard)); !ended)
      first.note(number, std::move(ended.error()));
    (*reactor)->linger_out();
    mine.end();
  };
  std::vector<std::thread> threads;
  for (std::size_t number = 1; number < loops_.size(); ++number) {
    try {
      threads.emplace_back(run_one, number);
    } catch (const std::system_error& failed) {
      first.note(number, Error(Fault::exhausted, "start a thread", {}, failed.code().value()));
      all_can_begin = false;
      loops_[number]->end();
      all_are_made.count_down();
    }
  }
  run_one(0);
  for (std::thread& thread : threads) thread.join();
  return first.result();
}

void Shards::post(std::size_t number, Function<void()> message) {
  loops_[number]->post(std::move(message));
}

}  // namespace koine::os
