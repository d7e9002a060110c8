// A UDP echo server by hand, one thread, in the two ways there are.
//
// Plain, one recvfrom and one sendto for each datagram: what everybody writes, and what UDP servers
// are measured as a ratio to. With --trains, what comes in a train is taken in one call and
// returned in one (UDP_GRO and UDP_SEGMENT): what the kernel can do.
//
// Fairness: a blocking socket saves the plain one a poll and a call that finds nothing. The receive
// buffer is as large as the machine allows, as in every server here.
//
//   raw_udp PORT [--trains]     PORT 0 = any
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { BUFFER_BYTES = 64 * 1024 };

static char buffer[BUFFER_BYTES];
static int server;

static void fail(const char* operation) {
  fprintf(stderr, "raw_udp: %s: %s\n", operation, strerror(errno));
  exit(1);
}

// A datagram that cannot be sent back now is lost, as datagrams may be; so is one that a peer which
// has left caused an error about.
static void echo(void) {
  struct sockaddr_in from;
  socklen_t length = sizeof from;
  const ssize_t count =
      recvfrom(server, buffer, sizeof buffer, 0, (struct sockaddr*)&from, &length);
  if (count < 0) return;
  sendto(server, buffer, (size_t)count, 0, (const struct sockaddr*)&from, length);
}

union control {
  char bytes[CMSG_SPACE(sizeof(int))];
  struct cmsghdr aligned;
};

// The size of the datagrams in a train, or zero if it is one datagram.
static int segment_of(struct msghdr* message) {
  int segment = 0;
  for (struct cmsghdr* header = CMSG_FIRSTHDR(message); header != NULL;
       header = CMSG_NXTHDR(message, header))
    if (header->cmsg_level == IPPROTO_UDP && header->cmsg_type == UDP_GRO)
      memcpy(&segment, CMSG_DATA(header), sizeof segment);
  return segment;
}

static void echo_train(void) {
  struct sockaddr_in from;
  union control control;
  struct iovec piece = {.iov_base = buffer, .iov_len = sizeof buffer};
  struct msghdr message = {.msg_name = &from,
                           .msg_namelen = sizeof from,
                           .msg_iov = &piece,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof control.bytes};
  const ssize_t count = recvmsg(server, &message, 0);
  if (count < 0) return;
  const int segment = segment_of(&message);
  piece.iov_len = (size_t)count;
  message.msg_control = NULL;
  message.msg_controllen = 0;
  message.msg_flags = 0;
  if (segment > 0 && segment < count) {
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(sizeof(uint16_t));
    struct cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = IPPROTO_UDP;
    header->cmsg_type = UDP_SEGMENT;
    header->cmsg_len = CMSG_LEN(sizeof(uint16_t));
    const uint16_t size = (uint16_t)segment;
    memcpy(CMSG_DATA(header), &size, sizeof size);
  }
  sendmsg(server, &message, 0);
}

int main(int count, char** words) {
  const bool trains = count == 3 && strcmp(words[2], "--trains") == 0;
  char* end = NULL;
  const long port = count >= 2 ? strtol(words[1], &end, 10) : -1;
  if ((count != 2 && !trains) || end == words[1] || *end != '\0' || port < 0 || port > 65535) {
    fprintf(stderr, "usage: raw_udp PORT [--trains]     (a port from 0, meaning any, to 65535)\n");
    return 2;
  }
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((unsigned short)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  const int one = 1, bytes = 1 << 22;
  server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (server < 0) fail("socket");
  setsockopt(server, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);  // the kernel takes what it may
  if (trains && setsockopt(server, IPPROTO_UDP, UDP_GRO, &one, sizeof one) != 0) fail("UDP_GRO");
  if (bind(server, (struct sockaddr*)&address, length) != 0) fail("bind");
  if (getsockname(server, (struct sockaddr*)&address, &length) != 0) fail("getsockname");
  printf("listening on udp://127.0.0.1:%u\n", ntohs(address.sin_port));
  fflush(stdout);
  for (;;) {
    if (trains) {
      echo_train();
    } else {
      echo();
    }
  }
}
