#include "koine/os/mailbox.h"

#include <cerrno>
#include <cstdint>

#include "koine/os/fault_of.h"
#include "koine/os/system.h"

namespace koine::os {
namespace {

/// A thread that runs no loop has nobody else to give back the memory of what it was refused.
struct PoolUntilTheEnd {
  ~PoolUntilTheEnd() { frame_pool::trim(); }
};

}  // namespace

constinit Message Mailbox::asleep(nullptr);
constinit Message Mailbox::closed(nullptr);

Result<std::shared_ptr<Mailbox>> Mailbox::make() {
  Fd bell(sys::eventfd());
  if (!bell) return std::unexpected(system_error("eventfd", {}, errno));
  return std::make_shared<Mailbox>(std::move(bell));
}

bool Mailbox::put(Message& message) {
  Message* top = top_.load(std::memory_order_acquire);
  do {
    if (top == &closed) {
      thread_local const PoolUntilTheEnd pool;
      unheard_.fetch_add(1, std::memory_order_relaxed);
      return false;
    }
    message.next_ = top == &asleep ? nullptr : top;
  } while (!top_.compare_exchange_weak(top, &message, std::memory_order_release,
                                       std::memory_order_acquire));
  // From here on the message, and what it was put for, may be gone.
  if (top == &asleep) ring();
  return true;
}

void Mailbox::close() {
  Message* top = top_.exchange(&closed, std::memory_order_acq_rel);
  if (top == &closed) return;
  unheard_.fetch_add(deliver(top, false), std::memory_order_relaxed);
}

std::size_t Mailbox::deliver(Message* newest, bool heard) {
  if (newest == &asleep) return 0;
  Message* oldest = nullptr;
  while (newest != nullptr) {
    Message* next = std::exchange(newest->next_, oldest);
    oldest = std::exchange(newest, next);
  }
  std::size_t count = 0;
  for (; oldest != nullptr; ++count) {
    Message* message = std::exchange(oldest, oldest->next_);
    message->arrive_(*message, heard);
  }
  return count;
}

/// It cannot fail: the counter has room for 2^64 rings, and nobody else closes the descriptor.
void Mailbox::ring() const {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto put = ::write(bell_.get(), &one, sizeof(one));
}

}  // namespace koine::os
