#include "cli/load_requests.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "cli/exit_code.h"
#include "koine/async/combine.h"
#include "koine/async/sleep.h"
#include "koine/async/within.h"
#include "koine/base/random.h"
#include "koine/os/fault_of.h"

namespace koine::cli {
namespace {

/// Twice, so that a whole period can be lent from any place in it.
const std::array<std::byte, 2 * Pattern::period>& pattern() {
  static const auto bytes = [] {
    std::array<std::byte, 2 * Pattern::period> all{};
    Prng chance(862);  // the RFC of echo; any seed would do
    for (std::size_t i = 0; i < Pattern::period; ++i)
      all[i] = all[i + Pattern::period] = static_cast<std::byte>(chance.below(256));
    return all;
  }();
  return bytes;
}

}  // namespace

Bytes Pattern::at(std::uint64_t position, std::uint64_t bytes_max) const {
  return Bytes(pattern()).subspan((begin_ + position) % period, std::min(bytes_max, period));
}

Result<void> verify(Bytes got, Bytes expected, std::uint64_t position, const std::string& peer) {
  if (std::memcmp(got.data(), expected.data(), got.size()) == 0) return {};
  const auto at = std::mismatch(got.begin(), got.end(), expected.begin()).first - got.begin();
  const auto index = static_cast<std::size_t>(at);
  return std::unexpected(
      Error(Fault::malformed, verify_operation, peer)
          .with_note(fmt::format("byte {} that came back is {:#04x}, but {:#04x} was sent",
                                 position + index, std::to_integer<int>(got[index]),
                                 std::to_integer<int>(expected[index]))));
}

Task<bool> Requests::next() {
  const LoadOptions& options = meter_.options();
  const std::size_t room = options.rate ? under_way_max : options.pipeline;
  while (under_way_.size() >= room && !meter_.is_over()) {
    room_.reset();
    co_await room_.wait();
  }
  Instant now = os::monotonic_now();
  Instant since = now;
  if (options.rate) {
    since = meter_.due(connection_ + sent_ * options.connections);
    if (since >= meter_.ends()) co_return false;
    if (since > now) {
      co_await first_of(sleep_until(since), meter_.over().wait());
      now = os::monotonic_now();
    }
  }
  if (meter_.is_over()) co_return false;
  ++sent_;
  meter_.sent();
  under_way_.push_back({since, now});
  co_return true;
}

Task<void> Requests::all_answered() {
  while (!under_way_.empty()) {
    room_.reset();
    co_await room_.wait();
  }
}

bool Requests::answer(std::uint64_t number, Instant now) {
  if (number < oldest_ || number - oldest_ >= under_way_.size()) return false;
  UnderWay& request = under_way_[number - oldest_];
  if (request.answered) return false;
  request.answered = true;
  meter_.answered(request.since, now);
  drop_answered();
  return true;
}

Duration Requests::patience(Instant now) const {
  const Duration timeout = meter_.options().timeout;
  if (under_way_.empty()) return timeout;
  const Instant still_since = std::max(moved_, under_way_.front().sent);
  return std::max(still_since + timeout - now, Duration::zero());
}

void Requests::lose() {
  meter_.lost();
  under_way_.front().answered = true;
  drop_answered();
}

void Requests::restart() {
  oldest_ = 0;
  under_way_.clear();
  moved_ = Instant();
}

void Requests::drop_answered() {
  while (!under_way_.empty() && under_way_.front().answered) {
    under_way_.pop_front();
    ++oldest_;
  }
  room_.set();
}

}  // namespace koine::cli
