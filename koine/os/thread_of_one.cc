#include "koine/os/thread_of_one.h"

#include <system_error>

namespace koine::os {

Result<void> ThreadOfOne::begin(Function<Result<void>(Link&)> work) {
  try {
    thread_ = std::thread([link = link_, work = std::move(work)]() mutable {
      Result<void> result = work(*link);
      work = {};  // before anybody hears that it is over
      link->ended(std::move(result));
    });
  } catch (const std::system_error& failed) {
    return fail(Fault::exhausted, "serve", "in a thread", failed.code().value());
  }
  return {};
}

ThreadOfOne::~ThreadOfOne() {
  if (!thread_.joinable()) return;
  link_->abandon();
  if (link_->wait_for_end()) {
    thread_.join();
  } else {
    thread_.detach();
  }
}

void ThreadOfOne::Link::began(Reactor& worker, Orders& orders) {
  const std::lock_guard lock(mutex_);
  worker_ = &worker;
  orders_ = &orders;
  if (drains_) orders.drain.set();
  if (stopped_at_) orders.stop.set();
}

/// The worker's loop is about to be destroyed.
void ThreadOfOne::Link::left() {
  const std::lock_guard lock(mutex_);
  worker_ = nullptr;
  orders_ = nullptr;
}

void ThreadOfOne::Link::ended(Result<void> result) {
  const std::lock_guard lock(mutex_);
  has_ended_ = true;
  ended_.notify_all();
  if (home_ == nullptr) return;
  home_->post([self = shared_from_this(), result = std::move(result)]() mutable {
    self->result_ = std::move(result);
    self->over_.set();
  });
}

void ThreadOfOne::Link::tell_drain() {
  const std::lock_guard lock(mutex_);
  drains_ = true;
  if (worker_ != nullptr) worker_->post([orders = orders_] { orders->drain.set(); });
}

void ThreadOfOne::Link::tell_stop() {
  const std::lock_guard lock(mutex_);
  if (stopped_at_) return;
  stopped_at_ = std::chrono::steady_clock::now();
  if (worker_ != nullptr) worker_->post([orders = orders_] { orders->stop.set(); });
}

void ThreadOfOne::Link::abandon() {
  tell_stop();
  const std::lock_guard lock(mutex_);
  home_ = nullptr;
}

/// True if it has ended, or ends in time.
bool ThreadOfOne::Link::wait_for_end() {
  std::unique_lock lock(mutex_);
  return ended_.wait_until(lock, *stopped_at_ + stop_time_max, [&] { return has_ended_; });
}

}  // namespace koine::os
