#include "koine/os/udp_offload.h"

#include <netinet/in.h>
#include <netinet/udp.h>

#include <cstring>

#include "koine/os/system.h"

namespace koine::os {
namespace {

bool option(int fd, int name, int& value) {
  socklen_t size = sizeof(value);
  return sys::getsockopt(fd, IPPROTO_UDP, name, &value, &size) == 0;
}

}  // namespace

bool can_send_trains(int fd) {
  int ignored = 0;
  return option(fd, UDP_SEGMENT, ignored);
}

bool accept_trains(int fd) {
  const int yes = 1;
  return sys::setsockopt(fd, IPPROTO_UDP, UDP_GRO, &yes, sizeof(yes)) == 0;
}

bool accepts_trains(int fd) {
  int value = 0;
  return option(fd, UDP_GRO, value) && value != 0;
}

void cut_into(msghdr& message, ControlBuffer& room, std::size_t datagram_bytes) {
  const auto bytes = static_cast<std::uint16_t>(datagram_bytes);
  message.msg_control = room.bytes;
  message.msg_controllen = CMSG_SPACE(sizeof(bytes));
  cmsghdr* control = CMSG_FIRSTHDR(&message);
  control->cmsg_level = IPPROTO_UDP;
  control->cmsg_type = UDP_SEGMENT;
  control->cmsg_len = CMSG_LEN(sizeof(bytes));
  std::memcpy(CMSG_DATA(control), &bytes, sizeof(bytes));
}

std::size_t datagram_bytes_of(const msghdr& message) {
  auto* header = const_cast<msghdr*>(&message);  // the macros ask for it
  for (cmsghdr* control = CMSG_FIRSTHDR(header); control != nullptr;
       control = CMSG_NXTHDR(header, control)) {
    int bytes = 0;
    if (control->cmsg_level != IPPROTO_UDP || control->cmsg_type != UDP_GRO ||
        control->cmsg_len < CMSG_LEN(sizeof(bytes)))
      continue;
    std::memcpy(&bytes, CMSG_DATA(control), sizeof(bytes));
    return static_cast<std::size_t>(bytes);
  }
  return 0;
}

}  // namespace koine::os
