// An echo server by hand on io_uring, with liburing, one thread: the other floor beside raw_epoll.
//
// Fairness: of the ways that were tried on this kind of machine, the cheapest.
//
// - The ring is made for one thread that runs its own completions (SINGLE_ISSUER, DEFER_TASKRUN);
//   one system call submits everything and waits.
// - Accept and receive are multishot, into 256 shared buffers of 32 KiB: smaller ones cost a
// message
//   of 16 KiB two to four times the CPU, and many more of them leave the cache.
// - What was received is sent at once by send(2), which costs less than a trip through the ring and
//   starts the other side sooner. What a slow peer does not take is copied, so that it holds none
//   of the shared buffers, and goes through the ring; meanwhile nothing more is received from it.
//
//   raw_io_uring PORT     PORT 0 = any
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFERS = 256, BUFFER_BYTES = 32 * 1024, SUBMISSIONS = 1024, COMPLETIONS = 8192 };
enum kind { ACCEPT, RECEIVE, SEND, CANCEL };

// What is still owed to one connection, after a send that was short.
struct rest {
  struct rest* next;
  size_t count;
  char bytes[];
};

struct connection {
  struct rest *first, *last;  // owed, in order; the first is in the ring
  bool receiving;             // a receive is in the ring
  bool ended;  // by the peer or an error: closed as soon as the ring has let go of it
};

static struct io_uring ring;
static struct io_uring_buf_ring* shared;
static char buffers[BUFFERS][BUFFER_BYTES];
static int given_back;  // buffers that the ring may have again, once the batch is done
static struct connection* connections;  // by descriptor
static int listener;
static bool listening;  // false while there is no descriptor left to accept with

static void fail(const char* operation, int problem) {
  fprintf(stderr, "raw_io_uring: %s: %s\n", operation, strerror(problem));
  exit(1);
}

static struct io_uring_sqe* submission(void) {
  struct io_uring_sqe* entry = io_uring_get_sqe(&ring);
  if (entry == NULL) {
    const int submitted = io_uring_submit(&ring);
    if (submitted < 0) fail("io_uring_submit", -submitted);
    entry = io_uring_get_sqe(&ring);
    if (entry == NULL) fail("io_uring_get_sqe", EBUSY);
  }
  return entry;
}

static uint64_t name_of(enum kind kind, int descriptor) {
  return (uint64_t)(unsigned)descriptor << 2 | kind;
}

// To be said last: preparing an operation sets its user data to zero in some versions.
static void tag(struct io_uring_sqe* entry, enum kind kind, int descriptor) {
  io_uring_sqe_set_data64(entry, name_of(kind, descriptor));
}

static void listen_again(void) {
  struct io_uring_sqe* entry = submission();
  io_uring_prep_multishot_accept(entry, listener, NULL, NULL, SOCK_CLOEXEC);
  tag(entry, ACCEPT, listener);
  listening = true;
}

static void receive(int client) {
  struct io_uring_sqe* entry = submission();
  io_uring_prep_recv_multishot(entry, client, NULL, 0, 0);
  entry->flags |= IOSQE_BUFFER_SELECT;
  entry->buf_group = 0;
  tag(entry, RECEIVE, client);
  connections[client].receiving = true;
}

static void stop_receiving(int client) {
  struct io_uring_sqe* entry = submission();
  io_uring_prep_cancel64(entry, name_of(RECEIVE, client), 0);
  tag(entry, CANCEL, client);
}

static void send_first_rest(int client) {
  struct rest* rest = connections[client].first;
  struct io_uring_sqe* entry = submission();
  io_uring_prep_send(entry, client, rest->bytes, rest->count, MSG_WAITALL | MSG_NOSIGNAL);
  tag(entry, SEND, client);
}

static void give_back(unsigned buffer) {
  io_uring_buf_ring_add(shared, buffers[buffer], BUFFER_BYTES, (unsigned short)buffer,
                        io_uring_buf_ring_mask(BUFFERS), given_back++);
}

// No more than what is in the ring already; the receive there ends by itself.
static void break_off(int client) {
  connections[client].ended = true;
  shutdown(client, SHUT_RDWR);
}

static void keep(int client, const char* bytes, size_t count) {
  struct connection* connection = &connections[client];
  struct rest* rest = malloc(sizeof *rest + count);
  if (rest == NULL) {
    break_off(client);
    return;
  }
  rest->next = NULL;
  rest->count = count;
  memcpy(rest->bytes, bytes, count);
  if (connection->first != NULL) {
    connection->last->next = rest;
    connection->last = rest;
    return;
  }
  connection->first = connection->last = rest;
  send_first_rest(client);
  if (connection->receiving) stop_receiving(client);
}

static void echo(int client, const char* bytes, size_t count) {
  if (connections[client].first != NULL) {  // came before the cancelling did
    keep(client, bytes, count);
    return;
  }
  const ssize_t sent = send(client, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent == (ssize_t)count) return;
  if (sent < 0 && errno != EAGAIN && errno != EINTR) {
    break_off(client);
  } else {
    const size_t done = sent < 0 ? 0 : (size_t)sent;
    keep(client, bytes + done, count - done);
  }
}

// Closes the connection, or reads on, when the ring has nothing of it.
static void settle(int client) {
  struct connection* connection = &connections[client];
  if (connection->receiving || connection->first != NULL) return;
  if (!connection->ended) {
    receive(client);
    return;
  }
  close(client);
  if (!listening) listen_again();
}

static void on_accepted(int client, unsigned flags) {
  if (!(flags & IORING_CQE_F_MORE)) listening = false;
  if (client >= 0) {  // TCP_NODELAY comes with the listener's options
    connections[client] = (struct connection){0};
    receive(client);
  }
  const bool full =
      client == -EMFILE || client == -ENFILE || client == -ENOBUFS || client == -ENOMEM;
  if (!listening && !full) listen_again();
}

static void on_received(int client, int result, unsigned flags) {
  struct connection* connection = &connections[client];
  if (!(flags & IORING_CQE_F_MORE)) connection->receiving = false;
  if (flags & IORING_CQE_F_BUFFER) {
    const unsigned buffer = flags >> IORING_CQE_BUFFER_SHIFT;
    if (result > 0 && !connection->ended) echo(client, buffers[buffer], (size_t)result);
    give_back(buffer);
  }
  // Out of buffers, and cancelled, are reasons to ask again; the end and an error are not.
  if (result <= 0 && result != -ENOBUFS && result != -ECANCELED) connection->ended = true;
  settle(client);
}

static void on_sent(int client, int result) {
  struct connection* connection = &connections[client];
  const bool whole = result >= 0 && (size_t)result == connection->first->count;
  if (!whole) break_off(client);
  do {
    struct rest* done = connection->first;
    connection->first = done->next;
    free(done);
  } while (connection->first != NULL && !whole);
  if (connection->first != NULL) send_first_rest(client);
  settle(client);
}

static void open_listener(unsigned short port) {
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  const int one = 1;
  listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0) fail("socket", errno);
  if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
      setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0)
    fail("setsockopt", errno);
  if (bind(listener, (struct sockaddr*)&address, length) != 0) fail("bind", errno);
  if (listen(listener, SOMAXCONN) != 0) fail("listen", errno);
  if (getsockname(listener, (struct sockaddr*)&address, &length) != 0) fail("getsockname", errno);
  printf("listening on tcp://127.0.0.1:%u\n", ntohs(address.sin_port));
  fflush(stdout);
}

static void open_ring(void) {
  struct io_uring_params parameters = {
      .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
      .cq_entries = COMPLETIONS};
  int problem = io_uring_queue_init_params(SUBMISSIONS, &ring, &parameters);
  if (problem != 0) fail("io_uring_queue_init", -problem);
  const size_t bytes = BUFFERS * sizeof(struct io_uring_buf);
  if (posix_memalign((void**)&shared, (size_t)sysconf(_SC_PAGESIZE), bytes) != 0)
    fail("posix_memalign", ENOMEM);
  struct io_uring_buf_reg registration = {
      .ring_addr = (uint64_t)(uintptr_t)shared, .ring_entries = BUFFERS, .bgid = 0};
  problem = io_uring_register_buf_ring(&ring, &registration, 0);
  if (problem != 0) fail("io_uring_register_buf_ring", -problem);
  io_uring_buf_ring_init(shared);
  for (unsigned buffer = 0; buffer < BUFFERS; ++buffer) give_back(buffer);
}

static void run(void) {
  for (;;) {
    io_uring_buf_ring_advance(shared, given_back);
    given_back = 0;
    const int submitted = io_uring_submit_and_wait(&ring, 1);
    if (submitted < 0 && submitted != -EINTR && submitted != -EBUSY)
      fail("io_uring_submit_and_wait", -submitted);
    struct io_uring_cqe* entry;
    unsigned head, count = 0;
    io_uring_for_each_cqe(&ring, head, entry) {
      ++count;
      const int descriptor = (int)(entry->user_data >> 2);
      switch ((enum kind)(entry->user_data & 3)) {
        case ACCEPT: on_accepted(entry->res, entry->flags); break;
        case RECEIVE: on_received(descriptor, entry->res, entry->flags); break;
        case SEND: on_sent(descriptor, entry->res); break;
        case CANCEL: break;
      }
    }
    io_uring_cq_advance(&ring, count);
  }
}

int main(int count, char** words) {
  char* end = NULL;
  const long port = count == 2 ? strtol(words[1], &end, 10) : -1;
  if (end == NULL || end == words[1] || *end != '\0' || port < 0 || port > 65535) {
    fprintf(stderr, "usage: raw_io_uring PORT     (a port from 0, meaning any, to 65535)\n");
    return 2;
  }
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) fail("getrlimit", errno);
  if (limit.rlim_max > 1 << 20) limit.rlim_max = 1 << 20;
  limit.rlim_cur = limit.rlim_max;  // the table below has a slot for each that can exist
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) fail("setrlimit", errno);
  connections = calloc(limit.rlim_max, sizeof *connections);
  if (connections == NULL) fail("calloc", ENOMEM);

  open_ring();
  open_listener((unsigned short)port);
  listen_again();
  run();
}
