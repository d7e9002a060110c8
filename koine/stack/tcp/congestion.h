// How much may be in flight: Reno (RFC 5681) or CUBIC (RFC 9438), with HyStart++ (RFC 9406).
//
// Counts bytes, in whole numbers only: the same trace from every compiler. It decides nothing about
// which segments are lost; see scoreboard.h.
#pragma once

#include <cstdint>

#include "koine/stack/tcp/profile.h"
#include "koine/wire/seq.h"

namespace koine::stack::tcp {

class Congestion {
 public:
  /// `window` bytes to begin with; `mss` is the data a full segment carries.
  void begin(std::uint32_t window);

  std::uint32_t window() const { return window_; }
  std::uint32_t threshold() const { return threshold_; }
  bool in_slow_start() const { return window_ < threshold_; }

  /// What an ACK tells that made progress, outside of fast recovery.
  struct Ack {
    std::uint32_t bytes = 0;  ///< newly acknowledged
    Duration rtt{-1};         ///< of the newest of them, if it is known
    Duration smoothed{};      ///< SRTT
    wire::Seq una{};          ///< after this ACK
    wire::Seq nxt{};
    std::uint32_t mss = 0;
    bool limited = true;         ///< the window, not the application, was the bound
    bool after_timeout = false;  ///< data is being repaired after a timeout (RFC 3465, 2.3)
  };
  void on_ack(const Ack& ack, const Profile& profile, Instant now);

  /// Loss was found: lowers the threshold, and the window is up to the recovery. `flight` bytes
  /// were outstanding.
  void on_loss(std::uint32_t flight, std::uint32_t mss, const Profile& profile);

  /// A retransmission timed out.
  void on_timeout(std::uint32_t flight, std::uint32_t mss, bool again, const Profile& profile);

  /// Nothing was sent for a timeout (RFC 5681, section 4.1).
  void on_idle(std::uint32_t restart_window);

  void set_window(std::uint32_t window) { window_ = window; }

  /// Puts back what a loss that was none had taken (RFC 4015).
  void restore(std::uint32_t window, std::uint32_t threshold) {
    window_ = window > window_ ? window : window_;
    threshold_ = threshold > threshold_ ? threshold : threshold_;
    epoch_ = no_epoch;
  }

 private:
  static constexpr Instant no_epoch = Instant::min();
  static constexpr std::uint32_t window_max = 1u << 30;

  void cubic(const Ack& ack, Instant now);
  void reno(const Ack& ack);
  void reduce(std::uint32_t flight, std::uint32_t mss, const Profile& profile);
  void hystart_sample(const Ack& ack);
  std::uint32_t slow_start_gain(const Ack& ack, const Profile& profile) const;

  std::uint32_t window_ = 0;
  std::uint32_t threshold_ = 0x7fff'ffff;
  std::uint32_t counted_ = 0;  // bytes acknowledged towards the next segment's worth

  // RFC 9438, section 4.1. All windows in bytes.
  std::uint32_t w_max_ = 0;
  std::uint32_t w_est_ = 0;
  std::uint32_t est_counted_ = 0;
  std::uint32_t origin_ = 0;  // where the curve is flat
  Instant epoch_ = no_epoch;
  std::uint64_t k_us_ = 0;

  // RFC 9406, section 4.2.
  Duration round_rtt_{-1};
  Duration last_round_rtt_{-1};
  Duration css_baseline_{-1};
  wire::Seq round_end_{};
  std::uint8_t round_samples_ = 0;
  std::uint8_t css_rounds_ = 0;
  bool in_round_ = false;
  bool in_css_ = false;
};

/// The integer cube root, rounded down.
__extension__ typedef unsigned __int128 Wide;
std::uint64_t cube_root(Wide value);

}  // namespace koine::stack::tcp
