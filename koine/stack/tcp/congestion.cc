// Window growth and reduction. The numbers in comments are sections of RFC 9438 unless said.
#include "koine/stack/tcp/congestion.h"

#include <algorithm>

namespace koine::stack::tcp {

std::uint64_t cube_root(Wide value) {
  std::uint64_t low = 0;
  std::uint64_t high = std::uint64_t{1} << 42;  // 2^126 and below
  while (low < high) {
    const std::uint64_t middle = low + (high - low + 1) / 2;
    if (static_cast<Wide>(middle) * middle * middle <= value) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

void Congestion::begin(std::uint32_t window) {
  *this = Congestion{};
  window_ = window;
}

// RFC 9406, 4.2: growth by up to L segments an ACK, a quarter of it in the conservative phase.
std::uint32_t Congestion::slow_start_gain(const Ack& ack, const Profile& profile) const {
  // Data repaired after a timeout counts one segment an ACK (RFC 3465, section 2.3).
  const std::uint32_t limit = ack.after_timeout ? 1u : profile.byte_counting_limit;
  const std::uint32_t gain = std::min(ack.bytes, limit * ack.mss);
  return in_css_ ? gain / 4 : gain;
}

void Congestion::hystart_sample(const Ack& ack) {
  constexpr Duration threshold_min = 4ms;
  constexpr Duration threshold_max = 16ms;
  constexpr std::uint8_t samples_min = 8;
  constexpr std::uint8_t css_rounds_max = 5;

  if (!in_round_ || ack.una >= round_end_) {
    if (in_round_ && in_css_ && ++css_rounds_ >= css_rounds_max) {
      threshold_ = window_;
      in_css_ = in_round_ = false;
      return;
    }
    in_round_ = true;
    round_end_ = ack.nxt;
    last_round_rtt_ = round_rtt_;
    round_rtt_ = Duration{-1};
    round_samples_ = 0;
  }
  if (ack.rtt < Duration::zero()) return;
  round_rtt_ = round_rtt_ < Duration::zero() ? ack.rtt : std::min(round_rtt_, ack.rtt);
  if (round_samples_ < samples_min) ++round_samples_;
  if (round_samples_ < samples_min) return;
  if (in_css_) {
    if (round_rtt_ < css_baseline_) in_css_ = false;  // the delay was a spurious one
    return;
  }
  if (last_round_rtt_ < Duration::zero()) return;
  const Duration rise = std::clamp(last_round_rtt_ / 8, threshold_min, threshold_max);
  if (round_rtt_ >= last_round_rtt_ + rise) {
    css_baseline_ = round_rtt_;
    css_rounds_ = 0;
    in_css_ = true;
  }
}

void Congestion::on_ack(const Ack& ack, const Profile& profile, Instant now) {
  if (in_slow_start()) {
    // Only the first slow start searches; later ones know their threshold.
    if (profile.hystart && threshold_ == 0x7fff'ffff) hystart_sample(ack);
    if (!ack.limited) return;
    const std::uint32_t gain = slow_start_gain(ack, profile);
    window_ = std::min(window_ + gain, std::max(window_, std::min(threshold_, window_max)));
    return;
  }
  if (!ack.limited) {
    epoch_ = no_epoch;  // time without need for the window is no time to grow by (5.8)
    return;
  }
  if (profile.congestion == CongestionControl::cubic) {
    cubic(ack, now);
  } else {
    reno(ack);
  }
}

// RFC 5681, section 3.1, with the counting of RFC 3465, section 2.1.
void Congestion::reno(const Ack& ack) {
  counted_ += ack.bytes;
  if (counted_ < window_) return;
  counted_ = std::min(counted_ - window_, window_ - 1);  // one segment an ACK
  window_ = std::min(window_ + ack.mss, window_max);
}

void Congestion::cubic(const Ack& ack, Instant now) {
  if (epoch_ == no_epoch) {
    epoch_ = now;
    counted_ = est_counted_ = 0;
    w_est_ = window_;
    origin_ = std::max(w_max_, window_);
    // K = cbrt((W_max - cwnd) / C) seconds, C = 0.4 segments (4.2).
    const auto distance = static_cast<Wide>(origin_ - window_);
    k_us_ =
        cube_root(distance * 10 * 1'000'000'000'000'000'000ull / (4 * static_cast<Wide>(ack.mss)));
  }
  // Where the curve will be one round trip from now.
  const auto t = static_cast<std::int64_t>((now - epoch_ + ack.smoothed).count() / 1000);
  const std::int64_t offset = t - static_cast<std::int64_t>(k_us_);
  // A day away from K says no more than the bound below, and its cube would not fit.
  constexpr std::int64_t offset_max = 86'400'000'000;
  const auto magnitude = static_cast<Wide>(std::min(offset < 0 ? -offset : offset, offset_max));
  const Wide change =
      magnitude * magnitude * magnitude * ack.mss * 4 / 10 / 1'000'000'000'000'000'000ull;
  const auto bounded = static_cast<std::uint32_t>(std::min<Wide>(change, window_max));
  std::uint32_t target =
      offset < 0 ? origin_ - std::min(bounded, origin_) : origin_ + std::min(bounded, window_max);
  target = std::clamp(target, window_, window_ + window_ / 2);  // 4.2

  // What Reno would have (4.3): alpha = 3 (1 - beta) / (1 + beta) = 9/17, and 1 above W_max.
  est_counted_ += ack.bytes;
  const std::uint32_t need =
      w_est_ >= w_max_ ? window_ : static_cast<std::uint32_t>(std::uint64_t{window_} * 17 / 9);
  if (est_counted_ >= need && need > 0) {
    est_counted_ -= need;
    w_est_ = std::min(w_est_ + ack.mss, window_max);
  }
  if (w_est_ > target) target = w_est_;

  // cwnd += (target - cwnd) / cwnd for every segment that was acknowledged (4.4).
  if (target <= window_) return;
  const std::uint64_t gain = std::uint64_t{target - window_} * ack.bytes + counted_;
  counted_ = static_cast<std::uint32_t>(gain % window_);
  window_ = std::min(window_ + static_cast<std::uint32_t>(gain / window_), window_max);
}

void Congestion::reduce(std::uint32_t flight, std::uint32_t mss, const Profile& profile) {
  in_css_ = in_round_ = false;
  counted_ = 0;
  // What limited transmit put in flight beyond the window does not count (RFC 3042, section 2).
  flight = std::min(flight, std::max(window_, mss));
  if (profile.congestion == CongestionControl::cubic) {
    // Fast convergence (4.7), then beta = 0.7 (4.6).
    const std::uint32_t before = std::max(flight, mss);
    w_max_ = before < w_max_ ? static_cast<std::uint32_t>(std::uint64_t{before} * 17 / 20) : before;
    threshold_ = std::max(static_cast<std::uint32_t>(std::uint64_t{before} * 7 / 10), 2 * mss);
    epoch_ = no_epoch;
  } else {
    threshold_ = std::max(flight / 2, 2 * mss);  // RFC 5681, equation 4
  }
}

void Congestion::on_loss(std::uint32_t flight, std::uint32_t mss, const Profile& profile) {
  reduce(flight, mss, profile);
}

void Congestion::on_timeout(std::uint32_t flight, std::uint32_t mss, bool again,
                            const Profile& profile) {
  // The threshold of the first timeout stands when the retransmission is lost too (RFC 5681, 3.1).
  if (!again) reduce(flight, mss, profile);
  window_ = mss;
  counted_ = 0;
}

void Congestion::on_idle(std::uint32_t restart_window) {
  window_ = std::min(window_, restart_window);
  epoch_ = no_epoch;
  in_css_ = in_round_ = false;
}

}  // namespace koine::stack::tcp
