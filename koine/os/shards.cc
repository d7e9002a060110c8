#include "koine/os/shards.h"

#include <mutex>
#include <optional>
#include <thread>

namespace koine::os {

/// A reactor belongs to the thread that makes it (io_uring insists), so each thread makes its own.
struct Shards::OneLoop {
  std::mutex mutex;
  Reactor* reactor = nullptr;           // while its thread runs it
  std::vector<Function<void()>> early;  // posted before that
  bool ended = false;
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
  const auto run_one = [&](std::size_t number) {
    OneLoop& mine = *loops_[number];
    auto reactor = Reactor::make(options_);
    if (!reactor) {
      first.note(number, std::move(reactor.error()));
      const std::lock_guard lock(mine.mutex);
      mine.ended = true;
      return;
    }
    Network network(**reactor);
    Shard shard{.number = number, .reactor = **reactor, .network = network};
    {
      const std::lock_guard lock(mine.mutex);
      mine.reactor = reactor->get();
      for (auto& message : mine.early) mine.reactor->post(std::move(message));
      mine.early.clear();
    }
    if (auto ended = (*reactor)->run(story(shard)); !ended)
      first.note(number, std::move(ended.error()));
    (*reactor)->linger_out();
    const std::lock_guard lock(mine.mutex);
    mine.reactor = nullptr;
    mine.ended = true;
  };
  std::vector<std::thread> threads;
  for (std::size_t number = 1; number < loops_.size(); ++number)
    threads.emplace_back(run_one, number);
  run_one(0);
  for (std::thread& thread : threads) thread.join();
  return first.result();
}

void Shards::post(std::size_t number, Function<void()> message) {
  OneLoop& one = *loops_[number];
  const std::lock_guard lock(one.mutex);
  if (one.ended) return;
  if (one.reactor == nullptr) {
    one.early.push_back(std::move(message));
  } else {
    one.reactor->post(std::move(message));
  }
}

}  // namespace koine::os
