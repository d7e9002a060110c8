// koine trace: sends messages to any server and shows each one's way, step by step, by the stamps
// that our own kernel took, and those of the server's if it talks in messages and tells.
//
// Any other need not know: what happens at its end and in the network between is one step, and
// TCP's confirmation says how much of it the network may have taken at most.
#include <unistd.h>

#include <fmt/format.h>

#include <array>
#include <utility>

#include "cli/exit_code.h"
#include "cli/reach.h"
#include "cli/standard_io.h"
#include "cli/terminal.h"
#include "cli/tracing.h"
#include "cli/verbs.h"
#include "koine/os/fault_of.h"

namespace koine::cli {
namespace {

constexpr std::size_t message_bytes_max = std::size_t{16} << 20;

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
    if (options.streams) return usage_error(fmt::format("--stream: {} has no streams", url));
    return exit_ok;
  }
  if (!options.has_route || options.route.empty())
    return usage_error(fmt::format("which route? Expected {} ROUTE [DATA]", url));
  if (options.route.size() > 255) {
    return usage_error(
        fmt::format("a route has at most 255 bytes; this one has {}", options.route.size()));
  }
  if (!options.wants_reply && options.streams)
    return usage_error("--no-reply and --stream contradict each other");
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
           "the stamps of both kernels. Without DATA the message is empty. --stream asks for "
           "items, "
           "and shows the way of the request and of the first --take of them; --no-reply sends a "
           "message that nobody answers.",
           "The verdict compares with the messages before it on the same connection, so --count "
           "makes it wiser. With several messages, the slowest is shown.",
           "What the numbers mean, and what they cannot: docs/journey.md."},
      .examples = {{"koine trace tcp://127.0.0.1:7000 hello", "One message, step by step."},
                   {"koine trace rsocket+tcp://127.0.0.1:7001 echo hello --layers",
                    "One call, by the stamps of both ends."},
                   {"koine trace rsocket+tcp://127.0.0.1:7001 count 10 --stream",
                    "A stream's request and its first items, each on its way."},
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
  verb.add_flag("--stream", options->streams, "Ask a server of messages for items");
  tool.count(verb, "--take", options->take, 1, 16, "Take so many of them");
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
