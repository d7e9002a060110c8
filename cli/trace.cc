// koine trace: sends messages to any server and shows each one's way, step by step, by the stamps
// that our own kernel took, and those of the server's if it talks in messages and tells.
//
// Any other need not know: what happens at its end and in the network between is one step, and
// TCP's confirmation says how much of it the network may have taken at most.
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "cli/exit_code.h"
#include "cli/figures.h"
#include "cli/journeys.h"
#include "cli/reach.h"
#include "cli/standard_io.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "koine/async/sleep.h"
#include "koine/async/within.h"
#include "koine/base/histogram.h"
#include "koine/journey/export.h"
#include "koine/journey/spans.h"
#include "koine/messages.h"
#include "koine/os/fault_of.h"
#include "koine/os/network.h"
#include "koine/os/track.h"

namespace koine::cli {
namespace {

/// The kernel's last words about a message; a confirmation may be delayed by 40 ms and more.
constexpr Duration settle_patience = 250ms;

constexpr std::size_t message_bytes_max = std::size_t{16} << 20;

/// As many journeys are kept for files; of more, the first.
constexpr std::size_t journeys_max = 100'000;

struct TraceOptions {
  Endpoint peer;
  std::string route;
  std::string text;
  bool has_route = false;
  bool has_text = false;
  std::uint64_t count = 1;
  std::uint64_t every = 1;
  std::uint64_t slowest = 1;
  std::uint64_t reply_bytes = 0;
  Duration pause = Duration::zero();
  Duration timeout = 5s;
  bool wants_reply = true;
  bool layers = false;
  bool json = false;
  JourneyFiles files;
  std::string multiplexer;

  /// Its server talks in messages.
  bool has_messages() const { return !peer.protocol().empty(); }
};

/// What is known once it is over.
struct Traced {
  std::vector<journey::Journey> journeys;
  Histogram totals;
  std::uint64_t unanswered = 0;
  std::uint64_t not_in_files = 0;
  std::string lacking;
  Result<void> printed;  // what standard output said to the first line that it did not take
};

class Tracing {
 public:
  Tracing(os::Network& network, const TraceOptions& options, const std::string& message,
          Traced& traced)
      : network_(network),
        options_(options),
        message_(message),
        traced_(traced),
        recorder_({.every = static_cast<std::uint32_t>(options.every),
                   .keep_slowest = options.slowest,
                   .frames = options.layers || options.files.wants_frames()}),
        tracker_(recorder_) {
    recorder_.on_journey = [this](const journey::Journey& journey) { keep(journey); };
  }

  journey::Recorder& recorder() { return recorder_; }

  Io<void> over_stream() {
    auto beginning = tracker_.ready();
    co_await attempt(std::move(beginning));
    auto reaching = reach(network_, options_.peer, {.timeout = options_.timeout});
    const auto stream = co_await attempt(std::move(reaching));
    track_ = co_await attempt(tracker_.attach(*stream));
    traced_.lacking = track_->timestamping().lacking;
    for (std::uint64_t i = 0; i < options_.count; ++i) {
      if (i != 0 && options_.pause > Duration::zero()) co_await sleep(options_.pause);
      auto journey = begin();
      co_await attempt(within(options_.timeout, write_all(*stream, message_)));
      co_await attempt(within(options_.timeout, flush(*stream)));
      if (options_.wants_reply) {
        auto hearing = hear(*stream, journey);
        co_await attempt(std::move(hearing));
      }
      auto ending = end(journey);
      co_await attempt(std::move(ending));
    }
    co_return stream->finish();
  }

  /// A server that follows messages as well tells its end of their way.
  Io<void> over_messages() {
    auto beginning = tracker_.ready();
    co_await attempt(std::move(beginning));
    auto reaching = reach(network_, options_.peer, {.timeout = options_.timeout});
    auto stream = co_await attempt(std::move(reaching));
    Stream& connection = *stream;
    PeerOptions peer_options{.journeys = &journeys_};
    Peer peer(std::move(stream), rsocket::Side::client, nullptr, std::move(peer_options));
    track_ = dynamic_cast<os::Track*>(connection.track());
    if (track_ != nullptr) traced_.lacking = track_->timestamping().lacking;
    auto agreeing = peer.journeys_agreed();
    co_await attempt(std::move(agreeing));
    Result<Message> answer = Message();
    for (std::uint64_t i = 0; i < options_.count && answer; ++i) {
      if (i != 0 && options_.pause > Duration::zero()) co_await sleep(options_.pause);
      answer = co_await within(options_.timeout, peer.call(options_.route, message_));
    }
    // An error of its handler's is an answer, and has had its way.
    auto settling = peer.journeys_settled();
    co_await attempt(std::move(settling));
    if (!answer) co_return std::unexpected(std::move(answer.error()));
    peer.close();
    static_cast<void>(co_await within(options_.timeout, peer.run()));
    co_return {};
  }

  Io<void> over_datagrams() {
    auto beginning = tracker_.ready();
    co_await attempt(std::move(beginning));
    auto looking_up = datagram_peers(network_, options_.peer, options_.timeout);
    const std::vector<Address> peers = co_await attempt(std::move(looking_up));
    // An open host may have somebody at either of its loopback addresses.
    for (const Address& peer : peers) {
      auto tracing = over_datagrams(peer);
      auto traced = co_await tracing;
      const bool refused = !traced && traced.error() == Fault::refused;
      if (!refused || &peer == &peers.back()) co_return traced;
    }
    co_return {};
  }

 private:
  Io<void> over_datagrams(const Address& peer) {
    const auto socket = co_await attempt(datagram_to(network_, peer, options_.peer.transport()));
    track_ = co_await attempt(tracker_.attach(*socket));
    traced_.lacking = track_->timestamping().lacking;
    std::vector<std::byte> room(datagram_bytes_max);
    for (std::uint64_t i = 0; i < options_.count; ++i) {
      if (i != 0 && options_.pause > Duration::zero()) co_await sleep(options_.pause);
      auto journey = begin();
      co_await attempt(within(options_.timeout, send_to(*socket, as_bytes(message_), peer)));
      if (options_.wants_reply) {
        const auto reply = co_await within(options_.timeout, receive_from(*socket, room));
        if (reply && journey) {
          journey->reply.bytes = reply->size;
          track_->receive(journey, os::Way::back);
        } else if (!reply && reply.error() == Fault::timed_out) {
          ++traced_.unanswered;
        } else if (!reply) {
          co_return std::unexpected(reply.error());
        }
      }
      auto ending = end(journey);
      co_await attempt(std::move(ending));
    }
    co_return {};
  }

  /// A journey, for the messages that are followed.
  std::shared_ptr<journey::Journey> begin() {
    if (!recorder_.samples()) return nullptr;
    auto journey = recorder_.begin(track_->connection());
    track_->send(journey, os::Way::there, message_.size());
    return journey;
  }

  /// The answer's first piece, or as many bytes as were asked for; what else is there is thrown
  /// away.
  Io<void> hear(Stream& stream, const std::shared_ptr<journey::Journey>& journey) {
    std::uint64_t heard = 0;
    do {
      const Buffer bytes = co_await attempt(within(options_.timeout, receive(stream)));
      if (!bytes) {
        co_return std::unexpected(Error(Fault::ended, "read", stream.name())
                                      .with_note("the server finished without an answer"));
      }
      heard += bytes.size();
    } while (heard < options_.reply_bytes);
    if (journey) {
      journey->reply.bytes = heard;
      const bool is_more = options_.reply_bytes != 0 && heard > options_.reply_bytes;
      track_->receive(journey, os::Way::back, is_more ? heard - options_.reply_bytes : 0);
    }
    for (;;) {
      const auto more = stream.receive_now();
      if (!more || !*more) break;
    }
    co_return {};
  }

  Io<void> end(const std::shared_ptr<journey::Journey>& journey) {
    if (!journey) co_return {};
    co_await within(settle_patience, settled(*track_));
    track_->finish(journey);
    co_return {};
  }

  void keep(const journey::Journey& journey) {
    const std::int64_t total = spans_of(journey).total_ns;
    traced_.totals.record(static_cast<std::uint64_t>(std::max<std::int64_t>(total, 0)));
    if (options_.json && traced_.printed) {
      const std::string line = json_line(journey);
      traced_.printed = write_output(as_bytes(line));
    }
    if (!options_.files.any()) return;
    if (traced_.journeys.size() < journeys_max) {
      traced_.journeys.push_back(journey);
    } else {
      ++traced_.not_in_files;
    }
  }

  os::Network& network_;
  const TraceOptions& options_;
  const std::string& message_;
  Traced& traced_;
  journey::Recorder recorder_;
  os::Tracker tracker_;
  rsocket::Journeys journeys_{recorder_};
  os::Track* track_ = nullptr;
};

Result<std::string> read_message(const TraceOptions& options) {
  const bool may_be_empty = options.has_messages() && !options.has_text;
  if (may_be_empty || (options.has_text && options.text != "-")) return options.text;
  std::string text;
  std::array<char, std::size_t{64} << 10> piece{};
  for (;;) {
    const ssize_t count = ::read(STDIN_FILENO, piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return std::unexpected(os::system_error("read", "standard input", errno));
    if (count == 0) return text;
    text.append(piece.data(), static_cast<std::size_t>(count));
    if (text.size() > message_bytes_max) {
      return std::unexpected(
          Error(Fault::over_limit, "read", "standard input")
              .with_note(fmt::format("a message has at most {} bytes", message_bytes_max)));
    }
  }
}

Result<void> report(const TraceOptions& options, const Traced& traced,
                    const journey::Recorder& recorder) {
  if (options.json) return traced.printed;
  const Colours colours(STDOUT_FILENO);
  std::string text;
  for (const auto& journey : recorder.slowest(options.slowest)) {
    if (!text.empty()) text += "\n";
    text += shown(*journey, options.layers);
  }
  if (!traced.lacking.empty()) text += "      " + traced.lacking + "\n";
  if (options.count > 1 && traced.totals.count() != 0) {
    const auto time = [&](double quantile) {
      return short_time(Duration(static_cast<std::int64_t>(traced.totals.at(quantile))));
    };
    text += "\n" +
            colours.bold(fmt::format("{} messages, {} followed", grouped(recorder.messages()),
                                     grouped(recorder.journeys()))) +
            fmt::format(": p50 {}, p90 {}, p99 {}, slowest {}\n", time(0.5), time(0.9), time(0.99),
                        time(1));
  }
  if (traced.unanswered != 0)
    text += fmt::format("{} without an answer\n", grouped(traced.unanswered));
  if (traced.not_in_files != 0) {
    text += fmt::format("{} are not in the files, which hold the first {}\n",
                        grouped(traced.not_in_files), grouped(journeys_max));
  }
  if (recorder.discarded() != 0) {
    text +=
        fmt::format("{} thrown away: a clock was set meanwhile\n", grouped(recorder.discarded()));
  }
  return write_output(as_bytes(text));
}

int usage_error(const std::string& text) {
  fmt::print(stderr, "koine trace: {} (koine trace --help tells what is)\n", text);
  return exit_usage;
}

/// What the words say that they cannot mean; exit_ok if they make sense.
int check(const TraceOptions& options) {
  const std::string url = to_string(options.peer);
  if (!options.has_messages()) {
    if (options.has_route)
      return usage_error(fmt::format("{} has no routes: expected {} DATA", url, url));
    return exit_ok;
  }
  if (!options.has_route || options.route.empty())
    return usage_error(fmt::format("which route? Expected {} ROUTE [DATA]", url));
  if (options.route.size() > 255) {
    return usage_error(
        fmt::format("a route has at most 255 bytes; this one has {}", options.route.size()));
  }
  if (!options.wants_reply) return usage_error("--no-reply: only calls are followed to " + url);
  if (options.reply_bytes != 0) return usage_error("--reply-bytes: the answer is one message");
  return exit_ok;
}

int trace(TraceOptions options) {
  // ROUTE stands before DATA, and only servers of messages have any.
  if (!options.has_messages() && options.has_route && !options.has_text) {
    options.text = std::exchange(options.route, {});
    std::swap(options.has_text, options.has_route);
  }
  if (const int code = check(options); code != exit_ok) return code;
  const bool needs_data = !options.has_messages();
  if (needs_data && !options.has_text && is_terminal(STDIN_FILENO)) {
    complain(Error(Fault::malformed, "trace").with_note("what shall be sent? Expected DATA, or -"));
    return exit_usage;
  }
  const auto message = read_message(options);
  if (!message) return complain(message.error());
  const Transport transport = options.peer.transport();
  const bool is_datagram = transport == Transport::udp || transport == Transport::unix_datagram;
  if ((needs_data && message->empty()) || (is_datagram && message->size() > datagram_bytes_max)) {
    complain(
        Error(Fault::malformed, "trace")
            .with_note(fmt::format("the message has {} bytes; expected 1 to {}", message->size(),
                                   is_datagram ? datagram_bytes_max : message_bytes_max)));
    return exit_usage;
  }
  auto reactor = os::Reactor::make({.multiplexer = options.multiplexer, .busy_poll = {}});
  if (!reactor) return complain(reactor.error());
  os::Network network(**reactor);
  Traced traced;
  Tracing tracing(network, options, *message, traced);
  const auto done = options.has_messages() ? (*reactor)->run(tracing.over_messages())
                    : is_datagram          ? (*reactor)->run(tracing.over_datagrams())
                                           : (*reactor)->run(tracing.over_stream());
  // What was seen before something went wrong is shown all the same.
  auto reported = report(options, traced, tracing.recorder());
  if (reported) reported = write_files(options.files, traced.journeys);
  (*reactor)->linger_out();
  if (!done) {
    const int code = complain(done.error());
    return done.error() == Fault::ended ? exit_empty_reply : code;
  }
  if (!reported) return complain(reported.error());
  return traced.unanswered == options.count ? exit_timed_out : exit_ok;
}

}  // namespace

void add_trace(Tool& tool) {
  const auto options = std::make_shared<TraceOptions>();
  Page page{
      .summary = "follow messages to a server, step by step, by the kernel's own stamps",
      .paragraphs =
          {"Sends DATA, or standard input if it is - or missing, waits for the answer and shows "
           "how "
           "long each step of the way took: in this program and system by the kernel's stamps, in "
           "the network and at the other end by what is left. No right to capture is needed, and "
           "the server need not know.",
           "A server that talks in messages (RSocket) is asked at ROUTE. If it follows messages as "
           "well, as koine serve messages does, it tells its end of the way, and the journey has "
           "the stamps of both kernels. Without DATA the message is empty.",
           "The verdict compares with the messages before it on the same connection, so --count "
           "makes it wiser. With several messages, the slowest is shown.",
           "What the numbers mean, and what they cannot: docs/journey.md."},
      .examples = {{"koine trace tcp://127.0.0.1:7000 hello", "One message, step by step."},
                   {"koine trace rsocket+tcp://127.0.0.1:7001 echo hello --layers",
                    "One call, by the stamps of both ends."},
                   {"koine trace tcp://10.0.0.7:80 --count 1000 --slowest 3 --layers - < request",
                    "The three slowest of a thousand, with their headers."},
                   {"koine trace udp://127.0.0.1:53 --json - < query | jq .verdict",
                    "For programs: one journey a line."},
                   {"koine trace tcp://127.0.0.1:7000 hi --pcapng hi.pcapng",
                    "The headers as Wireshark opens them."}}};
  CLI::App& verb = tool.verb("trace", std::move(page), [options] { return trace(*options); });
  tool.endpoint(verb, "URL", options->peer, "Where the server is", Speaks::either)->required();
  verb.add_option_function<std::string>(
          "ROUTE",
          [options](const std::string& text) {
            options->route = text;
            options->has_route = true;
          },
          "Which handler of a server of messages; for no other server")
      ->type_name("ROUTE");
  verb.add_option_function<std::string>(
          "DATA",
          [options](const std::string& text) {
            options->text = text;
            options->has_text = true;
          },
          "What to send; - for standard input")
      ->type_name("DATA");
  tool.count(verb, "--count", options->count, 1, 1'000'000'000, "How many messages, one by one");
  tool.count(verb, "--every", options->every, 1, 1'000'000, "Follow one message in so many");
  tool.count(verb, "--slowest", options->slowest, 1, 1000, "Show so many, the slowest first");
  tool.duration(verb, "--pause", options->pause, "Wait between messages", true);
  tool.size(verb, "--reply-bytes", options->reply_bytes, 0, std::uint64_t{1} << 40,
            "The answer is over when it has so many bytes; 0 for its first piece");
  verb.add_flag_callback(
      "--no-reply", [options] { options->wants_reply = false; }, "Do not wait for an answer");
  verb.add_flag("--layers", options->layers, "Show the headers of the frames, with their bytes");
  verb.add_option("--pcapng", options->files.pcapng, "Write the frames for Wireshark")
      ->type_name("FILE");
  verb.add_option("--perfetto", options->files.perfetto, "Write the steps for ui.perfetto.dev")
      ->type_name("FILE");
  verb.add_option("--otlp", options->files.otlp, "Write the steps for OpenTelemetry, as JSON")
      ->type_name("FILE");
  tool.duration(verb, "--timeout", options->timeout,
                "How long to try to reach the server, and then how long it may let us wait");
  tool.multiplexer(verb, options->multiplexer);
  tool.json(verb, options->json);
}

}  // namespace koine::cli
