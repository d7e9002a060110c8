// Standard input and output, for programs on a loop.
//
// Input may be a terminal, a pipe or a file. What can be waited for is waited for; a regular file
// cannot (epoll refuses it), and is read at once, since it never keeps a reader waiting for long.
// The descriptor's flags stay as they are: they are shared with the shell and with whoever else has
// it open, so non-blocking is not ours to set.
//
// Output is written at once and may block: the one who reads it sets the pace.
#pragma once

#include "koine/async/wait.h"
#include "koine/base/bytes.h"
#include "koine/base/error.h"
#include "koine/os/reactor.h"

namespace koine::cli {

class StandardInput {
 public:
  explicit StandardInput(os::Reactor& reactor);
  StandardInput(const StandardInput&) = delete;
  StandardInput& operator=(const StandardInput&) = delete;
  ~StandardInput();

  /// How many bytes; zero at the end. Fails with would_block.
  Result<std::size_t> read_now(MutableBytes into);
  WaitList& readable() { return watcher_.readers; }

 private:
  os::Reactor& reactor_;
  os::Watcher watcher_;
  bool watched_ = false;
};

class [[nodiscard]] ReadInput final : public Trying<ReadInput, std::size_t> {
 public:
  ReadInput(StandardInput& input, MutableBytes into) : input_(input), into_(into) {}
  Result<std::size_t> attempt_once() { return input_.read_now(into_); }
  void park() { input_.readable().join(*this); }
  Activity activity() const override { return {"read", "standard input"}; }

 private:
  StandardInput& input_;
  MutableBytes into_;
};

/// `co_await attempt(read_some(input, bytes))`: how many, zero at the end.
inline ReadInput read_some(StandardInput& input, MutableBytes into) { return {input, into}; }

/// All of it, or what is wrong with the output.
Result<void> write_output(Bytes bytes);

}  // namespace koine::cli
