// Bytes as text, where text is all there is room for.
#pragma once

#include <string>
#include <string_view>

namespace koine::cli {

/// RFC 4648, section 4, with padding.
std::string base64(std::string_view bytes);

}  // namespace koine::cli
