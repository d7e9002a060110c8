// Any bytes as a capture.
//
// Reading ends; what is read lies within the file; written again, it reads the same.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "koine/wire/pcapng.h"
#include "tests/fuzz/check.h"

namespace {

using namespace koine;
using namespace koine::wire;

bool is_within(Bytes inner, Bytes outer) {
  return inner.empty() || (inner.data() >= outer.data() &&
                           inner.data() + inner.size() <= outer.data() + outer.size());
}

std::vector<PcapngFrame> read_all(Bytes file, std::vector<PcapngInterface>& interfaces) {
  std::vector<PcapngFrame> frames;
  PcapngReader reader(file);
  for (;;) {
    auto frame = reader.next();
    if (!frame) {
      KOINE_CHECK(frame.error() == Fault::malformed && !frame.error().note().empty());
      KOINE_CHECK(!reader.next());
    }
    if (!frame || !*frame) break;
    KOINE_CHECK((*frame)->interface < reader.interfaces().size());
    KOINE_CHECK(is_within((*frame)->bytes, file));
    KOINE_CHECK(is_within(as_bytes((*frame)->comment), file));
    frames.push_back(**frame);
  }
  interfaces = reader.interfaces();
  return frames;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<PcapngInterface> interfaces;
  const auto frames = read_all(std::as_bytes(std::span(data, size)), interfaces);

  std::string file;
  PcapngWriter writer(file);
  for (PcapngInterface& interface : interfaces) {
    interface.snap_length = 0;  // the writer would cut, a file may lie about it
    KOINE_CHECK(writer.add_interface(interface).has_value());
  }
  for (const PcapngFrame& frame : frames) KOINE_CHECK(writer.write(frame).has_value());
  std::vector<PcapngInterface> interfaces_again;
  const auto again = read_all(as_bytes(file), interfaces_again);
  KOINE_CHECK(interfaces_again == interfaces);
  KOINE_CHECK(again.size() == frames.size());
  for (std::size_t i = 0; i < frames.size(); ++i) {
    KOINE_CHECK(as_text(again[i].bytes) == as_text(frames[i].bytes));
    KOINE_CHECK(again[i].at == frames[i].at && again[i].interface == frames[i].interface);
    KOINE_CHECK(again[i].comment == frames[i].comment && again[i].id == frames[i].id);
    KOINE_CHECK(again[i].direction == frames[i].direction);
  }
  return 0;
}
