// What a load measured, for people and for programs.
#pragma once

#include <string>

#include "cli/load.h"
#include "cli/terminal.h"

namespace koine::cli {

/// A few lines of at most 80 columns, unless the URL is longer.
std::string report_text(const Endpoint& peer, const Meter& meter, const Colours& colours);

/// One object, in one line.
std::string report_json(const Endpoint& peer, const Meter& meter);

/// Where it stands, for the one line of Progress.
std::string progress_line(const Meter& meter);

}  // namespace koine::cli
