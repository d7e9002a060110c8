// An echo server by hand: level-triggered epoll, one thread, as a careful engineer writes it.
//
// Every other server is measured as a ratio to this one, so it does all that an honest echo owes
// (every byte, slow readers, running out of descriptors) and nothing that only a benchmark would:
//
// - one read for each readiness, into one buffer that stays in the cache, and one send of it all;
// - what a slow peer does not take is kept for that connection alone, and nothing more is read from
//   it until it is gone: at most one buffer a connection;
// - an idle connection costs a slot of 8 bytes here.
//
//   raw_epoll PORT [--spin]     PORT 0 = any; --spin asks for events without ever going to sleep
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER_BYTES = 64 * 1024, EVENTS_PER_WAIT = 256 };

// What is still owed to one connection, after a send that was short.
struct rest {
  size_t begin, end;
  char bytes[];
};

static char buffer[BUFFER_BYTES];
static struct rest** rests;  // by descriptor; NULL where nothing is owed
static rlim_t descriptors_max;
static int poller;
static int listener;
static bool listening;  // false while there is no descriptor left to accept with

static void fail(const char* operation) {
  fprintf(stderr, "raw_epoll: %s: %s\n", operation, strerror(errno));
  exit(1);
}

static void watch(int operation, int descriptor, unsigned events) {
  struct epoll_event event = {.events = events, .data.fd = descriptor};
  if (epoll_ctl(poller, operation, descriptor, &event) != 0) fail("epoll_ctl");
}

static void listen_again(bool yes) {
  watch(EPOLL_CTL_MOD, listener, yes ? EPOLLIN : 0);
  listening = yes;
}

static void drop(int client) {
  free(rests[client]);
  rests[client] = NULL;
  close(client);  // epoll forgets it with its last descriptor
  if (!listening) listen_again(true);
}

static void accept_all(void) {
  for (;;) {
    // TCP_NODELAY comes with the listener's options.
    const int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client >= 0) {
      watch(EPOLL_CTL_ADD, client, EPOLLIN);
      continue;
    }
    if (errno == EAGAIN) return;
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      listen_again(false);  // until somebody leaves; waiting for it costs no time
      return;
    }
    // Anything else befell that one connection while it waited (accept(2), "Error handling").
  }
}

static void keep(int client, const char* bytes, size_t count) {
  struct rest* rest = malloc(sizeof *rest + count);
  if (rest == NULL) {
    drop(client);
    return;
  }
  rest->begin = 0;
  rest->end = count;
  memcpy(rest->bytes, bytes, count);
  rests[client] = rest;
  watch(EPOLL_CTL_MOD, client, EPOLLOUT);
}

static bool passes(void) { return errno == EAGAIN || errno == EINTR; }

static void echo(int client) {
  const ssize_t received = read(client, buffer, sizeof buffer);
  if (received <= 0) {
    if (received == 0 || !passes()) drop(client);
    return;
  }
  const ssize_t sent = send(client, buffer, (size_t)received, MSG_NOSIGNAL);
  if (sent == received) return;
  if (sent < 0 && !passes()) {
    drop(client);
  } else {
    const size_t done = sent < 0 ? 0 : (size_t)sent;
    keep(client, buffer + done, (size_t)received - done);
  }
}

static void send_rest(int client) {
  struct rest* rest = rests[client];
  const ssize_t sent =
      send(client, rest->bytes + rest->begin, rest->end - rest->begin, MSG_NOSIGNAL);
  if (sent < 0) {
    if (!passes()) drop(client);
    return;
  }
  rest->begin += (size_t)sent;
  if (rest->begin < rest->end) return;
  free(rest);
  rests[client] = NULL;
  watch(EPOLL_CTL_MOD, client, EPOLLIN);
}

static void open_listener(unsigned short port) {
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  const int one = 1;
  listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (listener < 0) fail("socket");
  if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0) fail("setsockopt");
  if (setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0) fail("setsockopt");
  if (bind(listener, (struct sockaddr*)&address, length) != 0) fail("bind");
  if (listen(listener, SOMAXCONN) != 0) fail("listen");
  if (getsockname(listener, (struct sockaddr*)&address, &length) != 0) fail("getsockname");
  printf("listening on tcp://127.0.0.1:%u\n", ntohs(address.sin_port));
  fflush(stdout);
}

static void run(int wait_ms) {
  struct epoll_event events[EVENTS_PER_WAIT];
  for (;;) {
    const int count = epoll_wait(poller, events, EVENTS_PER_WAIT, wait_ms);
    if (count < 0 && errno != EINTR) fail("epoll_wait");
    for (int i = 0; i < count; ++i) {
      const int descriptor = events[i].data.fd;
      if (descriptor == listener) {
        accept_all();
      } else if (rests[descriptor] != NULL) {
        send_rest(descriptor);
      } else {
        echo(descriptor);
      }
    }
  }
}

int main(int count, char** words) {
  const bool spin = count == 3 && strcmp(words[2], "--spin") == 0;
  char* end = NULL;
  const long port = count >= 2 ? strtol(words[1], &end, 10) : -1;
  if ((count != 2 && !spin) || end == words[1] || *end != '\0' || port < 0 || port > 65535) {
    fprintf(stderr, "usage: raw_epoll PORT [--spin]     (a port from 0, meaning any, to 65535)\n");
    return 2;
  }

  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) fail("getrlimit");
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) fail("setrlimit");
  descriptors_max = limit.rlim_cur < 1 << 20 ? limit.rlim_cur : 1 << 20;
  limit.rlim_cur = descriptors_max;  // the table below has a slot for each that can exist
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) fail("setrlimit");
  rests = calloc(descriptors_max, sizeof *rests);
  if (rests == NULL) fail("calloc");

  poller = epoll_create1(EPOLL_CLOEXEC);
  if (poller < 0) fail("epoll_create1");
  open_listener((unsigned short)port);
  watch(EPOLL_CTL_ADD, listener, EPOLLIN);
  listening = true;
  run(spin ? 0 : -1);
}
