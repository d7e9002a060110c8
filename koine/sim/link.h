// Link: a cable between two interfaces, and everything that can be wrong with one.
//
// Each direction is a path of its own. A frame waits for its turn in a queue of bytes, takes its
// time to be sent, then travels; on the way it may be lost, held back, doubled or damaged. All of
// it can be changed while the world runs, and each kind of mishap draws from a source of chance of
// its own, so that adding one leaves the others as they were.
//
//     send ──> queue_bytes ──> rate ──> loss ──> delay + jitter ──> reorder ──> receive
//              else dropped             duplicate, corrupt
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "koine/base/fifo.h"
#include "koine/sim/node.h"
#include "koine/sim/rate.h"
#include "koine/sim/timeline.h"

namespace koine::sim {

/// Losses that come in bursts: a chain of two states (Gilbert 1960, Elliott 1963), moved once for
/// each frame.
struct GilbertElliott {
  double to_bad = 0;  ///< probability that a good link turns bad, for each frame
  double to_good = 1;
  double loss_in_good = 0;
  double loss_in_bad = 1;
};

struct LinkOptions {
  Rate rate{};  ///< none: a frame takes no time to be sent. 24 bytes a frame are added: preamble,
                ///< check sequence and gap of IEEE 802.3
  Duration delay{};   ///< of the light in the cable
  Duration jitter{};  ///< more delay, uniform from none to this; the order is kept
  std::size_t queue_bytes = 256 << 10;  ///< waiting to be sent; what does not fit is dropped
  std::uint16_t mtu = 1500;             ///< larger packets are dropped in silence

  // Probabilities, for each frame.
  double loss = 0;
  std::optional<GilbertElliott> bursts{};  ///< and these losses as well
  double reorder = 0;                      ///< to be held back, so that others overtake
  Duration reorder_by = 1ms;
  double duplicate = 0;
  double corrupt = 0;  ///< one to eight bits flip

  /// Damaged frames are noticed by their check sequence and dropped on arrival. Without it they are
  /// left to the checksums of IP, TCP and UDP, which miss some: two bits that flip in the same
  /// column of 16 cancel each other half of the time.
  bool check_sequence = true;
};

/// What became of a frame.
enum class Fate : std::uint8_t {
  delivered,
  lost,  ///< by chance
  queue_full,
  too_large,  ///< for the MTU
  cut,        ///< the link was
  damaged,    ///< and noticed by its check sequence
  ignored,    ///< by a receiver that was down, or had no room
};
const char* to_string(Fate fate);

/// What happened in one direction since the beginning.
struct LinkCounters {
  std::uint64_t frames = 0;  ///< that somebody wanted to send
  std::uint64_t bytes = 0;
  std::uint64_t delivered = 0;
  std::uint64_t lost = 0;
  std::uint64_t queue_full = 0;
  std::uint64_t too_large = 0;
  std::uint64_t cut = 0;
  std::uint64_t damaged = 0;
  std::uint64_t duplicated = 0;
  std::uint64_t reordered = 0;
  std::uint64_t corrupted = 0;
};

/// Sees what happens to frames on links, and changes nothing.
class LinkWatcher {
 public:
  /// `from` hands it over, for `to`.
  virtual void sent(const Nic& from, const Nic& to, Bytes frame, Instant at) = 0;
  /// The one that was sent last has its turn on the link from `begins` to `ends`.
  virtual void scheduled(Instant begins, Instant ends) = 0;
  /// And it will arrive at `at`; twice if it is doubled.
  virtual void departed(Instant at) = 0;
  virtual void arrived(const Nic& to, Bytes frame, Instant at) = 0;
  virtual void failed(const Nic& from, const Nic& to, Bytes frame, Fate fate, Instant at) = 0;

 protected:
  ~LinkWatcher() = default;
};
using LinkWatchers = std::vector<LinkWatcher*>;

class LinkDirection final : public Component {
 public:
  LinkDirection(Timeline& timeline, const std::string& name, Nic& from, Nic& to,
                const LinkOptions& options);

  /// From now on.
  void set(const LinkOptions& options) { options_ = options; }
  const LinkOptions& options() const { return options_; }
  const LinkCounters& counters() const { return counters_; }

  void send(Frame frame);

  /// Nothing passes, and what is on the way is lost. Nobody is told.
  void cut();
  void mend() { is_cut_ = false; }
  bool is_cut() const { return is_cut_; }

  /// See every frame, and what becomes of it; null: nobody does.
  void watched_by(const LinkWatchers* watchers) { watchers_ = watchers; }

 private:
  /// Each kind has a source of chance of its own.
  struct Mishaps {
    Mishaps(const Timeline& timeline, const std::string& name)
        : loss(timeline.chance_for("loss " + name)),
          jitter(timeline.chance_for("jitter " + name)),
          reorder(timeline.chance_for("reorder " + name)),
          duplicate(timeline.chance_for("duplicate " + name)),
          corrupt(timeline.chance_for("corrupt " + name)) {}

    Prng loss;
    Prng jitter;
    Prng reorder;
    Prng duplicate;
    Prng corrupt;
  };
  Mishaps& chance() {
    if (mishaps_ == nullptr) mishaps_ = std::make_unique<Mishaps>(timeline(), name_);
    return *mishaps_;
  }

  struct InFlight {
    Instant at{};
    Frame frame{};
  };

  void happen() override;
  bool is_lost();
  void depart(Frame frame, Instant at);
  template <class See>
  void tell(See&& see) const {
    if (watchers_ != nullptr)
      for (LinkWatcher* each : *watchers_) see(*each);
  }
  void fail(const Frame& frame, Fate fate, std::uint64_t& counter);
  void corrupt(Frame& frame);
  void expect(const Frame& frame, int change);

  Nic& from_;
  Nic& to_;
  LinkOptions options_;
  LinkCounters counters_;
  const LinkWatchers* watchers_ = nullptr;
  bool is_cut_ = false;
  bool is_bad_ = false;        // as Gilbert and Elliott have it
  Instant free_at_{};          // when the queue will have been sent
  Instant control_free_at_{};  // and of that, what routers say
  Instant last_at_{};          // the latest arrival of those whose order is kept
  Fifo<InFlight> in_flight_;
  std::uint64_t in_flight_awaited_ = 0;
  std::string name_;
  std::unique_ptr<Mishaps> mishaps_;  // once there are some
};

/// How a link is cut.
enum class Cut : std::uint8_t {
  visibly,   ///< both interfaces lose their carrier, as when a cable is pulled out
  silently,  ///< a black hole: the interfaces look as before
};

class Link {
 public:
  Link(Timeline& timeline, const std::string& name, Nic& a, Nic& b, const LinkOptions& a_to_b,
       const LinkOptions& b_to_a);
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  ~Link() { a_.out = b_.out = nullptr; }

  /// "client-server"
  const std::string& name() const { return name_; }

  Nic& a() { return a_; }
  Nic& b() { return b_; }

  /// From now on, in both directions.
  void set(const LinkOptions& options);

  /// The direction that ends at `node`, which is at one end of the link.
  LinkDirection& towards(const Node& node);

  void cut(Cut how = Cut::visibly);
  void mend();

  void watched_by(const LinkWatchers* watchers) {
    a_to_b_.watched_by(watchers);
    b_to_a_.watched_by(watchers);
  }

 private:
  void set_carrier(bool up);

  std::string name_;
  Nic& a_;
  Nic& b_;
  LinkDirection a_to_b_;
  LinkDirection b_to_a_;
};

}  // namespace koine::sim
