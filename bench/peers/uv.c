// The echo server on libuv.
//
// Fairness: the shape of libuv's guide, tuned as its documentation says: uv_try_write first, which
// needs no request and no copy, uv_write only for what the kernel did not take; one buffer for all
// reads, since libuv fills and hands it over in one go. While a rest is being written, the
// connection is not read. TCP_NODELAY is set, as everywhere.
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { BUFFER_BYTES = 64 * 1024 };

struct rest {
  uv_write_t request;
  char bytes[];
};

static uv_loop_t loop;
static char buffer[BUFFER_BYTES];

static void must(int status, const char* operation) {
  if (status >= 0) return;
  fprintf(stderr, "uv: %s: %s\n", operation, uv_strerror(status));
  exit(1);
}

static void closed(uv_handle_t* client) { free(client); }

static void drop(uv_stream_t* client) {
  if (!uv_is_closing((uv_handle_t*)client)) uv_close((uv_handle_t*)client, closed);
}

static void lend(uv_handle_t* client, size_t suggested, uv_buf_t* into) {
  (void)client, (void)suggested;
  *into = uv_buf_init(buffer, sizeof buffer);
}

static void echo(uv_stream_t* client, ssize_t received, const uv_buf_t* from);

static void wrote_rest(uv_write_t* request, int status) {
  uv_stream_t* client = request->handle;
  free(request->data);
  if (status < 0) {
    drop(client);
  } else {
    uv_read_start(client, lend, echo);
  }
}

static void write_rest(uv_stream_t* client, const char* bytes, size_t count) {
  struct rest* rest = malloc(sizeof *rest + count);
  if (rest == NULL) {
    drop(client);
    return;
  }
  memcpy(rest->bytes, bytes, count);
  rest->request.data = rest;
  const uv_buf_t piece = uv_buf_init(rest->bytes, (unsigned)count);
  uv_read_stop(client);
  if (uv_write(&rest->request, client, &piece, 1, wrote_rest) == 0) return;
  free(rest);
  drop(client);
}

static void echo(uv_stream_t* client, ssize_t received, const uv_buf_t* from) {
  if (received == 0) return;  // nothing was there after all
  if (received < 0) {
    drop(client);
    return;
  }
  const uv_buf_t piece = uv_buf_init(from->base, (unsigned)received);
  const int sent = uv_try_write(client, &piece, 1);
  if (sent == received) return;
  if (sent < 0 && sent != UV_EAGAIN) {
    drop(client);
    return;
  }
  const size_t done = sent < 0 ? 0 : (size_t)sent;
  write_rest(client, from->base + done, (size_t)received - done);
}

static void arrived(uv_stream_t* listener, int status) {
  if (status < 0) return;
  uv_tcp_t* client = malloc(sizeof *client);
  if (client == NULL) return;
  must(uv_tcp_init(&loop, client), "uv_tcp_init");
  if (uv_accept(listener, (uv_stream_t*)client) != 0) {
    drop((uv_stream_t*)client);
    return;
  }
  uv_tcp_nodelay(client, 1);
  uv_read_start((uv_stream_t*)client, lend, echo);
}

int main(int count, char** words) {
  if (count != 2) {
    fprintf(stderr, "usage: uv PORT\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  uv_tcp_t listener;
  struct sockaddr_in address;
  int length = sizeof address;
  must(uv_loop_init(&loop), "uv_loop_init");
  must(uv_tcp_init(&loop, &listener), "uv_tcp_init");
  must(uv_ip4_addr("127.0.0.1", atoi(words[1]), &address), "uv_ip4_addr");
  must(uv_tcp_bind(&listener, (const struct sockaddr*)&address, 0), "uv_tcp_bind");
  must(uv_listen((uv_stream_t*)&listener, SOMAXCONN, arrived), "uv_listen");
  must(uv_tcp_getsockname(&listener, (struct sockaddr*)&address, &length), "uv_tcp_getsockname");
  printf("listening on tcp://127.0.0.1:%u\n", ntohs(address.sin_port));
  fflush(stdout);
  return uv_run(&loop, UV_RUN_DEFAULT);
}
