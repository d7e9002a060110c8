// koine demo: a server process and a client process exchange one message, and the exchange is told
// step by step: what was measured as such, what is explained as such.
//
// Both processes follow the message by the kernel's own stamps, each its half; the server hands its
// half over a pipe, in the blocks that servers of messages tell theirs in (journey_block.h). They
// read the same clock, so the halves fit without an offset.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <memory>
#include <span>
#include <string>

#include "cli/exit_code.h"
#include "cli/journeys.h"
#include "cli/standard_io.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "koine/async/within.h"
#include "koine/journey/recorder.h"
#include "koine/journey/spans.h"
#include "koine/os/fault_of.h"
#include "koine/os/network.h"
#include "koine/os/socket_stream.h"
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

/// What one end saw. Plain, because the server's goes through a pipe.
struct Report {
  pid_t process = 0;
  std::uint16_t port = 0;
  std::array<char, 16> multiplexer{};
  std::int64_t asked_ns = 0;  // the client: before connect; the server: before accept
  std::int64_t connected_ns = 0;
  std::int64_t sending_ns = 0;   // before send
  std::int64_t sent_ns = 0;      // after it
  std::int64_t received_ns = 0;  // after the last recv
  std::uint64_t received_bytes = 0;
  std::uint32_t reads = 0;
  // TCP_INFO (tcp(7)); 0 if the kernel does not say.
  std::uint32_t mss = 0;
  std::uint32_t rtt_us = 0;
  std::uint32_t segments_out = 0;
  std::uint32_t segments_in = 0;
  bool timestamps = false;
};

std::int64_t now_ns() { return os::monotonic_now().time_since_epoch().count(); }

void note_tcp_info(Stream& stream, Report& report) {
  const auto* socket = dynamic_cast<os::SocketStream*>(&stream);
  tcp_info info{};
  socklen_t size = sizeof(info);
  if (socket == nullptr ||
      ::getsockopt(socket->descriptor(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
    return;
  report.mss = info.tcpi_snd_mss;
  report.rtt_us = info.tcpi_rtt;
  report.segments_out = info.tcpi_segs_out;
  report.segments_in = info.tcpi_segs_in;
  report.timestamps = (info.tcpi_options & TCPI_OPT_TIMESTAMPS) != 0;
}

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
  Report report;
  journey::Journey half;
};

Io<void> send_noted(Stream& stream, std::string_view text, Report& report, Half& half,
                    os::Way way) {
  half.track().send(half.journey(), way, text.size());
  report.sending_ns = now_ns();
  co_await attempt(write_all(stream, text));
  co_await attempt(flush(stream));
  report.sent_ns = now_ns();
  co_return {};
}

Io<std::string> receive_noted(Stream& stream, std::size_t bytes, Report& report, Half& half,
                              os::Way way) {
  std::string text;
  while (text.size() < bytes) {
    const Buffer buffer = co_await attempt(receive(stream));
    report.received_ns = now_ns();
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
  Report report{.process = ::getpid()};
  const auto name = network.reactor().multiplexer();
  name.copy(report.multiplexer.data(), report.multiplexer.size() - 1);
  Half half;
  auto beginning = half.ready();
  co_await attempt(std::move(beginning));
  const auto listener = co_await attempt(network.listen(Endpoint::tcp(loopback_v4, 0)));
  report.port = listener->endpoint().port();
  if (::write(pipe, &report, sizeof(report)) != sizeof(report))
    co_return fail(Fault::system, "report to the client");
  report.asked_ns = now_ns();
  const auto stream = co_await attempt(accept(*listener));
  report.connected_ns = now_ns();
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
  note_tcp_info(*stream, report);
  Told told{report, *half.journey()};
  co_return told;
}

Io<Told> ask_once(os::Network& network, int pipe, std::uint16_t port, std::string text) {
  Report report{.process = ::getpid()};
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
  note_tcp_info(*stream, report);
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

std::string in_us(std::int64_t from_ns, std::int64_t to_ns) {
  return fmt::format("{:.1f} us", static_cast<double>(to_ns - from_ns) / 1e3);
}

std::string shown(std::string_view text) {
  constexpr std::size_t most = 40;
  std::string safe;
  for (const char c : text.substr(0, most))
    safe += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '.' : c;
  return "\"" + safe + (text.size() > most ? "...\"" : "\"");
}

class Story {
 public:
  Story(const Report& client, const Report& server, const journey::Journey& journey,
        std::string_view text)
      : client_(client), server_(server), journey_(journey), text_(text), colours_(STDOUT_FILENO) {}

  std::string tell() {
    begin();
    step(1, "The client program has data in its memory and asks its system to copy it.");
    line(fmt::format("send(2) of {} bytes took {}: the kernel has its own copy now", text_.size(),
                     in_us(client_.sending_ns, client_.sent_ns)));
    step(2, "The client's system wraps it by the rules, layer by layer (below).");
    step(3, "The network carries it: here \"lo\", which has no cable and no router.");
    step(4, "The server program asks its system for data.");
    line(fmt::format("it waited in {}; recv(2) gave it {} bytes in {} call{}",
                     server_.multiplexer.data(), server_.received_bytes, server_.reads,
                     server_.reads == 1 ? "" : "s"));
    step(5, "The server's system has received and unwrapped it, and wakes the program.");
    out_ += "\n" + shown_journey();
    end();
    return out_;
  }

 private:
  void begin() {
    out_ += colours_.bold("A message on its way: ") + shown(text_) +
            fmt::format(", {} bytes\n\n", text_.size());
    out_ += fmt::format("  server  process {}, tcp://127.0.0.1:{}, {}\n", server_.process,
                        server_.port, server_.multiplexer.data());
    out_ += fmt::format("  client  process {}, tcp://127.0.0.1:{}, {}\n", client_.process,
                        client_.port, client_.multiplexer.data());
    out_ += fmt::format("  connected in {}, by three segments: SYN, SYN ACK, ACK\n",
                        in_us(client_.asked_ns, client_.connected_ns));
  }

  /// The answer's headers say the same as the message's, the other way round.
  std::string shown_journey() const {
    journey::Journey journey = journey_;
    std::erase_if(journey.frames, [](const journey::Frame& frame) { return frame.reply; });
    return cli::shown(journey, true);
  }

  void end() {
    out_ += colours_.dim(
        "\nMeasured: all times, by the kernel's stamps of both ends on one clock; all\n"
        "bytes, as it gave them back. TCP's checksum is the device's to complete.\n");
  }

  void step(int number, std::string_view what) {
    out_ += fmt::format("\n{} {}\n", colours_.cyan(std::to_string(number)), colours_.bold(what));
  }
  void line(std::string_view text) { out_ += fmt::format("    {}\n", text); }

  const Report& client_;
  const Report& server_;
  const journey::Journey& journey_;
  std::string_view text_;
  Colours colours_;
  std::string out_;
};

/// Reads one report; false if the server ended without it.
bool read_report(int pipe, Report& report) {
  std::size_t got = 0;
  while (got < sizeof(report)) {
    const ssize_t count =
        ::read(pipe, reinterpret_cast<char*>(&report) + got, sizeof(report) - got);
    if (count <= 0 && errno != EINTR) return false;
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
  Report there;
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
  const std::string told = Story(here->report, there, journey, text).tell();
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
