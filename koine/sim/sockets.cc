#include "koine/sim/sockets.h"

#include <algorithm>
#include <cassert>

#include "koine/sim/follower.h"
#include "koine/sim/track.h"
#include "koine/sim/world.h"

namespace koine::sim {

// Addresses.

IpAddress ip_address_of(const stack::Ip& ip) {
  std::byte bytes[16];
  if (ip.is_v4()) {
    ip.v4().store(bytes);
    return IpAddress::v4(std::span<const std::byte, 4>(bytes, 4));
  }
  ip.bits.store(bytes);
  return IpAddress::v6(std::span<const std::byte, 16>(bytes));
}

Address address_of(const stack::IpPort& at) { return {ip_address_of(at.ip), at.port}; }

stack::Ip ip_of(const IpAddress& address) {
  const std::byte* bytes = address.bytes().data();
  if (address.is_v4()) return wire::Ipv4Address::load(bytes);
  return wire::Ipv6Address::load(bytes);
}

std::optional<stack::IpPort> ip_port_of(const Address& address) {
  if (!address.is_ip()) return std::nullopt;
  return stack::IpPort{ip_of(address.ip()), address.port()};
}

HeldSocket::HeldSocket(Host& host, stack::SocketId id, SocketUser& user)
    : host_(host), boot_(host.boot_), id_(id) {
  host_.watch(id, user);
  ++host_.open_sockets_;
}

void HeldSocket::let_go() {
  if (!is_held_) return;
  if (stack() != nullptr) host_.unwatch(id_);
  is_held_ = false;
  --host_.open_sockets_;
}

// Streams.

SimStream::SimStream(Host& host, stack::SocketId id, Address peer)
    : socket_(host, id, *this), peer_(std::move(peer)), outbox_(host.blocks()) {
  // As on the kernel's network: what is written in one turn leaves together, and then at once.
  socket_.stack()->tcp(id)->set_no_delay(true);
}

SimStream::~SimStream() {
  stack::Host* const stack = socket_.stack();
  if (stack == nullptr) return;
  Host& host = socket_.host();
  const tcp::Connection* const connection = stack->tcp(socket_.id());
  socket_.let_go();
  if (connection == nullptr) return;
  // A close would forget what is unsent, and make a reset of what comes in or is unread.
  const bool is_open = !connection->fault() && connection->state() >= tcp::State::established &&
                       connection->state() != tcp::State::time_wait;
  if (is_open && (unsent() != 0 || connection->queued() != 0 || connection->readable() != 0)) {
    host.linger(socket_.id(), std::move(outbox_));
    return;
  }
  stack->close(socket_.id(), host.local_now());
  host.poke();
}

std::string SimStream::name() const { return to_string(Endpoint::of(peer_, Transport::tcp)); }

Address SimStream::local() const {
  const stack::Host* const stack = socket_.stack();
  if (stack == nullptr) return {};
  const auto at = stack->local(socket_.id());
  return at ? address_of(*at) : Address();
}

std::unexpected<Error> SimStream::failed(const char* operation, Fault fault) const {
  return fail(fault, operation, name());
}

Result<std::size_t> SimStream::read_now(MutableBytes into) {
  assert(!into.empty());
  stack::Host* const stack = socket_.stack();
  if (stack == nullptr) return failed("read", Fault::closed);
  auto count = stack->tcp_read(socket_.id(), into, socket_.now());
  if (Follower* const follower = socket_.host().world().follower())
    tell_read(*follower, count && *count != 0);
  if (count) {
    socket_.called();
    return count;
  }
  if (count.error() == Fault::would_block) return count;
  return failed("read", count.error().fault());
}

Result<Buffer> SimStream::receive_now() {
  BlockPool& blocks = socket_.blocks();
  std::byte* const block = blocks.take();
  const auto count = read_now({block, BlockPool::block_bytes});
  Buffer buffer(blocks, block, count.value_or(0));
  if (!count) return std::unexpected(count.error());
  return buffer;
}

Result<std::size_t> SimStream::write_now(Bytes from) {
  assert(!from.empty());
  stack::Host* const stack = socket_.stack();
  if (stack == nullptr || is_finishing_) return failed("write", Fault::closed);
  if (unsent() == 0) {
    auto count = stack->tcp_write(socket_.id(), from, socket_.now());
    if (count) {
      socket_.called();
      tell_written();
      return count;
    }
    if (count.error() != Fault::would_block) return failed("write", count.error().fault());
  } else if (const auto* connection = stack->tcp(socket_.id());
             connection == nullptr || connection->fault()) {
    return failed("write", connection == nullptr ? Fault::closed : *connection->fault());
  }
  // The stack takes no more for now, and will say when it does.
  const std::size_t count = outbox_.append(from);
  if (count == 0) return fail(Fault::would_block);
  tell_written();
  return count;
}

void SimStream::send_outbox() {
  stack::Host* const stack = socket_.stack();
  while (!outbox_.empty()) {
    const auto count = stack->tcp_write(socket_.id(), outbox_.front(), socket_.now());
    if (!count && count.error() == Fault::would_block) return;
    socket_.called();
    if (count) {
      outbox_.consume(*count);
      tell_written();
    } else {
      outbox_.clear();  // the failure shows in the next call
    }
  }
  if (is_finishing_) (void)stack->tcp_finish(socket_.id(), socket_.now());
  socket_.called();
}

Result<void> SimStream::flush_now() {
  stack::Host* const stack = socket_.stack();
  const tcp::Connection* const connection = stack == nullptr ? nullptr : stack->tcp(socket_.id());
  if (connection == nullptr) return failed("flush", Fault::closed);
  if (connection->fault()) return failed("flush", *connection->fault());
  if (unsent() == 0) return {};
  return fail(Fault::would_block);
}

Result<void> SimStream::finish() {
  stack::Host* const stack = socket_.stack();
  if (stack == nullptr) return failed("finish", Fault::closed);
  is_finishing_ = true;
  if (unsent() != 0) return {};
  const auto finished = stack->tcp_finish(socket_.id(), socket_.now());
  socket_.called();
  if (!finished) return failed("finish", finished.error().fault());
  return {};
}

void SimStream::abort() {
  stack::Host* const stack = socket_.stack();
  if (stack == nullptr) return;
  socket_.let_go();
  outbox_.clear();
  stack->tcp_abort(socket_.id(), socket_.now());
  socket_.called();
  readers_.wake_all(socket_.loop());
  writers_.wake_all(socket_.loop());
}

Result<void> SimStream::connected() const {
  stack::Host* const stack = socket_.stack();
  const tcp::Connection* const connection = stack == nullptr ? nullptr : stack->tcp(socket_.id());
  if (connection == nullptr) return failed("connect", Fault::closed);
  if (connection->fault()) return failed("connect", *connection->fault());
  if (connection->state() >= tcp::State::established) return {};
  if (connection->state() == tcp::State::closed) return failed("connect", Fault::reset);
  return fail(Fault::would_block);
}

void SimStream::happened(std::uint8_t what) {
  if ((what & (tcp::event_writable | tcp::event_failed)) != 0) {
    if (!outbox_.empty()) send_outbox();
    writers_.wake_all(socket_.loop());
  }
  if ((what & (tcp::event_readable | tcp::event_failed | tcp::event_closed)) != 0)
    readers_.wake_all(socket_.loop());
}

// Journeys.

/// What the program reads and writes is of interest to whoever follows its messages.
void SimStream::tell_written() {
  Follower* const follower = socket_.host().world().follower();
  if (follower == nullptr) return;
  const stack::Host* const stack = socket_.stack();
  const tcp::Seq end = socket_.stack()->tcp(socket_.id())->snd_end();
  follower->written({*stack->local(socket_.id()), *stack->remote(socket_.id()), true}, end.value,
                    static_cast<std::uint32_t>(end.value + unsent()));
}

void SimStream::tell_read(Follower& follower, bool got) {
  stack::Host* const stack = socket_.stack();
  const auto remote = stack->remote(socket_.id());
  const auto local = stack->local(socket_.id());
  if (!remote || !local) return;  // the connection is gone
  const FlowKey flow{*remote, *local, true};
  if (got) {
    follower.read(flow, stack->tcp(socket_.id())->next_read().value);
  } else {
    follower.asks(flow);
  }
}

Result<void> SimStream::attach(journey::Recorder* recorder) {
  track_.reset();
  if (recorder == nullptr) return {};
  stack::Host* const stack = socket_.stack();
  if (stack == nullptr || stack->tcp(socket_.id()) == nullptr)
    return failed("follow", Fault::closed);
  const FlowKey flow{*stack->local(socket_.id()), *stack->remote(socket_.id()), true};
  const auto positions = [this]() -> Track::Positions {
    stack::Host* const now = socket_.stack();
    const tcp::Connection* const connection = now == nullptr ? nullptr : now->tcp(socket_.id());
    if (connection == nullptr) return {};
    return {.written = static_cast<std::uint32_t>(connection->snd_end().value + unsent()),
            .read = connection->next_read().value,
            .connection = connection};
  };
  track_ = std::make_unique<Track>(socket_.host().world(), *recorder, flow, positions);
  track_->connection().client = to_string(Endpoint::of(local(), Transport::tcp));
  track_->connection().server = name();
  return {};
}

journey::Track* SimStream::track() { return track_.get(); }

// What lingers.

Lingering::Lingering(Host& host, stack::SocketId id, Outbox outbox, Instant deadline)
    : socket_(host, id, *this), outbox_(std::move(outbox)), deadline_(deadline) {}

Lingering::~Lingering() {
  stack::Host* const stack = socket_.stack();
  if (stack == nullptr) return;
  socket_.let_go();
  stack->close(socket_.id(), socket_.now());
  socket_.called();
}

bool Lingering::advance() {
  if (deadline_ <= socket_.now()) return true;
  if (!std::exchange(has_news_, false)) return false;
  stack::Host& stack = *socket_.stack();
  while (!outbox_.empty()) {
    const auto count = stack.tcp_write(socket_.id(), outbox_.front(), socket_.now());
    if (!count && count.error() != Fault::would_block) return true;
    if (!count) break;
    outbox_.consume(*count);
    socket_.called();
  }
  if (outbox_.empty() && !is_finished_) {
    is_finished_ = true;
    if (!stack.tcp_finish(socket_.id(), socket_.now())) return true;
    socket_.called();
  }
  // Input is dropped while output waits: a peer that has to be read before it reads would otherwise
  // wait for us as we wait for it.
  std::byte* const block = socket_.blocks().take();
  const Buffer home(socket_.blocks(), block, 0);
  while (!input_is_over_) {
    const auto count = stack.tcp_read(socket_.id(), {block, BlockPool::block_bytes}, socket_.now());
    if (!count && count.error() == Fault::would_block) break;
    if (!count) return true;
    socket_.called();
    read_ += *count;
    input_is_over_ = *count == 0 || read_ > read_bytes_max;
  }
  // Until the peer has everything it may still speak; then a close does no harm.
  return is_finished_ && (input_is_over_ || stack.tcp(socket_.id())->queued() == 0);
}

// Listeners.

ListeningPort::~ListeningPort() {
  stack::Host* const stack = socket_.stack();
  if (stack == nullptr) return;
  socket_.let_go();
  stack->close(socket_.id(), socket_.now());
  socket_.called();
}

void ListeningPort::leave(SimListener& listener) {
  std::erase(listeners_, &listener);
  next_ = 0;
}

Result<std::unique_ptr<Stream>> ListeningPort::accept(const Endpoint& endpoint) {
  stack::Host* const stack = socket_.stack();
  if (stack == nullptr) return fail(Fault::closed, "accept", to_string(endpoint));
  const auto id = stack->tcp_accept(socket_.id(), socket_.now());
  if (!id && id.error() == Fault::would_block) return std::unexpected(id.error());
  if (!id) return fail(id.error().fault(), "accept", to_string(endpoint));
  socket_.called();  // events of the new socket
  const auto peer = stack->remote(*id);
  return std::make_unique<SimStream>(socket_.host(), *id, address_of(*peer));
}

void ListeningPort::happened(std::uint8_t) {
  if (listeners_.size() == 1) {
    listeners_.front()->acceptable_.wake_all(socket_.loop());
    return;
  }
  for (std::size_t full = 0; full < listeners_.size(); next_ = (next_ + 1) % listeners_.size()) {
    SimListener& next = *listeners_[next_];
    if (next.given_.size() >= SimListener::given_max) {
      ++full;
      continue;
    }
    auto stream = accept(next.endpoint_);
    if (!stream) return;
    full = 0;
    next.given_.push_back(std::move(*stream));
    next.acceptable_.wake_all(socket_.loop());
  }
}

SimListener::SimListener(Loop& loop, Endpoint endpoint, std::shared_ptr<ListeningPort> port)
    : loop_(loop), endpoint_(std::move(endpoint)), port_(std::move(port)) {
  port_->join(*this);
}

Result<std::unique_ptr<Stream>> SimListener::accept_now() {
  if (port_ == nullptr) return fail(Fault::closed, "accept", to_string(endpoint_));
  if (given_.empty()) return port_->accept(endpoint_);
  auto stream = std::move(given_.front());
  given_.pop_front();
  return stream;
}

void SimListener::close() {
  if (port_ == nullptr) return;
  port_->leave(*this);
  port_.reset();
  for (const auto& stream : given_) stream->abort();
  given_.clear();
  acceptable_.wake_all(loop_);
}

// Datagrams.

SimDatagram::SimDatagram(Host& host, stack::SocketId id)
    : socket_(host, id, *this), local_(address_of(*socket_.stack()->local(id))) {}

SimDatagram::~SimDatagram() {
  stack::Host* const stack = socket_.stack();
  if (stack == nullptr) return;
  socket_.let_go();
  stack->close(socket_.id(), socket_.now());
}

std::string SimDatagram::name() const { return to_string(Endpoint::of(local_, Transport::udp)); }

Result<Received> SimDatagram::receive_now(MutableBytes into) {
  stack::Host* const stack = socket_.stack();
  if (stack == nullptr) return fail(Fault::closed, "receive at", name());
  const auto received = stack->udp_receive(socket_.id(), into);
  if (Follower* const follower = socket_.host().world().follower()) {
    if (received) {
      follower->datagram_read(socket_.host(), local_.port(), received->from,
                              into.first(received->size));
    } else {
      follower->datagram_asked(socket_.host(), local_.port());
    }
  }
  if (received) {
    return Received{.size = received->size,
                    .from = address_of(received->from),
                    .truncated = received->truncated};
  }
  if (received.error() == Fault::would_block) return std::unexpected(received.error());
  return fail(received.error().fault(), "receive at", name());
}

Result<void> SimDatagram::send_now(Bytes from, const Address& to) {
  stack::Host* const stack = socket_.stack();
  if (stack == nullptr) return fail(Fault::closed, "send to", to_string(to));
  const auto target = is_connected_ ? peer_ : ip_port_of(to);
  if (!target) return fail(Fault::unsupported, "send to", to_string(to));
  const auto sent = stack->udp_send(socket_.id(), from, *target, socket_.now());
  if (Follower* const follower = socket_.host().world().follower(); follower != nullptr && sent) {
    follower->datagram_written(socket_.host(), *stack->local(socket_.id()), *target, from);
    if (track_ != nullptr) track_->datagram_written();
  }
  socket_.called();
  if (!sent) return fail(sent.error().fault(), "send to", to_string(to));
  return {};
}

/// The stack has whatever was accepted.
Result<void> SimDatagram::flush_now() {
  if (socket_.stack() == nullptr) return fail(Fault::closed, "flush", name());
  return {};
}

Result<void> SimDatagram::connect(const Address& peer) {
  stack::Host* const stack = socket_.stack();
  if (stack == nullptr) return fail(Fault::closed, "connect", to_string(peer));
  const auto target = ip_port_of(peer);
  if (!target) return fail(Fault::unsupported, "connect", to_string(peer));
  const auto connected = stack->udp_connect(socket_.id(), *target);
  if (!connected) return fail(connected.error().fault(), "connect", to_string(peer));
  is_connected_ = true;
  peer_ = *target;
  return {};
}

Result<void> SimDatagram::attach(journey::Recorder* recorder) {
  track_.reset();
  if (recorder == nullptr) return {};
  if (socket_.stack() == nullptr) return fail(Fault::closed, "follow", name());
  track_ = std::make_unique<Track>(socket_.host(), *recorder, local_.port());
  track_->connection().client = name();
  return {};
}

journey::Track* SimDatagram::track() { return track_.get(); }

}  // namespace koine::sim
