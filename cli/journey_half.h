// A journey from the line that another process wrote about it.
#pragma once

#include <string_view>

#include "koine/base/error.h"
#include "koine/journey/journey.h"

namespace koine::cli {

/// Reads what journey::json_line wrote. Fault::malformed says what was expected.
Result<journey::Journey> parse_journey(std::string_view line);

}  // namespace koine::cli
