// koine doctor: what this machine offers, which multiplexer would be taken and why, and what stands
// in the way of a busy server.
#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include <algorithm>

#include "cli/exit_code.h"
#include "cli/machine.h"
#include "cli/standard_io.h"
#include "cli/terminal.h"
#include "cli/verbs.h"

namespace koine::cli {
namespace {

using Json = nlohmann::ordered_json;

/// As koine's listeners ask for: ListenOptions::backlog.
constexpr std::uint64_t backlog = 4096;

/// With fewer descriptors a server is full before it is busy.
constexpr std::uint64_t descriptors_wanted = 4096;

/// Why that multiplexer would be taken, or why none can be.
std::string why_taken(const Machine& machine) {
  if (!machine.taken) return to_string(machine.taken.error());
  if (!machine.wish.empty()) return "KOINE_MULTIPLEXER asks for it";
  return *machine.taken == machine.multiplexers.front().name
             ? "the best there is, and it works here"
             : "the best of those that work here";
}

/// What somebody may want to change, each with how.
std::vector<std::string> advice(const Machine& machine) {
  std::vector<std::string> lines;
  if (!machine.taken) {
    lines.push_back(machine.wish.empty()
                        ? "No multiplexer works: nothing of koine will run here."
                        : "KOINE_MULTIPLEXER asks for what cannot be had; unset it.");
  }
  if (!machine.multiplexers.front().usable && machine.ring.disabled > 0) {
    lines.push_back(
        "io_uring is switched off (kernel.io_uring_disabled); epoll serves nearly as well.");
  }
  if (machine.descriptors_hard < descriptors_wanted) {
    lines.push_back(
        fmt::format("A process may have {} descriptors, and each connection takes one; "
                    "raise the hard limit (ulimit -Hn, LimitNOFILE=) for a busy server.",
                    machine.descriptors_hard));
  }
  if (machine.somaxconn && *machine.somaxconn < backlog) {
    lines.push_back(
        fmt::format("At most {} connections wait to be accepted, more are dropped in a rush: "
                    "sysctl -w net.core.somaxconn={}.",
                    *machine.somaxconn, backlog));
  }
  if (machine.ports && machine.ports->last - machine.ports->first < 10'000) {
    lines.push_back(
        "Few ports for clients: many short connections to one server will run out of them.");
  }
  if (!machine.ipv6) lines.push_back("IPv6 does not work, not even on loopback; use 127.0.0.1.");
  if (!machine.reuseport) lines.push_back("Listeners cannot share a port here: use --shards 1.");
  return lines;
}

Json as_json(const Result<void>& result) {
  if (result) return {{"works", true}};
  return {{"works", false}, {"reason", to_string(result.error())}};
}

template <class T>
Json as_json(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json as_json(const Machine& machine) {
  Json multiplexers = Json::array();
  for (const os::MultiplexerReport& report : machine.multiplexers) {
    Json one = {{"name", report.name}, {"usable", report.usable}};
    if (!report.reason.empty()) one["reason"] = report.reason;
    multiplexers.push_back(std::move(one));
  }
  Json ring = {{"set_up", machine.ring.set_up},
               {"defer_taskrun", machine.ring.defer_taskrun},
               {"cqe_mixed", machine.ring.cqe_mixed},
               {"features", machine.ring.features}};
  if (!machine.ring.why_not.empty()) ring["reason"] = machine.ring.why_not;
  if (machine.ring.disabled >= 0) ring["io_uring_disabled"] = machine.ring.disabled;
  Json ports = nullptr;
  if (machine.ports) ports = {machine.ports->first, machine.ports->last};
  return {
      {"koine", KOINE_VERSION},
      {"system", machine.system},
      {"release", machine.release},
      {"architecture", machine.architecture},
      {"cores", machine.cores},
      {"cores_usable", machine.cores_usable},
      {"multiplexers", std::move(multiplexers)},
      {"multiplexer", machine.taken ? Json(*machine.taken) : Json(nullptr)},
      {"multiplexer_because", why_taken(machine)},
      {"koine_multiplexer", machine.wish.empty() ? Json(nullptr) : Json(machine.wish)},
      {"io_uring", std::move(ring)},
      {"descriptors_soft", machine.descriptors_soft},
      {"descriptors_hard", machine.descriptors_hard},
      {"somaxconn", as_json(machine.somaxconn)},
      {"tcp_max_syn_backlog", as_json(machine.syn_backlog)},
      {"tcp_congestion_control", machine.congestion},
      {"tcp_congestion_control_available", machine.congestion_available},
      {"port_range", std::move(ports)},
      {"rmem_max", as_json(machine.receive_buffer_max)},
      {"wmem_max", as_json(machine.send_buffer_max)},
      {"ipv6_loopback", as_json(machine.ipv6)},
      {"so_reuseport", as_json(machine.reuseport)},
      {"advice", advice(machine)},
  };
}

/// One line: what, and what about it.
std::string row(std::string_view what, std::string_view text) {
  return fmt::format("{:<14}{}\n", what, text);
}

std::string in_words(const Result<void>& result, const Colours& colours) {
  return result ? colours.green("works")
                : colours.red("does not work") + ": " + to_string(result.error());
}

std::string multiplexer_rows(const Machine& machine, const Colours& colours) {
  std::string text;
  for (const os::MultiplexerReport& report : machine.multiplexers) {
    const bool taken = machine.taken && *machine.taken == report.name;
    std::string line = fmt::format("{:<10}", report.name);
    line += report.usable ? colours.green("usable") : colours.red("not usable");
    if (!report.reason.empty()) line += ": " + report.reason;
    if (report.name == "select") line += ", for descriptors below 1024";
    if (taken) line += colours.bold("  <- would be taken: " + why_taken(machine));
    text += row(&report == &machine.multiplexers.front() ? "multiplexers" : "", line);
  }
  if (!machine.taken) text += row("", colours.red("none would be taken: " + why_taken(machine)));
  text += row("", "KOINE_MULTIPLEXER is " + (machine.wish.empty() ? "not set" : machine.wish));
  return text;
}

std::string ring_rows(const Machine& machine) {
  const RingFacts& ring = machine.ring;
  if (!ring.set_up) {
    std::string why = ring.why_not;
    if (ring.disabled >= 0) why += fmt::format(", kernel.io_uring_disabled = {}", ring.disabled);
    return row("io_uring", why);
  }
  std::string text =
      row("io_uring", ring.defer_taskrun ? "runs completions when we wait (DEFER_TASKRUN)"
                                         : "interrupts to run completions: no DEFER_TASKRUN");
  text +=
      row("", ring.cqe_mixed ? "brings a journey's stamps (CQE_MIXED)"
                             : "a journey's stamps are read from the error queue: no CQE_MIXED");
  return text +
         row("", fmt::format("{} features: {} ...", ring.features.size(),
                             fmt::join(ring.features.begin(),
                                       ring.features.begin() +
                                           std::min<std::ptrdiff_t>(4, std::ssize(ring.features)),
                                       ", ")));
}

std::string number(const std::optional<std::uint64_t>& value) {
  return value ? std::to_string(*value) : "unknown";
}

std::string as_text(const Machine& machine, const Colours& colours) {
  std::string text;
  text += row("system",
              fmt::format("{} {} {}, {} cores, {} of them for us", machine.system, machine.release,
                          machine.architecture, machine.cores, machine.cores_usable));
  text += multiplexer_rows(machine, colours);
  text += ring_rows(machine);
  text +=
      row("descriptors", fmt::format("{} for a process, up to {} if it asks (serve and bench do)",
                                     machine.descriptors_soft, machine.descriptors_hard));
  text += row("accept queue", fmt::format("{} connections a listener (somaxconn), {} half open",
                                          number(machine.somaxconn), number(machine.syn_backlog)));
  text += row("TCP", fmt::format("congestion control {} (available: {})", machine.congestion,
                                 machine.congestion_available));
  text += row("buffers",
              fmt::format("at most {} B to receive, {} B to send, if asked for",
                          number(machine.receive_buffer_max), number(machine.send_buffer_max)));
  if (machine.ports) {
    text += row("ports",
                fmt::format("{} to {} for port 0 and for clients: {} of them", machine.ports->first,
                            machine.ports->last, machine.ports->last - machine.ports->first + 1));
  }
  text += row("IPv6", "over [::1]: " + in_words(machine.ipv6, colours));
  text += row("SO_REUSEPORT", "two listeners on one port: " + in_words(machine.reuseport, colours));
  for (const std::string& line : advice(machine)) text += colours.yellow("! " + line) + "\n";
  return text;
}

int doctor(bool json) {
  const Machine machine = examine_machine();
  const std::string text =
      json ? as_json(machine).dump() + "\n" : as_text(machine, Colours(STDOUT_FILENO));
  if (auto written = write_output(as_bytes(text)); !written) return complain(written.error());
  return machine.taken ? exit_ok : exit_failed;
}

}  // namespace

void add_doctor(Tool& tool) {
  const auto json = std::make_shared<bool>(false);
  Page page{
      .summary = "show what this machine offers and which multiplexer would be taken",
      .paragraphs = {"Asks the kernel and tries things out on loopback. Lines that begin with "
                     "! are worth changing for a busy server. Fails if no multiplexer works."},
      .examples = {{"koine doctor", "Look around."},
                   {"KOINE_MULTIPLEXER=poll koine doctor", "Would that work?"},
                   {"koine doctor --json | jq .multiplexer", "For scripts."}}};
  CLI::App& verb = tool.verb("doctor", std::move(page), [json] { return doctor(*json); });
  tool.json(verb, *json);
}

}  // namespace koine::cli
