#include "koine/os/tcp_state.h"

#include <linux/tcp.h>
#include <netinet/in.h>

#include <algorithm>
#include <string_view>

#include "koine/os/system.h"

namespace koine::os {

using journey::HeldBy;

std::optional<TcpInfo> read_tcp_info(int fd) {
  tcp_info info{};
  socklen_t size = sizeof(info);
  if (sys::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return std::nullopt;
  // RFC 6675, section 4: what was confirmed out of order is not under way, nor is what was lost.
  const std::uint32_t sent = info.tcpi_unacked + info.tcpi_retrans;
  return TcpInfo{.cwnd = info.tcpi_snd_cwnd,
                 .in_flight = sent - std::min(sent, info.tcpi_sacked + info.tcpi_lost),
                 .srtt_us = info.tcpi_rtt,
                 .mss = info.tcpi_snd_mss,
                 .unsent_bytes = info.tcpi_notsent_bytes,
                 .retransmits = info.tcpi_total_retrans,
                 .out_of_order = info.tcpi_rcv_ooopack,
                 .segments_sent = info.tcpi_data_segs_out,
                 .pacing_rate = info.tcpi_pacing_rate,
                 .window_limited_us = info.tcpi_rwnd_limited,
                 .buffer_limited_us = info.tcpi_sndbuf_limited};
}

TcpOptions read_tcp_options(int fd) {
  TcpOptions options;
  char control[16] = {};
  socklen_t size = sizeof(control);
  if (sys::getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, control, &size) == 0)
    options.paces = std::string_view(control, size).starts_with("bbr");
  std::uint64_t rate = 0;  // a kernel before 4.20 gives half of it
  size = sizeof(rate);
  if (sys::getsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, &size) == 0)
    options.paces |= rate != (size == sizeof(rate) ? ~std::uint64_t{0} : ~std::uint32_t{0});
  int no_delay = 1;
  size = sizeof(no_delay);
  if (sys::getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, &size) == 0)
    options.waits_for_confirmations = no_delay == 0;
  return options;
}

namespace {

/// What TCP cuts from its queue at once, if a segment is not larger.
constexpr std::uint64_t piece_bytes = std::uint64_t{64} << 10;

/// What the kernel counts of time it counts in jiffies, of 10 ms at most: one begun counts whole.
constexpr std::int64_t counting_tick_ns = 10'000'000;

/// True if so many bytes at a rate between the two take about as long. The last piece has to wait
/// for what is before it, what left just before included; of that, half the time may be saved up.
bool pacing_explains(const TcpInfo& before, const TcpInfo& after, const Held& message) {
  const auto [slow, fast] = std::minmax(before.pacing_rate, after.pacing_rate);
  if (slow == 0 || after.segments_sent <= TcpInfo::segments_unpaced) return false;
  const auto time_ns = [](std::uint64_t count, std::uint64_t rate) {
    return static_cast<double>(count) * 1e9 / static_cast<double>(rate);
  };
  const std::uint64_t bytes = message.bytes;
  const auto held = static_cast<double>(message.ns);
  const std::uint64_t last = std::max(2 * std::uint64_t{before.mss}, piece_bytes);
  if (before.in_flight == 0 && bytes <= last) return false;  // nothing is before it
  return held <= 2 * time_ns(bytes + 2 * std::uint64_t{before.mss}, slow) &&
         held >= time_ns(bytes - std::min(bytes, last), fast) / 2;
}

}  // namespace

/// The kernel counts how long the receiver's window and the send buffer were the limit. For the
/// others there are only the two moments: what was in force, and could take so long.
HeldBy what_held(const TcpInfo& before, const TcpInfo& after, const TcpOptions& options,
                 const Held& held) {
  const auto is_most = [&](std::uint64_t from_us, std::uint64_t to_us) {
    if (to_us <= from_us) return false;
    const auto grown_ns = static_cast<std::int64_t>(to_us - from_us) * 1000;
    return grown_ns - counting_tick_ns - held.late_ns >= held.ns / 2;
  };
  if (is_most(before.window_limited_us, after.window_limited_us)) return HeldBy::receiver_window;
  if (is_most(before.buffer_limited_us, after.buffer_limited_us)) return HeldBy::send_buffer;
  // RFC 9293, section 3.7.4: less than a segment waits while anything is not confirmed.
  if (options.waits_for_confirmations && held.had_it && held.bytes < before.mss &&
      before.in_flight != 0)
    return HeldBy::nagle;
  const bool is_full = before.in_flight != 0 && before.in_flight >= before.cwnd;
  if (is_full && held.had_it) return HeldBy::congestion_window;
  if (options.paces && pacing_explains(before, after, held)) return HeldBy::pacing;
  // More than may be in flight at once waits for confirmations of the first: so many times.
  const std::uint64_t segments = before.mss == 0 ? 0 : held.bytes / before.mss;
  if (before.cwnd == 0 || before.in_flight + segments <= before.cwnd) return HeldBy::unknown;
  const std::uint64_t rounds = (before.in_flight + segments) / before.cwnd + 1;
  const auto round_ns = [](const TcpInfo& info) { return std::int64_t{info.srtt_us} * 1000; };
  const std::int64_t longest_ns =
      2 * static_cast<std::int64_t>(rounds) * std::max(round_ns(before), round_ns(after));
  const bool takes_so_long = held.ns >= round_ns(before) && held.ns <= longest_ns;
  return takes_so_long ? HeldBy::congestion_window : HeldBy::unknown;
}

}  // namespace koine::os
