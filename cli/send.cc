// koine send: says something to a server and prints what comes back.
//
// Over a stream, what is to be said is sent while the answer is already being printed, so that
// neither has to fit into memory. Over datagrams all of it is one datagram, and so is the answer.
//
// The timeout is for standing still: for reaching the server, and from then on for each time that
// nothing moves because of the server. Waiting for standard input is not the server's fault, and
// has no limit while the server may still have something to say.
#include <unistd.h>

#include <nlohmann/json.hpp>

#include <array>
#include <optional>
#include <string>
#include <utility>

#include "cli/encoding.h"
#include "cli/exit_code.h"
#include "cli/reach.h"
#include "cli/standard_io.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "koine/async/event.h"
#include "koine/async/scope.h"
#include "koine/async/within.h"
#include "koine/os/fault_of.h"
#include "koine/os/network.h"

namespace koine::cli {
namespace {

struct SendOptions {
  Endpoint peer;
  std::string text;
  bool has_text = false;
  Duration timeout = 5s;
  bool waits_for_server = false;
  bool wants_reply = true;
  bool json = false;
  std::string multiplexer;
};

/// A reply that becomes one JSON object has to fit into memory.
constexpr std::size_t json_reply_bytes_max = std::size_t{16} << 20;

/// What was said and heard.
struct Exchanged {
  std::uint64_t sent_bytes = 0;
  std::uint64_t received_bytes = 0;
  std::string reply;  // only if it is to be JSON
};

/// What there is to say: the text of the command line, or standard input.
class Source {
 public:
  Source(os::Reactor& reactor, const SendOptions& options) {
    if (options.has_text && options.text != "-") {
      text_ = options.text;
    } else if (options.has_text || !is_terminal(STDIN_FILENO)) {
      input_.emplace(reactor);
    }
  }

  bool is_input() const { return input_.has_value(); }

  /// The next piece, lent until the next call; empty at the end.
  Io<Bytes> next() {
    if (!input_) co_return as_bytes(std::exchange(text_, {}));
    const std::size_t count = co_await attempt(read_some(*input_, buffer_));
    co_return Bytes(buffer_).first(count);
  }

 private:
  std::string_view text_;
  std::optional<StandardInput> input_;
  std::array<std::byte, std::size_t{64} << 10> buffer_{};
};

/// Prints the answer, or keeps it to become JSON; and counts it.
class Output {
 public:
  Output(const SendOptions& options, Exchanged& exchanged)
      : keeps_(options.json), exchanged_(exchanged) {}

  Result<void> print(Bytes bytes) {
    if (bytes.empty()) return {};
    exchanged_.received_bytes += bytes.size();
    ends_line_ = bytes.back() == std::byte{'\n'};
    if (!keeps_) return write_output(bytes);
    if (exchanged_.received_bytes > json_reply_bytes_max) {
      return std::unexpected(Error(Fault::over_limit, "read")
                                 .with_note("as JSON, a reply has at most " +
                                            std::to_string(json_reply_bytes_max) + " bytes"));
    }
    exchanged_.reply += as_text(bytes);
    return {};
  }

  /// On a terminal the next prompt begins on a line of its own.
  Result<void> end() {
    if (keeps_ || bytes() == 0 || ends_line_ || !is_terminal(STDOUT_FILENO)) return {};
    return write_output(as_bytes("\n"));
  }

  std::uint64_t bytes() const { return exchanged_.received_bytes; }

 private:
  bool keeps_;
  Exchanged& exchanged_;
  bool ends_line_ = true;
};

/// One exchange over a stream: talking and listening side by side.
class Exchange {
 public:
  Exchange(Stream& stream, Source& source, const SendOptions& options, Exchanged& exchanged)
      : stream_(stream),
        source_(source),
        options_(options),
        exchanged_(exchanged),
        output_(options, exchanged) {}

  Io<void> run() {
    Scope scope;
    scope.spawn(talk());
    moved_at_ = Loop::current().now();
    auto heard = options_.wants_reply ? listen() : hear_nothing();
    Result<void> listened = co_await heard;
    if (!listened) co_return listened;
    co_await attempt(wait_for_talk());
    if (!talked_) co_return std::unexpected(std::move(talked_.error()));
    co_await attempt(output_.end());
    if (options_.wants_reply && output_.bytes() == 0 && exchanged_.sent_bytes > 0) {
      co_return std::unexpected(Error(Fault::ended, "read", stream_.name())
                                    .with_note("the server finished without a word"));
    }
    co_return Result<void>();
  }

 private:
  Io<void> say() {
    for (;;) {
      auto piece = source_.next();
      const Bytes bytes = co_await attempt(std::move(piece));
      if (bytes.empty()) break;
      co_await attempt(within(options_.timeout, write_all(stream_, bytes)));
      exchanged_.sent_bytes += bytes.size();
      moved_at_ = Loop::current().now();
    }
    co_await attempt(within(options_.timeout, flush(stream_)));
    co_return stream_.finish();
  }

  /// A failure to say something waits for what the server may still have to tell about it.
  Task<void> talk() {
    auto saying = say();
    talked_ = co_await saying;
    moved_at_ = Loop::current().now();
    talk_is_over_.set();
  }

  Io<void> listen() {
    for (;;) {
      const Duration still_for = Loop::current().now() - moved_at_;
      const bool waits_for_input = !talk_is_over_.is_set() && source_.is_input();
      auto bytes = co_await within(
          waits_for_input ? options_.timeout : options_.timeout - still_for, receive(stream_));
      if (!bytes) {
        if (bytes.error() == Fault::timed_out && may_go_on()) continue;
        co_return std::unexpected(std::move(bytes.error()));
      }
      if (!*bytes) break;
      moved_at_ = Loop::current().now();
      co_await attempt(output_.print(*bytes));
    }
    peer_finished_ = true;
    moved_at_ = Loop::current().now();
    co_return Result<void>();
  }

  /// After a wait that was too long: is it someone else than the server who is slow?
  bool may_go_on() const {
    if (!talk_is_over_.is_set()) return true;  // talking has deadlines of its own
    return Loop::current().now() - moved_at_ < options_.timeout;
  }

  Io<void> hear_nothing() { co_return Result<void>(); }

  /// A server that has finished has nothing more to say; input that does not end then is waited for
  /// only as long as it moves.
  Io<void> wait_for_talk() {
    while (!talk_is_over_.is_set()) {
      const Duration still_for = Loop::current().now() - moved_at_;
      if (peer_finished_ && still_for >= options_.timeout) {
        co_return std::unexpected(Error(Fault::timed_out, "read", "standard input")
                                      .with_note("it has not ended, but the server has finished")
                                      .with_elapsed(still_for));
      }
      co_await within(options_.timeout - (peer_finished_ ? still_for : Duration::zero()),
                      talk_is_over_.wait());
    }
    co_return Result<void>();
  }

  Stream& stream_;
  Source& source_;
  const SendOptions& options_;
  Exchanged& exchanged_;
  Output output_;
  Event talk_is_over_;
  Result<void> talked_;
  Instant moved_at_;
  bool peer_finished_ = false;
};

Io<void> send_by_stream(os::Network& network, const SendOptions& options, Exchanged& exchanged) {
  auto reaching = reach(network, options.peer, {options.timeout, options.waits_for_server});
  const auto stream = co_await attempt(std::move(reaching));
  Source source(network.reactor(), options);
  Exchange exchange(*stream, source, options, exchanged);
  auto run = exchange.run();
  co_return co_await run;
}

/// All there is to say, which has to fit into one datagram.
Io<std::string> read_datagram(Source& source) {
  std::string message;
  for (;;) {
    auto piece = source.next();
    const Bytes bytes = co_await attempt(std::move(piece));
    if (bytes.empty()) co_return message;
    if (message.size() + bytes.size() > datagram_bytes_max) {
      co_return std::unexpected(Error(Fault::over_limit, "send to")
                                    .with_note("one datagram carries at most " +
                                               std::to_string(datagram_bytes_max) + " bytes"));
    }
    message += as_text(bytes);
  }
}

/// The reply, or nothing if nobody wants one.
Io<std::string> ask(os::Network& network, const SendOptions& options, const Address& peer,
                    const std::string& message) {
  const auto socket = co_await attempt(datagram_to(network, peer, options.peer.transport()));
  co_await attempt(within(options.timeout, send_to(*socket, as_bytes(message), peer)));
  if (!options.wants_reply) co_return std::string();
  std::string reply(datagram_bytes_max, '\0');
  const Received received = co_await attempt(
      within(options.timeout, receive_from(*socket, std::as_writable_bytes(std::span(reply)))));
  reply.resize(received.size);
  co_return reply;
}

Io<void> send_by_datagram(os::Network& network, const SendOptions& options, Exchanged& exchanged) {
  Source source(network.reactor(), options);
  auto reading = read_datagram(source);
  const std::string message = co_await attempt(std::move(reading));
  auto looking_up = datagram_peers(network, options.peer, options.timeout);
  const std::vector<Address> peers = co_await attempt(std::move(looking_up));

  Patience patience({options.timeout, options.waits_for_server});
  for (;;) {
    Result<std::string> reply = fail(Fault::not_found);
    for (const Address& peer : peers) {
      auto asking = ask(network, options, peer, message);
      reply = co_await asking;
      // Nobody listens there; an open host may have somebody at its other loopback address.
      if (reply || reply.error() != Fault::refused) break;
    }
    if (!reply && reply.error() == Fault::refused)  // said of our end; better name the other
      reply = std::unexpected(Error(Fault::refused, "connect", to_string(options.peer)));
    if (reply) {
      exchanged.sent_bytes = message.size();
      Output output(options, exchanged);
      co_await attempt(output.print(as_bytes(*reply)));
      co_return output.end();
    }
    auto next = patience.after(std::move(reply.error()));
    co_await attempt(std::move(next));
  }
}

/// One object in one line. A reply that is no UTF-8 is in base64 (RFC 4648).
std::string as_json(const SendOptions& options, const Exchanged& exchanged, Duration elapsed,
                    const Result<void>& sent) {
  using Json = nlohmann::ordered_json;
  Json all = {{"url", to_string(options.peer)},
              {"sent_bytes", exchanged.sent_bytes},
              {"received_bytes", exchanged.received_bytes},
              {"elapsed_ns", elapsed.count()}};
  if (!sent) all["error"] = to_string(sent.error());
  Json with_text = all;
  with_text["reply"] = exchanged.reply;
  try {
    return with_text.dump() + "\n";
  } catch (const Json::type_error&) {  // not UTF-8
    all["reply_base64"] = base64(exchanged.reply);
    return all.dump() + "\n";
  }
}

int send(const SendOptions& options) {
  auto reactor = os::Reactor::make({.multiplexer = options.multiplexer});
  if (!reactor) return complain(reactor.error());
  os::Network network(**reactor);
  const Transport transport = options.peer.transport();
  const Instant begun = os::monotonic_now();
  Exchanged exchanged;
  Result<void> sent;
  if (transport == Transport::udp || transport == Transport::unix_datagram) {
    sent = (*reactor)->run(send_by_datagram(network, options, exchanged));
  } else {
    sent = (*reactor)->run(send_by_stream(network, options, exchanged));
  }
  const Duration elapsed = os::monotonic_now() - begun;
  (*reactor)->linger_out();
  if (options.json) {
    const std::string line = as_json(options, exchanged, elapsed, sent);
    if (auto written = write_output(as_bytes(line)); !written) return complain(written.error());
  }
  if (sent) return exit_ok;
  if (sent.error() == Fault::ended) {
    complain(sent.error());
    return exit_empty_reply;
  }
  return complain(sent.error());
}

}  // namespace

void add_send(Tool& tool) {
  const auto options = std::make_shared<SendOptions>();
  Page page{
      .summary = "send text or standard input to a server and print what comes back",
      .paragraphs =
          {"Sends TEXT as it is (no newline is added), or standard input if TEXT is - or missing, "
           "says that no more follows, and prints what comes back until the server has finished. "
           "Any bytes will do. With udp: and unixgram: all of it is one datagram, and so is the "
           "answer.",
           "Without TEXT on a terminal nothing is sent: enough for servers that speak first."},
      .examples = {{"koine send tcp://127.0.0.1:4000 hello", "Send five bytes, print the answer."},
                   {"koine send --wait unix:/run/job.sock < job.json",
                    "Send a file, as soon as somebody listens there."},
                   {"koine send udp://127.0.0.1:13", "Ask a daytime server what time it is."},
                   {"koine send --no-reply unixgram:/dev/log '<13>hello'",
                    "Say something to a server that never answers."}}};
  CLI::App& verb = tool.verb("send", std::move(page), [options] { return send(*options); });
  tool.endpoint(verb, "URL", options->peer, "Where the server is")->required();
  verb.add_option_function<std::string>(
          "TEXT",
          [options](const std::string& text) {
            options->text = text;
            options->has_text = true;
          },
          "What to send; - for standard input")
      ->type_name("TEXT");
  tool.duration(verb, "--timeout", options->timeout,
                "How long to try to reach the server, and then how long it may let us wait");
  verb.add_flag("--wait", options->waits_for_server,
                "Try again until the server is there, for as long as --timeout says");
  verb.add_flag_callback(
      "--no-reply", [options] { options->wants_reply = false; }, "Do not wait for an answer");
  tool.multiplexer(verb, options->multiplexer);
  tool.json(verb, options->json);
}

}  // namespace koine::cli
