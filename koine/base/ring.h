// A queue with a fixed capacity, in one piece of memory: it allocates once, when it is made.
#pragma once

#include <cassert>
#include <cstddef>
#include <memory>
#include <utility>

namespace koine {

template <class T>
class Ring {
 public:
  explicit Ring(std::size_t capacity)
      : slots_(std::make_unique_for_overwrite<Slot[]>(capacity)), capacity_(capacity) {}
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  ~Ring() {
    while (!empty()) pop_front();
  }

  std::size_t size() const { return size_; }
  std::size_t capacity() const { return capacity_; }
  bool empty() const { return size_ == 0; }
  bool full() const { return size_ == capacity_; }

  /// The ring must not be full.
  void push_back(T item) {
    assert(!full());
    const std::size_t room = capacity_ - first_;
    std::construct_at(slot(size_ < room ? first_ + size_ : size_ - room), std::move(item));
    ++size_;
  }

  /// The oldest item; the ring must not be empty.
  T& front() {
    assert(!empty());
    return *slot(first_);
  }

  /// Takes the oldest item out; the ring must not be empty.
  T pop_front() {
    T& oldest = front();
    T item = std::move(oldest);
    std::destroy_at(&oldest);
    first_ = first_ + 1 == capacity_ ? 0 : first_ + 1;
    --size_;
    return item;
  }

 private:
  struct Slot {
    alignas(T) std::byte bytes[sizeof(T)];
  };

  T* slot(std::size_t index) { return reinterpret_cast<T*>(slots_[index].bytes); }

  std::unique_ptr<Slot[]> slots_;
  const std::size_t capacity_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

}  // namespace koine
