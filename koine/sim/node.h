// Node: a thing with network interfaces. A host, a switch, a router.
//
// A Nic is made when a link is plugged in, and stays as long as its node. What arrives at it goes
// to the node; what the node sends goes to the link, if there is one that carries it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "koine/sim/frame.h"
#include "koine/wire/address.h"

namespace koine::sim {

class LinkDirection;
class Node;
class Segment;

/// One network interface.
struct Nic {
  Node* node = nullptr;
  std::size_t index = 0;  ///< among those of its node
  std::string name;       ///< "client:eth0"
  wire::Mac mac{};
  std::uint16_t mtu = 1500;
  Segment* segment = nullptr;    ///< the broadcast domain that it is in
  LinkDirection* out = nullptr;  ///< where its frames go
  bool has_carrier = true;

  /// Sends a frame.
  void send(Frame frame);
};

class Node {
 public:
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  virtual ~Node() = default;

  const std::string& name() const { return name_; }

  std::size_t nic_count() const { return nics_.size(); }
  Nic& nic(std::size_t index) { return *nics_[index]; }
  const Nic& nic(std::size_t index) const { return *nics_[index]; }

  /// A frame has come in.
  virtual void receive(Nic& nic, Frame frame) = 0;

  /// The link was plugged in or pulled out, visibly.
  virtual void carrier_changed(Nic& nic) = 0;

  /// An interface was made; its link does not carry yet.
  virtual void attached(Nic& nic) = 0;

 protected:
  explicit Node(std::string name) : name_(std::move(name)) {}

 private:
  friend class World;
  Nic& add_nic(wire::Mac mac, std::uint16_t mtu) {
    const std::size_t index = nics_.size();
    nics_.push_back(std::make_unique<Nic>(Nic{.node = this,
                                              .index = index,
                                              .name = name_ + ":eth" + std::to_string(index),
                                              .mac = mac,
                                              .mtu = mtu}));
    return *nics_.back();
  }

  std::string name_;
  std::vector<std::unique_ptr<Nic>> nics_;
};

}  // namespace koine::sim
