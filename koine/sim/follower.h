// Follower: what a world knows about the messages that somebody follows.
//
// It watches the frames between two sockets, over every link and through every node, and what the
// programs at both ends write and read. It changes nothing, and is not there until somebody follows
// a message. A journey's leg is read off these records (fill); both halves of it, even if the
// program at the other end knows nothing of journeys.
//
// All times are the world's own, so both ends of a journey read one clock, whatever the clocks of
// their hosts show.
#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "koine/journey/journey.h"
#include "koine/sim/link.h"
#include "koine/stack/ip.h"

namespace koine::sim {

class Host;
class World;

/// One direction between two sockets.
struct FlowKey {
  stack::IpPort source{};
  stack::IpPort target{};
  bool is_tcp = true;  ///< or UDP

  FlowKey reverse() const { return {target, source, is_tcp}; }
  friend constexpr auto operator<=>(const FlowKey&, const FlowKey&) = default;
};

class Follower final : public LinkWatcher {
 public:
  /// How much is remembered of a flow: sendings, writes, reads. Older ones are forgotten.
  static constexpr std::size_t records_max = 512;

  /// The date of the world's beginning, as in captures.
  static constexpr Duration epoch = std::chrono::days(19'000);

  explicit Follower(World& world) : world_(world) {}

  /// The world's time, as stamps have it.
  journey::Stamp now() const;

  /// Records both directions of a connection of TCP until it is let go as often. Positions in a
  /// flow are sequence numbers; of UDP, numbers of datagrams.
  void follow(const FlowKey& flow);
  void let_go(const FlowKey& flow);
  /// The same for all that a UDP socket sends and receives.
  void follow(Host& host, std::uint16_t port) { ++followed_ports_[{&host, port}]; }
  void let_go(Host& host, std::uint16_t port);
  /// Headers of frames are kept, too, until as many have let go of them as wanted them.
  void keep_frames() { ++wants_frames_; }
  void let_go_of_frames() { --wants_frames_; }

  /// The bytes from `begin` to `end` will be one message, of the journey with that trace.
  using TraceId = std::array<std::uint8_t, 16>;
  void expect(const FlowKey& flow, std::uint32_t begin, std::uint32_t end, const TraceId& trace);
  /// Where the message of that journey ends, if its sender has announced it.
  std::optional<std::uint32_t> expected_end(const FlowKey& flow, const TraceId& trace) const;

  /// All that is known of the message that ends at `end`. What is not stays as it is.
  void fill(journey::Journey& journey, bool is_reply, const FlowKey& flow, std::uint32_t end) const;

  /// When all of it had reached the receiver's system.
  std::optional<Instant> arrival(const FlowKey& flow, std::uint32_t end) const;

  // For streams.

  /// The program has written up to `end`; the stack has taken up to `taken`.
  void written(const FlowKey& flow, std::uint32_t taken, std::uint32_t end);
  /// The program has read up to `end`.
  void read(const FlowKey& flow, std::uint32_t end);
  /// It wants to, and there is nothing.
  void asks(const FlowKey& flow);

  // For UDP sockets.

  void datagram_written(Host& host, const stack::IpPort& local, const stack::IpPort& target,
                        Bytes data);
  void datagram_read(Host& host, std::uint16_t port, const stack::IpPort& from, Bytes data);
  void datagram_asked(Host& host, std::uint16_t port);
  struct DatagramAt {
    FlowKey flow{};
    std::uint32_t number = 0;
  };
  /// The one that was written, or read, last at that socket.
  std::optional<DatagramAt> last_written(Host& host, std::uint16_t port) const;
  std::optional<DatagramAt> last_read(Host& host, std::uint16_t port) const;

  // For hosts.

  /// Its stack was given the frame.
  void taken(const Host& host, Bytes frame);

  // LinkWatcher
  void sent(const Nic& from, const Nic& to, Bytes frame, Instant at) override;
  void scheduled(Instant begins, Instant ends) override;
  void departed(Instant at) override;
  void arrived(const Nic& to, Bytes frame, Instant at) override;
  void failed(const Nic& from, const Nic& to, Bytes frame, Fate fate, Instant at) override;

 private:
  static constexpr int none = -1;

  /// A frame on one link, and in the node at its end.
  struct Passage {
    const Nic* from;
    const Nic* to;
    int before;  // the passage that brought it to `from`
    std::uint32_t begin;
    std::uint32_t end;
    Instant in;
    std::optional<Instant> begins{};  // its turn
    std::optional<Instant> ends{};
    std::optional<Instant> at{};     // when it arrives, unless it is lost
    std::optional<Instant> taken{};  // by the stack of the host at its end
    std::optional<Instant> lost{};
    Fate fate = Fate::delivered;
    bool is_here = false;  // it has arrived
    bool is_sent_on = false;
  };
  /// A segment, a datagram or a fragment of one, each time that its host sends it.
  struct Sending {
    std::uint32_t number = 0;  // of its datagram
    std::uint32_t begin = 0;   // of TCP's sequence, or within the datagram
    std::uint32_t end = 0;
    std::uint64_t id = 0;  // tells it from others with the same bytes
    std::vector<Passage> passages{};
    int arrival = none;  // at its target
    std::vector<std::byte> bytes{};
    std::uint64_t wire_bytes = 0;
  };
  /// Up to `to`, and from behind the one before.
  struct Write {
    std::uint32_t from;
    std::uint32_t to;
    Instant in;
    std::optional<Instant> out{};
    // Of a datagram:
    std::vector<std::byte> beginning{};
    std::uint32_t bytes = 0;
    bool has_left = false;
    bool was_read = false;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> pieces{};  // that have arrived
  };
  struct Mark {
    std::uint32_t from;
    std::uint32_t to;
    Instant in;
    Instant out;
  };
  struct Announced {
    std::uint32_t from;
    std::uint32_t to;
    TraceId trace;
  };
  struct Flow {
    unsigned users = 0;
    Host* source = nullptr;
    Host* target = nullptr;
    std::deque<Sending> sendings{};
    std::deque<Write> writes{};
    std::deque<Mark> had{};    // by the receiver's stack, in order
    std::deque<Mark> acked{};  // to the sender's
    std::deque<Mark> reads{};
    std::deque<Announced> messages{};
    std::optional<Instant> asked{};
    std::uint32_t datagrams = 0;
  };
  struct Seen {
    FlowKey flow{};
    bool has_ports = true;
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    std::uint64_t id = 0;
    Bytes data{};                 // of a datagram, as much as there is in its first piece
    std::uint32_t data_size = 0;  // of all of it
  };
  struct Place {
    Sending* sending = nullptr;
    int passage = none;

    explicit operator bool() const { return sending != nullptr; }
    Passage& operator*() const { return sending->passages[static_cast<std::size_t>(passage)]; }
    Passage* operator->() const { return &**this; }
  };
  using Port = std::pair<Host*, std::uint16_t>;

  /// Positions are on a circle (RFC 9293, section 3.4).
  static bool is_after(std::uint32_t a, std::uint32_t b) {
    return static_cast<std::int32_t>(a - b) > 0;
  }
  static bool begins_with(Bytes data, Bytes beginning) {
    const std::size_t size = std::min(data.size(), beginning.size());
    return std::ranges::equal(data.first(size), beginning.first(size));
  }
  template <class Record>
  static void keep(std::deque<Record>& records, Record record) {
    if (records.size() == records_max) records.pop_front();
    records.push_back(std::move(record));
  }
  Instant world_now() const;
  static std::optional<Seen> look(Bytes frame);
  Flow* find(const Seen& seen);
  const Flow* find(const FlowKey& flow) const;
  Flow& add(const FlowKey& flow);
  bool is_followed(Host& host, const stack::IpPort& local, const stack::IpPort& target) const;
  Sending* begin_sending(Flow& flow, const Seen& seen, Bytes frame);
  template <class Fits>
  Place place_of(Flow& flow, const Seen& seen, Fits&& fits);
  void arrived_at_target(Flow& flow, const Seen& seen, const Sending* sending);

  // follower_fill.cc
  struct Message;
  class Way;

  World& world_;
  std::map<FlowKey, Flow> flows_;
  std::map<Port, unsigned> followed_ports_;
  std::map<Port, Instant> asked_;
  std::map<Port, DatagramAt> last_written_;
  std::map<Port, DatagramAt> last_read_;
  Place last_;     // was sent last
  Place current_;  // is arriving
  unsigned wants_frames_ = 0;
};

}  // namespace koine::sim
