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
  return TcpInfo{.cwnd = info.tcpi_snd_cwnd,
                 .in_flight = info.tcpi_unacked,
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
  std::uint64_t rate = ~std::uint64_t{0};
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

/// True if so many bytes at a rate between the two take about as long. The last piece has to wait
/// for what is before it, what left just before included; of that, half the time may be saved up.
bool pacing_explains(const TcpInfo& before, const TcpInfo& after, std::uint64_t bytes,
                     std::int64_t held_ns) {
  const auto [slow, fast] = std::minmax(before.pacing_rate, after.pacing_rate);
  if (slow == 0 || after.segments_sent <= TcpInfo::segments_unpaced) return false;
  const auto time_ns = [](std::uint64_t count, std::uint64_t rate) {
    return static_cast<double>(count) * 1e9 / static_cast<double>(rate);
  };
  const auto held = static_cast<double>(held_ns);
  const std::uint64_t last = std::max(2 * std::uint64_t{before.mss}, piece_bytes);
  if (before.in_flight == 0 && bytes <= last) return false;  // nothing is before it
  return held <= 2 * time_ns(bytes + 2 * std::uint64_t{before.mss}, slow) &&
         held >= time_ns(bytes - std::min(bytes, last), fast) / 2;
}

}  // namespace

/// The kernel counts how long the receiver's window and the send buffer were the limit. For the
/// others there are only the two moments: what was in force, and could take so long.
HeldBy what_held(const TcpInfo& before, const TcpInfo& after, const TcpOptions& options,
                 std::uint64_t bytes, std::int64_t held_ns) {
  const auto is_most = [&](std::uint64_t from_us, std::uint64_t to_us) {
    return to_us > from_us && static_cast<std::int64_t>(to_us - from_us) * 1000 >= held_ns / 2;
  };
  if (is_most(before.window_limited_us, after.window_limited_us)) return HeldBy::receiver_window;
  if (is_most(before.buffer_limited_us, after.buffer_limited_us)) return HeldBy::send_buffer;
  // RFC 9293, section 3.7.4: less than a segment waits while anything is not confirmed.
  if (options.waits_for_confirmations && bytes < before.mss && before.in_flight != 0)
    return HeldBy::nagle;
  if (before.in_flight != 0 && before.in_flight >= before.cwnd) return HeldBy::congestion_window;
  if (options.paces && pacing_explains(before, after, bytes, held_ns)) return HeldBy::pacing;
  // More than may be in flight at once waits for confirmations of the first.
  const std::uint64_t segments = before.mss == 0 ? 0 : bytes / before.mss;
  if (before.in_flight + segments > before.cwnd && held_ns >= std::int64_t{before.srtt_us} * 1000)
    return HeldBy::congestion_window;
  return HeldBy::unknown;
}

}  // namespace koine::os
