// A load over a stream: one task writes requests, another reads what comes back. They are two so
// that neither waits for the other when requests are larger than what the network holds.
#include "cli/load_requests.h"
#include "koine/async/combine.h"
#include "koine/async/within.h"
#include "koine/os/fault_of.h"

namespace koine::cli {
namespace {

Io<void> write_requests(Stream& stream, Requests& requests) {
  const Pattern pattern(requests.connection());
  for (std::uint64_t position = 0;;) {
    auto next = requests.next();
    if (!co_await next) break;
    for (std::uint64_t left = requests.size(); left != 0;) {
      const Bytes piece = pattern.at(position, left);
      co_await attempt(write_all(stream, piece));
      position += piece.size();
      left -= piece.size();
    }
  }
  auto rest = requests.all_answered();
  co_await rest;
  co_return Result<void>();
}

/// Ends with an error only: it is cancelled when there is nothing left to be read.
Io<void> read_answers(Stream& stream, Requests& requests) {
  const Pattern pattern(requests.connection());
  std::uint64_t position = 0;
  std::uint64_t end = requests.size();  // of the answer that is being read
  for (;;) {
    const Duration patience = requests.patience(os::monotonic_now());
    auto received = co_await within(patience, receive(stream));
    const Instant now = os::monotonic_now();
    if (!received) {
      const bool too_late = !requests.idle() && requests.patience(now) == Duration::zero();
      if (received.error() == Fault::timed_out && !too_late) continue;
      co_return std::unexpected(std::move(received.error()));
    }
    if (!*received) co_return fail(Fault::ended, "read", stream.name());
    requests.moved(now);
    for (Bytes bytes = received->bytes(); !bytes.empty();) {
      const Bytes expected = pattern.at(position, bytes.size());
      co_await attempt(verify(bytes.first(expected.size()), expected, position, stream.name()));
      position += expected.size();
      bytes = bytes.subspan(expected.size());
    }
    for (; end <= position; end += requests.size()) requests.answer(requests.oldest(), now);
  }
}

}  // namespace

Io<void> ask_by_stream(Stream& stream, Requests& requests) {
  auto both = first_of(write_requests(stream, requests), read_answers(stream, requests));
  auto ended = co_await both;
  co_return std::visit([](auto& result) { return std::move(result); }, ended);
}

}  // namespace koine::cli
