#include "koine/app/client.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "koine/async/sleep.h"
#include "koine/async/within.h"

namespace koine {
namespace {

constexpr Duration pause_ever_max = 1h;

/// What became of the attempts so far.
struct Attempts {
  int count = 0;
  std::optional<Error> last;  // error
  bool over = false;          // no further one helps, or none is left
};

Io<std::unique_ptr<Stream>> try_until(Network& network, Endpoint peer, RetryOptions retry,
                                      Attempts& attempts) {
  for (;;) {
    ++attempts.count;
    auto connection = dial(network, peer, retry.dial);
    auto stream = co_await connection;
    if (stream) co_return std::move(stream);
    attempts.over = attempts.count >= retry.attempts_max || !may_pass(stream.error().fault());
    attempts.last = std::move(stream.error());
    if (attempts.over) co_return std::unexpected(*attempts.last);
    co_await sleep(pause_after(attempts.count, retry, network.loop().chance()));
  }
}

}  // namespace

bool may_pass(Fault fault) {
  switch (fault) {
    case Fault::refused:
    case Fault::reset:
    case Fault::unreachable:
    case Fault::timed_out:
    case Fault::not_found:
    case Fault::ended:
    case Fault::exhausted: return true;
    default: return false;
  }
}

Duration pause_after(int failures, const RetryOptions& options, Prng& chance) {
  const double first = static_cast<double>(options.pause_first.count());
  const double longest = static_cast<double>(options.pause_max.count());
  const double full = std::min(first * std::pow(options.factor, failures - 1), longest);
  const double jitter = std::clamp(options.jitter, 0.0, 1.0);
  // An hour is as good as for ever, and a double holds its nanoseconds exactly.
  const double most = static_cast<double>(pause_ever_max.count());
  return Duration(
      static_cast<Duration::rep>(std::clamp(full * (1 - jitter * chance.unit()), 0.0, most)));
}

Io<std::unique_ptr<Stream>> dial_with_retry(Network& network, Endpoint peer, RetryOptions retry) {
  Attempts attempts;
  const std::string name = to_string(peer);
  const Duration timeout = retry.timeout;
  auto tries = within(timeout, try_until(network, std::move(peer), std::move(retry), attempts));
  auto stream = co_await tries;
  if (stream) co_return std::move(stream);
  // When the time for all of them is up, what the last one met says more than that.
  const bool late = !attempts.over && attempts.last;
  Error error =
      late ? std::move(*attempts.last) : std::move(stream.error()).with_operation("connect", name);
  if (attempts.count > 1) {
    std::string note = std::string(error.note());
    if (!note.empty()) note += "; ";
    note += std::to_string(attempts.count) + " attempts";
    if (late) note += ", and no time for more";
    error = std::move(error).with_note(std::move(note));
  }
  co_return std::unexpected(std::move(error));
}

}  // namespace koine
