// What went wrong, as a value: how it failed, which operation, towards whom, and after how long.
//
// An Error is two words, and making one without words attached allocates nothing, so "would block"
// costs no more than an errno. What is printed is one line:
//
//     connect tcp://10.0.0.7:80: refused (after 3.1 ms)
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

#include "koine/base/time.h"

namespace koine {

/// How an operation failed. A new one is worth adding when a caller would act differently on it.
enum class Fault : std::uint8_t {
  refused,              ///< nobody listens there
  reset,                ///< the peer, or something between, tore the connection down
  unreachable,          ///< no way to the host, the network or the port
  timed_out,            ///< a deadline passed
  cancelled,            ///< somebody on our side called it off
  closed,               ///< used after it was closed on our side
  ended,                ///< the peer finished in the middle of something
  address_in_use,       ///< somebody else listens there
  address_unavailable,  ///< not an address of this machine
  not_found,            ///< the name, path or process does not exist
  denied,               ///< permission is missing
  exhausted,            ///< no descriptors, memory or ports are left
  over_limit,           ///< larger or more than the limit that was set
  malformed,            ///< input that breaks the rules of its format
  unsupported,          ///< this world, kernel or build cannot do it
  would_block,          ///< nothing can be done now; wait, then try again
  system,               ///< anything else: see Error::system()
};

/// The fault in words: "refused", "timed out", ...
std::string_view to_string(Fault fault);

/// One failure. Cheap to move; copying shares the words.
class [[nodiscard]] Error {
 public:
  Error(Fault fault) : fault_(fault) {}  // NOLINT: a bare fault is an error without words

  /// `operation` must be a string literal. `peer` is what to print after it, often an endpoint.
  Error(Fault fault, const char* operation, std::string_view peer = {}, int system = 0);

  Error(const Error& other);
  Error(Error&& other) noexcept
      : words_(std::exchange(other.words_, nullptr)),
        system_(other.system_),
        fault_(other.fault_) {}
  Error& operator=(Error other) noexcept;
  ~Error() {
    if (words_ != nullptr) release();
  }

  Fault fault() const { return fault_; }

  /// The errno behind it, or 0.
  int system() const { return system_; }

  std::string_view operation() const;
  std::string_view peer() const;

  /// What was expected, or where in the input it went wrong; may be empty.
  std::string_view note() const;

  /// How long the operation had taken; zero if nobody measured.
  Duration elapsed() const;

  Error with_note(std::string_view note) &&;
  Error with_elapsed(Duration elapsed) &&;

  /// Fills in what an inner layer could not know; what is already said stays.
  Error with_operation(const char* operation, std::string_view peer) &&;

  friend bool operator==(const Error& error, Fault fault) { return error.fault_ == fault; }

 private:
  struct Words;
  Words& words();
  void release() noexcept;

  Words* words_ = nullptr;
  int system_ = 0;
  Fault fault_;
};

/// The whole error as one line.
std::string to_string(const Error& error);

template <class T>
using Result = std::expected<T, Error>;

/// `return fail(Fault::refused, "connect", peer)` from a function that answers Result<...>.
template <class... Arguments>
std::unexpected<Error> fail(Arguments&&... arguments) {
  return std::unexpected<Error>(Error(std::forward<Arguments>(arguments)...));
}

}  // namespace koine
