#include "koine/sim/world.h"

#include <algorithm>

#include "koine/sim/capture.h"

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
  for (const auto& [name, host] : hosts_) host->crash();
}

Host& World::host(std::string_view name, const HostOptions& options) {
  if (const auto known = hosts_.find(lower_case(name)); known != hosts_.end())
    return *known->second;
  // Machines boot at times of their own, so no two clocks agree.
  Prng chance = timeline_.chance_for("boot " + lower_case(name));
  const Instant shown =
      Instant(1h) +
      Duration(static_cast<Duration::rep>(chance.below(std::chrono::nanoseconds(24h).count())));
  processors_.push_back(std::make_unique<Processor>(timeline_, lower_case(name), shown));
  return add_host(name, options, *processors_.back());
}

Host& World::host_beside(Host& other, std::string_view name, const HostOptions& options) {
  assert(!hosts_.contains(lower_case(name)));
  return add_host(name, options, other.processor_);
}

Host& World::add_host(std::string_view name, const HostOptions& options, Processor& processor) {
  if (options.is_background) processor.set_background(true);
  auto made = std::unique_ptr<Host>(new Host(*this, lower_case(name), options, processor));
  Host& host = *made;
  nodes_.push_back(std::move(made));
  hosts_.emplace(host.name(), &host);
  return host;
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
  made.watched_by(capture_.get());
  a.attached(at_a);
  b.attached(at_b);
  segments_.push_back(std::make_unique<Segment>(static_cast<std::uint32_t>(segments_.size())));
  Segment& segment = *segments_.back();
  for (Nic* nic : {&at_a, &at_b}) {
    auto& host = static_cast<Host&>(*nic->node);
    const Segment::Member& member = segment.add(host, *nic);
    nic->segment = &segment;
    host.add_address(*nic, segment.v4(member), Segment::v4_length);
    host.add_address(*nic, segment.v6(member), Segment::v6_length);
  }
  return made;
}

void World::add_name(std::string_view name, std::vector<IpAddress> addresses) {
  names_[lower_case(name)] = std::move(addresses);
}

std::vector<IpAddress> World::addresses_of(std::string_view name) const {
  const std::string lower = lower_case(name);
  if (lower == "localhost") return {loopback_v6, loopback_v4};  // RFC 6761, section 6.3
  if (const auto added = names_.find(lower); added != names_.end()) return added->second;
  if (const auto host = hosts_.find(lower); host != hosts_.end()) return host->second->addresses();
  return {};
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
  const bool did = do_what_is_ready();
  return timeline_.step() || did;
}

bool World::run(Duration limit) {
  do_what_is_ready();
  const Instant until = later(timeline_.now(), limit);
  while (timeline_.awaited() != 0) {
    if (!timeline_.step(until)) return !timeline_.next();
  }
  return true;
}

void World::run_for(Duration duration) {
  do_what_is_ready();
  const Instant until = later(timeline_.now(), duration);
  while (timeline_.step(until)) {
  }
  timeline_.pass(until);
}

void World::capture(std::string& file, Duration epoch) {
  capture_ = std::make_unique<Capture>(file, epoch);
  for (const auto& link : links_) link->watched_by(capture_.get());
}

}  // namespace koine::sim
