// Host: a simulated machine that runs ordinary koine programs.
//
// A program is a function that takes a Network&, the same that the kernel's network runs. The host
// gives it one that stands on a TCP/IP stack of its own (koine/stack), whose frames travel the
// links of the world. Everything about the machine can be broken: see crash(), pause(),
// set_drift().
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "koine/async/started.h"
#include "koine/async/task.h"
#include "koine/base/block_pool.h"
#include "koine/base/fifo.h"
#include "koine/base/function.h"
#include "koine/sim/node.h"
#include "koine/sim/outbox.h"
#include "koine/sim/processor.h"
#include "koine/stack/host.h"
#include "koine/transport/network.h"

namespace koine::sim {

class HostNetwork;
class Lingering;
class World;

/// What a machine runs: `Io<void> greet_server(Network& network)`.
using Program = Function<Io<void>(Network&)>;

struct HostOptions {
  stack::tcp::Profile profile = stack::tcp::linux_profile();

  std::uint8_t ttl = 64;  ///< of what it sends; IPv6 calls it the hop limit

  /// Forwards packets that are for others.
  bool forwards = false;

  /// Nobody waits for what it does by itself: World::run() ends though it goes on.
  bool is_background = false;
};

/// Who is told what happened to a socket of the stack.
class SocketUser {
 public:
  /// `what` are bits of stack::Event::what.
  virtual void happened(std::uint8_t what) = 0;

 protected:
  ~SocketUser() = default;
};

class Host : public Node, private Peripheral {
 public:
  /// Frames that wait for a machine that is paused; more are dropped.
  static constexpr std::size_t ring_frames_max = 256;

  ~Host() override;

  // Programs.

  /// Starts `program`, from the world's next turn on, and again after each reboot().
  void run(Program program);

  /// True if all programs have come to their end, and none with an error.
  bool finished() const;

  /// How the first program that failed did so.
  std::optional<Error> error() const;

  /// The network that its programs see, for a test that holds an end of its own.
  Network& network();
  Loop& loop() { return processor_.loop(); }

  // Addresses.

  /// Of its first interface; the host must be linked to something.
  IpAddress v4() const;
  IpAddress v6() const;

  /// All of them but loopback, IPv4 before IPv6.
  std::vector<IpAddress> addresses() const;

  /// Whom it asks about names, in this order, instead of those of the world; none: nobody, and no
  /// name is found.
  void use_name_servers(std::vector<Address> servers) { name_servers_ = std::move(servers); }

  // Mishaps. Not to be called by the host's own programs.

  /// The power fails. Programs, connections and caches are gone, and the peers are told nothing.
  void crash();

  /// Boots, after a crash if it is up: the same addresses, another stack, the programs from their
  /// beginnings.
  void reboot();
  bool is_up() const { return stack_ != nullptr; }

  /// Everything stands still, as when a virtual machine is moved. Some frames wait meanwhile. When
  /// it goes on its clock has gone on.
  void pause();
  void resume();

  /// From now on its clock gains so many microseconds a second, or loses them (negative).
  void set_clock_drift(std::int64_t ppm) { processor_.set_drift(ppm); }
  /// Its clock jumps ahead.
  void step_clock(Duration by) { processor_.step_clock(by); }

  // For tests and people.

  /// Sockets that are open: those that programs hold, and closed connections with words still to be
  /// delivered.
  std::size_t open_sockets() const { return open_sockets_; }

  /// Null while it is down. Whoever calls it says poke() afterwards, so that what it has to send is
  /// sent.
  stack::Host* stack() { return stack_.get(); }
  void poke();

  /// The tasks of its programs, and what each waits for.
  std::string dump() { return loop().dump(); }

  Instant local_now() const { return processor_.local_now(); }
  World& world() const { return world_; }

 protected:
  friend class World;
  Host(World& world, std::string name, const HostOptions& options, Processor& processor);

  /// An address and the route to its link; again after each boot.
  void add_address(Nic& nic, const stack::Ip& address, int prefix_length);
  void set_gateway(Nic& nic, const stack::Ip& gateway);
  bool has_gateway(bool v4) const { return gateways_[v4 ? 0 : 1].has_value(); }
  bool forwards() const { return options_.forwards; }
  std::vector<std::pair<stack::Ip, int>> addresses_of(const Nic& nic) const;

  // Node
  void receive(Nic& nic, Frame frame) override;
  void carrier_changed(Nic&) override {}
  void attached(Nic& nic) override;

 private:
  friend class HeldSocket;
  friend class HostNetwork;
  friend class SimStream;

  struct OwnAddress {
    std::size_t nic;
    stack::Ip ip;
    int length;
  };
  struct Gateway {
    std::size_t nic;
    stack::Ip ip;
  };
  struct Running {
    Program program;
    bool is_service = false;                  // it never ends, and nobody waits for that
    std::unique_ptr<Started<Io<void>>> task;  // null: it is over, or the machine is down
    bool over = false;
    std::optional<Error> error;
  };
  struct Watching {
    stack::SocketId socket;
    SocketUser* user = nullptr;
  };

  // Peripheral
  bool advance() override;
  Instant next_deadline() override;

  void boot();
  void add(Program program, bool is_service);
  void start(Running& running);
  void input(const Nic& nic, const Frame& frame);
  bool transmit();
  bool tell_users();
  bool end_lingering();
  bool look_after_programs();

  // For its sockets.
  void watch(stack::SocketId socket, SocketUser& user);
  void unwatch(stack::SocketId socket);
  /// The stack of the boot in which a socket was made; null if that is over.
  stack::Host* stack_of(std::uint64_t boot) { return boot == boot_ ? stack_.get() : nullptr; }
  BlockPool& blocks();
  void linger(stack::SocketId socket, Outbox outbox);
  World& world_;
  HostOptions options_;
  Processor& processor_;
  std::unique_ptr<HostNetwork> network_;
  Prng chance_;
  std::unique_ptr<stack::Host> stack_;
  std::uint64_t boot_ = 0;
  bool is_called_ = false;
  std::vector<OwnAddress> addresses_;
  std::optional<Gateway> gateways_[2];  // IPv4, IPv6
  std::vector<Watching> watching_;      // by the index of the socket
  std::vector<std::unique_ptr<Lingering>> lingering_;
  std::size_t open_sockets_ = 0;
  Fifo<std::pair<std::size_t, Frame>> ring_;
  std::vector<std::unique_ptr<Running>> programs_;
  std::optional<std::vector<Address>> name_servers_;
  Frame room_;
};

}  // namespace koine::sim
