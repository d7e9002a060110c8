// A datagram socket of the kernel's.
#pragma once

#include <memory>

#include "koine/os/bound_socket.h"
#include "koine/os/reactor.h"
#include "koine/transport/datagram.h"

namespace koine::journey {
class Recorder;
}

namespace koine::os {

class RunDelay;
class Track;

class SocketDatagram final : public Datagram, private Timer {
 public:
  static Result<std::unique_ptr<Datagram>> make(Reactor& reactor, BoundSocket socket);
  ~SocketDatagram() override;

  Result<Received> receive_now(MutableBytes into) override;
  Result<void> send_now(Bytes from, const Address& to) override;
  Result<void> connect(const Address& peer) override;
  WaitList& readable() override { return watcher_.readers; }
  WaitList& writable() override { return waits_by_clock_ ? by_clock_ : watcher_.writers; }
  Address local() const override;
  std::string name() const override { return to_string(socket_.endpoint); }

  /// Follows messages from now on; see Tracker.
  Result<Track*> attach(journey::Recorder& recorder);
  void detach();

 private:
  SocketDatagram(Reactor& reactor, BoundSocket socket);

  static constexpr Duration pause_min = 1ms;
  static constexpr Duration pause_max = 100ms;

  bool is_udp() const { return socket_.endpoint.transport() == Transport::udp; }
  Result<Received> nothing_yet();
  void wait_for_room();
  void run() override { by_clock_.wake_all(reactor_.loop()); }  // the pause is over

  Reactor& reactor_;
  Watcher watcher_;
  BoundSocket socket_;
  WaitList by_clock_;
  Duration pause_ = pause_min;
  bool waits_by_clock_ = false;
  bool connected_ = false;
  bool refused_ = false;          // an earlier datagram was, and nobody has been told
  std::unique_ptr<Track> track_;  // null unless somebody follows messages
};

}  // namespace koine::os
