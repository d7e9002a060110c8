// What both kinds of traffic share: see traffic.h.
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "traffic.h"

const char* const traffic_error_names[ERROR_COUNT] = {
#define X(name) #name,
    TRAFFIC_ERRORS(X)
#undef X
};

struct traffic_counts traffic_counts;

void traffic_count_error(enum traffic_error error) {
  ++traffic_counts.errors[error];
  ++traffic_counts.errors_in_all;
}

uint64_t traffic_now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void traffic_fail(const char* operation) {
  fprintf(stderr, "load: %s: %s\n", operation, strerror(errno));
  exit(1);
}
