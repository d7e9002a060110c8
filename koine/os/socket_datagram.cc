#include "koine/os/socket_datagram.h"

#include <algorithm>

#include "koine/os/fault_of.h"
#include "koine/os/lingering_datagrams.h"
#include "koine/os/sockaddr.h"
#include "koine/os/system.h"
#include "koine/os/track.h"

namespace koine::os {
namespace {

/// Larger datagrams go alone: of those that a path would have to fragment the kernel takes no
/// trains, and this is as much as Ethernet carries (jumbo frames).
constexpr std::size_t in_train_bytes_max = 9000;

/// How long it is believed that no trains can be sent, or of smaller datagrams only.
constexpr Duration belief = 10s;

/// To so many peers trains are collected at a time.
constexpr std::size_t trains_max = 8;

}  // namespace

Result<std::unique_ptr<Datagram>> SocketDatagram::make(Reactor& reactor, BoundSocket socket) {
  std::unique_ptr<SocketDatagram> made(new SocketDatagram(reactor, std::move(socket)));
  if (auto watched = reactor.watch(made->watcher_); !watched) {
    made->socket_.fd.reset();
    return std::unexpected(std::move(watched.error()));
  }
  return made;
}

SocketDatagram::SocketDatagram(Reactor& reactor, BoundSocket socket)
    : reactor_(reactor), socket_(std::move(socket)), departure_(*this) {
  const int fd = socket_.fd.get();
  watcher_.fd = fd;
  watcher_.presume(writable_news);
  if (!is_udp()) return;
  // Whoever passed us a socket may read from it as well, and not know what to do with a train.
  accepts_trains_ = socket_.inherited ? accepts_trains(fd) : accept_trains(fd);
  sends_trains_ = can_send_trains(fd);
}

SocketDatagram::~SocketDatagram() {
  if (!socket_.fd) return;
  depart();
  detach();
  reactor_.unwatch(watcher_);
  if (!trains_.empty()) linger(reactor_, std::move(socket_.fd), std::move(trains_));
}

// Receiving.

Result<Received> SocketDatagram::receive_now(MutableBytes into) {
  if (arrived_.rest) return receive_of_train(into);
  if (refused_) {
    refused_ = false;
    return std::unexpected(Error(Fault::refused, "receive at", name(), ECONNREFUSED));
  }
  if (!watcher_.can_read()) return nothing_yet();
  if (!accepts_trains_) return receive(into, {});
  std::byte* block = reactor_.blocks().take();
  auto received = receive(into, {block, BlockPool::block_bytes});
  if (!arrived_.rest) reactor_.blocks().take_back(block);
  return received;
}

/// What comes alone goes straight to `into`. Of a train the rest goes to `block`; all of it does
/// while trains are what comes, since its bytes would have to be moved there.
Result<Received> SocketDatagram::receive(MutableBytes into, MutableBytes block) {
  const std::size_t direct =
      block.empty() ? into.size() : std::min(trains_come_ ? 0 : into.size(), block.size());
  Sockaddr from;
  const MutableBytes behind = block.subspan(std::min(direct, block.size()));
  iovec pieces[2] = {{into.data(), direct}, {behind.data(), behind.size()}};
  msghdr message{};
  message.msg_name = from.get();
  message.msg_namelen = from.size;
  message.msg_iov = pieces;
  message.msg_iovlen = block.empty() ? 1 : 2;
  ControlBuffer room;
  if (is_udp()) {
    message.msg_control = room.bytes;
    message.msg_controllen = sizeof(room.bytes);
  }
  const std::int64_t asking_since_ns = track_ ? track_->asking_since() : 0;
  ssize_t returned = 0;
  do {
    returned = sys::recvmsg(socket_.fd.get(), &message, 0);
  } while (returned < 0 && errno == EINTR);
  if (returned < 0) {
    const int error = errno;
    if (error != EAGAIN) return std::unexpected(system_error("receive at", name(), error));
    watcher_.emptied();
    return nothing_yet();
  }
  const auto count = static_cast<std::size_t>(returned);
  if (track_) track_->arrived(arrival_of(message), asking_since_ns);
  from.size = message.msg_namelen;
  std::size_t size = count;  // of the first datagram
  if (const std::size_t each = datagram_bytes_of(message); each != 0) size = std::min(each, count);
  const std::size_t fits = std::min(size, into.size());
  if (direct == 0) {
    std::ranges::copy(block.first(fits), into.begin());
  } else if (const std::size_t end = std::min(count, direct); size < end) {
    std::ranges::copy(into.first(end).subspan(size), block.subspan(size).begin());
  }
  const Received received{.size = fits,
                          .from = from_sockaddr(from),
                          .truncated = fits < size || (message.msg_flags & MSG_TRUNC) != 0};
  trains_come_ = size < count;
  if (trains_come_) {
    arrived_.rest = Buffer(reactor_.blocks(), block.data(), count);
    arrived_.rest.consume(size);
    arrived_.datagram_bytes = size;
    arrived_.from = received.from;
    arrived_.stamp_ns = track_ ? arrival_of(message) : std::nullopt;
  }
  return received;
}

Received SocketDatagram::receive_of_train(MutableBytes into) {
  if (track_) track_->arrived(arrived_.stamp_ns, realtime_ns());
  const Bytes rest = arrived_.rest.bytes();
  const Bytes datagram = rest.first(std::min(arrived_.datagram_bytes, rest.size()));
  const std::size_t size = std::min(datagram.size(), into.size());
  std::ranges::copy(datagram.first(size), into.begin());
  arrived_.rest.consume(datagram.size());
  if (!arrived_.rest) arrived_.rest = Buffer();
  return {.size = size, .from = arrived_.from, .truncated = size < datagram.size()};
}

Result<Received> SocketDatagram::nothing_yet() {
  if (late_) return std::unexpected(late_error());
  if (track_) track_->asks();
  return fail(Fault::would_block);
}

// Sending.

Result<void> SocketDatagram::send_now(Bytes from, const Address& to) {
  waits_by_clock_ = false;
  if (late_ && late_->to == to) return std::unexpected(late_error());
  if (!watcher_.can_write()) return fail(Fault::would_block);
  Train* train = train_to(to);
  if (!may_collect(from.size())) {
    // What was sent to this peer before goes before.
    if (train != nullptr && !send(*train)) return fail(Fault::would_block);
  } else if (train != nullptr || arrived_.rest) {
    if (train == nullptr) {
      auto target = target_of(to);
      if (!target) return std::unexpected(std::move(target.error()));
      train = begin_train(to, *target);
    }
    if (train == nullptr || (!train->takes(from.size()) && !send(*train)))
      return fail(Fault::would_block);
    train->append(from, reactor_.blocks());
    if (train->full()) send(*train);
    depart_later();
    return {};
  }
  auto target = target_of(to);
  if (!target) return std::unexpected(std::move(target.error()));
  return send_alone(from, to, *target);
}

/// What the kernel calls `to`; nothing on a connected socket.
Result<std::optional<Sockaddr>> SocketDatagram::target_of(const Address& to) const {
  if (connected_) return std::nullopt;
  auto target = to_sockaddr(to);
  if (!target) return std::unexpected(std::move(target.error()).with_operation("send to", {}));
  return *target;
}

Result<void> SocketDatagram::send_alone(Bytes from, const Address& to,
                                        const std::optional<Sockaddr>& target) {
  const int error = transmit(from, from.size(), target, track_.get());
  if (error == EAGAIN) {
    wait_for_room();
    return fail(Fault::would_block);
  }
  if (error != 0) return std::unexpected(system_error("send to", to_string(to), error));
  pause_ = pause_min;
  if (sends_trains_ && train_to(to) == nullptr) begin_train(to, target);
  return {};
}

/// Sends `bytes` as datagrams of `datagram_bytes` each: 0, or an errno.
int SocketDatagram::transmit(Bytes bytes, std::size_t datagram_bytes,
                             const std::optional<Sockaddr>& target, Track* track) {
  iovec piece{const_cast<std::byte*>(bytes.data()), bytes.size()};
  msghdr message{};
  if (target) {
    message.msg_name = const_cast<sockaddr*>(target->get());
    message.msg_namelen = target->size;
  }
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  ControlBuffer room;
  if (bytes.size() > datagram_bytes) cut_into(message, room, datagram_bytes);
  bool asked = track != nullptr && track->ask(message, room, bytes.size());
  for (bool is_second_try = false;;) {
    if (sys::sendmsg(socket_.fd.get(), &message, MSG_NOSIGNAL) >= 0) {
      if (track != nullptr) track->sent(bytes.size(), asked);
      return 0;
    }
    const int error = errno;
    if (error == EINTR) continue;
    if (track != nullptr && track->refused(error, asked)) {
      asked = track->ask(message, room, bytes.size());
      continue;
    }
    if (error == ECONNREFUSED && connected_ && is_udp() && !is_second_try) {
      // The answer to an earlier datagram, and this one was not sent: see Datagram::connect().
      is_second_try = true;
      refused_ = true;
      watcher_.presume(readable_news);
      watcher_.readers.wake_all(reactor_.loop());
      continue;
    }
    return error;
  }
}

/// A socket without room of its own tells when there is some. A Unix socket whose target is full
/// does not, unless it is connected: then it has to be tried again by the clock.
void SocketDatagram::wait_for_room() {
  if (is_udp() || connected_) {
    watcher_.filled();
    return;
  }
  waits_by_clock_ = true;
  reactor_.loop().arm(*this, reactor_.loop().now() + pause_);
  pause_ = std::min<Duration>(pause_ * 2, pause_max);
}

// Trains.

/// Whether a datagram of so many bytes may leave in a train. One that is followed goes alone, and
/// so does one without payload, which a train cannot have.
bool SocketDatagram::may_collect(std::size_t bytes) {
  if (!sends_trains_ || bytes == 0 || (track_ && track_->marked())) return false;
  if (bytes <= in_train_max_) return true;
  if (reactor_.loop().now() < in_train_max_until_) return false;
  in_train_max_ = in_train_bytes_max;
  return bytes <= in_train_max_;
}

/// The train to a peer that something was sent to in this turn, or null.
Train* SocketDatagram::train_to(const Address& to) {
  for (Train& train : trains_)
    if (train.to() == to) return &train;
  return nullptr;
}

/// An empty one. It may take the place of another, which then leaves; null if that cannot.
Train* SocketDatagram::begin_train(const Address& to, const std::optional<Sockaddr>& target) {
  depart_later();
  if (trains_.size() < trains_max) return &trains_.emplace_back(to, target);
  Train& oldest = trains_[oldest_];
  if (!send(oldest)) return nullptr;
  oldest_ = (oldest_ + 1) % trains_max;
  oldest.turn_to(to, target);
  return &oldest;
}

/// Sends what is in it; false if the kernel does not take all of that now. If it does not take it
/// as a train, the datagrams go one by one.
bool SocketDatagram::send(Train& train) {
  for (std::size_t together = together_max_; !train.empty();) {
    if (!watcher_.can_write()) return false;
    const Bytes next = train.first(together);
    const int error = transmit(next, train.datagram_bytes(), train.target(), nullptr);
    if (error == EAGAIN) {
      watcher_.filled();
      return false;
    }
    if (error != 0 && next.size() > train.datagram_bytes()) {
      const std::size_t once = train_datagrams_max_once * train.datagram_bytes();
      if (error == EINVAL && next.size() > once) {
        together = train_datagrams_max_once;
      } else {
        together = 1;
        learn(error, train.datagram_bytes());
      }
      continue;
    }
    if (error != 0) {
      lost(train.to(), error);
    } else if (next.size() > train.datagram_bytes()) {
      together_max_ = together;  // it was the number that the kernel refused, if any was
    }
    train.consume(next.size());
  }
  return true;
}

/// A train of such datagrams was not taken, for one of the reasons udp_send_skb() has: a segment is
/// larger than the path takes, or the device computes no checksums.
void SocketDatagram::learn(int error, std::size_t datagram_bytes) {
  if (error != EIO && error != EINVAL && error != EMSGSIZE) return;
  in_train_max_ = error == EIO ? 0 : datagram_bytes - 1;
  in_train_max_until_ = reactor_.loop().now() + belief;
}

/// A datagram that had been accepted was not sent: the next send to that peer says so, or the next
/// receive that finds nothing; who waits may be waiting for the answer.
void SocketDatagram::lost(const Address& to, int error) {
  if (!late_) late_ = Late{to, system_error("send to", to_string(to), error)};
  ++late_->count;
  watcher_.readers.wake_all(reactor_.loop());
}

Error SocketDatagram::late_error() {
  Error late = std::move(late_->why)
                   .with_note("datagrams that had been accepted and are lost: " +
                              std::to_string(late_->count));
  late_.reset();
  return late;
}

void SocketDatagram::depart_later() {
  if (departure_.listed()) return;
  if (watcher_.can_write()) {
    reactor_.loop().at_end_of_turn(departure_);
  } else {
    watcher_.writers.join(departure_);
  }
}

/// Sends what was collected.
void SocketDatagram::depart() {
  for (Train& train : trains_) {
    if (send(train)) continue;
    for (Train& waiting : trains_) waiting.shrink();
    depart_later();
    return;
  }
  trains_.clear();
  oldest_ = 0;
}

Result<void> SocketDatagram::flush_now() {
  waits_by_clock_ = false;
  depart();
  if (late_) return std::unexpected(late_error());
  if (!trains_.empty()) return fail(Fault::would_block);
  return {};
}

Result<void> SocketDatagram::connect(const Address& peer) {
  const auto target = to_sockaddr(peer);
  if (!target) return std::unexpected(target.error());
  depart();  // what was accepted for others
  if (sys::connect(socket_.fd.get(), target->get(), target->size) != 0) {
    const int error = errno;
    return std::unexpected(system_error("connect", to_string(peer), error));
  }
  connected_ = true;
  return {};
}

Result<Track*> SocketDatagram::attach(journey::Recorder& recorder) {
  detach();
  track_ = std::make_unique<Track>(reactor_, recorder, socket_.fd.get(),
                                   socket_.endpoint.transport(), nullptr);
  // Only then is there an error queue: a Unix socket gives what has arrived instead.
  if (track_->timestamping().sending) watcher_.error_queue = track_.get();
  journey::Connection& connection = track_->connection();
  connection.client = name();
  const Address peer = peer_address(socket_.fd.get());
  if (peer.kind() != Address::Kind::none)
    connection.server = name_of(peer, socket_.endpoint.transport());
  return track_.get();
}

void SocketDatagram::detach() {
  if (!track_) return;
  watcher_.error_queue = nullptr;
  track_.reset();
  disable_timestamping(socket_.fd.get());
}

Address SocketDatagram::local() const { return local_address(socket_.fd.get()); }

}  // namespace koine::os
