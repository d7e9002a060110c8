// See traffic.h. Requests are datagrams: a number that tells them apart, and then text.
//
// A socket has `pipeline` datagrams under way, in trains: those of one train are sent with one call
// (UDP_SEGMENT), and the next train follows when all of them are answered. Answers are taken in the
// same manner (UDP_GRO), so that the generator limits no server that answers so. One that answers
// each by itself is understood alike. What is not answered within LOST_NS was lost: it is counted,
// and new datagrams take its place.
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "traffic.h"

enum {
  NUMBER_BYTES = 8,
  DATAGRAM_BYTES_MAX = 1472,  // of an Ethernet's packet
  TRAIN_BYTES_MAX = 65507,    // of one call
  BUFFER_BYTES = 64 * 1024,
  EVENTS_PER_WAIT = 64,
  READS_PER_EVENT = 64,
  RECEIVE_BUFFER_BYTES = 4 << 20,
  TEXT_BYTES = 65521,  // a prime: no two datagrams in a row begin alike
};
static const uint64_t LOST_NS = 100 * 1000 * 1000;

struct train {
  uint64_t first;  // number of its first datagram
  uint64_t issued_ns;
  size_t size;      // datagrams sent
  size_t answered;  // of these
  bool* is_answered;
};

struct connection {
  int descriptor;
  bool open;
  uint64_t next_number;
  uint64_t answered, answered_at_reset;
  struct train* trains;
};

const char traffic_scheme[] = "udp";

static struct traffic_options options;
static struct connection connections[CONNECTIONS_MAX];
static size_t connections_made;
static size_t trains_each;
static bool flowing;
static int poller;
static char text[TEXT_BYTES + DATAGRAM_BYTES_MAX];
static char buffer[BUFFER_BYTES];

static void broke(struct connection* connection, enum traffic_error error) {
  traffic_count_error(error);
  if (connection->descriptor >= 0) close(connection->descriptor);
  connection->open = false;
}

static const char* text_of(const struct connection* connection, uint64_t number) {
  const size_t index = (size_t)(connection - connections);
  return text + (number * 1009 + index * 7919) % TEXT_BYTES;
}

static void send_train(struct connection* connection, struct train* train, size_t size) {
  train->first = connection->next_number;
  train->size = size;
  train->answered = 0;
  memset(train->is_answered, 0, options.train);
  connection->next_number += size;
  for (size_t i = 0; i < size; ++i) {
    char* datagram = buffer + i * options.size;
    const uint64_t number = train->first + i;
    memcpy(datagram, &number, NUMBER_BYTES);
    memcpy(datagram + NUMBER_BYTES, text_of(connection, number), options.size - NUMBER_BYTES);
  }
  train->issued_ns = traffic_now_ns();

  struct iovec piece = {.iov_base = buffer, .iov_len = size * options.size};
  union {
    char bytes[CMSG_SPACE(sizeof(uint16_t))];
    struct cmsghdr aligned;
  } control = {0};
  struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
  if (size > 1) {
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    struct cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = IPPROTO_UDP;
    header->cmsg_type = UDP_SEGMENT;
    header->cmsg_len = CMSG_LEN(sizeof(uint16_t));
    const uint16_t segment = (uint16_t)options.size;
    memcpy(CMSG_DATA(header), &segment, sizeof segment);
  }
  if (sendmsg(connection->descriptor, &message, MSG_NOSIGNAL) >= 0) return;
  // What the kernel had no room for is lost like what the network had none for.
  if (errno == ECONNREFUSED) {
    broke(connection, ERROR_connect_refused);
  } else if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS) {
    broke(connection, ERROR_io_failed);
  }
}

/// The train that this datagram is of, if it still waits for it.
static struct train* train_of(const struct connection* connection, uint64_t number) {
  for (size_t i = 0; i < trains_each; ++i) {
    struct train* train = &connection->trains[i];
    if (number < train->first || number >= train->first + train->size) continue;
    return train->is_answered[number - train->first] ? NULL : train;
  }
  return NULL;
}

static void take(struct connection* connection, const char* datagram, size_t size,
                 uint64_t now_ns) {
  uint64_t number = 0;
  if (size != options.size) {
    broke(connection, ERROR_wrong_bytes);
    return;
  }
  memcpy(&number, datagram, NUMBER_BYTES);
  if (number >= connection->next_number) {
    broke(connection, ERROR_more_than_sent);
    return;
  }
  if (memcmp(datagram + NUMBER_BYTES, text_of(connection, number), size - NUMBER_BYTES) != 0) {
    broke(connection, ERROR_wrong_bytes);
    return;
  }
  struct train* train = train_of(connection, number);
  if (train == NULL) return;  // it was late, and has been counted as lost
  train->is_answered[number - train->first] = true;
  ++train->answered;
  ++connection->answered;
  ++traffic_counts.requests;
  histogram_add(&traffic_counts.latencies, now_ns - train->issued_ns);
}

/// One call's worth of answers. False when there were none, or the connection broke.
static bool receive(struct connection* connection) {
  struct iovec piece = {.iov_base = buffer, .iov_len = sizeof buffer};
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr aligned;
  } control;
  struct msghdr message = {.msg_iov = &piece,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof control.bytes};
  const ssize_t count = recvmsg(connection->descriptor, &message, MSG_DONTWAIT);
  if (count < 0) {
    if (errno == EAGAIN || errno == EINTR) return false;
    broke(connection, errno == ECONNREFUSED ? ERROR_connect_refused : ERROR_io_failed);
    return false;
  }
  size_t segment = (size_t)count;
  for (struct cmsghdr* header = CMSG_FIRSTHDR(&message); header != NULL;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != IPPROTO_UDP || header->cmsg_type != UDP_GRO) continue;
    int of_kernel = 0;
    memcpy(&of_kernel, CMSG_DATA(header), sizeof of_kernel);
    segment = (size_t)of_kernel;
  }
  const uint64_t now_ns = traffic_now_ns();
  size_t at = 0;
  do {
    const size_t left = (size_t)count - at;
    take(connection, buffer + at, left < segment ? left : segment, now_ns);
    at += segment;
  } while (connection->open && segment > 0 && at < (size_t)count);
  return connection->open;
}

static void send_where_answered(struct connection* connection) {
  for (size_t i = 0; i < trains_each && connection->open && flowing; ++i) {
    struct train* train = &connection->trains[i];
    if (train->answered == train->size) send_train(connection, train, options.train);
  }
}

static void on_readable(struct connection* connection) {
  for (int i = 0; i < READS_PER_EVENT && connection->open && receive(connection); ++i)
    send_where_answered(connection);
}

static void count_lost(void) {
  const uint64_t now_ns = traffic_now_ns();
  for (size_t i = 0; i < connections_made; ++i) {
    struct connection* connection = &connections[i];
    for (size_t k = 0; connection->open && k < trains_each; ++k) {
      struct train* train = &connection->trains[k];
      if (train->answered == train->size || now_ns - train->issued_ns < LOST_NS) continue;
      traffic_counts.lost += train->size - train->answered;
      train->answered = train->size;  // it waits no more
    }
    send_where_answered(connection);
  }
}

/// One wait for events and their handling. Returns the seconds of the handling.
static double turn(uint64_t until_ns, bool spin) {
  const uint64_t before_ns = traffic_now_ns();
  if (before_ns >= until_ns) return 0;
  const uint64_t left_ns = until_ns - before_ns < LOST_NS / 2 ? until_ns - before_ns : LOST_NS / 2;
  const int wait_ms = spin ? 0 : (int)((left_ns + 999999) / 1000000);
  struct epoll_event events[EVENTS_PER_WAIT];
  const int count = epoll_wait(poller, events, EVENTS_PER_WAIT, wait_ms);
  if (count < 0 && errno != EINTR) traffic_fail("epoll_wait");
  if (count <= 0) {
    if (!spin) count_lost();
    return 0;
  }
  const uint64_t begun_ns = spin ? before_ns : traffic_now_ns();
  for (int i = 0; i < count; ++i) on_readable(events[i].data.ptr);
  return (double)(traffic_now_ns() - begun_ns) * 1e-9;
}

const char* traffic_refuses(const struct traffic_options* wanted) {
  if (wanted->manner != KEEP) return "--churn and --idle: datagrams have no connections";
  if (wanted->lines) return "--lines: datagrams begin with a number";
  if (wanted->size < 2 * NUMBER_BYTES || wanted->size > DATAGRAM_BYTES_MAX)
    return "--size: expected datagrams of 16 to 1472 bytes";
  if (wanted->pipeline % wanted->train != 0) return "--pipeline: expected whole trains of --train";
  if (wanted->size * wanted->train > TRAIN_BYTES_MAX)
    return "--train: expected 65507 bytes at most";
  return NULL;
}

void traffic_prepare(const struct traffic_options* wanted) {
  options = *wanted;
  trains_each = options.pipeline / options.train;
  poller = epoll_create1(EPOLL_CLOEXEC);
  if (poller < 0) traffic_fail("epoll_create1");
  uint64_t random = 0x9e3779b97f4a7c15;
  for (size_t i = 0; i < sizeof text; ++i) {
    random ^= random << 13, random ^= random >> 7, random ^= random << 17;  // xorshift64
    text[i] = i < TEXT_BYTES ? (char)(random >> 56) : text[i - TEXT_BYTES];
  }
}

static struct connection* open_connection(void) {
  struct connection* connection = &connections[connections_made++];
  const int one = 1, bytes = RECEIVE_BUFFER_BYTES;
  connection->trains = calloc(trains_each, sizeof *connection->trains);
  if (connection->trains == NULL) traffic_fail("calloc");
  for (size_t i = 0; i < trains_each; ++i) {
    connection->trains[i].is_answered = calloc(options.train, sizeof(bool));
    if (connection->trains[i].is_answered == NULL) traffic_fail("calloc");
  }
  connection->descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (connection->descriptor < 0 ||
      connect(connection->descriptor, (const struct sockaddr*)&options.server,
              sizeof options.server) != 0) {
    broke(connection, ERROR_socket_failed);
    return connection;
  }
  setsockopt(connection->descriptor, IPPROTO_UDP, UDP_GRO, &one, sizeof one);
  // More than the administrator's bound if we may, so that it is not here that answers are lost.
  if (setsockopt(connection->descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0)
    setsockopt(connection->descriptor, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
  if (epoll_ctl(poller, EPOLL_CTL_ADD, connection->descriptor, &event) != 0)
    traffic_fail("epoll_ctl");
  connection->open = true;
  return connection;
}

void traffic_open(size_t wanted, double seconds_max) {
  const uint64_t until_ns = traffic_now_ns() + (uint64_t)(seconds_max * 1e9);
  while (connections_made < wanted) {
    struct connection* connection = open_connection();
    while (connection->open && connection->answered == 0 && traffic_now_ns() < until_ns) {
      struct train* train = &connection->trains[0];
      if (train->answered == train->size) send_train(connection, train, 1);
      turn(until_ns, false);
    }
    if (connection->open && connection->answered == 0) broke(connection, ERROR_no_echo);
  }
}

void traffic_start(void) {
  flowing = true;
  for (size_t i = 0; i < connections_made; ++i) send_where_answered(&connections[i]);
}

static bool is_waiting(const struct connection* connection) {
  for (size_t i = 0; connection->open && i < trains_each; ++i)
    if (connection->trains[i].answered < connection->trains[i].size) return true;
  return false;
}

void traffic_stop(double seconds_max) {
  const uint64_t until_ns = traffic_now_ns() + (uint64_t)(seconds_max * 1e9);
  flowing = false;
  for (size_t i = 0; i < connections_made; ++i) {
    while (is_waiting(&connections[i]) && traffic_now_ns() < until_ns) turn(until_ns, false);
    if (is_waiting(&connections[i])) broke(&connections[i], ERROR_no_echo);
  }
}

double traffic_run(double seconds, bool spin) {
  const uint64_t until_ns = traffic_now_ns() + (uint64_t)(seconds * 1e9);
  double handling_seconds = 0;
  uint64_t looked_ns = traffic_now_ns();
  for (uint64_t now_ns = looked_ns; now_ns < until_ns; now_ns = traffic_now_ns()) {
    handling_seconds += turn(until_ns, spin);
    if (now_ns - looked_ns < LOST_NS / 2) continue;
    count_lost();
    looked_ns = now_ns;
  }
  return handling_seconds;
}

void traffic_reset_counts(void) {
  traffic_counts.requests = traffic_counts.lost = 0;
  memset(&traffic_counts.latencies, 0, sizeof traffic_counts.latencies);
  for (size_t i = 0; i < connections_made; ++i)
    connections[i].answered_at_reset = connections[i].answered;
}

size_t traffic_silent(void) {
  size_t silent = 0;
  for (size_t i = 0; i < connections_made; ++i)
    silent += connections[i].open && connections[i].answered == connections[i].answered_at_reset;
  return silent;
}

void traffic_count_closed(void) {}  // nothing is held idle (traffic_refuses)
