// koine bench: how fast a server answers, and whether it answers right; or, without a URL, how
// koine's own server does on each multiplexer.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "cli/comparison.h"
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
  std::vector<std::uint64_t> connections;
  double rate = 0;
  std::vector<std::string> multiplexers;
  std::string output;
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
  os::ReactorOptions options;
  if (!words.multiplexers.empty()) options.multiplexer = words.multiplexers.front();
  auto reactor = os::Reactor::make(options);
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

Error output_error(const std::string& path) {
  return Error(Fault::system, output_operation, path, errno);
}

/// Opens `path` for the picture before anything is measured, and leaves what is in it.
Result<os::Fd> open_output(const std::string& path) {
  os::Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
  if (!file) return std::unexpected(output_error(path));
  return file;
}

Result<void> write_picture(const os::Fd& file, const std::string& path, std::string_view picture) {
  if (::ftruncate(file.get(), 0) != 0 && errno != EINVAL)  // EINVAL: a pipe or device
    return std::unexpected(output_error(path));
  while (!picture.empty()) {
    const ssize_t count = ::write(file.get(), picture.data(), picture.size());
    if (count < 0 && errno != EINTR) return std::unexpected(output_error(path));
    if (count > 0) picture.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

int bench_multiplexers(const BenchWords& words) {
  ComparisonOptions options{.multiplexers = words.multiplexers, .load = words.load};
  if (!words.connections.empty()) options.connections = words.connections;
  if (auto room = make_room(options.connections.back()); !room) return complain(room.error());
  os::Fd file;
  if (!words.output.empty()) {
    auto opened = open_output(words.output);
    if (!opened) return complain(opened.error());
    file = std::move(*opened);
  }
  const auto comparison = compare(options);
  if (!comparison) return complain(comparison.error());
  const auto columns = static_cast<std::size_t>(std::clamp(columns_of(STDOUT_FILENO), 60, 120));
  const std::string text = words.json
                               ? comparison_json(*comparison)
                               : comparison_text(*comparison, columns, Colours(STDOUT_FILENO));
  auto written = write_output(as_bytes(text));
  if (written && file) written = write_picture(file, words.output, comparison_svg(*comparison));
  return written ? exit_ok : complain(written.error());
}

/// What the words say that they cannot mean; exit_ok if they make sense.
int check(const BenchWords& words) {
  const LoadOptions& load = words.load;
  if (!words.has_peer && words.multiplexers.empty())
    return usage_error("bench whom? koine bench URL, or koine bench --multiplexer all");
  if (load.rate && load.pipeline != LoadOptions().pipeline) {
    return usage_error(
        "--rate sends each request when it is due, whatever is under way; "
        "--pipeline is for when no rate is given");
  }
  if (!words.has_peer) return exit_ok;
  if (words.multiplexers.size() > 1)
    return usage_error("several multiplexers are for comparing koine's own servers, without a URL");
  if (words.connections.size() > 1)
    return usage_error("several --connections are for --multiplexer, without a URL");
  if (!words.output.empty())
    return usage_error("--output draws what --multiplexer compares, without a URL");
  const bool in_messages = words.peer.protocol() == "rsocket";
  if (load.streams && !in_messages)
    return usage_error("--stream is for RSocket: koine bench rsocket+tcp://... --stream");
  if (load.streams && (load.rate || load.pipeline != LoadOptions().pipeline))
    return usage_error("a stream has a window: --rate and --pipeline are for requests");
  if (in_messages && load.size > message_bytes_max) {
    return usage_error(
        fmt::format("a message has at most {} bytes; --size is {}", message_bytes_max, load.size));
  }
  if (is_datagram(words.peer) &&
      (load.size < datagram_bytes_min || load.size > datagram_bytes_max)) {
    return usage_error(fmt::format("a datagram has {} to {} bytes here; --size is {}",
                                   datagram_bytes_min, datagram_bytes_max, load.size));
  }
  return exit_ok;
}

int bench(BenchWords words) {
  if (words.rate > 0) words.load.rate = words.rate;
  if (words.connections.size() == 1) words.load.connections = words.connections.front();
  if (const int code = check(words); code != exit_ok) return code;
  // Else the kernel wakes us up to 50 us after a request is due (PR_SET_TIMERSLACK, prctl(2)).
  ::prctl(PR_SET_TIMERSLACK, 1UL);
  if (!words.has_peer) return bench_multiplexers(words);
  if (auto room = make_room(words.load.connections); !room) return complain(room.error());
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
           "answered and right if the exit code is 0; else it is that of the most frequent error.",
           "With rsocket+tcp: or rsocket+unix:, requests are messages to the route echo of a "
           "service "
           "such as koine serve messages, and --pipeline is how many of them are open on a "
           "connection. --stream asks its route count for items instead, one stream a connection, "
           "and compares each; the latency of an item counts from the one before.",
           "Without a URL, --multiplexer says which of koine's own echo servers to compare, each "
           "in "
           "a process of its own: requests a second and CPU time for each, from 16 connections to "
           "4096, in --duration for each figure. select is refused where its descriptors end "
           "(FD_SETSIZE, 1024)."},
      .examples = {
          {"koine bench tcp://127.0.0.1:7000", "64 connections for 5 s."},
          {"koine bench tcp://127.0.0.1:7000 --rate 10k --duration 1m",
           "What 10,000 requests a second would have to wait."},
          {"koine bench unix:/run/echo.sock --size 16KiB --pipeline 4",
           "Larger ones, four under way on each connection."},
          {"koine bench rsocket+tcp://127.0.0.1:7001 --connections 1 --pipeline 64",
           "Messages: 64 calls open on one connection."},
          {"koine bench udp://127.0.0.1:7000 --json | jq .latency_ns.p99", "For scripts."}}};
}

}  // namespace

void add_bench(Tool& tool) {
  const auto words = std::make_shared<BenchWords>();
  LoadOptions& load = words->load;
  CLI::App& verb = tool.verb("bench", page(), [words] { return bench(*words); });
  tool.endpoint(verb, "URL", words->peer, "An echo server, such as koine serve echo",
                Speaks::either)
      ->each([words](const std::string&) { words->has_peer = true; });
  tool.count_list(verb, "--connections", words->connections, 1, 1'000'000,
                  "How many at once; several to compare")
      ->default_str("64, or 16,64,256,1024,4096 to compare");
  tool.size(verb, "--size", load.size, 1, std::uint64_t{1} << 30, "Bytes of a request");
  tool.count(verb, "--pipeline", load.pipeline, 1, under_way_max,
             "Requests under way on each connection");
  verb.add_flag("--stream", load.streams, "Ask an RSocket service for items, not for answers");
  tool.duration(verb, "--duration", load.duration, "How long to measure");
  tool.rate(verb, "--rate", words->rate,
            "Requests a second, over all connections, each sent when it is due");
  tool.duration(verb, "--timeout", load.timeout,
                "How long to try to connect, and how long to wait for an answer");
  tool.choice_list(verb, "--multiplexer", words->multiplexers,
                   {"select", "poll", "epoll", "io_uring"},
                   "With a URL, how the kernel is asked for news here; without one, which servers "
                   "to compare");
  verb.add_option("-o,--output", words->output, "Draw the comparison there, as SVG")
      ->type_name("FILE");
  tool.json(verb, words->json);
}

}  // namespace koine::cli
