#include "koine/os/socket_stream.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "koine/base/joined.h"
#include "koine/os/fault_of.h"
#include "koine/os/lingering.h"
#include "koine/os/sockaddr.h"
#include "koine/os/system.h"
#include "koine/os/track.h"

namespace koine::os {
namespace {

/// Pieces at least this large are sent at once rather than copied and sent at the end of the turn.
constexpr std::size_t direct_bytes_min = std::size_t{16} << 10;

// One word more costs two (see frame_pool.h), times the connections.
static_assert(sizeof(SocketStream) <= 88);

}  // namespace

Outbox::Outbox(Outbox&& other) noexcept
    : memory_(std::exchange(other.memory_, nullptr)),
      pool_(std::exchange(other.pool_, nullptr)),
      sent_(std::exchange(other.sent_, 0)),
      end_(std::exchange(other.end_, 0)) {}

std::size_t Outbox::append(Bytes bytes, BlockPool& pool) {
  const std::size_t count = std::min(bytes.size(), bytes_max - size());
  if (count == 0) return 0;
  if (memory_ == nullptr) {
    memory_ = pool.take();
    pool_ = &pool;
  } else if (pool_ == nullptr || count > bytes_max - end_) {
    make_room(pool);
  }
  std::memcpy(memory_ + end_, bytes.data(), count);
  end_ += static_cast<std::uint32_t>(count);
  return count;
}

/// Moves what is left to the begin of a block.
void Outbox::make_room(BlockPool& pool) {
  const std::size_t kept = size();
  if (pool_ != nullptr) {
    std::memmove(memory_, memory_ + sent_, kept);
  } else {
    std::byte* block = pool.take();
    std::memcpy(block, memory_ + sent_, kept);
    release();
    memory_ = block;
    pool_ = &pool;
  }
  sent_ = 0;
  end_ = static_cast<std::uint32_t>(kept);
}

void Outbox::consume(std::size_t count) {
  sent_ += static_cast<std::uint32_t>(count);
  if (empty()) release();
}

[[gnu::cold]] void Outbox::shrink() {
  if (pool_ == nullptr || empty()) return;
  const std::size_t kept = size();
  auto* exact = new std::byte[kept];
  std::memcpy(exact, memory_ + sent_, kept);
  release();
  memory_ = exact;
  end_ = static_cast<std::uint32_t>(kept);
}

void Outbox::release() {
  if (pool_ != nullptr) {
    pool_->take_back(memory_);
  } else {
    delete[] memory_;
  }
  memory_ = nullptr;
  pool_ = nullptr;
  sent_ = end_ = 0;
}

Result<std::unique_ptr<Stream>> SocketStream::make(Reactor& reactor, Fd fd, Transport transport,
                                                   Address peer) {
  std::unique_ptr<SocketStream> stream(
      new SocketStream(reactor, std::move(fd), transport, std::move(peer)));
  if (auto watched = reactor.watch(stream->watcher_); !watched) {
    close_with_reset(stream->take_fd());
    return std::unexpected(std::move(watched.error()));
  }
  return stream;
}

SocketStream::SocketStream(Reactor& reactor, Fd fd, Transport transport, Address peer)
    : reactor_(reactor), transport_(transport), peer_(std::move(peer)) {
  watcher_.fd = fd.release();
  watcher_.presume(writable_news);
}

SocketStream::~SocketStream() {
  if (!is_open()) return;
  if (sender_ && watcher_.can_write()) send_collected();
  detach();
  reactor_.unwatch(watcher_);
  reactor_.unsent_bytes -= unsent();
  if (error_ != 0 || read_error_ != 0) {
    // Something was not sent, or not read. If the connection lives, its peer must not take this for
    // a good end.
    close_with_reset(take_fd());
  } else if (sender_ || close_would_lose()) {
    linger(reactor_, take_fd(), sender_ ? std::move(sender_->outbox) : Outbox());
  } else {
    const Fd closing = take_fd();
  }
}

/// True if closing now could make the kernel forget bytes it has taken but not delivered: it does
/// so when the peer's words meet a closed socket, be they here already or still to come.
bool SocketStream::close_would_lose() const {
  if (peer_finished_) return false;
  std::byte first;
  if (sys::recv(watcher_.fd, &first, 1, MSG_PEEK | MSG_DONTWAIT) > 0) return true;
  return transport_ == Transport::tcp && sys::unacknowledged(watcher_.fd) > 0;
}

/// The error in errno, or that the stream is closed.
[[gnu::cold]] std::unexpected<Error> SocketStream::failed(const char* operation) const {
  const int error = errno;
  if (!is_open()) return std::unexpected(Error(Fault::closed, operation, name()));
  return std::unexpected(system_error(operation, name(), error));
}

/// What recv(2) answers, except that nothing interrupts it.
[[gnu::always_inline]] inline ssize_t SocketStream::receive_some(MutableBytes into) {
  into = into.first(allowed(Call::recv, into.size()));
  for (;;) {
    const ssize_t count = track_ || transport_ != Transport::tcp
                              ? receive_message(into)
                              : sys::recv(watcher_.fd, into.data(), into.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    // Less than asked for: there is no more, and what comes next will be news.
    if (count > 0 && static_cast<std::size_t>(count) < into.size()) watcher_.drained();
    return count;
  }
}

/// What it means that receive_some() answered with no bytes.
Result<std::size_t> SocketStream::received_none(ssize_t count) {
  if (count == 0) {
    if (!peer_finished_ && broken() != 0) {
      errno = broken();
      return failed("read");
    }
    peer_finished_ = true;
    return std::size_t{0};
  }
  if (errno == EAGAIN && broken() == 0) {
    watcher_.emptied();
    return nothing_yet();
  }
  // What was there is read; whoever waited for more on a connection that cannot send would wait
  // for an answer to words that were never heard.
  if (errno != EAGAIN) read_error_ = static_cast<std::uint8_t>(errno);
  errno = broken();
  return failed("read");
}

std::unexpected<Error> SocketStream::nothing_yet() {
  if (track_) track_->asks();
  return fail(Fault::would_block);
}

/// For messages that are followed, and for Unix sockets, which end a read behind descriptors
/// (dropped here) and between two senders whom they name (unix(7)). They say so: what came beside
/// the bytes had no room. Then only EAGAIN means that nothing more is there.
ssize_t SocketStream::receive_message(MutableBytes into) {
  ControlBuffer room;
  iovec piece{into.data(), into.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  if (track_) track_->give_room(message, room);
  const std::int64_t asking_since_ns = track_ ? track_->asking_since() : 0;
  const ssize_t count = sys::recvmsg(watcher_.fd, &message, 0);
  if ((message.msg_flags & MSG_CTRUNC) != 0) watcher_.presume(ended_news);
  if (track_ && count > 0)
    track_->arrived(message, asking_since_ns, static_cast<std::size_t>(count) == into.size());
  return count;
}

/// What broke the connection, or 0. The kernel tells each error once, and afterwards says "the
/// end". EPIPE is none for a reader: it says that the peer does not listen, having perhaps said all
/// it had to.
int SocketStream::broken() const {
  if (read_error_ != 0) return read_error_;
  return error_ == EPIPE ? 0 : error_;
}

Result<std::size_t> SocketStream::read_now(MutableBytes into) {
  assert(!into.empty());
  if (!is_open()) return failed("read");
  if (!watcher_.can_read()) return nothing_yet();
  const ssize_t count = receive_some(into);
  if (count > 0) return static_cast<std::size_t>(count);
  return received_none(count);
}

Result<Buffer> SocketStream::receive_now() {
  if (!is_open()) return failed("read");
  if (!watcher_.can_read()) return nothing_yet();
  BlockPool& blocks = reactor_.blocks();
  std::byte* block = blocks.take();
  const ssize_t count = receive_some({block, BlockPool::block_bytes});
  if (count > 0)
    return Result<Buffer>(std::in_place, blocks, block, static_cast<std::size_t>(count));
  auto none = received_none(count);
  blocks.take_back(block);
  if (!none) return std::unexpected(std::move(none.error()));
  return Buffer();
}

/// Sends what can be sent; 0 if nothing can. A failure is kept in error_.
[[gnu::always_inline]] inline std::size_t SocketStream::send_some(Bytes from) {
  from = from.first(allowed(Call::send, from.size()));
  if (track_) from = from.first(track_->cut(from.size()));
  for (;;) {
    const ssize_t count =
        track_ ? send_tracked(from)
               : sys::send(watcher_.fd, from.data(), from.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) {
      if (static_cast<std::size_t>(count) < from.size()) watcher_.filled();
      return static_cast<std::size_t>(count);
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN) {
      watcher_.filled();
    } else {
      broke(errno);
    }
    return 0;
  }
}

/// MSG_EOR keeps the kernel from putting what follows into the same segment, which would then have
/// the stamps of its last byte, not of this message's.
ssize_t SocketStream::send_tracked(Bytes from) {
  ControlBuffer room;
  iovec piece{const_cast<std::byte*>(from.data()), from.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  const bool asked = track_->ask(message, room, from.size());
  const int flags = MSG_NOSIGNAL | MSG_DONTWAIT;
  const ssize_t count = asked ? sys::sendmsg(watcher_.fd, &message, flags | MSG_EOR)
                              : sys::send(watcher_.fd, from.data(), from.size(), flags);
  if (count > 0) track_->sent(static_cast<std::size_t>(count), asked);
  return count;
}

/// Sends the outbox and as much of `from` as goes with it, in one call: how much of `from`.
Result<std::size_t> SocketStream::send_with_outbox(Bytes from) {
  if (track_ && track_->marked()) return send_behind_outbox(from);
  const Bytes first = sender_->outbox.rest();
  const std::size_t bytes = allowed(Call::sendmsg, first.size() + from.size());
  const std::size_t bytes_of_first = std::min(bytes, first.size());
  iovec pieces[2] = {{const_cast<std::byte*>(first.data()), bytes_of_first},
                     {const_cast<std::byte*>(from.data()), bytes - bytes_of_first}};
  msghdr message{};
  message.msg_iov = pieces;
  message.msg_iovlen = 2;
  for (;;) {
    const ssize_t sent = sys::sendmsg(watcher_.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) {
      watcher_.filled();
      return std::size_t{0};
    }
    if (sent < 0) {
      broke(errno);
      errno = error_;
      return failed("write");
    }
    const auto count = static_cast<std::size_t>(sent);
    if (track_) track_->sent(count, false);
    if (count < bytes) watcher_.filled();
    const std::size_t of_outbox = std::min(count, first.size());
    collected_was_sent(of_outbox);
    return count - of_outbox;
  }
}

/// The same in more than one call, so that each ends where a followed message does.
[[gnu::cold]] Result<std::size_t> SocketStream::send_behind_outbox(Bytes from) {
  while (sender_ && watcher_.can_write()) {
    const std::size_t sent = send_some(sender_->outbox.rest());
    if (error_ != 0) break;
    collected_was_sent(sent);
  }
  const std::size_t sent = !sender_ && watcher_.can_write() ? send_some(from) : 0;
  if (error_ == 0) return sent;
  errno = error_;
  return failed("write");
}

/// At the end of the turn, or when the kernel takes more.
inline void SocketStream::send_later() {
  if (sender_->listed()) return;
  if (watcher_.can_write()) {
    reactor_.loop().at_end_of_turn(*sender_);
  } else {
    watcher_.writers.join(*sender_);
  }
}

[[gnu::always_inline]] inline Result<std::size_t> SocketStream::collect(Bytes from) {
  if (!sender_) sender_.reset(new Sender(*this));
  const std::size_t taken = sender_->outbox.append(from, reactor_.blocks());
  reactor_.unsent_bytes += taken;
  if (taken == 0) return fail(Fault::would_block);
  send_later();
  return taken;
}

Result<std::size_t> SocketStream::write_now(Bytes from) {
  assert(!from.empty());
  const bool is_sound = is_open() && !finishing_ && error_ == 0;
  const bool is_small = from.size() < direct_bytes_min;
  if (!is_sound || !is_small || unsent() + from.size() > Outbox::bytes_max)
    return write_otherwise(from);
  return collect(from);
}

/// What cannot simply be collected.
Result<std::size_t> SocketStream::write_otherwise(Bytes from) {
  if (!is_open()) return failed("write");
  if (finishing_) return std::unexpected(Error(Fault::closed, "write", name()));
  if (error_ != 0) {
    errno = error_;
    return failed("write");
  }
  std::size_t sent = 0;
  if (watcher_.can_write()) {
    if (!sender_) {
      sent = send_some(from);
      if (error_ != 0) {
        errno = error_;
        return failed("write");
      }
    } else {
      const auto with_outbox = send_with_outbox(from);
      if (!with_outbox) return with_outbox;
      sent = *with_outbox;
    }
    if (sent != 0) {
      if (sender_) send_later();
      return sent;
    }
  }
  if (!watcher_.can_write()) {
    // The kernel takes no more. Nothing may wait unsent without being watched.
    if (sender_) send_later();
    return fail(Fault::would_block);
  }
  return collect(from);
}

void SocketStream::send_collected() {
  while (watcher_.can_write()) {
    const std::size_t sent = send_some(sender_->outbox.rest());
    if (error_ != 0) return;
    collected_was_sent(sent);
    if (sender_) continue;
    if (finishing_) finish_now();
    return;
  }
  sender_->outbox.shrink();
  send_later();
}

void SocketStream::collected_was_sent(std::size_t bytes) {
  reactor_.unsent_bytes -= bytes;
  if (bytes == sender_->outbox.size()) {
    sender_.reset();
  } else {
    sender_->outbox.consume(bytes);
  }
}

void SocketStream::drop_collected() {
  reactor_.unsent_bytes -= unsent();
  sender_.reset();
}

/// Everything was sent.
void SocketStream::finish_now() {
  if (finished_) return;
  finished_ = true;
  if (sys::shutdown(watcher_.fd, SHUT_WR) != 0) broke(errno);
}

/// Sending failed: the next write says so, the next read that finds nothing, and who waits is woken
/// to hear it.
[[gnu::cold]] void SocketStream::broke(int error) {
  error_ = static_cast<std::uint8_t>(error);
  if (track_) track_->hung_up();
  drop_collected();
  watcher_.presume(readable_news);
  watcher_.readers.wake_all(reactor_.loop());
  watcher_.writers.wake_all(reactor_.loop());
}

Result<void> SocketStream::flush_now() {
  if (!is_open()) return failed("flush");
  if (sender_ && watcher_.can_write()) send_collected();
  if (error_ != 0) {
    errno = error_;
    return failed("flush");
  }
  if (!sender_) return {};
  return fail(Fault::would_block);
}

[[gnu::cold]] Result<void> SocketStream::finish() {
  if (!is_open()) return failed("finish");
  finishing_ = true;
  if (sender_ && watcher_.can_write()) send_collected();
  if (!sender_ && error_ == 0) finish_now();
  if (error_ != 0) {
    errno = error_;
    return failed("finish");
  }
  return {};
}

// Here and not beside Track, so that it is part of each program that has sockets.
const TrackMaker track_maker{[](Reactor& reactor, journey::Recorder& recorder, int fd,
                                Transport transport, const Stream* stream) {
  return std::make_unique<Track>(reactor, recorder, fd, transport, stream);
}};

[[gnu::cold]] Result<void> SocketStream::attach(journey::Recorder* recorder) {
  detach();
  if (recorder == nullptr) return {};
  if (!is_open()) return failed("follow");
  track_ = recorder->kernel_tracks()->make(reactor_, *recorder, watcher_.fd, Transport(transport_),
                                           this);
  // Only then is there an error queue: a Unix socket gives what has arrived instead.
  if (track_->timestamping().sending) watcher_.error_queue = track_.get();
  journey::Connection& connection = track_->connection();
  if (const Address here = local(); here.kind() != Address::Kind::none)
    connection.client = name_of(here, transport_);
  connection.server = name();
  return {};
}

journey::Track* SocketStream::track() { return track_.get(); }

void SocketStream::detach() {
  if (!track_) return;
  watcher_.error_queue = nullptr;
  track_.reset();
  if (is_open()) disable_timestamping(watcher_.fd);
}

[[gnu::cold]] void SocketStream::abort() {
  if (!is_open()) return;
  detach();
  drop_collected();
  reactor_.unwatch(watcher_);
  close_with_reset(take_fd());
  watcher_.readers.wake_all(reactor_.loop());
  watcher_.writers.wake_all(reactor_.loop());
}

[[gnu::cold]] Fd SocketStream::release() {
  if (sender_) send_collected();
  detach();
  drop_collected();
  reactor_.unwatch(watcher_);
  return take_fd();
}

Address SocketStream::local() const { return is_open() ? local_address(watcher_.fd) : Address(); }

[[gnu::cold]] std::string SocketStream::name() const {
  const Address peer = peer_.get();
  if (peer.kind() == Address::Kind::none) {
    // A client of a Unix socket has no name; where it came to is the next best.
    const Address here = local();
    if (here.is_unix()) return name_of(here, transport_);
    return joined({to_string(transport_), ":", to_string(peer)});
  }
  return name_of(peer, transport_);
}

}  // namespace koine::os
