// Track: follows messages through one socket, from the program's write to the kernel's last report
// about it, and from the kernel's arrival stamp to the program's read.
//
// A socket without a track does not know that there are any: each call looks at one pointer. With
// one, arrivals are stamped, and of what is sent only the messages that are marked. The kernel
// charges its reports to the receive buffer until they are read, so they are read as soon as it
// says that there are some, few messages wait for theirs at a time (RecorderOptions::budget), and
// whoever waits too long is forgotten.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "koine/async/wait.h"
#include "koine/journey/track.h"
#include "koine/os/clocks.h"
#include "koine/os/fd.h"
#include "koine/os/reactor.h"
#include "koine/os/tcp_state.h"
#include "koine/os/timestamping.h"
#include "koine/transport/network.h"

namespace koine::os {

using journey::Way;

/// What the tracks of one thread share.
struct OfThread {
  RunDelay run_delay;
  Fd holder;  ///< a socket whose arrivals are stamped, so that the kernel does not cease to

  OfThread();
  static std::shared_ptr<const OfThread> get();
};

/// What sockets call is virtual, so that a socket does not name the code of its track: see
/// TrackMaker.
class Track : public journey::Track, public ErrorQueue, private Timer {
 public:
  /// A message that has waited for its reports so long waits no more.
  static constexpr Duration patience = 2s;

  /// Above this, a message's first bytes are stamped as well as its last.
  static constexpr std::size_t large_bytes_min = std::size_t{16} << 10;

  /// `stream` is whose output is counted; null for a datagram socket.
  Track(Reactor& reactor, journey::Recorder& recorder, int fd, Transport transport,
        const Stream* stream);
  Track(const Track&) = delete;
  Track& operator=(const Track&) = delete;
  virtual ~Track();

  // For who knows what a message is.

  journey::Recorder& recorder() override { return recorder_; }
  journey::Connection& connection() override { return connection_; }

  /// The kernel's stamps of our end, or the programs' only.
  journey::Level level() const override;
  const Timestamping& timestamping() const { return can_; }
  journey::Stamp now() const override { return journey::Stamp::exactly(realtime_ns()); }
  journey::ClockIdentity clock() const override { return clock_identity(); }

  /// Of a datagram socket it is the next datagram.
  bool send(std::shared_ptr<journey::Journey> journey, Way way, std::size_t bytes,
            std::size_t bytes_before = 0) override;
  bool awaits(const journey::Journey& journey) const override;
  void receive(const std::shared_ptr<journey::Journey>& journey, Way way,
               std::size_t bytes_behind = 0) override;
  void expect() override;
  std::optional<Duration> since_arrival() const override;
  bool keep_frames(bool wanted) override;
  void finish(const std::shared_ptr<journey::Journey>& journey) override;

  /// True if no message waits for reports, and who waits for that.
  bool settled() const { return waiting_.empty() && marks_.empty(); }
  WaitList& settling() { return settling_; }

  /// Messages that were not stamped because too many waited.
  std::uint64_t over_budget() const { return over_budget_; }

  // For the socket.

  /// How many of `bytes` may go with the next call, so that it ends where a marked message does.
  virtual std::size_t cut(std::size_t bytes) const;
  /// True if a message is marked that is not yet sent.
  bool marked() const { return !marks_.empty(); }
  /// Makes that call ask for stamps if it ends a message.
  virtual bool ask(msghdr& message, ControlBuffer& room, std::size_t bytes);
  /// It has taken so many; of a datagram socket, one datagram.
  virtual void sent(std::size_t bytes, bool asked);
  /// A datagram was not sent, with an errno: true if it may be now, asked for in another way.
  virtual bool refused(int error, bool asked);

  virtual void give_room(msghdr& message, ControlBuffer& room) const;
  /// The program asks, and there is nothing yet.
  virtual void asks();
  /// Since when it has asked, now that it is about to read: CLOCK_REALTIME.
  virtual std::int64_t asking_since() const;
  /// A read has given this; `is_full` if it had room for no more.
  virtual void arrived(const msghdr& message, std::int64_t asking_since_ns, bool is_full = false);
  /// The same by the kernel's stamp, for each datagram of those that came together.
  virtual void arrived(std::optional<std::int64_t> stamp_ns, std::int64_t asking_since_ns);

  // ErrorQueue.
  unsigned drain() override;
  void report(std::uint32_t type, std::uint32_t key, std::int64_t ns) override;
  bool waits() const override { return !waiting_.empty() || first_piece_waits(); }
  void hung_up() override;

 private:
  struct Message {
    std::uint64_t end = 0;        // offset in the stream
    std::uint64_t first_end = 0;  // of the first piece of a large message; 0 if it has none
    std::shared_ptr<journey::Journey> journey{};
    Way way{};
    Instant since{};
    std::int64_t run_delay_ns = 0;  // of the thread, before
    TcpInfo before{};               // of the connection
    std::uint64_t to_send = 0;      // then: its bytes, and those before it that had not left
    std::uint32_t id = 0;           // of a datagram
  };
  struct Arrival {
    journey::Stamp rx{};
    journey::Stamp recv_in{};
    journey::Stamp recv_out{};
    std::optional<std::int64_t> cpu_wait_ns{};
  };

  static std::uint32_t key_of(const Message& message);
  bool is_tcp() const { return transport_ == Transport::tcp; }
  bool is_datagram() const {
    return transport_ == Transport::udp || transport_ == Transport::unix_datagram;
  }

  void run() override;  // time to look again, or to forget
  void arm();
  void take(const Report& report, Bytes frame);
  bool take(Message& message, const Report& report, bool exact, Bytes frame);
  bool take_first_piece(Message& message, const Report& report);
  bool first_piece_waits() const {
    return !marks_.empty() && marks_.front().first_end != 0 && sent_ >= marks_.front().first_end;
  }
  void look_what_held(const Message& message);
  void end(Message& message);
  void settle();
  bool came_out_of_order();

  Reactor& reactor_;
  journey::Recorder& recorder_;
  const std::shared_ptr<const OfThread> shared_ = OfThread::get();
  const RunDelay& run_delay_ = shared_->run_delay;
  int fd_;
  Transport transport_;
  const Stream* stream_;
  Timestamping can_;
  std::size_t budget_;
  journey::Connection connection_;

  std::uint64_t sent_ = 0;       // bytes of a stream
  std::uint32_t next_id_ = 0;    // of a datagram: how many were stamped
  bool chooses_ids_ = true;      // the kernel lets us name datagrams
  std::deque<Message> marks_;    // to be sent
  std::deque<Message> waiting_;  // for reports
  WaitList settling_;
  std::uint64_t over_budget_ = 0;

  bool asked_ = false;                  // the program waits to be given something
  std::int64_t wait_before_asked_ = 0;  // when the loop had last begun to wait before it asked
  bool watches_cpu_ = false;
  bool brought_ = false;  // reports came by themselves: the news of them may find none left
  std::int64_t run_delay_before_ = 0;
  std::uint32_t out_of_order_ = 0;              // segments that had come so, when it was looked at
  std::weak_ptr<journey::Journey> looked_for_;  // and for which answer
  Arrival last_;
  std::weak_ptr<journey::Journey> last_received_;
  Way last_way_{};
};

/// Makes the tracks of sockets. Nobody names it but the constructor of a recorder, which hands it
/// to the sockets it is attached to: a program without recorders is linked without tracks.
struct TrackMaker {
  std::unique_ptr<Track> (*make)(Reactor& reactor, journey::Recorder& recorder, int fd,
                                 Transport transport, const Stream* stream);
};
extern const TrackMaker track_maker;

/// Waits until the kernel has said all it will about the messages that were sent.
class [[nodiscard]] Settled final : public Trying<Settled, void> {
 public:
  explicit Settled(Track& track) : track_(track) {}
  Result<void> attempt_once() {
    if (track_.settled()) return {};
    return fail(Fault::would_block);
  }
  void park() { track_.settling().join(*this); }
  Activity activity() const override { return {"wait for the kernel's stamps", {}}; }

 private:
  Track& track_;
};

/// `co_await within(200ms, settled(*track))`
inline Settled settled(Track& track) { return Settled(track); }

/// Attaches a recorder to the sockets of one loop, at any time of a connection's life.
///
/// The kernel stamps arrivals only once some socket asked for it, and it takes a moment to begin:
/// a tracker holds one that does, so that the first message of a connection is stamped as well.
/// That makes the kernel stamp every packet of the machine, which costs each a quarter of a
/// microsecond; so it is held only while a tracker or a track of this thread lives.
class Tracker {
 public:
  /// The recorder outlives it. It belongs to the thread of the sockets' loop.
  explicit Tracker(journey::Recorder& recorder) : recorder_(recorder) {}
  Tracker(const Tracker&) = delete;
  Tracker& operator=(const Tracker&) = delete;

  /// Waits until arrivals are stamped, for at most about a second: false if they are not.
  Io<bool> ready();

  /// The track lives as long as the socket, and not longer than the tracker: sockets end first, or
  /// are detached. A second one replaces the first. Fault::unsupported if it is no socket of the
  /// kernel's.
  Result<Track*> attach(Stream& stream);
  Result<Track*> attach(Datagram& datagram);

 private:
  journey::Recorder& recorder_;
  std::shared_ptr<const OfThread> shared_ = OfThread::get();
};

void detach(Stream& stream);
void detach(Datagram& datagram);

}  // namespace koine::os
