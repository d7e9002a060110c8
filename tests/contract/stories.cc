#include "tests/contract/stories.h"

#include <algorithm>
#include <array>

#include "koine/base/random.h"

namespace koine::contract {

Pattern::Pattern(std::uint64_t seed) : bytes_(period) {
  Prng chance(seed);
  for (std::byte& byte : bytes_) byte = static_cast<std::byte>(chance());
}

Bytes Pattern::next(std::size_t bytes_max) const {
  return Bytes(bytes_).subspan(at_, std::min(bytes_max, period - at_));
}

bool Pattern::goes_on_with(Bytes bytes) {
  while (!bytes.empty()) {
    const Bytes expected = next(bytes.size());
    if (!std::ranges::equal(bytes.first(expected.size()), expected)) return false;
    taken(expected.size());
    bytes = bytes.subspan(expected.size());
  }
  return true;
}

Io<std::string> ask(Network& network, Endpoint peer, std::string text) {
  auto connection = dial(network, std::move(peer));
  auto stream = co_await attempt(std::move(connection));
  co_await attempt(write_all(*stream, text));
  co_await attempt(stream->finish());
  auto rest = read_to_end(*stream);
  co_return co_await rest;
}

Io<void> say(Stream& stream, std::string text) {
  co_await attempt(write_all(stream, text));
  co_return stream.finish();
}

Io<void> echo_once(Listener& listener) {
  auto stream = co_await attempt(accept(listener));
  auto rest = echo(*stream);
  co_return co_await rest;
}

Io<void> echo(Stream& stream) {
  while (const Buffer bytes = co_await attempt(receive(stream)))
    co_await attempt(write_all(stream, bytes));
  co_return stream.finish();
}

Io<void> write_pattern(Stream& stream, std::uint64_t seed, std::size_t total, std::size_t piece) {
  Pattern pattern(seed);
  while (total != 0) {
    const Bytes next = pattern.next(std::min(piece, total));
    co_await attempt(write_all(stream, next));
    pattern.taken(next.size());
    total -= next.size();
  }
  co_return stream.finish();
}

Io<std::size_t> read_pattern(Stream& stream, std::uint64_t seed) {
  Pattern pattern(seed);
  std::size_t total = 0;
  while (const Buffer bytes = co_await attempt(receive(stream))) {
    if (!pattern.goes_on_with(bytes)) {
      co_return fail(Fault::malformed, "compare",
                     "the bytes from " + std::to_string(total) + " on");
    }
    total += bytes.size();
  }
  co_return total;
}

Io<void> read_exactly(Stream& stream, MutableBytes bytes) {
  while (!bytes.empty()) {
    const std::size_t count = co_await attempt(read_some(stream, bytes));
    if (count == 0) co_return fail(Fault::ended, "read", stream.name());
    bytes = bytes.subspan(count);
  }
  co_return {};
}

}  // namespace koine::contract
