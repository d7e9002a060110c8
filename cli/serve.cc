// koine serve: the small services, or any command, for whoever connects.
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "cli/exit_code.h"
#include "cli/figures.h"
#include "cli/following.h"
#include "cli/journeys.h"
#include "cli/machine.h"
#include "cli/services.h"
#include "cli/standard_io.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "koine/journey/export.h"
#include "koine/koine.h"

namespace koine::cli {
namespace {

using Json = nlohmann::ordered_json;

struct ServeWords {
  std::string what = "echo";
  std::vector<std::string> command;
  std::vector<Endpoint> endpoints;
  std::string multiplexer;
  std::uint64_t shards = 1;
  std::string concurrency;
  std::uint64_t connections_max = Limits().connections;
  std::uint64_t connections_per_address_max = Limits().connections_per_address;
  Duration idle = Limits().idle;
  Duration drain = ServeOptions().drain;
  Duration busy_poll = Duration::zero();
  std::uint64_t journeys = 0;
  std::uint64_t slowest = 3;
  bool is_public = false;
  bool json = false;
};

/// What is told while serving, from whichever thread it comes. Errors of connections are many when
/// something is wrong: a few a second say as much.
class Log {
 public:
  explicit Log(bool json) : json_(json) {}

  void listening(const std::vector<Endpoint>& endpoints) {
    for (const Endpoint& endpoint : endpoints) {
      print(json_ ? Json{{"event", "listening"}, {"url", to_string(endpoint)}}.dump()
                  : "listening on " + to_string(endpoint));
    }
  }

  void failed(const std::string& peer, const Error& error) {
    const std::lock_guard lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    if (now - window_begins_ >= 1s) {
      if (left_out_ > 0) tell_failure({}, std::to_string(left_out_) + " more errors");
      window_begins_ = now;
      told_ = 0;
      left_out_ = 0;
    }
    if (told_ == told_max) {
      ++left_out_;
      return;
    }
    ++told_;
    tell_failure(error.peer().empty() ? peer : "", to_string(error));
  }

  void followed(const Following& following, std::size_t slowest) {
    const auto journeys = following.slowest(slowest);
    if (json_) {
      for (const auto& journey : journeys)
        print(Json{{"event", "journey"}, {"journey", Json::parse(json_line(*journey))}}.dump());
      print(Json{{"event", "followed"},
                 {"messages", following.messages()},
                 {"journeys", following.journeys()}}
                .dump());
      return;
    }
    std::string text;
    for (const auto& journey : journeys) text += shown(*journey, false) + "\n";
    print(text + grouped(following.messages()) + " messages, " + grouped(following.journeys()) +
          " followed");
  }

  void finished(const ServerCounts& counts) {
    if (json_) {
      print(Json{{"event", "finished"},
                 {"accepted", counts.accepted},
                 {"finished", counts.finished},
                 {"failed", counts.failed},
                 {"refused", counts.refused},
                 {"idle", counts.idle},
                 {"slow", counts.slow},
                 {"cut", counts.cut},
                 {"datagrams", counts.datagrams},
                 {"dropped", counts.dropped}}
                .dump());
    } else if (is_terminal(STDERR_FILENO)) {
      std::fprintf(stderr, "koine: served %llu connections (%llu failed) and %llu datagrams\n",
                   static_cast<unsigned long long>(counts.accepted),
                   static_cast<unsigned long long>(counts.failed),
                   static_cast<unsigned long long>(counts.datagrams));
    }
    if (counts.cut > 0) {
      std::fprintf(stderr, "koine: cut %llu connections that did not end in time\n",
                   static_cast<unsigned long long>(counts.cut));
    }
  }

 private:
  static constexpr int told_max = 10;  // a second

  /// Whoever waits for a line waits for it now. A reader that has gone does not end the server.
  static void print(const std::string& line) {
    static_cast<void>(write_output(as_bytes(line + "\n")));
  }

  void tell_failure(const std::string& peer, const std::string& what) const {
    if (json_) {
      print(Json{{"event", "error"}, {"peer", peer}, {"error", what}}.dump());
    } else {
      std::fprintf(stderr, "koine: %s%s%s\n", peer.c_str(), peer.empty() ? "" : ": ", what.c_str());
    }
  }

  bool json_;
  std::mutex mutex_;
  std::chrono::steady_clock::time_point window_begins_;
  int told_ = 0;
  std::uint64_t left_out_ = 0;
};

/// Whether execvp(3) would find it: better to know before the first client comes.
bool is_executable(const std::string& command) {
  const auto runs = [](const std::string& path) {
    struct stat status{};
    return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
           ::access(path.c_str(), X_OK) == 0;
  };
  if (command.find('/') != std::string::npos) return runs(command);
  const char* path = std::getenv("PATH");  // NOLINT(concurrency-mt-unsafe)
  std::string_view rest = path == nullptr ? "/bin:/usr/bin" : path;
  for (;;) {
    const std::string_view folder = rest.substr(0, rest.find(':'));
    if (runs(std::string(folder.empty() ? "." : folder) + "/" + command)) return true;
    if (folder.size() == rest.size()) return false;
    rest.remove_prefix(folder.size() + 1);
  }
}

int usage_error(const std::string& text) {
  std::fprintf(stderr, "koine serve: %s (koine serve --help tells what is)\n", text.c_str());
  return exit_usage;
}

/// What the words say that they cannot mean; exit_ok if they make sense.
int check(const ServeWords& words) {
  const bool runs_command = words.what == "exec";
  if (!runs_command && !words.command.empty())
    return usage_error("a command is for exec: koine serve exec -- COMMAND");
  if (words.journeys != 0 && words.what != "echo")
    return usage_error("only echo knows where its messages end: no --journeys of " + words.what);
  if (words.journeys != 0 && !words.concurrency.empty() && words.concurrency != "coroutine")
    return usage_error("journeys are followed in coroutines, not in a " + words.concurrency);
  for (const Endpoint& endpoint : words.endpoints) {
    if (words.what != "messages" && !endpoint.protocol().empty()) {
      return usage_error("who is at " + to_string(endpoint) +
                         " expects messages: koine serve messages");
    }
  }
  if (!runs_command) return exit_ok;
  if (words.command.empty()) return usage_error("exec what? koine serve exec -- COMMAND");
  if (!words.concurrency.empty() && words.concurrency != "process")
    return usage_error("exec has a process for each connection, not a " + words.concurrency);
  if (!is_executable(words.command.front()))
    return complain(Error(Fault::not_found, "run", words.command.front()));
  for (const Endpoint& endpoint : words.endpoints) {
    if (endpoint.transport() == Transport::udp || endpoint.transport() == Transport::unix_datagram)
      return usage_error("exec serves connections, not the datagrams of " + to_string(endpoint));
  }
  return exit_ok;
}

ServeOptions options_from(const ServeWords& words, Log& log) {
  ServeOptions options;
  options.limits.connections = words.connections_max;
  options.limits.connections_per_address = words.connections_per_address_max;
  options.limits.idle = words.idle;
  options.drain = words.drain;
  options.multiplexer = words.multiplexer;
  options.shards = words.shards != 0 ? words.shards : std::thread::hardware_concurrency();
  options.busy_poll = words.busy_poll;
  if (words.concurrency == "thread") options.concurrency = Concurrency::thread;
  if (words.concurrency == "process") options.concurrency = Concurrency::process;
  options.on_listening = [&log](const std::vector<Endpoint>& real) { log.listening(real); };
  options.on_error = [&log](const std::string& peer, const Error& error) {
    log.failed(peer, error);
  };
  return options;
}

int serve(const ServeWords& words) {
  if (const int code = check(words); code != exit_ok) return code;
  std::vector<std::string> urls;
  for (const Endpoint& endpoint : words.endpoints) urls.push_back(to_string(endpoint));
  if (urls.empty())
    urls.emplace_back(words.what == "messages" ? "rsocket+tcp://127.0.0.1:0" : "tcp://127.0.0.1:0");

  const bool runs_command = words.what == "exec";
  // A command would inherit the raised limit, and select(2) in it might not bear that.
  if (!runs_command) raise_descriptor_limit();
  Log log(words.json);
  Served served =
      runs_command ? Served(Command{words.command}) : service_named(words.what, words.is_public);
  std::shared_ptr<Following> following;
  if (words.journeys != 0) {
    following =
        std::make_shared<Following>(static_cast<std::uint32_t>(words.journeys), words.slowest);
    served.on_connection = followed_echo(following);
  }
  const auto counts = serve_until_told(urls, std::move(served), options_from(words, log));
  if (!counts) return complain(counts.error());
  if (following) log.followed(*following, words.slowest);
  log.finished(*counts);
  return counts->cut > 0 ? exit_cut_short : exit_ok;
}

Page page() {
  return {
      .summary = "serve echo, discard, chargen, daytime, time, messages, or any command",
      .paragraphs =
          {"Serves until SIGTERM or SIGINT, then drains: it stops accepting, lets connections "
           "finish, and cuts those that take longer than --drain; a second signal cuts at once. "
           "SIGUSR1 writes what every task waits for to standard error. Each address is printed "
           "once it listens.",
           "echo sends back what it gets (RFC 862), discard nothing (RFC 863), chargen characters "
           "without end (RFC 864), daytime the date and time as a line (RFC 867), time as four "
           "bytes (RFC 868). Over datagrams they answer peers on this machine only, unless "
           "--public is given.",
           "messages answers RSocket requests (see koine call): echo gives back what it gets, "
           "count "
           "streams the numbers below the one it gets, sum adds up numbers between blanks, or the "
           "items of a channel as they come, slow waits for so many milliseconds, and fail fails "
           "with the words it gets.",
           "echo can follow its messages through this system by the kernel's own stamps, and show "
           "at "
           "the end how long the slowest took from their arrival to their answer's confirmation: "
           "--journeys 100 follows one in a hundred. What the steps mean: docs/journey.md.",
           "exec runs a command for each connection, with the socket as its standard input and "
           "output, as inetd does. --idle-timeout does not reach into it."},
      .examples = {
          {"koine serve", "Echo on a port of 127.0.0.1 that the kernel chooses, and say which."},
          {"koine serve echo --on tcp://:7000 --on udp://:7000 --shards 0",
           "TCP and UDP on all addresses, on all cores."},
          {"koine serve echo --on tcp://127.0.0.1:7000 --journeys 100",
           "Follow one message in a hundred, and show the slowest at the end."},
          {"koine serve messages --on rsocket+tcp://:7001",
           "For koine call, or any RSocket client."},
          {"koine serve exec --on unix:/run/date.sock -- date -u", "A command for each client."},
          {"koine serve daytime --on systemd://", "On the socket that systemd listens at."}}};
}

}  // namespace

void add_serve(Tool& tool) {
  const auto words = std::make_shared<ServeWords>();
  CLI::App& verb = tool.verb("serve", page(), [words] { return serve(*words); });
  std::vector<std::string> services = service_names();
  services.emplace_back("exec");
  tool.choice(verb, "SERVICE", words->what, services, "What to serve");
  verb.add_option("COMMAND", words->command, "What exec runs, after --, with its arguments");
  tool.endpoints(verb, "--on", words->endpoints,
                 "Where to listen; port 0 for any (default: tcp://127.0.0.1:0, for messages "
                 "rsocket+tcp://127.0.0.1:0)",
                 Speaks::either);
  tool.count(verb, "--shards", words->shards, 0, 1024,
             "Threads that each accept and serve; 0 for one a core");
  tool.choice(verb, "--concurrency", words->concurrency, {"coroutine", "thread", "process"},
              "What a connection is served by")
      ->default_str("coroutine");
  tool.count(verb, "--max-connections", words->connections_max, 1, 10'000'000,
             "Connections at a time; more wait to be accepted");
  tool.count(verb, "--max-per-address", words->connections_per_address_max, 1, 10'000'000,
             "Connections of a shard from one IP address; more are refused");
  tool.duration(verb, "--idle-timeout", words->idle,
                "A connection on which nothing moves for so long is closed");
  tool.duration(verb, "--drain", words->drain,
                "How long connections may go on once the server is told to stop", true);
  tool.duration(verb, "--busy-poll", words->busy_poll,
                "Look for news at most so long before sleeping: faster answers for a busy core",
                true);
  tool.count(verb, "--journeys", words->journeys, 0, 1'000'000,
             "Of echo over connections: follow one message in so many; 0 for none");
  tool.count(verb, "--slowest", words->slowest, 1, 1000,
             "Of those that are followed, show so many at the end, the slowest first");
  verb.add_flag("--public", words->is_public,
                "Answer datagrams of other machines too, which may be forged to flood a third");
  tool.multiplexer(verb, words->multiplexer);
  tool.json(verb, words->json);
}

}  // namespace koine::cli
