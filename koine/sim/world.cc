#include "koine/sim/world.h"

#include <algorithm>
#include <set>

#include "koine/sim/capture.h"
#include "koine/sim/follower.h"
#include "koine/sim/inside.h"
#include "koine/sim/sockets.h"

namespace koine::sim {
namespace {

std::string lower_case(std::string_view name) {
  std::string lower(name);
  for (char& letter : lower)
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  return lower;
}

}  // namespace

/// What the writer of a test wants to happen at a time.
class World::Script final : public Component {
 public:
  explicit Script(Timeline& timeline) : Component(timeline) {}

  void add(Instant at, Function<void()> act) {
    acts_.emplace(at, std::move(act));  // behind those of the same time
    look_ahead();
  }

 private:
  void happen() override {
    while (!acts_.empty() && acts_.begin()->first <= now()) {
      const auto next = acts_.extract(acts_.begin());
      next.mapped()();
    }
    look_ahead();
  }
  void look_ahead() {
    set_awaited(acts_.size());
    if (!acts_.empty()) wake_at(acts_.begin()->first);
  }

  std::multimap<Instant, Function<void()>> acts_;
};

World::World(std::uint64_t seed) : timeline_(seed), script_(std::make_unique<Script>(timeline_)) {}

World::~World() {
  // Programs hold sockets of several hosts: all of them end before the first host does.
  for (const auto& node : nodes_)
    if (auto* const host = dynamic_cast<Host*>(node.get())) host->crash();
}

template <class Made>
Made& World::add(std::unique_ptr<Made> node) {
  Made& made = *node;
  [[maybe_unused]] const bool is_new = named_.emplace(made.name(), &made).second;
  assert(is_new && "another node has that name");
  nodes_.push_back(std::move(node));
  return made;
}

Processor& World::add_processor(std::string_view name) {
  // Machines boot at times of their own, so no two clocks agree.
  Prng chance = timeline_.chance_for("boot " + std::string(name));
  const Instant shown =
      Instant(1h) +
      Duration(static_cast<Duration::rep>(chance.below(std::chrono::nanoseconds(24h).count())));
  processors_.push_back(std::make_unique<Processor>(timeline_, std::string(name), shown));
  return *processors_.back();
}

Host& World::host(std::string_view name, const HostOptions& options) {
  const std::string lower = lower_case(name);
  if (const auto known = named_.find(lower); known != named_.end()) {
    auto* const host = dynamic_cast<Host*>(known->second);
    assert(host != nullptr && "a switch has that name");
    return *host;
  }
  Processor& processor = add_processor(lower);
  processor.set_background(options.is_background);
  return add(std::unique_ptr<Host>(new Host(*this, lower, options, processor)));
}

Host& World::host_beside(Host& other, std::string_view name, const HostOptions& options) {
  return add(std::unique_ptr<Host>(new Host(*this, lower_case(name), options, other.processor_)));
}

Router& World::router(std::string_view name, const RouterOptions& options) {
  const std::string lower = lower_case(name);
  Processor& processor = add_processor(lower);
  processor.set_background(true);
  return add(std::unique_ptr<Router>(new Router(*this, lower, ++routers_, options, processor)));
}

Switch& World::ethernet_switch(std::string_view name, const SwitchOptions& options) {
  return add(std::unique_ptr<Switch>(
      new Switch(timeline_, lower_case(name), options, [this] { span_trees(); })));
}

Link& World::link(Node& a, Node& b, const LinkOptions& options) {
  return link(a, b, options, options);
}

Link& World::link(Node& a, Node& b, const LinkOptions& a_to_b, const LinkOptions& b_to_a) {
  const std::uint64_t local_unicast = std::uint64_t{2} << 40;
  Nic& at_a = a.add_nic({local_unicast | ++macs_}, a_to_b.mtu);
  Nic& at_b = b.add_nic({local_unicast | ++macs_}, b_to_a.mtu);
  std::string name = a.name() + "-" + b.name();
  // Cables beside each other have numbers.
  if (const int number = ++link_names_[name]; number > 1) name += "#" + std::to_string(number);
  links_.push_back(std::make_unique<Link>(timeline_, name, at_a, at_b, a_to_b, b_to_a));
  Link& made = *links_.back();
  made.watched_by(watchers_.empty() ? nullptr : &watchers_);
  a.attached(at_a);
  b.attached(at_b);
  if (dynamic_cast<Switch*>(&a) != nullptr && dynamic_cast<Switch*>(&b) != nullptr) span_trees();
  Segment& segment = segment_for(at_a, at_b);
  for (Nic* nic : {&at_a, &at_b}) join(segment, *nic);
  return made;
}

/// The network that a new cable belongs to: that of the switch at one of its ends, or a new one.
Segment& World::segment_for(Nic& a, Nic& b) {
  const auto of = [](Nic& nic) -> Segment* {
    const bool is_switch = dynamic_cast<Switch*>(nic.node) != nullptr;
    return is_switch && nic.index > 0 ? nic.node->nic(0).segment : nullptr;
  };
  Segment* const at_a = of(a);
  Segment* const at_b = of(b);
  if (at_a != nullptr && at_b != nullptr && at_a != at_b) {
    // Two networks of switches become one.
    assert((at_a->members().empty() || at_b->members().empty()) &&
           "plug switches together before hosts: two networks have addresses of their own");
    Segment* const kept = at_b->members().empty() ? at_a : at_b;
    for (const auto& link : links_)
      for (Nic* nic : {&link->a(), &link->b()})
        if (nic->segment == at_a || nic->segment == at_b) nic->segment = kept;
    return *kept;
  }
  if (at_a != nullptr) return *at_a;
  if (at_b != nullptr) return *at_b;
  segments_.push_back(std::make_unique<Segment>(static_cast<std::uint32_t>(segments_.size())));
  return *segments_.back();
}

/// Gives the interface its addresses, and ways through the network's router to everybody on it.
void World::join(Segment& segment, Nic& nic) {
  nic.segment = &segment;
  auto* const host = dynamic_cast<Host*>(nic.node);
  if (host == nullptr) return;
  const Segment::Member own = segment.add(*host, nic);
  host->add_address(nic, segment.v4(own), Segment::v4_length);
  host->add_address(nic, segment.v6(own), Segment::v6_length);
  for (const Segment::Member& router : segment.members()) {
    if (!router.host->forwards()) continue;
    for (const Segment::Member& member : segment.members()) {
      if (member.host->forwards() || member.host->has_gateway(true)) continue;
      member.host->set_gateway(*member.nic, segment.v4(router));
      member.host->set_gateway(*member.nic, segment.v6(router));
    }
    break;
  }
}

/// The loop guard: of the cables between switches, those that are not needed to reach all carry
/// nothing.
void World::span_trees() {
  std::map<const Switch*, const Switch*> tree_of;  // a switch that is reached, and its tree's root
  std::set<const Link*> in_tree;
  for (const auto& root_node : nodes_) {
    const auto* const root = dynamic_cast<Switch*>(root_node.get());
    if (root == nullptr || !root->options_.loop_guard || !tree_of.try_emplace(root, root).second)
      continue;
    for (bool grew = true; grew;) {
      grew = false;
      for (const auto& link : links_) {
        auto* const a = dynamic_cast<Switch*>(link->a().node);
        auto* const b = dynamic_cast<Switch*>(link->b().node);
        if (a == nullptr || b == nullptr || !link->a().has_carrier || !a->options_.loop_guard ||
            !b->options_.loop_guard || tree_of.contains(a) == tree_of.contains(b))
          continue;
        if ((tree_of.contains(a) ? tree_of[a] : tree_of[b]) != root) continue;
        tree_of[a] = tree_of[b] = root;
        in_tree.insert(link.get());
        grew = true;
      }
    }
  }
  for (const auto& link : links_) {
    auto* const a = dynamic_cast<Switch*>(link->a().node);
    auto* const b = dynamic_cast<Switch*>(link->b().node);
    if (a == nullptr || b == nullptr || !a->options_.loop_guard || !b->options_.loop_guard)
      continue;
    const bool is_idle = link->a().has_carrier && !in_tree.contains(link.get());
    a->set_blocked(link->a(), is_idle);
    b->set_blocked(link->b(), is_idle);
  }
}

void World::add_name(std::string_view name, std::vector<IpAddress> addresses) {
  names_[lower_case(name)] = std::move(addresses);
}

std::vector<IpAddress> World::addresses_of(std::string_view name) const {
  if (name.ends_with('.')) name.remove_suffix(1);
  const std::string lower = lower_case(name);
  if (lower == "localhost") return {loopback_v6, loopback_v4};  // RFC 6761, section 6.3
  if (const auto added = names_.find(lower); added != names_.end()) return added->second;
  const auto node = named_.find(lower);
  const auto* const host = node == named_.end() ? nullptr : dynamic_cast<const Host*>(node->second);
  return host == nullptr ? std::vector<IpAddress>{} : host->addresses();
}

void World::dns(Host& server, const NameServerOptions& options) {
  name_servers_.emplace_back(&server, options.port);
  server.add([this, options](Network& network) { return serve_names(network, *this, options); },
             true);
}

std::vector<Address> World::name_servers() const {
  std::vector<Address> servers;
  for (const auto& [host, port] : name_servers_)
    if (const auto addresses = host->addresses(); !addresses.empty())
      servers.emplace_back(addresses.front(), port);
  return servers;
}

void World::after(Duration delay, Function<void()> act) {
  script_->add(later(timeline_.now(), delay), std::move(act));
}

/// What somebody outside put on a loop since the world stood still.
bool World::do_what_is_ready() {
  bool did = false;
  for (const auto& processor : processors_) {
    if (processor->is_idle()) continue;
    processor->run();
    did = true;
  }
  return did;
}

bool World::step() {
  const Inside inside(seed(), nullptr, nullptr);
  const bool did = do_what_is_ready();
  return timeline_.step() || did;
}

bool World::run(Duration limit) {
  const Inside inside(seed(), nullptr, nullptr);
  do_what_is_ready();
  const Instant until = later(timeline_.now(), limit);
  while (timeline_.awaited() != 0) {
    if (!timeline_.step(until)) return !timeline_.next();
  }
  return true;
}

void World::run_for(Duration duration) {
  const Inside inside(seed(), nullptr, nullptr);
  do_what_is_ready();
  const Instant until = later(timeline_.now(), duration);
  while (timeline_.step(until)) {
  }
  timeline_.pass(until);
}

void World::capture(std::string& file, Duration epoch) {
  if (capture_ != nullptr) std::erase(watchers_, capture_.get());
  capture_ = std::make_unique<Capture>(file, epoch);
  watch(*capture_);
}

void World::watch(LinkWatcher& watcher) {
  watchers_.push_back(&watcher);
  for (const auto& link : links_) link->watched_by(&watchers_);
}

// Journeys.

Follower& World::make_follower() {
  if (follower_ == nullptr) {
    follower_ = std::make_unique<Follower>(*this);
    watch(*follower_);
  }
  return *follower_;
}

Host* World::host_of(const stack::Ip& address) const {
  const IpAddress wanted = ip_address_of(address);
  for (const auto& node : nodes_) {
    auto* const host = dynamic_cast<Host*>(node.get());
    if (host == nullptr) continue;
    for (const IpAddress& each : host->addresses())
      if (each == wanted) return host;
  }
  return nullptr;
}

Result<journey::Track*> World::follow(Stream& stream, journey::Recorder& recorder) {
  auto* const ours = dynamic_cast<SimStream*>(&stream);
  if (ours == nullptr) return fail(Fault::unsupported, "follow", stream.name());
  auto attached = ours->attach(&recorder);
  if (!attached) return std::unexpected(std::move(attached.error()));
  return ours->track();
}

Result<journey::Track*> World::follow(Datagram& datagram, journey::Recorder& recorder) {
  auto* const ours = dynamic_cast<SimDatagram*>(&datagram);
  if (ours == nullptr) return fail(Fault::unsupported, "follow", datagram.name());
  auto attached = ours->attach(&recorder);
  if (!attached) return std::unexpected(std::move(attached.error()));
  return ours->track();
}

}  // namespace koine::sim
