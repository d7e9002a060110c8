// koine call: asks a service that talks in messages (RSocket), and prints what it answers.
#include <unistd.h>

#include <nlohmann/json.hpp>

#include <cstdio>
#include <optional>

#include "cli/encoding.h"
#include "cli/exit_code.h"
#include "cli/reach.h"
#include "cli/standard_io.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "koine/messages.h"
#include "koine/os/fault_of.h"
#include "koine/os/network.h"
#include "koine/os/reactor.h"

namespace koine::cli {
namespace {

using Json = nlohmann::ordered_json;

struct CallOptions {
  Endpoint peer;
  std::string route;
  std::string data;
  Duration timeout = 5s;
  std::uint64_t take = 0;
  bool streams = false;
  bool waits_for_server = false;
  bool wants_reply = true;
  bool json = false;
  std::string multiplexer;
};

/// As much as a message may have.
Io<std::string> read_input(os::Reactor& reactor) {
  const std::size_t bytes_max = PeerOptions().connection.message_bytes_max;
  StandardInput input(reactor);
  std::string data;
  std::array<std::byte, std::size_t{64} << 10> piece{};
  for (;;) {
    const std::size_t count = co_await attempt(read_some(input, piece));
    if (count == 0) co_return data;
    data += as_text(Bytes(piece).first(count));
    if (data.size() > bytes_max) {
      co_return std::unexpected(
          Error(Fault::over_limit, "call", "standard input")
              .with_note("a message has at most " + std::to_string(bytes_max) + " bytes"));
    }
  }
}

/// Prints messages: an answer as it is, the items of a stream each in a line, or all as JSON.
class Printer {
 public:
  explicit Printer(const CallOptions& options) : options_(options), begun_(os::monotonic_now()) {}

  Result<void> print(const Message& message) {
    if (options_.json) {
      Json line = {{"url", to_string(options_.peer)}, {"route", options_.route}};
      if (options_.streams) line["item"] = items_;
      const std::string key = options_.streams ? "data" : "reply";
      try {
        line[key] = message.data;
        static_cast<void>(line.dump());
      } catch (const Json::type_error&) {  // not UTF-8
        line.erase(key);
        line[key + "_base64"] = base64(message.data);
      }
      return put(std::move(line));
    }
    ++items_;
    const bool ends_line = message.data.ends_with('\n');
    const bool wants_end = options_.streams || is_terminal(STDOUT_FILENO);
    return write_output(as_bytes(wants_end && !ends_line ? message.data + "\n" : message.data));
  }

  void print(const Error& error) {
    if (!options_.json) return;
    static_cast<void>(put({{"url", to_string(options_.peer)},
                           {"route", options_.route},
                           {"error", to_string(error)}}));
  }

  std::uint64_t items() const { return items_; }

 private:
  Result<void> put(Json line) {
    ++items_;
    line["elapsed_ns"] = (os::monotonic_now() - begun_).count();
    return write_output(as_bytes(line.dump() + "\n"));
  }

  const CallOptions& options_;
  Instant begun_;
  std::uint64_t items_ = 0;
};

Io<void> take_items(Peer& peer, const CallOptions& options, const std::string& data,
                    Printer& printer) {
  StreamOptions asked;
  if (options.take > 0 && options.take < asked.window)
    asked.window = static_cast<std::uint32_t>(options.take);
  auto opening = within(options.timeout, peer.stream(options.route, data, asked));
  auto items = co_await attempt(std::move(opening));
  while (options.take == 0 || printer.items() < options.take) {
    const auto item = co_await attempt(within(options.timeout, items.next()));
    if (!item) break;
    co_await attempt(printer.print(*item));
  }
  co_return {};
}

Io<void> ask(os::Network& network, const CallOptions& options, Printer& printer) {
  std::string data = options.data;
  if (data == "-") {
    auto reading = read_input(network.reactor());
    data = co_await attempt(std::move(reading));
  }
  auto reaching = reach(network, options.peer, {options.timeout, options.waits_for_server});
  Peer peer = co_await attempt(std::move(reaching));
  if (!options.wants_reply) {
    co_await attempt(within(options.timeout, peer.fire(options.route, data)));
  } else if (options.streams) {
    auto taking = take_items(peer, options, data, printer);
    co_await attempt(std::move(taking));
  } else {
    const Message answer =
        co_await attempt(within(options.timeout, peer.call(options.route, data)));
    co_await attempt(printer.print(answer));
  }
  peer.close();
  static_cast<void>(co_await within(options.timeout, peer.run()));
  co_return {};
}

int usage_error(const std::string& text) {
  std::fprintf(stderr, "koine call: %s (koine call --help tells what is)\n", text.c_str());
  return exit_usage;
}

/// What the words say that they cannot mean; exit_ok if they make sense.
int check(const CallOptions& options) {
  if (options.route.size() > 255) {
    return usage_error("a route has at most 255 bytes; this one has " +
                       std::to_string(options.route.size()));
  }
  if (options.take > 0 && !options.streams)
    return usage_error("--take is how many items of a stream: add --stream");
  if (options.streams && !options.wants_reply)
    return usage_error("--no-reply and --stream contradict each other");
  return exit_ok;
}

int call(const CallOptions& options) {
  if (const int code = check(options); code != exit_ok) return code;
  auto reactor = os::Reactor::make({.multiplexer = options.multiplexer});
  if (!reactor) return complain(reactor.error());
  os::Network network(**reactor);
  Printer printer(options);
  const auto asked = (*reactor)->run(ask(network, options, printer));
  (*reactor)->linger_out();
  if (asked) return exit_ok;
  printer.print(asked.error());
  return complain(asked.error());
}

Page page() {
  return {
      .summary = "ask a service that talks in messages (RSocket) and print its answer",
      .paragraphs =
          {"Sends DATA to ROUTE as one request and prints the answer as it is. --stream asks for "
           "items instead and prints each in a line of its own, --no-reply for nothing. Any bytes "
           "will do; - is standard input, and without DATA the message is empty.",
           "The service is told how much time it has, and gives up when that is over. An error of "
           "the service is printed with its words. The exit code is 28 if there was no answer in "
           "time, 7 if it was not reached or rejects the request, 56 if the connection broke, and "
           "1 if it answers with an error.",
           "koine serve messages has routes to try this out with."},
      .examples = {
          {"koine call rsocket+tcp://127.0.0.1:7001 echo hello", "One request, one answer."},
          {"koine call rsocket+tcp://127.0.0.1:7001 count 10 --stream", "Ten items, ten lines."},
          {"koine call rsocket+unix:/run/app.sock import - --timeout 1m < data.json",
           "A request from a file, and a minute for it."},
          {"koine call rsocket+tcp://127.0.0.1:7001 count 1000000 --stream --take 3 --json",
           "The first three, as JSON; the service is told that no more are wanted."}}};
}

}  // namespace

void add_call(Tool& tool) {
  const auto options = std::make_shared<CallOptions>();
  CLI::App& verb = tool.verb("call", page(), [options] { return call(*options); });
  tool.endpoint(verb, "URL", options->peer, "Where the service is", Speaks::messages)->required();
  verb.add_option("ROUTE", options->route, "Which of its handlers")->required()->type_name("TEXT");
  verb.add_option("DATA", options->data, "What to ask; - for standard input")->type_name("TEXT");
  verb.add_flag("--stream", options->streams, "Ask for items, and print each");
  tool.count(verb, "--take", options->take, 1, std::uint64_t{1} << 32, "Items after which to stop")
      ->default_str("all");
  tool.duration(verb, "--timeout", options->timeout,
                "How long to try to reach it, and then how long to wait for the answer or for the "
                "next item");
  verb.add_flag("--wait", options->waits_for_server,
                "Try again until the service is there, for as long as --timeout says");
  verb.add_flag_callback(
      "--no-reply", [options] { options->wants_reply = false; }, "Do not wait for an answer");
  tool.multiplexer(verb, options->multiplexer);
  tool.json(verb, options->json);
}

}  // namespace koine::cli
