#include "koine/sim/switch.h"

#include "koine/wire/ethernet.h"

namespace koine::sim {

void Switch::attached(Nic&) { blocked_.push_back(false); }

void Switch::carrier_changed(Nic& nic) {
  std::erase_if(addresses_, [&](const auto& each) { return each.second.port == nic.index; });
  topology_changed_();
}

void Switch::set_blocked(const Nic& nic, bool blocked) {
  if (blocked_[nic.index] == blocked) return;
  blocked_[nic.index] = blocked;
  addresses_.clear();  // everybody may be somewhere else now (IEEE 802.1D, section 17.11)
}

void Switch::receive(Nic& nic, Frame frame) {
  const auto view = wire::EthernetView::of(frame.bytes());
  if (!view) return;
  if (blocked_[nic.index]) {
    ++counters_.blocked;
    return;
  }
  const Instant now = timeline_.now();
  if (!view->source().is_multicast()) {
    const auto known = addresses_.find(view->source());
    if (known != addresses_.end()) {
      known->second = {nic.index, now};
    } else if (addresses_.size() < options_.addresses_max) {
      addresses_.emplace(view->source(), Place{nic.index, now});
    }
  }
  if (!view->target().is_multicast()) {
    const auto known = addresses_.find(view->target());
    if (known != addresses_.end() && now - known->second.heard > options_.ageing) {
      addresses_.erase(known);
    } else if (known != addresses_.end()) {
      if (known->second.port == nic.index) {
        ++counters_.filtered;
        return;
      }
      ++counters_.forwarded;
      this->nic(known->second.port).send(std::move(frame));
      return;
    }
  }
  ++counters_.flooded;
  for (std::size_t port = 0; port < nic_count(); ++port)
    if (port != nic.index && !blocked_[port]) this->nic(port).send(frame);
}

}  // namespace koine::sim
