#include "koine/sim/capture.h"

namespace koine::sim {

Capture::Capture(std::string& file, Duration epoch) : writer_(file, epoch) {
  (void)writer_.begin_section("a world simulated by koine");
}

std::uint32_t Capture::interface_of(const Nic& nic) {
  const auto known = interfaces_.find(nic.name);
  if (known != interfaces_.end()) return known->second;
  const auto made = writer_.add_interface({.name = nic.name, .mac = nic.mac});
  // A writer into memory does not fail.
  return interfaces_.emplace(nic.name, made.value_or(0)).first->second;
}

void Capture::write(const Nic& nic, Bytes frame, Instant at, wire::PcapngDirection direction) {
  (void)writer_.write({.interface = interface_of(nic),
                       .at = at.time_since_epoch(),
                       .bytes = frame,
                       .direction = direction});
}

void Capture::sent(const Nic& from, const Nic&, Bytes frame, Instant at) {
  write(from, frame, at, wire::PcapngDirection::outbound);
}

void Capture::arrived(const Nic& to, Bytes frame, Instant at) {
  write(to, frame, at, wire::PcapngDirection::inbound);
}

void Capture::failed(const Nic& from, const Nic& to, Bytes frame, Fate fate, Instant at) {
  const std::string comment =
      std::string(to_string(fate)) + ", from " + from.name + " to " + to.name;
  (void)writer_.write_lost({.interface = interface_of(to),
                            .at = at.time_since_epoch(),
                            .bytes = frame,
                            .direction = wire::PcapngDirection::outbound,
                            .comment = comment});
}

}  // namespace koine::sim
