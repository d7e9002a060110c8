// World: a network of machines in one process, in virtual time, from one seed.
//
//     sim::World world{seed};
//     auto& client = world.host("client");
//     auto& server = world.host("server");
//     world.link(client, server, {.rate = 10_Mbit, .delay = 20ms, .loss = 0.05});
//     server.run(greet_server);  // the very functions of the real program
//     client.run(greet_client);
//     world.run();
//
// An hour in it takes as long as what happens in it. The same seed tells the same story, on every
// machine: trace() is a hash of it. A world belongs to one thread; several worlds may run on
// several.
//
// Who is linked is addressed: each link between hosts, and all that hangs on the same switches, is
// a network of its own with an IPv4 /24 of 10.0.0.0/8 and an IPv6 /64 of fd00::/8. Hosts are known
// to each other by their names.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "koine/base/block_pool.h"
#include "koine/journey/track.h"
#include "koine/sim/frame.h"
#include "koine/sim/host.h"
#include "koine/sim/link.h"
#include "koine/sim/name_server.h"
#include "koine/sim/router.h"
#include "koine/sim/segment.h"
#include "koine/sim/switch.h"
#include "koine/sim/timeline.h"

namespace koine::sim {

class Capture;
class Follower;

class World {
 public:
  /// How long run() goes on at most, in the world's time.
  static constexpr Duration run_max = std::chrono::hours(24);

  explicit World(std::uint64_t seed);
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World();

  // What there is.

  /// The host of that name, made when it is asked for first. Names are lower case, as in the DNS.
  Host& host(std::string_view name, const HostOptions& options = {});

  /// A host that shares its loop with another, so that one program may hold ends on both: for
  /// tests.
  Host& host_beside(Host& other, std::string_view name, const HostOptions& options = {});

  /// The same for routers and switches; names are unique among all of them.
  Router& router(std::string_view name, const RouterOptions& options = {});
  Switch& ethernet_switch(std::string_view name, const SwitchOptions& options = {});

  /// A cable between two nodes, plugged in.
  Link& link(Node& a, Node& b, const LinkOptions& options = {});
  Link& link(Node& a, Node& b, const LinkOptions& a_to_b, const LinkOptions& b_to_a);

  /// A further name for the addresses.
  void add_name(std::string_view name, std::vector<IpAddress> addresses);

  /// What that name means; none if it is unknown. A final dot changes nothing.
  std::vector<IpAddress> addresses_of(std::string_view name) const;

  /// Has `server` answer for these names (DNS: name_server.h). From now on every host that was not
  /// told otherwise (Host::use_name_servers) asks it, over the network, with all that can happen
  /// there; several are asked in turn. In a world without any, names are known to all at once.
  void dns(Host& server, const NameServerOptions& options = {});

  // Time.

  /// Since the beginning.
  Duration now() const { return timeline_.now().time_since_epoch(); }

  /// Calls `act` when that much time has passed: to cut a link, to crash a host.
  void after(Duration delay, Function<void()> act);

  /// Lets things happen until nothing is left that anybody waits for: programs that only wait for
  /// others may still be there (servers), and routers go on for ever. False if that took longer
  /// than `limit`.
  bool run(Duration limit = run_max);

  /// Lets that much time pass.
  void run_for(Duration duration);

  /// Does what can be done at once, then lets the next thing happen; false if there was neither.
  /// For drivers of their own.
  bool step();

  /// A hash of all that happened. Equal stories have equal hashes.
  TraceHash trace() { return timeline_.trace().hash(); }
  std::uint64_t seed() const { return timeline_.seed(); }
  std::uint64_t events() const { return timeline_.events(); }

  /// Appends all that interfaces see from now on to `file`, in the format pcapng; it must outlive
  /// the world. `epoch` is the date of the world's beginning, since 1970.
  void capture(std::string& file, Duration epoch = std::chrono::days(19'000));

  /// Follows the messages of a connection of this world from now on, to where both its programs
  /// had them; a second recorder replaces the first. It sees what happens and changes nothing.
  /// The track lives as long as the socket. Fault::unsupported if it is no socket of this world's.
  Result<journey::Track*> follow(Stream& stream, journey::Recorder& recorder);
  Result<journey::Track*> follow(Datagram& datagram, journey::Recorder& recorder);

  // For its parts.

  Timeline& timeline() { return timeline_; }
  FramePool& frames() { return frames_; }
  BlockPool& blocks() { return blocks_; }
  std::vector<Address> name_servers() const;
  /// Null until somebody follows a message.
  Follower* follower() const { return follower_.get(); }
  Follower& make_follower();
  /// The host that has the address; null if none has.
  Host* host_of(const stack::Ip& address) const;

 private:
  class Script;

  template <class Made>
  Made& add(std::unique_ptr<Made> node);
  Processor& add_processor(std::string_view name);
  Segment& segment_for(Nic& a, Nic& b);
  void join(Segment& segment, Nic& nic);
  void span_trees();
  void watch(LinkWatcher& watcher);
  bool do_what_is_ready();

  FramePool frames_;
  BlockPool blocks_;
  Timeline timeline_;
  std::unique_ptr<Script> script_;
  std::vector<std::unique_ptr<Processor>> processors_;
  std::vector<std::unique_ptr<Segment>> segments_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::map<std::string, Node*, std::less<>> named_;
  std::map<std::string, std::vector<IpAddress>, std::less<>> names_;
  std::vector<std::pair<const Host*, std::uint16_t>> name_servers_;  // and their ports
  std::vector<std::unique_ptr<Link>> links_;
  std::map<std::string, int> link_names_;
  std::unique_ptr<Capture> capture_;
  std::unique_ptr<Follower> follower_;
  LinkWatchers watchers_;
  std::uint64_t macs_ = 0;
  RouterId routers_ = 0;
};

}  // namespace koine::sim
