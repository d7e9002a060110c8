// A load of datagrams. Each begins with its number, since they may come back in any order, twice,
// or not at all.
#include <algorithm>
#include <vector>

#include "cli/exit_code.h"
#include "cli/load_requests.h"
#include "koine/async/combine.h"
#include "koine/async/within.h"
#include "koine/os/fault_of.h"

namespace koine::cli {
namespace {

/// Makes `datagram` the request of that number; all of its bytes depend on it.
void fill(MutableBytes datagram, std::uint64_t number, const Pattern& pattern) {
  store_be64(datagram.data(), number);
  const MutableBytes rest = datagram.subspan(datagram_bytes_min);
  std::ranges::copy(pattern.at(number * datagram.size(), rest.size()), rest.begin());
}

Io<void> send_requests(Datagram& socket, const Address& peer, Requests& requests) {
  const Pattern pattern(requests.connection());
  std::vector<std::byte> datagram(requests.size());
  for (;;) {
    auto next = requests.next();
    if (!co_await next) break;
    fill(datagram, requests.newest(), pattern);
    co_await attempt(send_to(socket, datagram, peer));
  }
  auto rest = requests.all_answered();
  co_await rest;
  co_return Result<void>();
}

/// Ends with an error only, as above.
Io<void> receive_answers(Datagram& socket, const std::string& peer, Requests& requests) {
  const Pattern pattern(requests.connection());
  std::vector<std::byte> datagram(requests.size() + 1);  // one more: to see what is too long
  std::vector<std::byte> expected(requests.size());
  for (;;) {
    const Duration patience = requests.patience(os::monotonic_now());
    auto received = co_await within(patience, receive_from(socket, datagram));
    const Instant now = os::monotonic_now();
    while (!requests.idle() && requests.patience(now) == Duration::zero()) requests.lose();
    if (!received) {
      if (received.error() == Fault::timed_out) continue;
      co_return std::unexpected(std::move(received.error()));
    }
    if (received->size != requests.size()) {
      co_return std::unexpected(Error(Fault::malformed, verify_operation, peer)
                                    .with_note("what came back is longer or shorter"));
    }
    const std::uint64_t number = load_be64(datagram.data());
    fill(expected, number, pattern);
    co_await attempt(verify(Bytes(datagram).first(received->size), expected, 0, peer));
    requests.answer(number, now);
  }
}

}  // namespace

Io<void> ask_by_datagram(Datagram& socket, const Address& peer, Requests& requests) {
  const std::string name = to_string(peer);
  auto both =
      first_of(send_requests(socket, peer, requests), receive_answers(socket, name, requests));
  auto ended = co_await both;
  co_return std::visit([](auto& result) { return std::move(result); }, ended);
}

}  // namespace koine::cli
