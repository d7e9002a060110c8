#include "koine/async/frame_pool.h"

#include <array>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#define KOINE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KOINE_ASAN 1
#endif
#endif
#ifdef KOINE_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, bytes) (static_cast<void>(address))
#define ASAN_UNPOISON_MEMORY_REGION(address, bytes) (static_cast<void>(address))
#endif

namespace koine::frame_pool {
namespace {

struct FreeFrame {
  FreeFrame* next;
};

struct FreeList {
  FreeFrame* first;
  std::size_t kept_bytes;
};

constexpr std::size_t lists = pooled_bytes_max / step_bytes + 1;
thread_local constinit std::array<FreeList, lists> free_lists{};

}  // namespace

void* allocate(std::size_t bytes) {
  const std::size_t steps = (bytes + step_bytes - 1) / step_bytes;
  if (steps >= lists) return ::operator new(bytes);
  FreeList& list = free_lists[steps];
  FreeFrame* frame = list.first;
  if (frame == nullptr) return ::operator new(steps * step_bytes);
  ASAN_UNPOISON_MEMORY_REGION(frame, steps * step_bytes);
  list.first = frame->next;
  list.kept_bytes -= steps * step_bytes;
  return frame;
}

void release(void* memory, std::size_t bytes) noexcept {
  const std::size_t steps = (bytes + step_bytes - 1) / step_bytes;
  if (steps >= lists || free_lists[steps].kept_bytes + steps * step_bytes > kept_bytes_max) {
    ::operator delete(memory);
    return;
  }
  FreeList& list = free_lists[steps];
  list.first = new (memory) FreeFrame{list.first};
  list.kept_bytes += steps * step_bytes;
  // Under AddressSanitizer a frame in the pool is as dead as freed memory. The link stays readable:
  // LeakSanitizer follows no pointer that lies in poisoned memory.
  ASAN_POISON_MEMORY_REGION(list.first + 1, steps * step_bytes - sizeof(FreeFrame));
}

void trim() noexcept {
  for (std::size_t steps = 1; steps < lists; ++steps) {
    FreeList& list = free_lists[steps];
    while (FreeFrame* frame = list.first) {
      ASAN_UNPOISON_MEMORY_REGION(frame, steps * step_bytes);
      list.first = frame->next;
      ::operator delete(frame);
    }
    list.kept_bytes = 0;
  }
}

}  // namespace koine::frame_pool
