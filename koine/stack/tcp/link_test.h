// Two connections and a path between them, in virtual time: for tests.
//
// The path delays, loses, reorders, duplicates and limits the rate, all from one seed, and keeps a
// hash of everything that left an end.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "koine/base/random.h"
#include "koine/stack/tcp/connection.h"

namespace koine::stack::tcp {

struct PathOptions {
  Duration delay = 10ms;              // one way
  std::uint64_t bits_per_second = 0;  // 0: no limit
  std::size_t queue_bytes = 1u << 30;
  double loss = 0;
  double duplicate = 0;
  double reorder = 0;
  Duration reorder_by = 5ms;
  std::uint16_t mss = 1460;
};

class TwoEnds {
 public:
  struct Packet {
    wire::TcpHeader header;
    std::vector<std::byte> data;
    int to = 0;
  };

  TwoEnds(std::uint64_t seed, const PathOptions& path, const Profile& left = linux_profile(),
          const Profile& right = linux_profile())
      : path_(path),
        chance_(seed),
        environments_{Environment(left, seed + 1), Environment(right, seed + 2)} {
    for (int i = 0; i < 2; ++i) {
      Opening opening;
      opening.iss = {static_cast<std::uint32_t>(chance_())};
      opening.timestamp_offset = static_cast<std::uint32_t>(chance_());
      opening.passive = i == 1;
      opening.mss = path.mss;
      ends_.push_back(
          std::make_unique<Connection>(environments_[static_cast<std::size_t>(i)], opening));
    }
  }

  TwoEnds(const TwoEnds&) = delete;  // the ends know where their environments are
  TwoEnds& operator=(const TwoEnds&) = delete;

  Connection& end(int i) { return *ends_[static_cast<std::size_t>(i)]; }
  Environment& environment(int i) { return environments_[static_cast<std::size_t>(i)]; }
  Instant now() const { return now_; }
  std::uint64_t trace() const { return trace_; }
  std::uint64_t packets() const { return packets_; }
  PathOptions& path() { return path_; }

  void connect() {
    end(0).connect(now_);
    flush();
  }

  /// Lets both ends send what they want to.
  void flush() {
    for (bool more = true; more;) {
      more = false;
      for (int i = 0; i < 2; ++i) {
        while (auto departure = end(i).poll_transmit(now_)) {
          send(i, *departure);
          more = true;
        }
      }
    }
  }

  /// Goes on to the next event; false if there is none up to `until`.
  bool step(Instant until = Instant::max()) {
    Instant next = std::min(end(0).next_deadline(), end(1).next_deadline());
    if (!wire_.empty()) next = std::min(next, wire_.begin()->first.first);
    if (next == Instant::max() || next > until) return false;
    now_ = std::max(now_, next);
    if (!wire_.empty() && wire_.begin()->first.first <= now_) {
      Packet packet = std::move(wire_.begin()->second);
      wire_.erase(wire_.begin());
      deliver(packet);
    }
    flush();
    return true;
  }

  /// Time passes in which nothing happens.
  void rest_until(Instant at) { now_ = std::max(now_, at); }

  void deliver(const Packet& packet) {
    Connection& target = end(packet.to);
    const Segment segment{packet.header, packet.data};
    if (packet.to == 1 && !accepted_ && packet.header.flags == wire::tcp_syn) {
      accepted_ = true;
      target.accept(segment, now_);
      return;
    }
    const Answer answer = target.input(segment, now_);
    if (answer.reset) send_header(packet.to, *answer.reset);
  }

  /// May drop what matches: called before chance.
  std::function<bool(const Packet&, std::uint64_t nth)> drop;

 private:
  void send(int from, const Departure& departure) {
    Packet packet{departure.header, std::vector<std::byte>(departure.data_size), 1 - from};
    end(from).copy_data(departure, packet.data);
    put(from, std::move(packet));
  }
  void send_header(int from, const wire::TcpHeader& header) { put(from, {header, {}, 1 - from}); }

  void mix(std::uint64_t value) { trace_ = (trace_ ^ value) * 0x9e3779b97f4a7c15 + (trace_ >> 29); }

  void put(int from, Packet packet) {
    ++packets_;
    mix(static_cast<std::uint64_t>(now_.time_since_epoch().count()));
    mix(std::uint64_t{packet.header.seq.value} << 32 | packet.header.ack.value);
    mix(std::uint64_t{packet.header.flags.bits} << 32 | std::uint64_t{packet.header.window} << 16 |
        packet.data.size());
    if (drop && drop(packet, packets_)) return;
    if (chance_.chance(path_.loss)) return;
    Instant at = now_;
    if (path_.bits_per_second > 0) {
      const std::size_t bytes = packet.data.size() + packet.header.size() + 20 + 38;
      Instant& free = free_[from];
      const Instant start = std::max(now_, free);
      const auto waiting = static_cast<std::uint64_t>((start - now_).count()) *
                           (path_.bits_per_second / 8) / 1'000'000'000;
      if (waiting > path_.queue_bytes) return;
      free =
          start +
          Duration(static_cast<Duration::rep>(bytes * 8 * 1'000'000'000 / path_.bits_per_second));
      at = free;
    }
    at += path_.delay;
    if (chance_.chance(path_.reorder)) at += path_.reorder_by;
    if (chance_.chance(path_.duplicate)) wire_[{at + 1us, ++order_}] = packet;
    wire_[{at, ++order_}] = std::move(packet);
  }

  PathOptions path_;
  Prng chance_;
  Environment environments_[2];
  std::vector<std::unique_ptr<Connection>> ends_;
  std::map<std::pair<Instant, std::uint64_t>, Packet> wire_;
  Instant free_[2]{};
  Instant now_ = Instant(1h);
  std::uint64_t order_ = 0;
  std::uint64_t trace_ = 0;
  std::uint64_t packets_ = 0;
  bool accepted_ = false;
};

/// Moves `size` bytes whose content tells their position from one end to the other, and checks.
class Transfer {
 public:
  Transfer(TwoEnds& ends, int from, std::uint64_t size, std::size_t piece = 16'384)
      : ends_(ends), from_(from), size_(size), piece_(piece) {}

  /// The bytes from `position` on. Their period is a prime, so a shift by any power of two shows.
  static Bytes content(std::uint64_t position, std::size_t count) {
    constexpr std::size_t period = 65'521;
    static const std::vector<std::byte> bytes = [] {
      Prng chance(7);
      std::vector<std::byte> made(2 * period);
      for (std::size_t i = 0; i < period; ++i)
        made[i] = made[i + period] = std::byte(chance() & 255);
      return made;
    }();
    return Bytes(bytes).subspan(position % period, std::min(count, period));
  }

  /// Writes and reads what can be done now; true if something was done.
  bool turn() {
    bool did = false;
    Connection& source = ends_.end(from_);
    Connection& target = ends_.end(1 - from_);
    if (source.state() >= State::established) {
      while (written_ < size_) {
        const auto count =
            static_cast<std::size_t>(std::min<std::uint64_t>(piece_, size_ - written_));
        const auto taken = source.write_now(content(written_, count), ends_.now());
        if (!taken) break;
        written_ += *taken;
        did = true;
      }
      if (written_ == size_ && !finished_) {
        finished_ = source.finish(ends_.now()).has_value();
        did = true;
      }
    }
    std::byte into[16'384];
    while (!ended_) {
      const auto count = target.read_now(into, ends_.now());
      if (!count) break;
      if (*count == 0) ended_ = true;
      const Bytes expected = content(read_, *count);
      if (std::memcmp(into, expected.data(), *count) != 0) wrong_ = true;
      read_ += *count;
      did = true;
    }
    return did;
  }

  bool done() const { return ended_ && read_ == size_ && !wrong_; }
  bool ended() const { return ended_; }
  bool wrong() const { return wrong_; }
  std::uint64_t read() const { return read_; }
  std::uint64_t written() const { return written_; }

 private:
  TwoEnds& ends_;
  int from_;
  std::uint64_t size_;
  std::size_t piece_;
  std::uint64_t written_ = 0;
  std::uint64_t read_ = 0;
  bool finished_ = false;
  bool ended_ = false;
  bool wrong_ = false;
};

}  // namespace koine::stack::tcp
