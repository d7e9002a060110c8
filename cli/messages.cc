#include "cli/messages.h"

#include "koine/async/sleep.h"

namespace koine::cli {
namespace {

Io<Message> echo(Message message) { co_return message; }

/// 0, 1, 2, ...
Io<void> count(std::uint64_t to, Sink<std::uint64_t>& out) {
  for (std::uint64_t i = 0; i < to; ++i) co_await attempt(out.send(i));
  co_return {};
}

/// The sum of numbers between blanks.
Io<std::int64_t> sum(std::string numbers) {
  std::int64_t total = 0;
  std::string_view rest = numbers;
  while (!rest.empty()) {
    const std::string_view word = rest.substr(0, rest.find_first_of(" \t\n"));
    rest.remove_prefix(std::min(word.size() + 1, rest.size()));
    if (word.empty()) continue;
    const std::int64_t number = co_await attempt(Codec<std::int64_t>::decode(as_bytes(word)));
    if (__builtin_add_overflow(total, number, &total))
      co_return std::unexpected(
          Error(Fault::over_limit, "sum").with_note("it needs more than 64 bits"));
  }
  co_return total;
}

/// What they add up to so far, after each.
Io<void> running_sum(Source<std::int64_t>& in, Sink<std::int64_t>& out) {
  std::int64_t total = 0;
  while (const auto number = co_await attempt(in.next())) {
    if (__builtin_add_overflow(total, *number, &total))
      co_return std::unexpected(
          Error(Fault::over_limit, "sum").with_note("it needs more than 64 bits"));
    co_await attempt(out.send(total));
  }
  co_return {};
}

Io<std::string> slow(std::uint64_t milliseconds) {
  constexpr std::uint64_t longest = 86'400'000;
  co_await sleep(std::chrono::milliseconds(std::min(milliseconds, longest)));
  co_return std::to_string(milliseconds) + " ms later";
}

Io<std::string> fail_with(std::string why) {
  co_return std::unexpected(Error(Fault::system, "fail").with_note(std::move(why)));
}

/// What follows messages on one loop.
struct Followers {
  Followers() { journeys.only_who_offers = true; }

  journey::Recorder recorder{{.every = UINT32_MAX, .keep_slowest = 0}};
  rsocket::Journeys journeys{recorder};
};

Io<void> serve_one(std::unique_ptr<Stream> connection, const Service& service) {
  thread_local Followers followers;  // a thread has one loop, which ends before it does
  PeerOptions options{.journeys = &followers.journeys};
  Peer peer(std::move(connection), rsocket::Side::server, &service, std::move(options));
  auto running = peer.run();
  co_return co_await running;
}

}  // namespace

Served message_server() {
  return Handler([service = message_service()](std::unique_ptr<Stream> connection) {
    return serve_one(std::move(connection), service);
  });
}

Service message_service() {
  Service service;
  service.on("echo", echo)
      .on("count", count)
      .on("sum", sum)
      .on("sum", running_sum)
      .on("slow", slow)
      .on("fail", fail_with);
  return service;
}

}  // namespace koine::cli
