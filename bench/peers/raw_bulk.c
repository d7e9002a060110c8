// One way in bulk, by hand: one end writes and the other reads as much in each call, blocking.
//
//   raw_bulk receive PORT SIZE       PORT 0 = any; SIZE bytes a read
//   raw_bulk send URL SIZE BYTES     so many in all, SIZE a write; prints {"bytes": N, "seconds":
//   S}
//
// Fairness: with one connection and nothing else to do, blocking calls are the least that can be
// asked of the kernel. The time ends when the receiver, having read all, has closed its end: so it
// is the receiver's time too. The koine and Asio programs beside this one do the same.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void fail(const char* operation) {
  fprintf(stderr, "raw_bulk: %s: %s\n", operation, strerror(errno));
  exit(1);
}

static int usage(void) {
  fprintf(stderr,
          "usage: raw_bulk receive PORT SIZE, or raw_bulk send tcp://127.0.0.1:PORT SIZE BYTES\n");
  return 2;
}

static size_t number(const char* word) {
  char* end = NULL;
  const unsigned long long value = strtoull(word, &end, 10);
  if (end == word || *end != '\0' || value > (1ull << 40)) exit(usage());
  return (size_t)value;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static struct sockaddr_in loopback(size_t port) {
  return (struct sockaddr_in){.sin_family = AF_INET,
                              .sin_port = htons((unsigned short)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void receive(size_t port, char* bytes, size_t size) {
  struct sockaddr_in address = loopback(port);
  socklen_t length = sizeof address;
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0) fail("socket");
  if (bind(listener, (struct sockaddr*)&address, length) != 0) fail("bind");
  if (listen(listener, 16) != 0) fail("listen");
  if (getsockname(listener, (struct sockaddr*)&address, &length) != 0) fail("getsockname");
  printf("listening on tcp://127.0.0.1:%u\n", ntohs(address.sin_port));
  fflush(stdout);
  for (;;) {
    const int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (client < 0) continue;
    while (read(client, bytes, size) > 0) continue;
    close(client);
  }
}

static void send_all(const char* url, const char* bytes, size_t size, size_t total) {
  static const char scheme[] = "tcp://127.0.0.1:";
  if (strncmp(url, scheme, sizeof scheme - 1) != 0) exit(usage());
  const struct sockaddr_in address = loopback(number(url + sizeof scheme - 1));
  const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (server < 0) fail("socket");
  if (connect(server, (const struct sockaddr*)&address, sizeof address) != 0) fail("connect");
  const double begun = now();
  for (size_t sent = 0; sent < total;) {
    const size_t at = sent % size;
    const size_t left = total - sent < size - at ? total - sent : size - at;
    const ssize_t count = send(server, bytes + at, left, MSG_NOSIGNAL);
    if (count < 0) fail("send");
    sent += (size_t)count;
  }
  char end;
  shutdown(server, SHUT_WR);
  if (read(server, &end, 1) != 0) fail("read");
  printf("{\"bytes\": %zu, \"seconds\": %.6f}\n", total, now() - begun);
}

int main(int count, char** words) {
  if (count < 4) return usage();
  const size_t size = number(words[3]);
  char* bytes = size > 0 ? malloc(size) : NULL;
  if (bytes == NULL) return usage();
  memset(bytes, 'k', size);
  if (strcmp(words[1], "receive") == 0 && count == 4) receive(number(words[2]), bytes, size);
  if (strcmp(words[1], "send") != 0 || count != 5) return usage();
  send_all(words[2], bytes, size, number(words[4]));
  free(bytes);
}
