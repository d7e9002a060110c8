// The sockets that programs on a simulated host hold, and what stays behind when they let go.
//
// Each belongs to one boot of its host. When that is over every call fails with Fault::closed.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "koine/journey/track.h"
#include "koine/sim/host.h"
#include "koine/sim/outbox.h"
#include "koine/transport/datagram.h"
#include "koine/transport/network.h"

namespace koine::sim {

namespace tcp = stack::tcp;

class Follower;
class Track;

IpAddress ip_address_of(const stack::Ip& ip);
Address address_of(const stack::IpPort& at);
stack::Ip ip_of(const IpAddress& address);
/// Nothing for what is no IP address.
std::optional<stack::IpPort> ip_port_of(const Address& address);

/// A socket of the stack, as long as a program holds it.
class HeldSocket {
 public:
  HeldSocket(Host& host, stack::SocketId id, SocketUser& user);
  HeldSocket(const HeldSocket&) = delete;
  HeldSocket& operator=(const HeldSocket&) = delete;
  ~HeldSocket() { let_go(); }

  /// The stack it is in; null if that is gone, or if it was let go.
  stack::Host* stack() const { return is_held_ ? host_.stack_of(boot_) : nullptr; }
  stack::SocketId id() const { return id_; }
  Host& host() const { return host_; }
  Instant now() const { return host_.local_now(); }
  Loop& loop() const { return host_.loop(); }
  BlockPool& blocks() const { return host_.blocks(); }

  /// No news reach its user any more; closing it is another matter.
  void let_go();

  /// The stack was called: what it has to send leaves at the end of the turn.
  void called() const { host_.poke(); }

 private:
  Host& host_;
  std::uint64_t boot_;
  stack::SocketId id_;
  bool is_held_ = true;
};

class SimStream final : public Stream, private SocketUser {
 public:
  SimStream(Host& host, stack::SocketId id, Address peer);
  ~SimStream() override;

  Result<std::size_t> read_now(MutableBytes into) override;
  Result<Buffer> receive_now() override;
  Result<std::size_t> write_now(Bytes from) override;
  Result<void> flush_now() override;
  std::size_t unsent() const override { return outbox_.size(); }
  Result<void> finish() override;
  void abort() override;
  WaitList& readable() override { return readers_; }
  WaitList& writable() override { return writers_; }
  Address local() const override;
  Address peer() const override { return peer_; }
  std::string name() const override;
  Result<void> attach(journey::Recorder* recorder) override;
  journey::Track* track() override;

  /// For a connection that was begun: done, failed, or would_block. Writable when that may change.
  Result<void> connected() const;

 private:
  void happened(std::uint8_t what) override;
  std::unexpected<Error> failed(const char* operation, Fault fault) const;
  void send_outbox();
  void tell_written();
  void tell_read(Follower& follower, bool got);

  HeldSocket socket_;
  Address peer_;
  Outbox outbox_;
  bool is_finishing_ = false;
  WaitList readers_;
  WaitList writers_;
  std::unique_ptr<Track> track_;
};

/// What is left of a stream that was destroyed with words unsaid: it says them, and drops what it
/// hears, within bounds.
class Lingering final : private SocketUser {
 public:
  static constexpr Duration time_max = 5s;
  static constexpr std::size_t read_bytes_max = std::size_t{1} << 20;

  Lingering(Host& host, stack::SocketId id, Outbox outbox, Instant deadline);
  ~Lingering();

  Instant deadline() const { return deadline_; }

  /// Does what can be done, if there was news; true if that was all.
  bool advance();

 private:
  void happened(std::uint8_t) override { has_news_ = true; }

  HeldSocket socket_;
  Outbox outbox_;
  std::size_t read_ = 0;
  bool is_finished_ = false;
  bool input_is_over_ = false;
  bool has_news_ = true;
  Instant deadline_;
};

class SimListener;

/// One listening socket of the stack, and the listeners that share it: connections are given to
/// them in turn.
class ListeningPort final : private SocketUser {
 public:
  ListeningPort(Host& host, stack::SocketId id) : socket_(host, id, *this) {}
  ~ListeningPort();

  void join(SimListener& listener) { listeners_.push_back(&listener); }
  void leave(SimListener& listener);

  /// The next connection that is complete.
  Result<std::unique_ptr<Stream>> accept(const Endpoint& endpoint);

 private:
  void happened(std::uint8_t) override;

  HeldSocket socket_;
  std::vector<SimListener*> listeners_;
  std::size_t next_ = 0;
};

class SimListener final : public Listener {
 public:
  SimListener(Loop& loop, Endpoint endpoint, std::shared_ptr<ListeningPort> port);
  ~SimListener() override { close(); }

  Result<std::unique_ptr<Stream>> accept_now() override;
  WaitList& acceptable() override { return acceptable_; }
  void close() override;
  const Endpoint& endpoint() const override { return endpoint_; }

 private:
  friend class ListeningPort;
  /// Connections that were given to this one of several listeners and not yet accepted.
  static constexpr std::size_t given_max = 16;

  Loop& loop_;
  Endpoint endpoint_;
  std::shared_ptr<ListeningPort> port_;  // null once it is closed
  std::deque<std::unique_ptr<Stream>> given_;
  WaitList acceptable_;
};

class SimDatagram final : public Datagram, private SocketUser {
 public:
  SimDatagram(Host& host, stack::SocketId id);
  ~SimDatagram() override;

  Result<Received> receive_now(MutableBytes into) override;
  Result<void> send_now(Bytes from, const Address& to) override;
  Result<void> flush_now() override;
  Result<void> connect(const Address& peer) override;
  WaitList& readable() override { return readers_; }
  WaitList& writable() override { return writers_; }
  Address local() const override { return local_; }
  std::string name() const override;
  Result<void> attach(journey::Recorder* recorder);
  journey::Track* track();

 private:
  void happened(std::uint8_t) override { readers_.wake_all(socket_.loop()); }

  HeldSocket socket_;
  Address local_;
  bool is_connected_ = false;
  stack::IpPort peer_{};
  WaitList readers_;
  WaitList writers_;
  std::unique_ptr<Track> track_;
};

/// What the programs of one host see.
class HostNetwork final : public Network {
 public:
  explicit HostNetwork(Host& host) : host_(host) {}

  Result<std::unique_ptr<Listener>> listen(const Endpoint& at,
                                           const ListenOptions& options) override;
  Io<std::vector<IpAddress>> resolve(std::string name) override;
  Loop& loop() override { return host_.loop(); }

 private:
  Io<std::unique_ptr<Stream>> connect_stream(Address peer, Transport transport,
                                             const os::Connector* kernel) override;
  Result<std::unique_ptr<Datagram>> bind_datagram(const Endpoint& at, const ListenOptions& options,
                                                  const os::DatagramMaker* kernel) override;

  Host& host_;
  std::map<stack::IpPort, std::weak_ptr<ListeningPort>> shared_;
};

}  // namespace koine::sim
