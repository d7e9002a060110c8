// See traffic.h.
#define _GNU_SOURCE
#include "traffic.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  BUFFER_BYTES = 64 * 1024,
  EVENTS_PER_WAIT = 256,
  OPENING_MAX = 128,      // well below the listener's backlog
  ERRORS_MAX = 1000,      // then nothing is opened anew
  SOURCE_ADDRESSES = 16,  // 127.0.0.2 and on: one address has too few ports for seconds of churn
};

enum state { CLOSED, CONNECTING, TALKING, FINISHING };

struct connection {
  int descriptor;
  enum state state;
  bool wants_write;
  size_t start;               // where in the text it begins
  uint64_t sent, received;    // bytes
  uint64_t issued, answered;  // requests
  uint64_t answered_at_reset;
  uint64_t begun_ns;    // of connecting
  uint64_t* issued_ns;  // of the last `pipeline` requests
};

const char traffic_scheme[] = "tcp";

static struct traffic_options options;
static struct connection connections[CONNECTIONS_MAX];
static size_t connections_made;
static size_t opening;  // neither answered once nor broken yet
static bool flowing;
static int poller;
static char buffer[BUFFER_BYTES];
static char* text;         // as long as its period and one more buffer or burst, so no piece wraps
static size_t text_bytes;  // the period

static void make_text(void) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  // A prime number of steps: no two connections start alike, and the rhythm is no power of two.
  text_bytes = !options.lines         ? 65521
               : options.size <= 1024 ? 1021 * options.size
                                      : 13 * options.size;
  const size_t burst = options.size * options.pipeline;
  const size_t whole = text_bytes + (burst > BUFFER_BYTES ? burst : BUFFER_BYTES);
  text = malloc(whole);
  if (text == NULL) traffic_fail("malloc");
  uint64_t random = 0x9e3779b97f4a7c15;
  for (size_t i = 0; i < text_bytes; ++i) {
    random ^= random << 13, random ^= random >> 7, random ^= random << 17;  // xorshift64
    text[i] = options.lines && (i + 1) % options.size == 0 ? '\n' : letters[random >> 58];
  }
  for (size_t i = text_bytes; i < whole; ++i) text[i] = text[i - text_bytes];
}

static void watch(struct connection* connection, int operation, unsigned events) {
  struct epoll_event event = {.events = events, .data.ptr = connection};
  if (epoll_ctl(poller, operation, connection->descriptor, &event) != 0) traffic_fail("epoll_ctl");
}

static void leave(struct connection* connection) {
  if (connection->answered == 0) --opening;
  close(connection->descriptor);
  connection->state = CLOSED;
}

static void broke(struct connection* connection, enum traffic_error error) {
  traffic_count_error(error);
  leave(connection);
}

static void open_connection(struct connection* connection) {
  const size_t index = (size_t)(connection - connections);
  const size_t step = options.lines ? options.size : 1;
  connection->start = index * 7919 % (text_bytes / step) * step;
  connection->sent = connection->received = connection->issued = connection->answered = 0;
  connection->wants_write = false;
  connection->begun_ns = traffic_now_ns();
  connection->state = CONNECTING;
  ++opening;

  const int one = 1;
  connection->descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (connection->descriptor < 0) {
    broke(connection, ERROR_socket_failed);
    return;
  }
  setsockopt(connection->descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (options.manner == CHURN) {
    static uint32_t turn;
    const struct sockaddr_in source = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + turn++ % SOURCE_ADDRESSES)};
    setsockopt(connection->descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(connection->descriptor, (const struct sockaddr*)&source, sizeof source) != 0) {
      broke(connection, ERROR_socket_failed);
      return;
    }
  }
  const int connected = connect(connection->descriptor, (const struct sockaddr*)&options.server,
                                sizeof options.server);
  if (connected != 0 && errno != EINPROGRESS) {
    broke(connection, errno == ECONNREFUSED ? ERROR_connect_refused : ERROR_connect_failed);
    return;
  }
  watch(connection, EPOLL_CTL_ADD, EPOLLOUT);
}

static bool passes(void) { return errno == EAGAIN || errno == EINTR; }

// Sends what may be under way and is not yet: one request to begin with, and more while traffic
// flows. received ≤ sent ≤ issued * size.
static void send_more(struct connection* connection, uint64_t now_ns) {
  const bool more = flowing && options.manner == KEEP;
  const uint64_t requests_max = more ? connection->answered + options.pipeline : 1;
  while (connection->issued < requests_max)
    connection->issued_ns[connection->issued++ % options.pipeline] = now_ns;

  const uint64_t bytes = connection->issued * options.size - connection->sent;
  if (bytes == 0) return;
  const char* from = text + (connection->start + connection->sent) % text_bytes;
  const ssize_t sent = send(connection->descriptor, from, bytes, MSG_NOSIGNAL);
  if (sent < 0 && !passes()) {
    broke(connection, errno == ECONNRESET || errno == EPIPE ? ERROR_reset : ERROR_io_failed);
    return;
  }
  if (sent > 0) connection->sent += (uint64_t)sent;
  const bool wants_write = sent != (ssize_t)bytes;
  if (wants_write == connection->wants_write) return;
  connection->wants_write = wants_write;
  watch(connection, EPOLL_CTL_MOD, wants_write ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void on_connected(struct connection* connection) {
  int problem = 0;
  socklen_t length = sizeof problem;
  getsockopt(connection->descriptor, SOL_SOCKET, SO_ERROR, &problem, &length);
  if (problem != 0) {
    broke(connection, problem == ECONNREFUSED ? ERROR_connect_refused
                      : problem == ETIMEDOUT  ? ERROR_connect_timed_out
                                              : ERROR_connect_failed);
    return;
  }
  connection->state = TALKING;
  watch(connection, EPOLL_CTL_MOD, EPOLLIN);
  send_more(connection, traffic_now_ns());
}

static void on_answered(struct connection* connection, uint64_t now_ns) {
  while (connection->received >= (connection->answered + 1) * options.size) {
    const uint64_t issued_ns = connection->issued_ns[connection->answered % options.pipeline];
    if (connection->answered++ == 0) --opening;
    if (options.manner == CHURN) {  // it counts when the server has closed, too
      shutdown(connection->descriptor, SHUT_WR);
      connection->state = FINISHING;
      return;
    }
    ++traffic_counts.requests;
    histogram_add(&traffic_counts.latencies, now_ns - issued_ns);
  }
  send_more(connection, now_ns);
}

static void on_end(struct connection* connection) {
  if (connection->state != FINISHING) {
    broke(connection, ERROR_closed_early);
    return;
  }
  ++traffic_counts.requests;
  histogram_add(&traffic_counts.latencies, traffic_now_ns() - connection->begun_ns);
  leave(connection);
}

static void on_readable(struct connection* connection) {
  const ssize_t count = read(connection->descriptor, buffer, sizeof buffer);
  if (count < 0) {
    if (!passes()) broke(connection, errno == ECONNRESET ? ERROR_reset : ERROR_io_failed);
  } else if (count == 0) {
    on_end(connection);
  } else if (connection->received + (uint64_t)count > connection->sent) {
    broke(connection, ERROR_more_than_sent);
  } else if (memcmp(buffer, text + (connection->start + connection->received) % text_bytes,
                    (size_t)count) != 0) {
    broke(connection, ERROR_wrong_bytes);
  } else {
    connection->received += (uint64_t)count;
    on_answered(connection, traffic_now_ns());
  }
}

static void on_event(struct connection* connection, unsigned events) {
  if (connection->state == CONNECTING) {
    on_connected(connection);
    return;
  }
  if (events & EPOLLOUT) send_more(connection, traffic_now_ns());
  if (connection->state != CLOSED && (events & ~(unsigned)EPOLLOUT)) on_readable(connection);
  const bool more = flowing && options.manner == CHURN && traffic_counts.errors_in_all < ERRORS_MAX;
  if (connection->state == CLOSED && more) open_connection(connection);
}

// One wait for events and their handling. Returns the seconds of the handling.
static double turn(uint64_t until_ns, bool spin) {
  const uint64_t before_ns = traffic_now_ns();
  if (before_ns >= until_ns) return 0;
  const int wait_ms = spin ? 0 : (int)((until_ns - before_ns + 999999) / 1000000);
  struct epoll_event events[EVENTS_PER_WAIT];
  const int count = epoll_wait(poller, events, EVENTS_PER_WAIT, wait_ms);
  if (count < 0 && errno != EINTR) traffic_fail("epoll_wait");
  if (count <= 0) return 0;
  const uint64_t begun_ns = spin ? before_ns : traffic_now_ns();
  for (int i = 0; i < count; ++i) on_event(events[i].data.ptr, events[i].events);
  return (double)(traffic_now_ns() - begun_ns) * 1e-9;
}

const char* traffic_refuses(const struct traffic_options* wanted) {
  if (wanted->manner != KEEP && wanted->pipeline != 1)
    return "--pipeline above 1: expected neither --churn nor --idle beside it";
  return wanted->train != 1 ? "--train: a stream has none" : NULL;
}

void traffic_prepare(const struct traffic_options* wanted) {
  options = *wanted;
  poller = epoll_create1(EPOLL_CLOEXEC);
  if (poller < 0) traffic_fail("epoll_create1");
  make_text();
}

static struct connection* make_connection(void) {
  struct connection* connection = &connections[connections_made++];
  connection->issued_ns = calloc(options.pipeline, sizeof *connection->issued_ns);
  if (connection->issued_ns == NULL) traffic_fail("calloc");
  return connection;
}

static bool is_waiting(const struct connection* connection) {
  if (connection->state == CLOSED) return false;
  return connection->state != TALKING || connection->answered < connection->issued;
}

// Handles events until no connection waits for anything, or what still does counts as broken.
static void settle(uint64_t until_ns) {
  for (size_t i = 0; i < connections_made; ++i) {
    while (is_waiting(&connections[i]) && traffic_now_ns() < until_ns) turn(until_ns, false);
    if (is_waiting(&connections[i]))
      broke(&connections[i],
            connections[i].state == CONNECTING ? ERROR_connect_timed_out : ERROR_no_echo);
  }
}

void traffic_open(size_t wanted, double seconds_max) {
  const uint64_t until_ns = traffic_now_ns() + (uint64_t)(seconds_max * 1e9);
  while (connections_made < wanted && traffic_counts.errors_in_all < ERRORS_MAX) {
    struct connection* connection = make_connection();
    if (options.manner == CHURN) continue;
    open_connection(connection);
    while (opening >= OPENING_MAX && traffic_now_ns() < until_ns) turn(until_ns, false);
    if (opening >= OPENING_MAX) break;
  }
  settle(until_ns);
}

void traffic_start(void) {
  flowing = true;
  for (size_t i = 0; i < connections_made; ++i)
    if (options.manner == CHURN) {
      open_connection(&connections[i]);
    } else if (connections[i].state == TALKING) {
      send_more(&connections[i], traffic_now_ns());
    }
}

void traffic_stop(double seconds_max) {
  flowing = false;
  settle(traffic_now_ns() + (uint64_t)(seconds_max * 1e9));
}

double traffic_run(double seconds, bool spin) {
  const uint64_t until_ns = traffic_now_ns() + (uint64_t)(seconds * 1e9);
  double handling_seconds = 0;
  while (traffic_now_ns() < until_ns) handling_seconds += turn(until_ns, spin);
  return handling_seconds;
}

void traffic_reset_counts(void) {
  traffic_counts.requests = 0;
  memset(&traffic_counts.latencies, 0, sizeof traffic_counts.latencies);
  for (size_t i = 0; i < connections_made; ++i)
    connections[i].answered_at_reset = connections[i].answered;
}

size_t traffic_silent(void) {
  size_t silent = 0;
  for (size_t i = 0; i < connections_made; ++i)
    silent += connections[i].state == TALKING &&
              connections[i].answered == connections[i].answered_at_reset;
  return silent;
}

void traffic_count_closed(void) {
  for (size_t i = 0; i < connections_made; ++i) {
    if (connections[i].state != TALKING) continue;
    char byte;
    if (recv(connections[i].descriptor, &byte, 1, MSG_DONTWAIT) >= 0 || !passes())
      broke(&connections[i], ERROR_closed_while_idle);
  }
}
