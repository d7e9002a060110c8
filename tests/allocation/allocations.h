// How often this program asked operator new for memory, and how much of it is left: in a test
// program of its own, because replacing operator new concerns all of it.
#pragma once

#include <cstddef>

namespace koine {

/// Calls of any operator new so far, on any thread.
std::size_t allocations();

/// What they hold now, as glibc counts it, with the 8 bytes that each allocation takes beside its
/// own.
std::size_t allocated_bytes();

}  // namespace koine
