#include "koine/os/timestamping.h"

#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <netinet/in.h>

#include <cstring>
#include <ctime>

#include "koine/os/fd.h"
#include "koine/os/system.h"

namespace koine::os {
namespace {

constexpr unsigned option_id_tcp = 1U << 16;  // SOF_TIMESTAMPING_OPT_ID_TCP, Linux 6.2
constexpr int message_id = 81;                // SCM_TS_OPT_ID, Linux 6.13

bool set(int fd, unsigned flags) {
  return sys::setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof(flags)) == 0;
}

/// Where an administrator forbade it, reports with data do not come at all (without CAP_NET_RAW).
bool may_have_frames() {
  const Fd file(sys::open("/proc/sys/net/core/tstamp_allow_data"));
  char allowed = '0';
  return file && sys::read(file.get(), &allowed, 1) == 1 && allowed != '0';
}

std::int64_t ns_of(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

/// The software stamp of a control message with the three of them.
std::int64_t stamp_in(const cmsghdr& control) {
  timespec times[3];
  std::memcpy(times, CMSG_DATA(&control), sizeof(times));
  return ns_of(times[0]);
}

bool is_stamp(const cmsghdr& control) {
  return control.cmsg_level == SOL_SOCKET && control.cmsg_type == SO_TIMESTAMPING &&
         control.cmsg_len >= CMSG_LEN(3 * sizeof(timespec));
}

template <class Value>
void put(msghdr& message, int type, Value value) {
  auto* control = reinterpret_cast<cmsghdr*>(static_cast<std::byte*>(message.msg_control) +
                                             message.msg_controllen);
  control->cmsg_level = SOL_SOCKET;
  control->cmsg_type = type;
  control->cmsg_len = CMSG_LEN(sizeof(value));
  std::memcpy(CMSG_DATA(control), &value, sizeof(value));
  message.msg_controllen += CMSG_SPACE(sizeof(value));
}

constexpr unsigned arrivals = SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_RX_SOFTWARE;

unsigned departures(bool frames) {
  return arrivals | SOF_TIMESTAMPING_OPT_ID |
         (frames ? 0U : static_cast<unsigned>(SOF_TIMESTAMPING_OPT_TSONLY));
}

}  // namespace

Timestamping enable_timestamping(int fd, Transport transport, bool frames) {
  Timestamping can;
  if (transport != Transport::tcp && transport != Transport::udp) {
    can.lacking = "the kernel stamps TCP and UDP only";
    return can;
  }
  set(fd, 0);  // or the count of an earlier time would go on
  if (frames && !may_have_frames()) {
    frames = false;
    can.lacking = "frames are not allowed here: net.core.tstamp_allow_data is 0";
  }
  const unsigned wanted = departures(frames);
  const bool is_tcp = transport == Transport::tcp;
  // Without OPT_ID_TCP, bytes are counted from what is not yet confirmed.
  can.sending = set(fd, is_tcp ? wanted | option_id_tcp : wanted) ||
                (is_tcp && sys::unacknowledged(fd) == 0 && set(fd, wanted));
  can.receiving = can.sending || set(fd, arrivals);
  can.confirming = can.sending && is_tcp;
  can.frames = can.sending && frames;
  if (!can.receiving) {
    can.lacking = "this kernel does not stamp";
  } else if (!can.sending) {
    can.lacking = "this kernel cannot count bytes from the middle of a connection (Linux 6.2 can)";
  }
  return can;
}

/// Only an option that was not set yet begins to count anew.
bool give_frames(int fd, Transport transport, bool wanted) {
  if (wanted && !may_have_frames()) return false;
  const unsigned flags = departures(wanted);
  return (transport == Transport::tcp && set(fd, flags | option_id_tcp)) || set(fd, flags);
}

void disable_timestamping(int fd) { set(fd, 0); }

Report::Kind kind_of_stamp(std::uint32_t type) {
  switch (type) {
    case SCM_TSTAMP_SCHED: return Report::Kind::scheduled;
    case SCM_TSTAMP_SND: return Report::Kind::sent;
    case SCM_TSTAMP_ACK: return Report::Kind::confirmed;
    default: return Report::Kind::other;
  }
}

std::optional<Report> next_report(int fd, MutableBytes frame) {
  ControlBuffer room;
  iovec piece{frame.data(), frame.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = frame.empty() ? 0 : 1;
  message.msg_control = room.bytes;
  message.msg_controllen = sizeof(room.bytes);
  ssize_t count = 0;
  do {
    count = sys::recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT);
  } while (count < 0 && errno == EINTR);
  if (count < 0) return std::nullopt;

  Report report;
  report.frame_bytes = static_cast<std::size_t>(count);
  bool is_report = false;
  for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr;
       control = CMSG_NXTHDR(&message, control)) {
    const bool is_error = (control->cmsg_level == SOL_IP && control->cmsg_type == IP_RECVERR) ||
                          (control->cmsg_level == SOL_IPV6 && control->cmsg_type == IPV6_RECVERR);
    if (is_stamp(*control)) report.ns = stamp_in(*control);
    if (!is_error || control->cmsg_len < CMSG_LEN(sizeof(sock_extended_err))) continue;
    sock_extended_err error{};
    std::memcpy(&error, CMSG_DATA(control), sizeof(error));
    is_report = error.ee_errno == ENOMSG && error.ee_origin == SO_EE_ORIGIN_TIMESTAMPING;
    report.kind = kind_of_stamp(error.ee_info);
    report.key = error.ee_data;
  }
  if (!is_report || report.ns == 0) report.kind = Report::Kind::other;
  return report;
}

void ask_for_stamps(msghdr& message, ControlBuffer& room, bool confirming,
                    std::optional<std::uint32_t> id) {
  message.msg_control = room.bytes;
  message.msg_controllen = 0;
  std::uint32_t flags = SOF_TIMESTAMPING_TX_SCHED | SOF_TIMESTAMPING_TX_SOFTWARE;
  if (confirming) flags |= SOF_TIMESTAMPING_TX_ACK;
  put(message, SO_TIMESTAMPING, flags);
  if (id) put(message, message_id, *id);
}

std::optional<std::int64_t> arrival_of(const msghdr& message) {
  auto* header = const_cast<msghdr*>(&message);  // the macros ask for it
  for (cmsghdr* control = CMSG_FIRSTHDR(header); control != nullptr;
       control = CMSG_NXTHDR(header, control)) {
    if (!is_stamp(*control)) continue;
    if (const std::int64_t ns = stamp_in(*control); ns != 0) return ns;
  }
  return std::nullopt;
}

}  // namespace koine::os
