// Switch: joins links into one network, and learns who is where (IEEE 802.1D, section 7).
//
// A frame goes to the port behind which its target was last heard, to all others if that is unknown
// or a group. What is not heard again is forgotten after a while.
//
// The loop guard keeps broadcasts from circling for ever where switches are cabled in a ring: the
// switches that hang together agree on a spanning tree, at once and without messages, whenever a
// cable is plugged in, cut visibly or mended; ports outside of it carry nothing. (It stands for the
// outcome of RSTP, not for its protocol.) Without it, a ring is a storm.
#pragma once

#include <map>
#include <vector>

#include "koine/base/function.h"
#include "koine/sim/node.h"
#include "koine/sim/timeline.h"

namespace koine::sim {

struct SwitchOptions {
  Duration ageing = 300s;            ///< IEEE 802.1D, table 7-5
  std::size_t addresses_max = 8192;  ///< when there are more, new ones are not learned
  bool loop_guard = true;
};

class Switch final : public Node {
 public:
  struct Counters {
    std::uint64_t forwarded = 0;  ///< to one port
    std::uint64_t flooded = 0;
    std::uint64_t filtered = 0;  ///< the target is where the frame came from
    std::uint64_t blocked = 0;   ///< came in at a port outside of the tree
  };
  const Counters& counters() const { return counters_; }

  /// How many addresses it knows now.
  std::size_t known() const { return addresses_.size(); }

  bool is_blocked(const Nic& nic) const { return blocked_[nic.index]; }

 private:
  friend class World;
  Switch(Timeline& timeline, std::string name, const SwitchOptions& options,
         Function<void()> topology_changed)
      : Node(std::move(name)),
        timeline_(timeline),
        options_(options),
        topology_changed_(std::move(topology_changed)) {}

  void receive(Nic& nic, Frame frame) override;
  void carrier_changed(Nic& nic) override;
  void attached(Nic& nic) override;

  void set_blocked(const Nic& nic, bool blocked);

  struct Place {
    std::size_t port;
    Instant heard;
  };

  Timeline& timeline_;
  SwitchOptions options_;
  Function<void()> topology_changed_;
  std::map<wire::Mac, Place> addresses_;
  std::vector<bool> blocked_;  // by port
  Counters counters_;
};

}  // namespace koine::sim
