// GuardedStream: what a server puts around a connection before it hands it to a handler, to see
// that bytes move and to be able to end it.
#pragma once

#include <cstdint>
#include <memory>

#include "koine/base/list.h"
#include "koine/transport/stream.h"

namespace koine {

/// Why a connection should end.
enum class Verdict : std::uint8_t { fine, idle, slow };

struct Limits;

class GuardedStream final : public Stream, public ListNode {
 public:
  GuardedStream(std::unique_ptr<Stream> inner, Loop& loop)
      : inner_(std::move(inner)),
        loop_(loop),
        last_moved_(loop.now()),
        window_begins_(loop.now()) {}

  Result<std::size_t> read_now(MutableBytes into) override;
  Result<Buffer> receive_now() override;
  Result<std::size_t> write_now(Bytes from) override;
  Result<void> flush_now() override { return inner_->flush_now(); }
  std::size_t unsent() const override { return inner_->unsent(); }
  Result<void> finish() override { return inner_->finish(); }
  void abort() override { inner_->abort(); }
  WaitList& readable() override { return inner_->readable(); }
  WaitList& writable() override { return inner_->writable(); }
  Address local() const override { return inner_->local(); }
  Address peer() const override { return inner_->peer(); }
  std::string name() const override { return inner_->name(); }

  /// Whether enough moved. Looks at the output that the peer has taken since it was last asked.
  Verdict judge(const Limits& limits);

  /// Before this, judge() has nothing new to say unless bytes stop moving.
  Instant next_judgement(const Limits& limits) const;

  /// From now on a read that would wait answers "the peer has finished": the handler ends as if the
  /// peer had. What has arrived is still read.
  void end_input();

  Instant last_moved() const { return last_moved_; }

 private:
  void moved(std::size_t bytes) {
    moved_bytes_ += bytes;
    last_moved_ = loop_.now();
  }

  std::unique_ptr<Stream> inner_;
  Loop& loop_;
  Instant last_moved_;
  Instant window_begins_;
  std::uint64_t moved_bytes_ = 0;  // in this window, both ways
  std::size_t unsent_before_ = 0;  // at the last judgement
  bool input_ended_ = false;
};

}  // namespace koine
