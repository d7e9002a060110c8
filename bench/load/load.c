// A load generator in plain C that shares nothing with koine, so that it flatters nobody.
//
//   load tcp://127.0.0.1:PORT [options]          `load --help` lists them
//   load_udp udp://127.0.0.1:PORT [options]      the same with datagrams
//
// It keeps connections busy for a warm-up and then for the measured seconds, compares every byte
// that comes back, and prints one JSON object. At both edges of the measured window it reads the
// CPU clocks of the processes named by --watch, so that the server's cost covers exactly the
// requests that were counted. It speaks to the loopback only, and all it does is bounded: in time,
// connections, bytes under way and errors.
//
// `busy` says whether the generator itself was the limit (0.95 and above): its share of CPU time,
// or, when it spins and so always uses all of it, the share of time it was handling events.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "traffic.h"

enum { WATCHED_MAX = 16, IDLE_STEPS_MAX = 8, BYTES_UNDER_WAY_MAX = 16 << 20 };
static const double hold_seconds_max = 120;
static const double command_seconds_max = 600;

static const char usage[] =
    "usage: load tcp://127.0.0.1:PORT [options], or load_udp udp://127.0.0.1:PORT [options]\n"
    "  --connections N   connections at a time, 1 to 20000 (default 1); with UDP: sockets\n"
    "  --size BYTES      bytes of a request, 1 to 1048576 (default 64)\n"
    "  --pipeline N      requests under way on each connection, 1 to 1024 (default 1)\n"
    "  --train N         datagrams that are sent as one (UDP_SEGMENT), 1 to 64 (default 1);\n"
    "                    the next ones follow when all are answered\n"
    "  --lines           requests are lines: the last byte of each, and no other, is '\\n'\n"
    "  --churn           each request is connect, echo, finish, see the server's end, close\n"
    "  --idle N[,N...]   instead of load: open N connections that echo once and then are quiet,\n"
    "                    print {\"held\": N}, wait for a line on the standard input (at most 120 "
    "s),\n"
    "                    and go on with the next N\n"
    "  --warmup SECONDS  before the measured window, 0 to 60 (default 0.2)\n"
    "  --seconds SECONDS the measured window, above 0 to 600 (default 1)\n"
    "  --patience SECONDS  after which a missing connection or answer is an error (default 10)\n"
    "  --on-command      open the connections, print {\"ready\": N}, and then for each line on "
    "the\n"
    "                    standard input (within 600 s) warm up, measure, and print one object;\n"
    "                    in between nothing is under way\n"
    "  --spin            never sleep while waiting for an answer\n"
    "  --core N          run on this core only\n"
    "  --watch PID[,PID...]  report the CPU time of these processes in the measured window\n";

static struct traffic_options traffic = {.manner = KEEP, .size = 64, .pipeline = 1, .train = 1};
static size_t connections = 1;
static size_t idle_steps[IDLE_STEPS_MAX];
static size_t idle_step_count;
static double warmup_seconds = 0.2, measured_seconds = 1, patience_seconds = 10;
static bool spin, on_command;
static pid_t watched[WATCHED_MAX];
static size_t watched_count;

static void refuse(const char* option, const char* value, const char* expected) {
  fprintf(stderr, "load: %s %s: expected %s\n%s", option, value, expected, usage);
  exit(2);
}

static double number(const char* option, const char* value, double min, double max,
                     const char* expected) {
  char* end = NULL;
  const double result = strtod(value, &end);
  if (end == value || *end != '\0' || !(result >= min && result <= max))
    refuse(option, value, expected);
  return result;
}

static size_t whole(const char* option, const char* value, size_t max) {
  char expected[64];
  snprintf(expected, sizeof expected, "a whole number from 1 to %zu", max);
  const double result = number(option, value, 1, (double)max, expected);
  if (result != (double)(size_t)result) refuse(option, value, expected);
  return (size_t)result;
}

// "N,N,N" into `numbers`, each from 1 to `max`. Returns how many.
static size_t list(const char* option, char* value, size_t* numbers, size_t count_max, size_t max) {
  size_t count = 0;
  for (char* word = strtok(value, ","); word != NULL; word = strtok(NULL, ",")) {
    if (count == count_max) refuse(option, word, "fewer numbers");
    numbers[count++] = whole(option, word, max);
  }
  if (count == 0) refuse(option, value, "numbers with commas between");
  return count;
}

static void parse_server(const char* url) {
  char begin[32], expected[40];
  snprintf(begin, sizeof begin, "%s://127.0.0.1:", traffic_scheme);
  snprintf(expected, sizeof expected, "%sPORT", begin);
  const size_t length = strlen(begin);
  if (strncmp(url, begin, length) != 0) refuse("the server", url, expected);
  traffic.server.sin_family = AF_INET;
  traffic.server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  traffic.server.sin_port = htons((uint16_t)whole("port", url + length, 65535));
}

static void pin(size_t core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  if (sched_setaffinity(0, sizeof set, &set) == 0) return;
  fprintf(stderr, "load: --core %zu: %s\n", core, strerror(errno));
  exit(1);
}

static void parse(int count, char** words) {
  if (count < 2 || strcmp(words[1], "--help") == 0) {
    fputs(usage, count < 2 ? stderr : stdout);
    exit(count < 2 ? 2 : 0);
  }
  parse_server(words[1]);
  for (int i = 2; i < count; ++i) {
    const char* option = words[i];
    if (strcmp(option, "--lines") == 0) {
      traffic.lines = true;
    } else if (strcmp(option, "--churn") == 0) {
      traffic.manner = CHURN;
    } else if (strcmp(option, "--spin") == 0) {
      spin = true;
    } else if (strcmp(option, "--on-command") == 0) {
      on_command = true;
    } else if (i + 1 == count) {
      refuse(option, "", "a known option and its value");
    } else if (strcmp(option, "--connections") == 0) {
      connections = whole(option, words[++i], CONNECTIONS_MAX);
    } else if (strcmp(option, "--size") == 0) {
      traffic.size = whole(option, words[++i], SIZE_MAX_BYTES);
    } else if (strcmp(option, "--pipeline") == 0) {
      traffic.pipeline = whole(option, words[++i], PIPELINE_MAX);
    } else if (strcmp(option, "--train") == 0) {
      traffic.train = whole(option, words[++i], TRAIN_MAX);
    } else if (strcmp(option, "--seconds") == 0) {
      measured_seconds = number(option, words[++i], 1e-3, 600, "0.001 to 600 seconds");
    } else if (strcmp(option, "--warmup") == 0) {
      warmup_seconds = number(option, words[++i], 0, 60, "0 to 60 seconds");
    } else if (strcmp(option, "--patience") == 0) {
      patience_seconds = number(option, words[++i], 0, 60, "0 to 60 seconds");
    } else if (strcmp(option, "--core") == 0) {
      pin((size_t)number(option, words[++i], 0, CPU_SETSIZE - 1, "the number of a core"));
    } else if (strcmp(option, "--idle") == 0) {
      traffic.manner = IDLE;
      idle_step_count = list(option, words[++i], idle_steps, IDLE_STEPS_MAX, CONNECTIONS_MAX);
    } else if (strcmp(option, "--watch") == 0) {
      size_t pids[WATCHED_MAX];
      watched_count = list(option, words[++i], pids, WATCHED_MAX, 1 << 22);
      for (size_t k = 0; k < watched_count; ++k) watched[k] = (pid_t)pids[k];
    } else {
      refuse(option, words[i + 1], "a known option");
    }
  }
  const char* refused = traffic_refuses(&traffic);
  if (refused != NULL) {
    fprintf(stderr, "load: %s\n%s", refused, usage);
    exit(2);
  }
  if (traffic.size * traffic.pipeline > BYTES_UNDER_WAY_MAX)
    refuse("--size times --pipeline", "", "at most 16 MiB under way on a connection");
}

static void allow_descriptors(size_t wanted) {
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  if (wanted + 16 <= limit.rlim_cur) return;
  fprintf(stderr, "load: %zu connections: this process may have %llu descriptors\n", wanted,
          (unsigned long long)limit.rlim_cur);
  exit(1);
}

// All the CPU time of a process and its threads so far, exact at the moment of asking.
static uint64_t cpu_ns(pid_t pid) {
  clockid_t clock;
  struct timespec time;
  const int problem = clock_getcpuclockid(pid, &clock);
  if (problem != 0 || clock_gettime(clock, &time) != 0) {
    fprintf(stderr, "load: --watch %d: %s\n", pid, strerror(problem != 0 ? problem : errno));
    exit(1);
  }
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

struct edge {
  uint64_t time_ns, own_cpu_ns, watched_ns[WATCHED_MAX];
};

static struct edge edge_now(void) {
  struct edge edge;
  for (size_t i = 0; i < watched_count; ++i) edge.watched_ns[i] = cpu_ns(watched[i]);
  edge.own_cpu_ns = cpu_ns(getpid());
  edge.time_ns = traffic_now_ns();
  return edge;
}

// The last member of the report, and its end.
static void print_errors(void) {
  const char* between = "";
  printf("\"errors\": {");
  for (int i = 0; i < ERROR_COUNT; ++i) {
    if (traffic_counts.errors[i] == 0) continue;
    printf("%s\"%s\": %llu", between, traffic_error_names[i],
           (unsigned long long)traffic_counts.errors[i]);
    between = ", ";
  }
  printf("}}\n");
}

// Waits for a line on the standard input. False when none came, or no more will.
static bool told_to_go_on(double seconds_max) {
  struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
  char line[16];
  if (poll(&input, 1, (int)(seconds_max * 1000)) <= 0) return false;
  return read(STDIN_FILENO, line, sizeof line) > 0;
}

static void hold_idle(void) {
  for (size_t i = 0; i < idle_step_count; ++i) {
    traffic_open(idle_steps[i], patience_seconds);
    printf("{\"held\": %zu, ", idle_steps[i]);
    print_errors();
    fflush(stdout);
    if (!told_to_go_on(hold_seconds_max)) break;
  }
  traffic_count_closed();
  printf("{");
  print_errors();
}

static void measure(void) {
  static const struct {
    const char* name;
    double share;
  } quantiles[] = {{"p50", .5}, {"p90", .9}, {"p99", .99}, {"p99.9", .999}};

  traffic_start();
  traffic_run(warmup_seconds, spin);
  traffic_reset_counts();
  const struct edge begin = edge_now();
  const double handling_seconds = traffic_run(measured_seconds, spin);
  const struct edge end = edge_now();

  const double seconds = (double)(end.time_ns - begin.time_ns) * 1e-9;
  const double own_seconds = (double)(end.own_cpu_ns - begin.own_cpu_ns) * 1e-9;
  printf("{\"requests\": %llu, \"lost\": %llu, \"seconds\": %.9f, \"busy\": %.4f, ",
         (unsigned long long)traffic_counts.requests, (unsigned long long)traffic_counts.lost,
         seconds, (spin ? handling_seconds : own_seconds) / seconds);
  printf("\"silent_connections\": %zu, ", traffic.manner == KEEP ? traffic_silent() : 0);
  printf("\"latency_us\": {");
  for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; ++i)
    printf("\"%s\": %.3f, ", quantiles[i].name,
           histogram_quantile_ns(&traffic_counts.latencies, quantiles[i].share) / 1000);
  printf("\"max\": %.3f}, \"cpu_ns\": {", (double)traffic_counts.latencies.max_ns / 1000);
  for (size_t i = 0; i < watched_count; ++i)
    printf("%s\"%d\": %llu", i == 0 ? "" : ", ", watched[i],
           (unsigned long long)(end.watched_ns[i] - begin.watched_ns[i]));
  printf("}, ");
  traffic_stop(patience_seconds);
  print_errors();
  fflush(stdout);
}

static void measure_on_command(void) {
  printf("{\"ready\": %zu, ", connections);
  print_errors();
  fflush(stdout);
  while (told_to_go_on(command_seconds_max)) measure();
}

int main(int count, char** words) {
  parse(count, words);
  size_t wanted = connections;
  for (size_t i = 0; i < idle_step_count; ++i)
    wanted = idle_steps[i] > wanted ? idle_steps[i] : wanted;
  allow_descriptors(wanted);
  traffic_prepare(&traffic);
  if (traffic.manner == IDLE) {
    hold_idle();
  } else {
    traffic_open(connections, patience_seconds);
    if (on_command) {
      measure_on_command();
    } else {
      measure();
    }
  }
  return traffic_counts.errors_in_all == 0 ? 0 : 1;
}
