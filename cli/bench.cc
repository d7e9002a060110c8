// koine bench: how fast a server answers, and whether it answers right.
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "cli/exit_code.h"
#include "cli/load.h"
#include "cli/load_report.h"
#include "cli/machine.h"
#include "cli/standard_io.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "koine/async/scope.h"
#include "koine/async/sleep.h"
#include "koine/os/network.h"
#include "koine/os/signals.h"

namespace koine::cli {
namespace {

constexpr Duration progress_interval = 200ms;

/// Beside those of connections: standard streams, the loop's own, the resolver's.
constexpr std::uint64_t descriptors_beside = 32;

struct BenchWords {
  Endpoint peer;
  bool has_peer = false;
  LoadOptions load;
  double rate = 0;
  std::string multiplexer;
  bool json = false;
};

int usage_error(const std::string& text) {
  std::fprintf(stderr, "koine bench: %s (koine bench --help tells what is)\n", text.c_str());
  return exit_usage;
}

bool is_datagram(const Endpoint& peer) {
  return peer.transport() == Transport::udp || peer.transport() == Transport::unix_datagram;
}

Task<void> heed(os::Signals& signals, Meter& meter) {
  for (;;) {
    auto next = signals.next();
    const auto signal = co_await next;
    if (!signal) co_return;
    meter.interrupt();
  }
}

Task<void> show_progress(const Meter& meter) {
  for (Progress progress; progress.wanted();) {
    progress.show(progress_line(meter));
    co_await sleep(progress_interval);
  }
}

/// Under load, heeding Ctrl-C and showing how far it has come.
Io<void> measure(os::Network& network, Endpoint peer, Meter& meter) {
  auto made = os::Signals::make(network.reactor(), {SIGINT, SIGTERM});
  const auto signals = co_await attempt(std::move(made));
  Scope attendants;
  attendants.spawn(heed(*signals, meter));
  attendants.spawn(show_progress(meter));
  auto loading = put_load(network, std::move(peer), meter);
  co_return co_await loading;
}

/// The code for the failure that there was most of.
int code_of_most(const LoadResult& result) {
  std::uint64_t most = result.lost;
  int code = result.lost == 0 ? exit_ok : exit_timed_out;
  for (const auto& [kind, failure] : result.failures) {
    if (failure.times <= most) continue;
    most = failure.times;
    code = exit_code_of(failure.first);
  }
  return code;
}

int bench_peer(const BenchWords& words) {
  Meter meter(words.load);
  auto reactor = os::Reactor::make({.multiplexer = words.multiplexer});
  if (!reactor) return complain(reactor.error());
  os::Network network(**reactor);
  const auto measured = (*reactor)->run(measure(network, words.peer, meter));
  if (!measured) return complain(measured.error());
  const std::string text = words.json ? report_json(words.peer, meter)
                                      : report_text(words.peer, meter, Colours(STDOUT_FILENO));
  if (auto written = write_output(as_bytes(text)); !written) return complain(written.error());
  return code_of_most(meter.result());
}

/// Room for so many connections, or an error that says what is missing.
Result<void> make_room(std::uint64_t connections) {
  raise_descriptor_limit();
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= connections + descriptors_beside)
    return {};
  return std::unexpected(
      Error(Fault::exhausted, "connect")
          .with_note(fmt::format("{} connections need more than the {} descriptors that this "
                                 "process may have: see ulimit -Hn",
                                 connections, limit.rlim_cur)));
}

int bench(BenchWords words) {
  if (!words.has_peer) return usage_error("bench whom? koine bench URL");
  LoadOptions& load = words.load;
  if (words.rate > 0) load.rate = words.rate;
  if (load.rate && load.pipeline != LoadOptions().pipeline) {
    return usage_error(
        "--rate sends each request when it is due, whatever is under way; "
        "--pipeline is for when no rate is given");
  }
  if (is_datagram(words.peer) &&
      (load.size < datagram_bytes_min || load.size > datagram_bytes_max)) {
    return usage_error(fmt::format("a datagram has {} to {} bytes here; --size is {}",
                                   datagram_bytes_min, datagram_bytes_max, load.size));
  }
  if (auto room = make_room(load.connections); !room) return complain(room.error());
  // Else the kernel wakes us up to 50 us after a request is due (PR_SET_TIMERSLACK, prctl(2)).
  ::prctl(PR_SET_TIMERSLACK, 1UL);
  return bench_peer(words);
}

Page page() {
  return {
      .summary = "measure how fast a server echoes, and compare every byte",
      .paragraphs =
          {"Sends requests to an echo server on many connections, from one thread, compares "
           "every byte that comes back, and prints how many were answered and how long that took. "
           "Ctrl-C ends it early and prints what there is.",
           "Without --rate a connection sends its next request when one is answered, so a server "
           "that stalls is asked less. With --rate a request is sent when it is due, whatever the "
           "server does, and its latency counts from then: what users would have met, with nothing "
           "left out (no coordinated omission).",
           "Errors are counted by what happened, and connections that broke come back. Over "
           "udp: and unixgram:, a datagram without an answer after --timeout is lost. All was "
           "answered and right if the exit code is 0; else it is that of the most frequent error."},
      .examples = {
          {"koine bench tcp://127.0.0.1:7000", "64 connections for 5 s."},
          {"koine bench tcp://127.0.0.1:7000 --rate 10k --duration 1m",
           "What 10,000 requests a second would have to wait."},
          {"koine bench unix:/run/echo.sock --size 16KiB --pipeline 4",
           "Larger ones, four under way on each connection."},
          {"koine bench udp://127.0.0.1:7000 --json | jq .latency_ns.p99", "For scripts."}}};
}

}  // namespace

void add_bench(Tool& tool) {
  const auto words = std::make_shared<BenchWords>();
  LoadOptions& load = words->load;
  CLI::App& verb = tool.verb("bench", page(), [words] { return bench(*words); });
  tool.endpoint(verb, "URL", words->peer, "An echo server, such as koine serve echo")
      ->each([words](const std::string&) { words->has_peer = true; });
  tool.count(verb, "--connections", load.connections, 1, 1'000'000, "How many at once");
  tool.size(verb, "--size", load.size, 1, std::uint64_t{1} << 30, "Bytes of a request");
  tool.count(verb, "--pipeline", load.pipeline, 1, under_way_max,
             "Requests under way on each connection");
  tool.duration(verb, "--duration", load.duration, "How long to measure");
  tool.rate(verb, "--rate", words->rate,
            "Requests a second, over all connections, each sent when it is due");
  tool.duration(verb, "--timeout", load.timeout,
                "How long to try to connect, and how long to wait for an answer");
  tool.multiplexer(verb, words->multiplexer);
  tool.json(verb, words->json);
}

}  // namespace koine::cli
