#include "cli/reference.h"
namespace koine::cli {
std::string manual_of(const Tool&) { return "x"; }
std::string completion_of(const Tool&, const std::string&) { return {}; }
}  // namespace koine::cli
