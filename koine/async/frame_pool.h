// Memory for coroutine frames: a free list a size on each thread, so that a warm loop never
// allocates.
//
// A frame may be released on another thread than the one that allocated it; it then joins the other
// thread's list. What one list keeps is bounded; the rest goes back to malloc.
#pragma once

#include <cstddef>

namespace koine {

namespace frame_pool {

/// A size is rounded up to the next of 8, 24, 40, ...: what malloc gives without waste, which keeps
/// 8 bytes of every 16 for itself.
inline constexpr std::size_t step_bytes = 16;
/// Larger frames come straight from malloc.
inline constexpr std::size_t pooled_bytes_max = 4104;
/// What one free list keeps at most.
inline constexpr std::size_t kept_bytes_max = std::size_t{1} << 20;

void* allocate(std::size_t bytes);
void release(void* frame, std::size_t bytes) noexcept;

/// Gives back what this thread keeps; a thread that ran a loop does so before it ends.
void trim() noexcept;

}  // namespace frame_pool
}  // namespace koine
