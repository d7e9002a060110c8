// std::unique_ptr, without the rest of <memory>.
//
// libstdc++'s <memory> brings shared pointers, atomics and the ranges along: a tenth of what
// including koine costs. Who uses more of <memory> than this includes it.
#pragma once

#include <cstddef>

#if defined(__GLIBCXX__) && __has_include(<bits/unique_ptr.h>)
#include <bits/unique_ptr.h>
#else
#include <memory>
#endif
