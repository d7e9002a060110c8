// The connections of the load generator: what they say, and the proof that it came back.
// traffic.c speaks TCP, datagrams.c the same over UDP; a program has one of them, and what
// both share, traffic_shared.c.
//
// Each connection repeats one long text from a place of its own, so every byte that returns is
// compared with the one that must stand there; a byte lost, doubled, changed or delivered to a
// neighbour shows. A request is `size` bytes of it. While traffic flows, `pipeline` requests are
// kept under way: those that come back together are replaced together, with one send.
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "histogram.h"

enum { CONNECTIONS_MAX = 20000, SIZE_MAX_BYTES = 1 << 20, PIPELINE_MAX = 1024, TRAIN_MAX = 64 };

enum manner {
  KEEP,   // connections stay, and echo until the end
  CHURN,  // each request is: connect, echo once, finish, see the server's end, close
  IDLE,   // each connection echoes once, then says nothing more
};

struct traffic_options {
  struct sockaddr_in server;
  enum manner manner;
  size_t size;      // bytes of a request
  size_t pipeline;  // requests under way on a connection
  bool lines;       // each request is a line: it ends with the only '\n' in it
  size_t train;     // datagrams that are handed to the kernel at once, and as one (UDP_SEGMENT)
};

/// Of the servers it speaks to: "tcp" or "udp".
extern const char traffic_scheme[];

/// Which of these options it does not have, and why; or NULL.
const char* traffic_refuses(const struct traffic_options* options);

// What can go wrong; the names are those of the report.
#define TRAFFIC_ERRORS(X) \
  X(connect_refused)      \
  X(connect_timed_out)    \
  X(connect_failed)       \
  X(reset)                \
  X(closed_early)         \
  X(wrong_bytes) X(more_than_sent) X(no_echo) X(closed_while_idle) X(socket_failed) X(io_failed)

enum traffic_error {
#define X(name) ERROR_##name,
  TRAFFIC_ERRORS(X)
#undef X
      ERROR_COUNT
};
extern const char* const traffic_error_names[ERROR_COUNT];

struct traffic_counts {
  uint64_t requests;             // answered completely and correctly since the last reset
  uint64_t lost;                 // datagrams without an answer, since the last reset
  uint64_t errors[ERROR_COUNT];  // since the start
  uint64_t errors_in_all;
  struct histogram latencies;  // of `requests`
};

extern struct traffic_counts traffic_counts;

/// Makes the text and the poller. Exits with a message when the process lacks the means.
void traffic_prepare(const struct traffic_options* options);

/// Opens connections until `connections` exist, with a bounded number in the making at a time, and
/// returns once each has been answered once, or broke, or `seconds_max` have passed (which counts
/// as errors). With CHURN it only says how many there will be.
void traffic_open(size_t connections, double seconds_max);

/// Lets requests flow from now on. They move in traffic_run.
void traffic_start(void);

/// Sends, receives and checks until `seconds` have passed. With `spin` it never sleeps. Returns the
/// seconds spent handling events, which is how busy a spinning generator was.
double traffic_run(double seconds, bool spin);

/// Asks nothing more, and returns once all that was asked is answered, or `seconds_max` have passed
/// (what is missing then counts as errors). Afterwards the server has nothing to do.
void traffic_stop(double seconds_max);

/// Sets the requests and latencies to none, at the start of what is measured.
void traffic_reset_counts(void);

/// How many connections had no answer since the reset.
size_t traffic_silent(void);

/// Counts as `closed_while_idle` each connection that did not stay open and quiet.
void traffic_count_closed(void);

/// Monotonic time.
uint64_t traffic_now_ns(void);

// For traffic.c and datagrams.c.

void traffic_count_error(enum traffic_error error);

/// Says which operation failed, with errno, and exits.
_Noreturn void traffic_fail(const char* operation);
