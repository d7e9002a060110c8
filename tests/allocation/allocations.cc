#include "tests/allocation/allocations.h"

#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<std::size_t> count{0};
std::atomic<std::size_t> bytes_held{0};

/// The same whether glibc or a sanitizer is asked: what glibc would take.
std::size_t bytes_of(void* memory) {
  const std::size_t usable = ::malloc_usable_size(memory);
  return memory == nullptr ? 0 : std::max<std::size_t>((usable + 8 + 15) / 16 * 16, 32);
}

void* noted(void* memory) {
  if (memory == nullptr) throw std::bad_alloc();
  ++count;
  bytes_held += bytes_of(memory);
  return memory;
}

void release(void* memory) {
  bytes_held -= bytes_of(memory);
  std::free(memory);
}

}  // namespace

std::size_t koine::allocations() { return count; }
std::size_t koine::allocated_bytes() { return bytes_held; }

// The other forms of new and delete (arrays, nothrow, sized) call these.

void* operator new(std::size_t bytes) { return noted(std::malloc(bytes == 0 ? 1 : bytes)); }

void* operator new(std::size_t bytes, std::align_val_t alignment) {
  const auto step = static_cast<std::size_t>(alignment);
  return noted(std::aligned_alloc(step, (bytes + step - 1) / step * step));
}

void operator delete(void* memory) noexcept { release(memory); }
void operator delete(void* memory, std::size_t) noexcept { release(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { release(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { release(memory); }
