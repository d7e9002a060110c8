// What verbs that follow messages do with their journeys: show them, and write them to files.
#pragma once

#include <string>
#include <vector>

#include "koine/base/error.h"
#include "koine/journey/journey.h"

namespace koine::cli {

/// Where journeys are to go beside standard output; an empty name is no file.
struct JourneyFiles {
  std::string pcapng;
  std::string perfetto;
  std::string otlp;

  bool any() const { return !pcapng.empty() || !perfetto.empty() || !otlp.empty(); }
  bool wants_frames() const { return !pcapng.empty(); }
};

/// Writes those that were asked for, whole or not at all, and says which could not be written.
Result<void> write_files(const JourneyFiles& files, const std::vector<journey::Journey>& journeys);

/// As wide and as colourful as standard output is: the steps, and the layers if asked for.
std::string shown(const journey::Journey& journey, bool layers);

}  // namespace koine::cli
