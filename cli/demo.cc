// koine demo: a server process and a client process exchange one message, and the exchange is told
// step by step: what was measured as such, what is explained as such.
//
// Both processes read the same monotonic clock around the same calls, so the times of one end can
// be compared with those of the other. The server reports over a pipe.
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
#include <string>

#include "cli/exit_code.h"
#include "cli/standard_io.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "koine/async/within.h"
#include "koine/os/fault_of.h"
#include "koine/os/network.h"
#include "koine/os/socket_stream.h"

namespace koine::cli {
namespace {

constexpr Duration patience = 10s;
constexpr std::size_t message_bytes_max = std::size_t{64} << 10;

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

Io<void> send_noted(Stream& stream, std::string_view text, Report& report) {
  report.sending_ns = now_ns();
  co_await attempt(write_all(stream, text));
  co_await attempt(flush(stream));
  report.sent_ns = now_ns();
  co_return {};
}

Io<std::string> receive_noted(Stream& stream, std::size_t bytes, Report& report) {
  std::string text;
  while (text.size() < bytes) {
    const Buffer buffer = co_await attempt(receive(stream));
    report.received_ns = now_ns();
    if (!buffer) co_return fail(Fault::ended, "read", stream.name());
    ++report.reads;
    text += buffer.text();
  }
  report.received_bytes = text.size();
  co_return text;
}

Io<Report> serve_once(os::Network& network, int pipe, std::size_t bytes) {
  Report report{.process = ::getpid()};
  const auto name = network.reactor().multiplexer();
  name.copy(report.multiplexer.data(), report.multiplexer.size() - 1);
  const auto listener = co_await attempt(network.listen(Endpoint::tcp(loopback_v4, 0)));
  report.port = listener->endpoint().port();
  if (::write(pipe, &report, sizeof(report)) != sizeof(report))
    co_return fail(Fault::system, "report to the client");
  report.asked_ns = now_ns();
  const auto stream = co_await attempt(accept(*listener));
  report.connected_ns = now_ns();
  auto receiving = receive_noted(*stream, bytes, report);
  const std::string text = co_await attempt(std::move(receiving));
  auto sending = send_noted(*stream, text, report);
  co_await attempt(std::move(sending));
  const Buffer end = co_await attempt(receive(*stream));
  if (end) co_return fail(Fault::malformed, "read", stream->name());
  note_tcp_info(*stream, report);
  co_return report;
}

Io<Report> ask_once(os::Network& network, std::uint16_t port, std::string text) {
  Report report{.process = ::getpid()};
  const auto name = network.reactor().multiplexer();
  name.copy(report.multiplexer.data(), report.multiplexer.size() - 1);
  report.asked_ns = now_ns();
  auto connecting = network.connect(Address(loopback_v4, port), Transport::tcp);
  const auto stream = co_await attempt(std::move(connecting));
  report.connected_ns = now_ns();
  report.port = stream->local().port();
  auto sending = send_noted(*stream, text, report);
  co_await attempt(std::move(sending));
  auto receiving = receive_noted(*stream, text.size(), report);
  const std::string answer = co_await attempt(std::move(receiving));
  if (answer != text) co_return fail(Fault::malformed, "compare the answer", stream->name());
  note_tcp_info(*stream, report);
  co_await attempt(stream->finish());
  co_return report;
}

/// Runs one end on a loop of its own.
template <class Story>
Result<Report> run_end(Story story) {
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
  Story(const Report& client, const Report& server, std::string_view text)
      : client_(client), server_(server), text_(text), colours_(STDOUT_FILENO) {}

  std::string tell() {
    begin();
    step(1, "The client program has data in its memory and asks its system to copy it.");
    line(fmt::format("send(2) of {} bytes took {}: the kernel has its own copy now", text_.size(),
                     in_us(client_.sending_ns, client_.sent_ns)));
    step(2, "The client's system wraps it by the rules, layer by layer.");
    layers();
    step(3, "The network carries it.");
    line("here it is \"lo\", the network inside one machine: no cable, no router;");
    line(fmt::format("TCP estimates {} us for there and back", client_.rtt_us));
    step(4, "The server program asks its system for data.");
    line(fmt::format("it waited in {}; recv(2) gave it {} bytes in {} call{},",
                     server_.multiplexer.data(), server_.received_bytes, server_.reads,
                     server_.reads == 1 ? "" : "s"));
    line(in_us(client_.sending_ns, server_.received_ns) +
         " after the client began to send: steps 1 to 5 in one direction");
    step(5, "Before that, the server's system had received and unwrapped it.");
    line("checked each layer's header, found the socket by its addresses and ports,");
    line("acknowledged the bytes, and woke the process that waited for them");
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

  void layers() {
    // RFC 9293 section 3.1: 20 bytes; RFC 7323 section 3.2: 10 for timestamps, padded to 12.
    const std::size_t tcp = client_.timestamps ? 32 : 20;
    const std::size_t segments =
        client_.mss == 0 ? 1 : (text_.size() + client_.mss - 1) / client_.mss;
    const std::size_t first = segments <= 1 ? text_.size() : client_.mss;
    layer("5 application", shown(text_.substr(0, 24)), first);
    layer("4 transport",
          fmt::format("TCP {} -> {}, header {} bytes", client_.port, server_.port, tcp),
          first + tcp);
    layer("3 network", "IPv4 127.0.0.1 -> 127.0.0.1, header 20 bytes", first + tcp + 20);
    layer("2 data link", "Ethernet on lo, header 14 bytes", first + tcp + 34);
    layer("1 physical", "memory: lo has no cable", first + tcp + 34);
    if (segments > 1) {
      line(fmt::format("more than one segment may carry (MSS {} bytes): {} segments like this",
                       client_.mss, segments));
    }
  }

  void end() {
    out_ += "\n" + colours_.bold("The answer") + " came back the same way: the same " +
            fmt::format("{} bytes,\n", client_.received_bytes);
    out_ += fmt::format(
        "  {} after the client began to send;\n"
        "  the server program had it for {}.\n",
        in_us(client_.sending_ns, client_.received_ns),
        in_us(server_.received_ns, server_.sending_ns));
    if (client_.segments_out != 0) {
      out_ += fmt::format("  TCP's count at the client: {} segments sent, {} received.\n",
                          client_.segments_out, client_.segments_in);
    }
    out_ += colours_.dim(
        "\nMeasured: processes, addresses, ports, bytes, times (one monotonic clock, read\n"
        "before and after each call), MSS, round trip and segments (TCP_INFO).\n"
        "Explained: header sizes of layers 2 to 4, from the options in use, and step 5.\n");
  }

  void step(int number, std::string_view what) {
    out_ += fmt::format("\n{} {}\n", colours_.cyan(std::to_string(number)), colours_.bold(what));
  }
  void line(std::string_view text) { out_ += fmt::format("    {}\n", text); }
  void layer(std::string_view name, std::string_view what, std::size_t bytes) {
    out_ += fmt::format("    {:<14}{:<48}{:>6} B\n", name, what, bytes);
  }

  const Report& client_;
  const Report& server_;
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

[[noreturn]] void be_server(int pipe, std::size_t bytes) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  const auto report =
      run_end([&](os::Network& network) { return serve_once(network, pipe, bytes); });
  if (!report) {
    complain(report.error());
    ::_exit(1);
  }
  ::_exit(::write(pipe, &*report, sizeof(*report)) == sizeof(*report) ? 0 : 1);
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
  Result<Report> here = fail(Fault::ended, "start the server");
  if (read_report(pipe[0], there)) {
    here = run_end([&](os::Network& network) { return ask_once(network, there.port, text); });
    if (here && !read_report(pipe[0], there)) here = fail(Fault::ended, "hear from the server");
  }
  ::close(pipe[0]);
  if (!here) ::kill(server, SIGTERM);
  ::waitpid(server, nullptr, 0);
  if (!here) return complain(here.error());
  const std::string told = Story(*here, there, text).tell();
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
                      "addresses, bytes, calls, times."},
       .examples = {{"koine demo", "with a message of its own"},
                    {"koine demo \"good morning\"", "with yours"}}},
      [text] { return demonstrate(*text); });
  verb.add_option("TEXT", *text, "the message, 1 byte to 64 KiB");
}

}  // namespace koine::cli
