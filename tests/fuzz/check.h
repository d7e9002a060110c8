// What a fuzz target holds a parser to. Not assert(): it has to count in every build.
#pragma once

#include <cstdio>
#include <cstdlib>

#define KOINE_CHECK(condition)                                                            \
  do {                                                                                    \
    if (!(condition)) {                                                                   \
      std::fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                       \
    }                                                                                     \
  } while (false)
