// koine demo: a server process and a client process exchange one message, and the exchange is told
// step by step (demo_story.h).
//
// Both processes follow the message by the kernel's own stamps, each its half; the server hands its
// half over a pipe, in the blocks that servers of messages tell theirs in (journey_block.h). They
// read the same clock, so the halves fit without an offset.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <memory>
#include <span>
#include <string>

#include "cli/demo_story.h"
#include "cli/exit_code.h"
#include "cli/standard_io.h"
#include "cli/verbs.h"
#include "koine/async/within.h"
#include "koine/journey/recorder.h"
#include "koine/journey/spans.h"
#include "koine/os/fault_of.h"
#include "koine/os/network.h"
#include "koine/os/track.h"
#include "koine/rsocket/journey_block.h"

namespace koine::cli {
namespace {

constexpr Duration patience = 10s;
constexpr std::size_t message_bytes_max = std::size_t{64} << 10;

/// The kernel's last words about a message: that the peer's has confirmed it, which may be delayed.
constexpr Duration settle_patience = 500ms;

/// What the server says when the message may come.
constexpr char ready_letter = 'r';

std::int64_t now_ns() { return os::monotonic_now().time_since_epoch().count(); }

/// One end's half of the journey.
class Half {
 public:
  Half() : recorder_({.every = 1, .frames = true}), tracker_(recorder_) {}

  /// Before the message may come: the kernel needs a moment before it stamps what arrives.
  Io<bool> ready() { return tracker_.ready(); }

  Result<void> attach(Stream& stream) {
    auto attached = tracker_.attach(stream);
    if (!attached) return std::unexpected(std::move(attached.error()));
    track_ = *attached;
    journey_ = recorder_.begin(track_->connection());
    return {};
  }

  os::Track& track() { return *track_; }
  const std::shared_ptr<journey::Journey>& journey() { return journey_; }

  /// Waits until the kernel has said all it will.
  Io<void> complete() {
    co_await within(settle_patience, settled(*track_));
    track_->finish(journey_);
    co_return {};
  }

 private:
  journey::Recorder recorder_;
  os::Tracker tracker_;
  os::Track* track_ = nullptr;
  std::shared_ptr<journey::Journey> journey_;
};

/// What one end has to tell.
struct Told {
  DemoReport report;
  journey::Journey half;
};

Io<void> send_noted(Stream& stream, std::string_view text, DemoReport& report, Half& half,
                    os::Way way) {
  half.track().send(half.journey(), way, text.size());
  report.sending_ns = now_ns();
  co_await attempt(write_all(stream, text));
  co_await attempt(flush(stream));
  report.sent_ns = now_ns();
  co_return {};
}

Io<std::string> receive_noted(Stream& stream, std::size_t bytes, DemoReport& report, Half& half,
                              os::Way way) {
  std::string text;
  while (text.size() < bytes) {
    const Buffer buffer = co_await attempt(receive(stream));
    if (!buffer) co_return fail(Fault::ended, "read", stream.name());
    ++report.reads;
    text += buffer.text();
  }
  half.track().receive(half.journey(), way, text.size() - bytes);
  report.received_bytes = text.size();
  (way == os::Way::there ? half.journey()->request : half.journey()->reply).bytes = text.size();
  co_return text;
}

Io<Told> serve_once(os::Network& network, int pipe, std::size_t bytes) {
  DemoReport report{.process = ::getpid()};
  const auto name = network.reactor().multiplexer();
  name.copy(report.multiplexer.data(), report.multiplexer.size() - 1);
  Half half;
  auto beginning = half.ready();
  co_await attempt(std::move(beginning));
  const auto listener = co_await attempt(network.listen(Endpoint::tcp(loopback_v4, 0)));
  report.port = listener->endpoint().port();
  if (::write(pipe, &report, sizeof(report)) != sizeof(report))
    co_return fail(Fault::system, "report to the client");
  const auto stream = co_await attempt(accept(*listener));
  co_await attempt(half.attach(*stream));
  if (::write(pipe, &ready_letter, 1) != 1) co_return fail(Fault::system, "report to the client");
  auto receiving = receive_noted(*stream, bytes, report, half, os::Way::there);
  const std::string text = co_await attempt(std::move(receiving));
  auto sending = send_noted(*stream, text, report, half, os::Way::back);
  co_await attempt(std::move(sending));
  const Buffer end = co_await attempt(receive(*stream));
  if (end) co_return fail(Fault::malformed, "read", stream->name());
  auto completing = half.complete();
  co_await attempt(std::move(completing));
  Told told{report, *half.journey()};
  co_return told;
}

Io<Told> ask_once(os::Network& network, int pipe, std::uint16_t port, std::string text) {
  DemoReport report{.process = ::getpid()};
  const auto name = network.reactor().multiplexer();
  name.copy(report.multiplexer.data(), report.multiplexer.size() - 1);
  Half half;
  auto beginning = half.ready();
  co_await attempt(std::move(beginning));
  report.asked_ns = now_ns();
  auto connecting = network.connect(Address(loopback_v4, port), Transport::tcp);
  const auto stream = co_await attempt(std::move(connecting));
  report.connected_ns = now_ns();
  report.port = stream->local().port();
  co_await attempt(half.attach(*stream));
  // The server accepts and gets ready; a message that came meanwhile would show that, not its way.
  char letter = 0;
  if (::read(pipe, &letter, 1) != 1) co_return fail(Fault::ended, "hear from the server");
  auto sending = send_noted(*stream, text, report, half, os::Way::there);
  co_await attempt(std::move(sending));
  auto receiving = receive_noted(*stream, text.size(), report, half, os::Way::back);
  const std::string answer = co_await attempt(std::move(receiving));
  if (answer != text) co_return fail(Fault::malformed, "compare the answer", stream->name());
  auto completing = half.complete();
  co_await attempt(std::move(completing));
  co_await attempt(stream->finish());
  Told told{report, *half.journey()};
  co_return told;
}

/// Runs one end on a loop of its own.
template <class Story>
Result<Told> run_end(Story story) {
  auto reactor = os::Reactor::make();
  if (!reactor) return std::unexpected(std::move(reactor.error()));
  os::Network network(**reactor);
  return (*reactor)->run(within(patience, story(network)));
}

/// Reads one report; false if the server ended without it.
bool read_report(int pipe, DemoReport& report) {
  std::size_t got = 0;
  while (got < sizeof(report)) {
    const ssize_t count =
        ::read(pipe, reinterpret_cast<char*>(&report) + got, sizeof(report) - got);
    if (count == 0 || (count < 0 && errno != EINTR)) return false;
    if (count > 0) got += static_cast<std::size_t>(count);
  }
  return true;
}

/// The server's half of the journey: what it knew when it answered, and what it learned afterwards.
void append_half(rsocket::ByteVector& to, const journey::Journey& half) {
  rsocket::append_block(to, rsocket::reply_block_of(half));
  rsocket::LateBlock late{.leg = half.reply};
  for (const journey::Frame& frame : half.frames)
    if (frame.reply) late.frame = frame;
  rsocket::append_block(to, late);
}

Result<void> add_half(Bytes blocks, journey::Journey& to) {
  rsocket::CompositeReader entries(blocks);
  for (;;) {
    const auto entry = entries.next();
    if (!entry) return std::unexpected(entry.error());
    if (!*entry) return {};
    const auto block = rsocket::parse_block((*entry)->content);
    if (!block) return std::unexpected(block.error());
    if (const auto* reply = std::get_if<rsocket::ReplyBlock>(&*block))
      rsocket::add_half(to, *reply);
    if (const auto* late = std::get_if<rsocket::LateBlock>(&*block)) rsocket::add_half(to, *late);
  }
}

/// The rest of what comes through the pipe: the server's half of the journey.
Result<void> read_half(int pipe, journey::Journey& to) {
  std::string blocks;
  std::array<char, 4096> piece{};
  for (;;) {
    const ssize_t count = ::read(pipe, piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return std::unexpected(os::system_error("hear from the server", {}, errno));
    if (count == 0) return add_half(as_bytes(blocks), to);
    blocks.append(piece.data(), static_cast<std::size_t>(count));
  }
}

/// A report and two blocks, of a few hundred bytes: less than a pipe takes without waiting.
bool report_to(int pipe, const Told& told) {
  const Bytes report = std::as_bytes(std::span(&told.report, 1));
  rsocket::ByteVector bytes(report.begin(), report.end());
  append_half(bytes, told.half);
  return ::write(pipe, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
}

[[noreturn]] void be_server(int pipe, std::size_t bytes) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  const auto told = run_end([&](os::Network& network) { return serve_once(network, pipe, bytes); });
  if (!told) {
    complain(told.error());
    ::_exit(1);
  }
  ::_exit(report_to(pipe, *told) ? 0 : 1);
}

int demonstrate(const std::string& text) {
  if (text.empty() || text.size() > message_bytes_max) {
    complain(Error(Fault::malformed, "demo")
                 .with_note(fmt::format("the message has {} bytes; expected 1 to {}", text.size(),
                                        message_bytes_max)));
    return exit_usage;
  }
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return complain(os::system_error("pipe", {}, errno));
  const pid_t server = ::fork();
  if (server < 0) return complain(os::system_error("fork", {}, errno));
  if (server == 0) {
    ::close(pipe[0]);
    be_server(pipe[1], text.size());
  }
  ::close(pipe[1]);
  DemoReport there;
  Result<Told> here = fail(Fault::ended, "start the server");
  Result<void> half = fail(Fault::ended, "hear from the server");
  if (read_report(pipe[0], there)) {
    here =
        run_end([&](os::Network& network) { return ask_once(network, pipe[0], there.port, text); });
    if (here && read_report(pipe[0], there)) half = read_half(pipe[0], here->half);
  }
  ::close(pipe[0]);
  if (!here) ::kill(server, SIGTERM);
  ::waitpid(server, nullptr, 0);
  if (!here) return complain(here.error());
  if (!half) return complain(half.error());
  // One boot of one machine: both processes read the same clock.
  journey::Journey& journey = here->half;
  journey.offset = {.method = journey::Offset::Method::same_clock};
  journey.verdict = judge(journey, spans_of(journey), {}).words;
  const std::string told = tell_story(here->report, there, journey, text);
  if (auto written = write_output(as_bytes(told)); !written) return complain(written.error());
  return exit_ok;
}

}  // namespace

void add_demo(Tool& tool) {
  const auto text = std::make_shared<std::string>("hello, world");
  CLI::App& verb = tool.verb(
      "demo",
      {.summary = "a client and a server process exchange a message, explained step by step",
       .paragraphs = {"Starts a server process and a client process on this machine, sends TEXT "
                      "there and back over TCP, and tells what happened at each step of the way: "
                      "addresses, calls, bytes, the headers of each layer, and "
                      "how long each step took by the stamps of both ends' kernels."},
       .examples = {{"koine demo", "with a message of its own"},
                    {"koine demo \"good morning\"", "with yours"}}},
      [text] { return demonstrate(*text); });
  verb.add_option("TEXT", *text, "the message, 1 byte to 64 KiB");
}

}  // namespace koine::cli
