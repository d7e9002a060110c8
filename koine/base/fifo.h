// A queue that grows, and takes no memory before it is used: what many objects have and few need.
#pragma once

#include <cassert>
#include <cstddef>
#include <utility>
#include <vector>

namespace koine {

/// T is default-constructible, and a moved-from or default T holds nothing that matters.
template <class T>
class Fifo {
 public:
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }

  T& front() { return (*this)[0]; }
  const T& front() const { return (*this)[0]; }

  /// Counted from the front.
  T& operator[](std::size_t index) { return slots_[place(index)]; }
  const T& operator[](std::size_t index) const { return slots_[place(index)]; }

  void push_back(T item) {
    if (size_ == slots_.size()) grow();
    ++size_;
    (*this)[size_ - 1] = std::move(item);
  }

  /// Forgets the front, which must be there.
  void pop_front() {
    front() = T{};
    first_ = (first_ + 1) & (slots_.size() - 1);
    --size_;
  }

  void clear() {
    slots_ = {};
    first_ = size_ = 0;
  }

 private:
  static constexpr std::size_t slots_min = 4;

  std::size_t place(std::size_t index) const {
    assert(index < size_);
    return (first_ + index) & (slots_.size() - 1);
  }

  void grow() {
    std::vector<T> larger(slots_.empty() ? slots_min : 2 * slots_.size());
    for (std::size_t i = 0; i < size_; ++i) larger[i] = std::move((*this)[i]);
    slots_ = std::move(larger);
    first_ = 0;
  }

  std::vector<T> slots_;  // their number is a power of two
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

}  // namespace koine
