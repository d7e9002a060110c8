// The simulated internet as a place: two hosts on one loop, and a fast cable between them.
#include "koine/sim/world.h"
#include "tests/contract/place.h"

namespace koine::contract {
namespace {

using namespace sim::literals;

class SimPlace final : public Place {
 public:
  SimPlace() : server_(world_.host("server")), client_(world_.host_beside(server_, "client")) {
    world_.link(server_, client_, {.rate = 1_Gbit, .delay = 50us});
    world_.add_name("koine.example", server_.addresses());
  }

  Network& server() override { return server_.network(); }
  Network& client() override { return client_.network(); }
  Result<void> turn() override {
    if (world_.step()) return {};
    return fail(Fault::ended, "turn", "nothing is left to happen in this world");
  }
  IpAddress v4() const override { return server_.v4(); }
  IpAddress v6() const override { return server_.v6(); }

  /// On our link, and nobody answers: the neighbor is asked for three times, a second apart.
  Address unreachable() const override { return {IpAddress::v4(10, 0, 0, 200), 9}; }

  std::string known_name() const override { return "koine.example"; }
  std::string unknown_name() const override { return "nowhere.example"; }

  std::size_t held() const override { return server_.open_sockets() + client_.open_sockets(); }

  /// Bounded by the client's ports: RFC 6056.
  std::size_t connections_max() const override { return 10'000; }

 private:
  sim::World world_{1};
  sim::Host& server_;
  sim::Host& client_;
};

}  // namespace

std::vector<Kind> sim_kinds() {
  return {{"sim",
           [](std::string&) -> std::unique_ptr<Place> { return std::make_unique<SimPlace>(); },
           false}};
}

}  // namespace koine::contract
