// Place: a world in which the contract of koine/transport is put to the test.
//
// The tests beside this file know a Place and the interfaces of koine/transport, and nothing else:
// no descriptor, no thread, no clock. So one suite runs on the kernel, with each multiplexer, and
// in the simulated internet. What is the kernel's alone (Unix sockets) asks the place whether it
// has it.
#pragma once

#include <cstddef>
#include <memory>
#include <ostream>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "koine/async/sleep.h"
#include "koine/async/started.h"
#include "koine/async/within.h"
#include "koine/transport/network.h"

namespace koine::contract {

/// Two hosts, the network between them, and the crank that makes all of it move.
class Place {
 public:
  /// How long a test may take, in the time of this world. It ends what would hang.
  static constexpr Duration patience = 30s;

  virtual ~Place() = default;

  /// The host that serves, and the one that its clients are on; they share a loop, and may be one
  /// host.
  virtual Network& server() = 0;
  virtual Network& client() = 0;

  /// Lets something happen: does what can be done now, or waits for what comes next. The loop has
  /// been Entered.
  virtual Result<void> turn() = 0;

  /// The addresses of server() as client() reaches them.
  virtual IpAddress v4() const = 0;
  virtual IpAddress v6() const = 0;

  /// To connect there fails with Fault::unreachable.
  virtual Address unreachable() const = 0;

  /// A host name that resolves to v4(), perhaps to v6() as well; and one that does not.
  virtual std::string known_name() const = 0;
  virtual std::string unknown_name() const = 0;

  /// What is open on both hosts: descriptors, sockets. It comes back to what it was when all is
  /// closed.
  virtual std::size_t held() const = 0;

  /// So many connections, with both their ends, can be open at once.
  virtual std::size_t connections_max() const = 0;

  /// True if there are Unix sockets; then unix_path() names a place for one, where nothing is yet.
  virtual bool has_unix_sockets() const { return false; }
  virtual std::string unix_path() { return {}; }

  Loop& loop() { return server().loop(); }

  /// An endpoint to listen at: any port of server().
  Endpoint any_tcp() const { return Endpoint::tcp(v4(), 0); }
  Endpoint any_udp() const { return Endpoint::udp(v4(), 0); }

  /// Runs the operations side by side until all are over, and gives their answers, each a Result:
  /// of one operation its answer, of several a tuple.
  template <Operation... Ops>
  auto run(Ops... ops) {
    const Loop::Entered entered(loop());
    auto running = std::make_tuple(
        std::make_unique<Started<Within<Ops>>>(loop(), within(patience, std::move(ops)))...);
    const auto all_done = [&] {
      return std::apply([](const auto&... each) { return (each->done() && ...); }, running);
    };
    std::optional<Error> broken;
    while (!all_done() && !broken) {
      if (auto turned = turn(); !turned) broken = turned.error();
    }
    const auto take = [&]<class Op>(Started<Op>& started) -> AnswerOf<Op> {
      if (broken) return std::unexpected(*broken);
      return started.take();
    };
    if constexpr (sizeof...(Ops) == 1) {
      return take(*std::get<0>(running));
    } else {
      return std::apply([&](auto&... each) { return std::make_tuple(take(*each)...); }, running);
    }
  }

  /// Waits until no more than `count` is held: what was closed may linger. False if that never
  /// comes.
  bool settles_at(std::size_t count) {
    auto story = [](Place& place, std::size_t wanted) -> Io<void> {
      while (place.held() > wanted) co_await sleep(1ms);
      co_return {};
    };
    return run(story(*this, count)).has_value();
  }
};

/// One of the worlds.
struct Kind {
  const char* name;

  /// Null if this machine cannot have that world: `why_not` says why.
  std::unique_ptr<Place> (*make)(std::string& why_not);

  /// False if a machine that runs the tests for everybody (CI=true) must be able to.
  bool may_be_missing;
};

inline void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

/// The kernel's network, with each multiplexer; and the simulated one.
std::vector<Kind> os_kinds();
std::vector<Kind> sim_kinds();

/// All there are; each file of tests ends with INSTANTIATE_CONTRACT(its fixture).
const std::vector<Kind>& kinds();

/// A test of the contract, in one world after the other.
class ContractTest : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override;

  Network& server() { return place->server(); }
  Network& client() { return place->client(); }

  /// Two ends of one connection.
  struct Ends {
    std::unique_ptr<Stream> client;
    std::unique_ptr<Stream> server;
  };
  Ends connected();

  std::unique_ptr<Place> place;
};

inline std::string kind_name(const testing::TestParamInfo<Kind>& info) { return info.param.name; }

#define INSTANTIATE_CONTRACT(Fixture) \
  INSTANTIATE_TEST_SUITE_P(, Fixture, testing::ValuesIn(kinds()), kind_name)

}  // namespace koine::contract
