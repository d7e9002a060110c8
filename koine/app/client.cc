#include "koine/app/client.h"

#include <algorithm>
#include <cmath>

#include "koine/async/sleep.h"
#include "koine/async/within.h"

namespace koine {
namespace {

Io<std::unique_ptr<Stream>> try_until(Network& network, Endpoint peer, RetryOptions retry,
                                      int& attempts) {
  for (;;) {
    ++attempts;
    auto connection = dial(network, peer, retry.dial);
    auto stream = co_await connection;
    if (stream || attempts >= retry.attempts_max || !may_pass(stream.error().fault()))
      co_return std::move(stream);
    co_await sleep(pause_after(attempts, retry, network.loop().chance()));
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
  return Duration(static_cast<Duration::rep>(full * (1 - options.jitter * chance.unit())));
}

Io<std::unique_ptr<Stream>> dial_with_retry(Network& network, Endpoint peer, RetryOptions retry) {
  int attempts = 0;
  const Duration timeout = retry.timeout;
  auto tries = within(timeout, try_until(network, std::move(peer), std::move(retry), attempts));
  auto stream = co_await tries;
  if (!stream && attempts > 1) {
    std::string note = std::string(stream.error().note());
    if (!note.empty()) note += "; ";
    note += std::to_string(attempts) + " attempts";
    co_return std::unexpected(std::move(stream.error()).with_note(std::move(note)));
  }
  co_return std::move(stream);
}

}  // namespace koine
