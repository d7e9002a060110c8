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

/// Which list is for so many bytes, and how large its frames are.
constexpr std::size_t list_for(std::size_t bytes) {
  return (bytes + step_bytes / 2 - 1) / step_bytes;
}
constexpr std::size_t bytes_in(std::size_t list) { return list * step_bytes + step_bytes / 2; }
static_assert(bytes_in(list_for(1)) == 8 && bytes_in(list_for(8)) == 8 &&
              bytes_in(list_for(9)) == 24);
static_assert(bytes_in(list_for(24)) == 24 && bytes_in(list_for(25)) == 40);

}  // namespace

void* allocate(std::size_t bytes) {
  const std::size_t number = list_for(bytes);
  if (number >= lists) return ::operator new(bytes);
  FreeList& list = free_lists[number];
  FreeFrame* frame = list.first;
  if (frame == nullptr) return ::operator new(bytes_in(number));
  ASAN_UNPOISON_MEMORY_REGION(frame, bytes_in(number));
  list.first = frame->next;
  list.kept_bytes -= bytes_in(number);
  return frame;
}

void release(void* memory, std::size_t bytes) noexcept {
  const std::size_t number = list_for(bytes);
  const std::size_t size = bytes_in(number);
  if (number >= lists || free_lists[number].kept_bytes + size > kept_bytes_max) {
    ::operator delete(memory);
    return;
  }
  FreeList& list = free_lists[number];
  list.first = new (memory) FreeFrame{list.first};
  list.kept_bytes += size;
  // Under AddressSanitizer a frame in the pool is as dead as freed memory. The link stays readable:
  // LeakSanitizer follows no pointer that lies in poisoned memory.
  ASAN_POISON_MEMORY_REGION(list.first + 1, size - sizeof(FreeFrame));
}

void trim() noexcept {
  for (std::size_t number = 0; number < lists; ++number) {
    FreeList& list = free_lists[number];
    while (FreeFrame* frame = list.first) {
      ASAN_UNPOISON_MEMORY_REGION(frame, bytes_in(number));
      list.first = frame->next;
      ::operator delete(frame);
    }
    list.kept_bytes = 0;
  }
}

}  // namespace koine::frame_pool
