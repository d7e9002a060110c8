// A dissection as text, for terminals of 80 columns.
#pragma once

#include <string>

#include "koine/base/bytes.h"
#include "koine/wire/dissect.h"

namespace koine::wire {

/// Everything: each layer with its place, and each of its fields with its bits, counted from the
/// layer's beginning, its value and where it is defined.
std::string field_table(const Dissection& dissection);

/// A line or two for each layer, the highest first: what it added, as sent, and what that means.
/// `frame` is what was dissected; `wire_length` as in DissectOptions.
std::string layer_table(const Dissection& dissection, Bytes frame, std::size_t wire_length = 0);

}  // namespace koine::wire
