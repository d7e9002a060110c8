// A journey for people: its steps as bars, and what each layer added to its bytes.
#pragma once

#include <cstddef>
#include <string>

#include "koine/journey/journey.h"

namespace koine::journey {

struct PictureOptions {
  std::size_t columns = 80;  ///< no line is longer; at least 60
  bool colours = false;      ///< ANSI escape sequences
};

/// The verdict, then a line for each step: its number, name and time, and a bar at its place in
/// the whole. What the clocks' offset leaves open is said, and where it is more than a quarter of
/// a step, the network there and back is one line with hatched bars.
std::string waterfall(const Journey& journey, PictureOptions options = {});

/// The headers of its frames, from the message outwards, with their bytes. Empty without frames.
std::string layers(const Journey& journey, PictureOptions options = {});

}  // namespace koine::journey
