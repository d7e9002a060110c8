// The echo server on libevent, with bufferevents.
//
// Fairness: the shape of libevent's own echo example (input is moved to output without a copy),
// tuned as its documentation says for one thread: no locks, and epoll's change list. A connection
// whose output piles up is not read until it has gone. libevent 2.1 reads at most 4 KiB at a time
// whatever is asked of it, which is what it pays for with large requests. TCP_NODELAY is set, as
// everywhere.
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { UNSENT_BYTES_MAX = 64 * 1024 };

static void leave(struct bufferevent* client, void* nothing) {
  (void)nothing;
  bufferevent_free(client);
}

static void ended(struct bufferevent* client, short what, void* nothing) {
  if ((what & BEV_EVENT_EOF) && evbuffer_get_length(bufferevent_get_output(client)) > 0) {
    bufferevent_setcb(client, NULL, leave, ended, NULL);  // what is owed is sent first
  } else if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) {
    leave(client, nothing);
  }
}

static void received(struct bufferevent* client, void* nothing);

// All output has gone, after too much of it had waited.
static void wrote(struct bufferevent* client, void* nothing) {
  (void)nothing;
  bufferevent_setcb(client, received, NULL, ended, NULL);
  bufferevent_enable(client, EV_READ);
}

static void received(struct bufferevent* client, void* nothing) {
  (void)nothing;
  struct evbuffer* output = bufferevent_get_output(client);
  evbuffer_add_buffer(output, bufferevent_get_input(client));
  if (evbuffer_get_length(output) <= UNSENT_BYTES_MAX) return;
  bufferevent_disable(client, EV_READ);
  bufferevent_setcb(client, received, wrote, ended, NULL);
}

static void accepted(struct evconnlistener* listener, evutil_socket_t descriptor,
                     struct sockaddr* peer, int peer_bytes, void* nothing) {
  (void)peer, (void)peer_bytes, (void)nothing;
  const int one = 1;
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  struct bufferevent* client =
      bufferevent_socket_new(evconnlistener_get_base(listener), descriptor, BEV_OPT_CLOSE_ON_FREE);
  if (client == NULL) {
    evutil_closesocket(descriptor);
    return;
  }
  bufferevent_setcb(client, received, NULL, ended, NULL);
  bufferevent_enable(client, EV_READ | EV_WRITE);
}

int main(int count, char** words) {
  if (count != 2) {
    fprintf(stderr, "usage: event PORT\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  struct event_config* config = event_config_new();
  event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
  struct event_base* base = event_base_new_with_config(config);
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((unsigned short)atoi(words[1])),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  struct evconnlistener* listener =
      base == NULL
          ? NULL
          : evconnlistener_new_bind(base, accepted, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE,
                                    SOMAXCONN, (struct sockaddr*)&address, sizeof address);
  if (listener == NULL ||
      getsockname(evconnlistener_get_fd(listener), (struct sockaddr*)&address, &length) != 0) {
    perror("event: listen");
    return 1;
  }
  printf("listening on tcp://127.0.0.1:%u\n", ntohs(address.sin_port));
  fflush(stdout);
  return event_base_dispatch(base);
}
