// A network made to lose parts of itself: 58 routers on lines of 56 kbit/s, in the shape of the
// ARPANET of 1977, and lines and nodes destroyed at random while a stream crosses it.
//
// For each seed: while a way exists the stream arrives whole, and every router knows a way again
// within the protocol's bound; when none exists the program sees a timeout and never a wrong byte;
// and once everything is repaired every route is what it was.
//
// KOINE_SEEDS=1000 runs more of them, KOINE_SEED=17 one alone (see test_seed.h and script/seeds).
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "koine/async/sleep.h"
#include "koine/async/within.h"
#include "koine/sim/story_test.h"
#include "koine/sim/test_seed.h"
#include "koine/sim/world.h"

namespace koine::sim {
namespace {

struct Line {
  const char* from;
  const char* to;
  bool is_satellite = false;
};

constexpr Line lines[] = {
    {"hawaii", "ames16", true},
    {"ames16", "ames15"},
    {"ames15", "sri2"},
    {"ames15", "moffett"},
    {"ames16", "lll"},
    {"lll", "lbl"},
    {"lbl", "sri2"},
    {"sri2", "sri51"},
    {"sri51", "sumex"},
    {"sumex", "tymshare"},
    {"tymshare", "moffett"},
    {"sri51", "xerox"},
    {"xerox", "stanford"},
    {"stanford", "sumex"},
    {"stanford", "fnwc"},
    {"fnwc", "ucsb"},
    {"ucsb", "ucla"},
    {"ucla", "rand"},
    {"rand", "usc"},
    {"usc", "isi22"},
    {"isi22", "isi52"},
    {"isi52", "ucla"},
    {"isi22", "afwl"},
    {"afwl", "texas"},
    {"texas", "gunter"},
    {"gunter", "eglin"},
    {"eglin", "pentagon"},
    {"sri2", "utah"},
    {"lbl", "utah"},
    {"utah", "illinois"},
    {"utah", "dec"},
    {"illinois", "wpafb"},
    {"wpafb", "case"},
    {"case", "cmu"},
    {"cmu", "bell"},
    {"cmu", "belvoir"},
    {"belvoir", "pentagon"},
    {"pentagon", "mitre"},
    {"mitre", "arpa"},
    {"arpa", "sdac"},
    {"sdac", "norsar", true},
    {"norsar", "london"},
    {"sdac", "nbs"},
    {"nbs", "mitre"},
    {"nbs", "aberdeen"},
    {"aberdeen", "bell"},
    {"bell", "nyu"},
    {"nyu", "rutgers"},
    {"rutgers", "harvard"},
    {"harvard", "bbn30"},
    {"bbn30", "bbn40"},
    {"bbn40", "bbn49"},
    {"bbn49", "rcc5"},
    {"rcc5", "cca"},
    {"cca", "mit44"},
    {"mit44", "mit6"},
    {"mit6", "lincoln"},
    {"lincoln", "rome"},
    {"rome", "dec"},
    {"rcc5", "harvard"},
    {"mit6", "illinois"},
    {"bbn40", "dec"},
    {"aberdeen", "ndre"},
    {"ndre", "nsa"},
    {"nsa", "sdac"},
    {"scott", "argonne"},
    {"argonne", "illinois"},
    {"scott", "texas"},
    {"sdc", "rand"},
    {"sdc", "usc"},
    {"afwl", "wsmr"},
    {"wsmr", "texas"},
    {"mitre", "dcec"},
    {"dcec", "pentagon"},
    {"hawaii", "scott", true},
    {"london", "nyu", true},
};

struct Map {
  explicit Map(std::uint64_t seed) : world(seed) {
    for (const Line& line : lines)
      for (const char* name : {line.from, line.to}) add(name);
    for (const Line& line : lines) {
      cables.push_back(&world.link(*routers[line.from], *routers[line.to],
                                   {.rate = 56_kbit,
                                    .delay = line.is_satellite ? Duration(250ms) : Duration(12ms),
                                    .queue_bytes = 16 << 10}));
    }
  }

  void add(const std::string& name) {
    if (routers.contains(name)) return;
    RouterOptions options;
    options.link_state.hello = 2s;
    options.link_state.dead = 8s;
    routers[name] = &world.router(name, options);
    names.push_back(name);
  }

  /// Who can be reached from `start` over what is left.
  std::set<std::string> reachable(const std::string& start) const {
    std::set<std::string> seen;
    if (dead.contains(start)) return seen;
    std::vector<std::string> todo{start};
    seen.insert(start);
    while (!todo.empty()) {
      const std::string here = todo.back();
      todo.pop_back();
      for (std::size_t i = 0; i < std::size(lines); ++i) {
        if (cut.contains(i)) continue;
        for (const auto& [from, to] :
             {std::pair(lines[i].from, lines[i].to), std::pair(lines[i].to, lines[i].from)})
          if (from == here && !dead.contains(to) && seen.insert(to).second) todo.push_back(to);
      }
    }
    return seen;
  }

  std::map<std::string, RouteTable> tables() const {
    std::map<std::string, RouteTable> all;
    for (const auto& [name, router] : routers) all[name] = router->routes();
    return all;
  }

  World world;
  std::map<std::string, Router*> routers;
  std::vector<std::string> names;
  std::vector<Link*> cables;
  std::set<std::size_t> cut;
  std::set<std::string> dead;
};

constexpr std::size_t letter_bytes = 30'000;
constexpr Duration bound = 8s + 4s;  // of silence, and for the news to reach everybody

Io<void> letter_box(Network& network, std::string& arrived) {
  auto listener = co_await attempt(network.listen(Endpoint::tcp(any_v4, 25)));
  auto stream = co_await attempt(accept(*listener));
  while (const Buffer bytes = co_await attempt(receive(*stream))) arrived += bytes.text();
  co_return stream->finish();
}

Io<void> send_letter(Network& network) {
  std::unique_ptr<Stream> stream;
  while (stream == nullptr) {  // a router may know no way, for now
    auto dialing = dial(network, "tcp://target:25");
    auto dialed = co_await dialing;
    if (dialed) {
      stream = std::move(*dialed);
    } else {
      co_await sleep(1s);
    }
  }
  const std::string text = pattern(letter_bytes);
  co_await attempt(write_all(*stream, text));
  co_await attempt(stream->finish());
  auto rest = read_to_end(*stream);  // the box has read it all
  co_await attempt(std::move(rest));
  co_return {};
}

/// True if a way was left.
bool destroy_and_repair(std::uint64_t seed) {
  Map map(seed);
  Prng chance(seed);
  const std::string from = map.names[chance.below(map.names.size())];
  std::string to = from;
  while (to == from) to = map.names[chance.below(map.names.size())];
  auto& source = map.world.host("source");
  auto& target = map.world.host("target");
  const LinkOptions at_home{.rate = 10_Mbit, .delay = 1ms};
  map.world.link(source, *map.routers[from], at_home);
  map.world.link(target, *map.routers[to], at_home);
  map.world.run_for(20s);
  const auto before = map.tables();
  EXPECT_EQ(before.at(from).size(), 2 * (std::size(lines) + 2 - map.routers[from]->nic_count()));

  std::string arrived;
  target.run([&](Network& network) { return letter_box(network, arrived); });
  source.run([](Network& network) -> Io<void> {
    auto sending = within(120s, send_letter(network));
    co_return co_await sending;
  });
  map.world.run_for(Duration(static_cast<Duration::rep>(chance.below(4'000'000'000))));

  const std::uint64_t lines_lost = 1 + chance.below(20);
  for (std::uint64_t i = 0; i < lines_lost; ++i) {
    const std::size_t line = chance.below(std::size(lines));
    map.cut.insert(line);
    map.cables[line]->cut(chance.chance(0.5) ? Cut::silently : Cut::visibly);
  }
  const std::uint64_t nodes_lost = chance.below(6);
  for (std::uint64_t i = 0; i < nodes_lost; ++i) {
    const std::string& name = map.names[chance.below(map.names.size())];
    if (name == from || name == to || !map.dead.insert(name).second) continue;
    map.routers[name]->crash();
  }

  map.world.run_for(bound);
  const std::set<std::string> left = map.reachable(to);
  const bool has_way = left.contains(from);
  const stack::Ip home = [&] {
    const IpAddress address = target.v4();
    return stack::Ip(wire::Ipv4Address{load_be32(address.bytes().data()) & 0xffff'ff00});
  }();
  for (const auto& [name, router] : map.routers) {
    if (name == to || map.dead.contains(name)) continue;
    EXPECT_EQ(router->routes().contains({home, 24}), left.contains(name)) << name;
  }

  map.world.run_for(150s);
  EXPECT_EQ(arrived, pattern(letter_bytes).substr(0, arrived.size())) << "a wrong byte";
  if (has_way) {
    EXPECT_TRUE(source.finished()) << why(source);
    EXPECT_EQ(arrived.size(), letter_bytes);
  } else if (!source.finished()) {
    EXPECT_TRUE(source.error()) << "a program that waits for ever";
  }

  for (const std::size_t line : map.cut) map.cables[line]->mend();
  for (const std::string& name : map.dead) map.routers[name]->reboot();
  map.world.run_for(20s);
  EXPECT_TRUE(map.tables() == before) << "repair restores the routes";

  std::uint64_t circled = 0;
  for (const auto& [name, router] : map.routers) circled += router->stack()->counters().ttl_expired;
  EXPECT_EQ(circled, 0U) << "packets that died of going round";
  return has_way;
}

TEST(Arpanet, FindsAWayWhileThereIsOneAndSaysWhenThereIsNone) {
  std::uint64_t seeds = 0;
  std::uint64_t ways = 0;
  try_seeds(3, [&](std::uint64_t seed) {
    ++seeds;
    ways += destroy_and_repair(seed) ? 1 : 0;
  });
  RecordProperty("seeds", std::to_string(seeds));
  RecordProperty("with_a_way", std::to_string(ways));
}

TEST(Arpanet, HasFiftyEightNodesAndRoutersThatSpeakLittle) {
  Map map(1);
  EXPECT_EQ(map.routers.size(), 58U);
  EXPECT_EQ(map.reachable("ucla").size(), 58U);
  map.world.run_for(30s);
  const auto bytes = [&] {
    std::uint64_t sum = 0;
    for (Link* cable : map.cables)
      for (const Nic* end : {&cable->a(), &cable->b()})
        sum += cable->towards(*end->node).counters().bytes;
    return sum;
  };
  const std::uint64_t before = bytes();
  map.world.run_for(100s);
  const double used = static_cast<double>(bytes() - before) * 8 / 100;
  const double capacity = 2 * 56'000.0 * static_cast<double>(std::size(lines));
  EXPECT_LT(used / capacity, 0.01) << "of what the lines carry, at rest";
}

}  // namespace
}  // namespace koine::sim
