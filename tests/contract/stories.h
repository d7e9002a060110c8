// What the tests of the contract let happen, in one world or another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "koine/transport/network.h"

namespace koine::contract {

/// Why it failed, to be printed; or that it did not.
template <class T>
std::string why(const Result<T>& result) {
  return result ? std::string("no error") : to_string(result.error());
}

/// Endless bytes in which every shift, gap and repetition shows: the period is a prime.
class Pattern {
 public:
  explicit Pattern(std::uint64_t seed);

  /// The next bytes of the pattern, at most `bytes_max`; they move on with taken().
  Bytes next(std::size_t bytes_max) const;
  void taken(std::size_t count) { at_ = (at_ + count) % period; }

  /// True if `bytes` are what comes next; moves on.
  bool goes_on_with(Bytes bytes);

 private:
  static constexpr std::size_t period = 65'537;
  std::vector<std::byte> bytes_;
  std::size_t at_ = 0;
};

/// Connects, writes `text`, promises that no more follows and hears what comes back.
Io<std::string> ask(Network& network, Endpoint peer, std::string text);

/// Writes `text` and promises that no more follows.
Io<void> say(Stream& stream, std::string text);

/// Accepts one connection and sends everything back until it ends.
Io<void> echo_once(Listener& listener);

/// Sends back what comes until it ends, and ends as well.
Io<void> echo(Stream& stream);

/// Writes `total` bytes of the pattern in pieces of `piece`, and promises that no more follow.
Io<void> write_pattern(Stream& stream, std::uint64_t seed, std::size_t total,
                       std::size_t piece = std::size_t{64} << 10);

/// Reads to the end, comparing with the pattern: how many bytes. Fault::malformed at the first that
/// differs.
Io<std::size_t> read_pattern(Stream& stream, std::uint64_t seed);

/// Fills `bytes` with what comes, all of them; Fault::ended if fewer do.
Io<void> read_exactly(Stream& stream, MutableBytes bytes);

}  // namespace koine::contract
