// A datagram socket of the kernel's.
//
// Trains are the normal way of UDP (udp_offload.h). What arrives as one is handed out datagram by
// datagram without asking the kernel again. Of what is sent in one turn of the loop the first
// datagram to each peer goes out at once, so a lone one is neither later nor dearer for it; those
// that follow, and all answers to a train, are collected and leave together at the end of the turn.
// Where the kernel or the path takes no trains, each datagram goes alone.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "koine/os/bound_socket.h"
#include "koine/os/reactor.h"
#include "koine/os/train.h"
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
  Result<void> flush_now() override;
  Result<void> connect(const Address& peer) override;
  WaitList& readable() override { return watcher_.readers; }
  WaitList& writable() override { return waits_by_clock_ ? by_clock_ : watcher_.writers; }
  Address local() const override;
  std::string name() const override { return to_string(socket_.endpoint); }

  /// Follows messages from now on; see Tracker.
  Result<Track*> attach(journey::Recorder& recorder);
  void detach();

 private:
  /// A train that arrived, and of which some is not yet handed out.
  struct Arrived {
    Buffer rest;
    std::size_t datagram_bytes = 0;
    Address from;
    std::optional<std::int64_t> stamp_ns;  // when the kernel had it, if messages are followed
  };

  /// Datagrams that had been accepted and were not sent.
  struct Late {
    Address to;  // the first of them
    Error why;
    std::size_t count = 0;
  };

  /// The moment to send what was collected: the end of the turn, or when the kernel takes more.
  class Departure final : public Runnable {
   public:
    explicit Departure(SocketDatagram& socket) : socket_(socket) {}
    void run() override { socket_.depart(); }

   private:
    SocketDatagram& socket_;
  };

  SocketDatagram(Reactor& reactor, BoundSocket socket);

  static constexpr Duration pause_min = 1ms;
  static constexpr Duration pause_max = 100ms;

  bool is_udp() const { return socket_.endpoint.transport() == Transport::udp; }
  Result<Received> receive(MutableBytes into, MutableBytes block);
  Received receive_of_train(MutableBytes into);
  Result<Received> nothing_yet();

  Result<std::optional<Sockaddr>> target_of(const Address& to) const;
  Result<void> send_alone(Bytes from, const Address& to, const std::optional<Sockaddr>& target);
  int transmit(Bytes bytes, std::size_t datagram_bytes, const std::optional<Sockaddr>& target,
               Track* track);
  void wait_for_room();
  void run() override { by_clock_.wake_all(reactor_.loop()); }  // the pause is over

  bool may_collect(std::size_t bytes);
  Train* train_to(const Address& to);
  Train* begin_train(const Address& to, const std::optional<Sockaddr>& target);
  bool send(Train& train);
  void learn(int error, std::size_t datagram_bytes);
  void lost(const Address& to, int error);
  Error late_error();
  void depart_later();
  void depart();

  Reactor& reactor_;
  Watcher watcher_;
  BoundSocket socket_;
  WaitList by_clock_;
  Duration pause_ = pause_min;
  bool waits_by_clock_ = false;
  bool connected_ = false;
  bool refused_ = false;  // an earlier datagram was, and nobody has been told
  bool accepts_trains_ = false;
  bool trains_come_ = false;  // what came last was one
  bool sends_trains_ = false;
  Arrived arrived_;
  std::vector<Train> trains_;  // to those peers that something was sent to in this turn
  std::size_t oldest_ = 0;     // of them: it makes room for another
  std::size_t together_max_ = train_datagrams_max;  // until the kernel is found to take fewer
  std::size_t in_train_max_ = 0;                    // bytes of a datagram; larger ones go alone
  Instant in_train_max_until_{};                    // so long this is believed
  std::optional<Late> late_;
  Departure departure_;
  std::unique_ptr<Track> track_;  // null unless somebody follows messages
};

}  // namespace koine::os
