// How far apart two cores are now: the time a cache line takes there and back.
//
// Virtual cores move. On the machine this was written on, two of them are "near" (80-120 ns) or
// "far" (330-560 ns) and change every few seconds to minutes, which moves the cost of one echoed
// message by a third while nothing else changes. So a benchmark asks before and after each sample,
// and compares samples of the same kind only.
//
//   canary CORE CORE     prints {"near_far": "near", "nanoseconds": 96.1, "low": 92.0, "high":
//   104.7}
//
// Two threads, one pinned to each core, hand a number to and fro: batches of round trips, of which
// the median is the answer (low and high are the tenth and ninetieth percentiles). A batch in which
// a thread lost its core is one of many and moves the median little. It takes 20 ms, never above 2
// s.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCHES_MAX = 1000, ROUND_TRIPS_PER_BATCH = 100 };
static const double near_below_ns = 200;
static const double measure_seconds = 0.02;
static const double give_up_seconds = 2;

static alignas(128) atomic_long ball;  // odd: the answerer's turn; negative: stop
static int cores[2];

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void pin(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET((size_t)core, &set);
  const int problem = pthread_setaffinity_np(pthread_self(), sizeof set, &set);
  if (problem == 0) return;
  fprintf(stderr, "canary: core %d: %s\n", core, strerror(problem));
  exit(1);
}

static void* answer(void* nothing) {
  (void)nothing;
  pin(cores[1]);
  for (long seen = 0;;) {
    const long turn = atomic_load_explicit(&ball, memory_order_acquire);
    if (turn < 0) return NULL;
    if (turn == seen || (turn & 1) == 0) continue;
    seen = turn + 1;
    atomic_store_explicit(&ball, seen, memory_order_release);
  }
}

static int ascending(const void* a, const void* b) {
  const double left = *(const double*)a, right = *(const double*)b;
  return (left > right) - (left < right);
}

int main(int count, char** words) {
  for (int i = 0; i < 2; ++i) {
    char* end = NULL;
    const long core = count == 3 ? strtol(words[i + 1], &end, 10) : -1;
    if (core < 0 || core >= CPU_SETSIZE || end == words[i + 1] || *end != '\0') {
      fprintf(stderr, "usage: canary CORE CORE\n");
      return 2;
    }
    cores[i] = (int)core;
  }

  pthread_t answerer;
  const int problem = pthread_create(&answerer, NULL, answer, NULL);
  if (problem != 0) {
    fprintf(stderr, "canary: pthread_create: %s\n", strerror(problem));
    return 1;
  }
  pin(cores[0]);

  static double batches[BATCHES_MAX];
  int done = 0;
  long turn = 0;
  const double begun = now();
  double last = begun;
  while (done < BATCHES_MAX && (last < begun + measure_seconds || done < 10)) {
    for (int i = 0; i < ROUND_TRIPS_PER_BATCH; ++i) {
      atomic_store_explicit(&ball, turn + 1, memory_order_release);
      turn += 2;
      for (unsigned spins = 1; atomic_load_explicit(&ball, memory_order_acquire) != turn; ++spins) {
        if (spins % (1 << 20) != 0 || now() < begun + give_up_seconds) continue;
        fprintf(stderr, "canary: core %d did not answer within %.0f s\n", cores[1],
                give_up_seconds);
        return 1;
      }
    }
    const double end = now();
    batches[done++] = (end - last) * (1e9 / (double)ROUND_TRIPS_PER_BATCH);
    last = end;
  }
  atomic_store(&ball, -1);
  pthread_join(answerer, NULL);

  qsort(batches, (size_t)done, sizeof *batches, ascending);
  const double median = batches[done / 2];
  printf("{\"near_far\": \"%s\", \"nanoseconds\": %.1f, \"low\": %.1f, \"high\": %.1f}\n",
         median < near_below_ns ? "near" : "far", median, batches[done / 10],
         batches[done * 9 / 10]);
}
