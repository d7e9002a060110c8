// How often this program asked operator new for memory: in a test program of its own, because
// replacing operator new concerns all of it.
#pragma once

#include <cstddef>

namespace koine {

/// Calls of any operator new so far, on any thread.
std::size_t allocations();

}  // namespace koine
