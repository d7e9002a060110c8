// Any text as a duration, a size and a rate: what is read is written so that it is read again.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "koine/transport/mistake.h"
#include "koine/transport/units.h"
#include "tests/fuzz/check.h"

namespace {

using namespace koine;

template <class T, class Format, class Parse>
void check(const Result<T>& read, Format format, Parse parse) {
  if (read) {
    KOINE_CHECK(parse(format(*read)) == *read);
  } else {
    KOINE_CHECK(read.error() == Fault::malformed);
    KOINE_CHECK(column_of(read.error()) >= 1);
    KOINE_CHECK(column_of(read.error()) <= read.error().peer().size() + 1);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check(parse_duration(text), format_duration, parse_duration);
  check(parse_size(text), format_size, parse_size);
  check(parse_rate(text), format_rate, parse_rate);
  return 0;
}
