// Capture: what the interfaces of a world see, as a file that Wireshark opens.
//
// Each interface of the world is one of the file's. A frame stands there once when it is sent and
// once when it arrives; one that does not arrive stands on the interface "lost", and its comment
// says what became of it and where.
#pragma once

#include <map>
#include <string>

#include "koine/sim/link.h"
#include "koine/wire/pcapng.h"

namespace koine::sim {

class Capture final : public LinkWatcher {
 public:
  /// Appends to `file`, which outlives the capture. `epoch` is the date of the world's beginning.
  Capture(std::string& file, Duration epoch);

  void sent(const Nic& from, const Nic& to, Bytes frame, Instant at) override;
  void scheduled(Instant, Instant) override {}
  void departed(Instant) override {}
  void arrived(const Nic& to, Bytes frame, Instant at) override;
  void failed(const Nic& from, const Nic& to, Bytes frame, Fate fate, Instant at) override;

 private:
  std::uint32_t interface_of(const Nic& nic);
  void write(const Nic& nic, Bytes frame, Instant at, wire::PcapngDirection direction);

  wire::PcapngWriter writer_;
  std::map<std::string, std::uint32_t> interfaces_;
};

}  // namespace koine::sim
