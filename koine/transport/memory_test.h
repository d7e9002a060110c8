// A network in memory, for tests of whatever is handed a Network: no socket, no clock of its own,
// and every mishap on demand.
//
// What is written at once arrives at once, so a test says how its bytes are cut. A connection holds
// as much as a kernel's would (`window_bytes` on the way, 64 KiB unsent before that), so a slow
// reader makes a slow writer.
#pragma once

#include <algorithm>
#include <cassert>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "koine/async/sleep.h"
#include "koine/async/virtual_time.h"
#include "koine/transport/network.h"

namespace koine::memory {

/// Memory for Buffers that knows how much of it is lent.
class Blocks final : public BufferHome {
 public:
  Buffer lend(std::vector<std::byte> bytes) {
    const std::size_t size = bytes.size();
    std::byte* block = new std::byte[size];
    std::copy(bytes.begin(), bytes.end(), block);
    ++lent;
    return Buffer(*this, block, size);
  }
  void take_back(std::byte* block) noexcept override {
    delete[] block;
    --lent;
  }

  int lent = 0;
};

/// One direction of a connection.
class Pipe {
 public:
  static constexpr std::size_t unsent_bytes_max = std::size_t{64} << 10;

  Pipe(Loop& loop, std::size_t window_bytes) : loop_(loop), window_bytes_(window_bytes) {}

  /// Bytes that arrive by themselves, whatever the window.
  void put(Bytes chunk) {
    on_the_way_.emplace_back(chunk.begin(), chunk.end());
    readable.wake_all(loop_);
  }
  std::size_t write(Bytes from) {
    const Bytes taken = from.first(std::min(from.size(), unsent_bytes_max - unsent_.size()));
    if (taken.empty()) return 0;
    if (unsent_.empty() && bytes_on_the_way() < window_bytes_) {
      // The usual case: a write is a chunk.
      const Bytes sent = taken.first(std::min(taken.size(), window_bytes_ - bytes_on_the_way()));
      put(sent);
      unsent_.insert(unsent_.end(), taken.begin() + static_cast<std::ptrdiff_t>(sent.size()),
                     taken.end());
    } else {
      unsent_.insert(unsent_.end(), taken.begin(), taken.end());
      flow();
    }
    return taken.size();
  }
  std::vector<std::byte> read(std::size_t bytes_max) {
    if (on_the_way_.empty()) return {};
    std::vector<std::byte>& first = on_the_way_.front();
    std::vector<std::byte> read;
    if (first.size() <= bytes_max) {
      read = std::move(first);
      on_the_way_.pop_front();
    } else {
      const auto end = first.begin() + static_cast<std::ptrdiff_t>(bytes_max);
      read.assign(first.begin(), end);
      first.erase(first.begin(), end);
    }
    flow();
    return read;
  }

  bool empty() const { return on_the_way_.empty() && unsent_.empty(); }
  std::size_t unsent() const { return unsent_.size(); }
  void finish() {
    finished = true;
    readable.wake_all(loop_);
  }
  void reset() {
    broken = true;
    on_the_way_.clear();
    unsent_.clear();
    readable.wake_all(loop_);
    writable.wake_all(loop_);
  }

  WaitList readable;
  WaitList writable;
  bool finished = false;
  bool broken = false;

 private:
  std::size_t bytes_on_the_way() const {
    std::size_t bytes = 0;
    for (const auto& chunk : on_the_way_) bytes += chunk.size();
    return bytes;
  }
  void flow() {
    const std::size_t room = window_bytes_ - std::min(window_bytes_, bytes_on_the_way());
    const auto count = static_cast<std::ptrdiff_t>(std::min(room, unsent_.size()));
    if (count == 0) return;
    on_the_way_.emplace_back(unsent_.begin(), unsent_.begin() + count);
    unsent_.erase(unsent_.begin(), unsent_.begin() + count);
    readable.wake_all(loop_);
    writable.wake_all(loop_);
  }

  Loop& loop_;
  std::size_t window_bytes_;
  std::deque<std::vector<std::byte>> on_the_way_;
  std::vector<std::byte> unsent_;
};

class MemoryStream final : public Stream {
 public:
  MemoryStream(Blocks& blocks, std::shared_ptr<Pipe> in, std::shared_ptr<Pipe> out, Address local,
               Address peer)
      : blocks_(blocks),
        in_(std::move(in)),
        out_(std::move(out)),
        local_(std::move(local)),
        peer_(std::move(peer)) {}
  ~MemoryStream() override {
    if (!closed_) out_->finish();
  }

  Result<std::size_t> read_now(MutableBytes into) override {
    assert(!into.empty());
    auto bytes = take(into.size());
    if (!bytes) return std::unexpected(bytes.error());
    std::copy(bytes->begin(), bytes->end(), into.begin());
    return bytes->size();
  }
  Result<Buffer> receive_now() override {
    auto bytes = take(std::size_t{64} << 10);
    if (!bytes) return std::unexpected(bytes.error());
    if (bytes->empty()) return Buffer();
    return blocks_.lend(std::move(*bytes));
  }
  Result<std::size_t> write_now(Bytes from) override {
    assert(!from.empty());
    if (closed_ || finished_) return fail(Fault::closed, "write", name());
    if (out_->broken) return fail(Fault::reset, "write", name());
    const std::size_t taken = out_->write(from);
    if (taken == 0) return fail(Fault::would_block);
    return taken;
  }
  Result<void> flush_now() override {
    if (closed_) return fail(Fault::closed, "flush", name());
    if (out_->broken) return fail(Fault::reset, "flush", name());
    if (out_->unsent() != 0) return fail(Fault::would_block);
    return {};
  }
  std::size_t unsent() const override { return out_->unsent(); }
  Result<void> finish() override {
    if (closed_) return fail(Fault::closed, "finish", name());
    finished_ = true;
    out_->finish();
    return {};
  }
  void abort() override {
    closed_ = true;
    out_->reset();
    in_->reset();
  }
  WaitList& readable() override { return in_->readable; }
  WaitList& writable() override { return out_->writable; }
  Address local() const override { return local_; }
  Address peer() const override { return peer_; }
  std::string name() const override {
    if (!peer_.is_ip()) return "memory";
    return to_string(Endpoint::of(peer_, Transport::tcp));
  }

  /// Where a test puts what "the peer sent", cut as it likes.
  Pipe& in() { return *in_; }

 private:
  Result<std::vector<std::byte>> take(std::size_t bytes_max) {
    if (closed_) return fail(Fault::closed, "read", name());
    if (in_->broken) return fail(Fault::reset, "read", name());
    auto bytes = in_->read(bytes_max);
    if (bytes.empty() && !(in_->finished && in_->empty())) return fail(Fault::would_block);
    return bytes;
  }

  Blocks& blocks_;
  std::shared_ptr<Pipe> in_;
  std::shared_ptr<Pipe> out_;
  Address local_;
  Address peer_;
  bool finished_ = false;
  bool closed_ = false;
};

class MemoryNetwork;

class MemoryListener final : public Listener {
 public:
  MemoryListener(MemoryNetwork& network, Endpoint endpoint)
      : network_(network), endpoint_(std::move(endpoint)) {}
  ~MemoryListener() override { close(); }

  Result<std::unique_ptr<Stream>> accept_now() override;
  WaitList& acceptable() override { return acceptable_; }
  void close() override;
  const Endpoint& endpoint() const override { return endpoint_; }

 private:
  friend class MemoryNetwork;
  MemoryNetwork& network_;
  Endpoint endpoint_;
  WaitList acceptable_;
  std::deque<std::unique_ptr<Stream>> queue_;
  bool closed_ = false;
};

class MemoryDatagram final : public Datagram {
 public:
  MemoryDatagram(MemoryNetwork& network, Address local)
      : network_(network), local_(std::move(local)) {}
  ~MemoryDatagram() override;

  Result<Received> receive_now(MutableBytes into) override {
    if (queue_.empty()) return fail(Fault::would_block);
    const auto [from, text] = std::move(queue_.front());
    queue_.pop_front();
    const std::size_t size = std::min(into.size(), text.size());
    std::copy_n(as_bytes(text).begin(), size, into.begin());
    return Received{.size = size, .from = from, .truncated = size < text.size()};
  }
  Result<void> send_now(Bytes from, const Address& to) override;
  Result<void> flush_now() override { return {}; }
  Result<void> connect(const Address&) override { return {}; }
  WaitList& readable() override { return readable_; }
  WaitList& writable() override { return writable_; }
  Address local() const override { return local_; }
  std::string name() const override { return "udp://" + to_string(local_); }

 private:
  friend class MemoryNetwork;
  MemoryNetwork& network_;
  Address local_;
  WaitList readable_;
  WaitList writable_;
  std::deque<std::pair<Address, std::string>> queue_;
};

class MemoryNetwork final : public Network {
 public:
  explicit MemoryNetwork(Loop& loop) : loop_(loop) {}

  Io<std::unique_ptr<Stream>> connect_stream(Address peer, Transport,
                                             const os::Connector*) override {
    ++connects;
    if (connect_takes > Duration::zero()) co_await sleep(connect_takes);
    if (!connect_faults.empty()) {
      const Fault fault = connect_faults.front();
      connect_faults.pop_front();
      co_return fail(fault, "connect", "tcp://" + to_string(peer));
    }
    co_return connect_now(client, std::move(peer));
  }

  /// A connection from `from`, complete at once; the listener's queue has no bound.
  Result<std::unique_ptr<Stream>> connect_now(IpAddress from, Address peer) {
    const auto at = listeners_.find(peer);
    if (at == listeners_.end()) return fail(Fault::refused, "connect", to_string(peer));
    const Address here(from, next_port_++);
    auto there = std::make_shared<Pipe>(loop_, window_bytes);
    auto back = std::make_shared<Pipe>(loop_, window_bytes);
    at->second->queue_.push_back(std::make_unique<MemoryStream>(blocks, there, back, peer, here));
    at->second->acceptable_.wake_all(loop_);
    return std::make_unique<MemoryStream>(blocks, back, there, here, peer);
  }

  Result<std::unique_ptr<Listener>> listen(const Endpoint& at, const ListenOptions&) override {
    if (at.has_name()) return fail(Fault::not_found, "listen", to_string(at));
    if (at.transport() != Transport::tcp) return fail(Fault::unsupported, "listen", to_string(at));
    const Endpoint real = at.port() == 0 ? at.with_port(next_port_++) : at;
    auto listener = std::make_unique<MemoryListener>(*this, real);
    if (!listeners_.emplace(*real.address(), listener.get()).second) {
      listener->closed_ = true;
      return fail(Fault::address_in_use, "listen", to_string(at));
    }
    return listener;
  }

  Result<std::unique_ptr<Datagram>> bind_datagram(const Endpoint& at, const ListenOptions&,
                                                  const os::DatagramMaker*) override {
    if (at.transport() != Transport::udp) return fail(Fault::unsupported, "listen", to_string(at));
    const Endpoint real = at.port() == 0 ? at.with_port(next_port_++) : at;
    auto socket = std::make_unique<MemoryDatagram>(*this, *real.address());
    if (!datagrams_.emplace(*real.address(), socket.get()).second)
      return fail(Fault::address_in_use, "listen", to_string(at));
    return socket;
  }

  /// A datagram that arrives at `to`, if somebody is bound there.
  void send(const Address& from, const Address& to, std::string_view text) {
    const auto at = datagrams_.find(to);
    if (at == datagrams_.end()) return;
    at->second->queue_.emplace_back(from, text);
    at->second->readable_.wake_all(loop_);
  }

  Io<std::vector<IpAddress>> resolve(std::string name) override {
    const auto at = names.find(name);
    if (at == names.end()) co_return fail(Fault::not_found, "resolve", name);
    co_return at->second;
  }
  Loop& loop() override { return loop_; }

  // What a test may set, or look at.
  IpAddress client = loopback_v4;                    // connect() comes from there
  std::size_t window_bytes = std::size_t{64} << 10;  // of connections that are made from now on
  Duration connect_takes = Duration::zero();
  std::deque<Fault> connect_faults;  // connect() fails with these first
  std::deque<Fault> accept_faults;   // accept_now(), on any listener
  int accepts_tried = 0;
  int connects = 0;
  std::map<std::string, std::vector<IpAddress>> names;
  Blocks blocks;

 private:
  friend class MemoryListener;
  friend class MemoryDatagram;
  Loop& loop_;
  std::uint16_t next_port_ = 40000;
  std::map<Address, MemoryListener*> listeners_;
  std::map<Address, MemoryDatagram*> datagrams_;
};

inline Result<std::unique_ptr<Stream>> MemoryListener::accept_now() {
  if (closed_) return fail(Fault::closed, "accept", to_string(endpoint_));
  if (queue_.empty()) return fail(Fault::would_block);
  ++network_.accepts_tried;
  if (!network_.accept_faults.empty()) {
    const Fault fault = network_.accept_faults.front();
    network_.accept_faults.pop_front();
    return fail(fault, "accept", to_string(endpoint_));
  }
  auto stream = std::move(queue_.front());
  queue_.pop_front();
  return stream;
}

inline void MemoryListener::close() {
  if (closed_) return;
  closed_ = true;
  network_.listeners_.erase(*endpoint_.address());
  for (const auto& stream : queue_) stream->abort();
  queue_.clear();
  acceptable_.wake_all(network_.loop());
}

inline MemoryDatagram::~MemoryDatagram() { network_.datagrams_.erase(local_); }

inline Result<void> MemoryDatagram::send_now(Bytes from, const Address& to) {
  network_.send(local_, to, as_text(from));
  return {};
}

/// Runs what can run now; the clock stands still.
inline void settle(VirtualTime& time) {
  const Loop::Entered entered(time.loop());
  time.loop().advance(time.now());
  while (!time.loop().idle()) time.loop().run_ready();
}

/// Lets that much time pass, and all that happens meanwhile happen.
inline void pass(VirtualTime& time, Duration duration) {
  const Instant until = time.now() + duration;
  time.finish(sleep_until(until));
  settle(time);
}

/// What has arrived at `stream` since it was last asked, then `<end>`, or the error's fault:
/// "hello<reset>".
inline std::string heard(Stream& stream) {
  std::string text;
  for (;;) {
    const auto bytes = stream.receive_now();
    if (!bytes && bytes.error() == Fault::would_block) return text;
    if (!bytes) return text + "<" + std::string(to_string(bytes.error().fault())) + ">";
    if (!*bytes) return text + "<end>";
    text += bytes->text();
  }
}

}  // namespace koine::memory
