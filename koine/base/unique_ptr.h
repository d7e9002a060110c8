// std::unique_ptr, without the rest of <memory>.
//
// libstdc++'s <memory> brings shared pointers, atomics and the ranges along: a tenth of what
// including koine costs. Its unique_ptr.h brings all of <ostream> along, for an operator<< that has
// no need of it: another tenth. Who uses more of <memory> than this includes it.
#pragma once

#include <cstddef>

#if defined(__GLIBCXX__) && __has_include(<bits/unique_ptr.h>)
#if _GLIBCXX_RELEASE == 12 && !defined(_GLIBCXX_OSTREAM)  // as far as it was tried
#include <iosfwd>
#define _GLIBCXX_OSTREAM 1  // "<ostream> was included": until it is
#include <bits/unique_ptr.h>
#undef _GLIBCXX_OSTREAM
#else
#include <bits/unique_ptr.h>
#endif
#else
#include <memory>
#endif
