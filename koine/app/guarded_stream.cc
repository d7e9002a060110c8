#include "koine/app/guarded_stream.h"

#include <algorithm>

#include "koine/app/limits.h"

namespace koine {

Result<std::size_t> GuardedStream::read_now(MutableBytes into) {
  auto count = inner_->read_now(into);
  if (count) {
    moved(*count);
  } else if (input_ended_ && count.error() == Fault::would_block) {
    return std::size_t{0};
  }
  return count;
}

Result<Buffer> GuardedStream::receive_now() {
  auto buffer = inner_->receive_now();
  if (buffer) {
    moved(buffer->size());
  } else if (input_ended_ && buffer.error() == Fault::would_block) {
    return Buffer();
  }
  return buffer;
}

Result<std::size_t> GuardedStream::write_now(Bytes from) {
  auto count = inner_->write_now(from);
  if (count) moved(*count);
  return count;
}

void GuardedStream::end_input() {
  input_ended_ = true;
  inner_->readable().wake_all(loop_);
}

Verdict GuardedStream::judge(const Limits& limits) {
  const Instant now = loop_.now();
  // Output that left since the last look is movement too, though nobody called us for it.
  const std::size_t unsent = inner_->unsent();
  if (unsent < unsent_before_) moved(unsent_before_ - unsent);
  unsent_before_ = static_cast<std::uint32_t>(unsent);

  if (now - last_moved_ >= limits.idle) return Verdict::idle;
  if (now - window_begins_ < limits.idle) return Verdict::fine;
  const double seconds = std::chrono::duration<double>(now - window_begins_).count();
  const double wanted = static_cast<double>(limits.bytes_per_second_min) * seconds;
  if (static_cast<double>(moved_bytes_) < wanted) return Verdict::slow;
  window_begins_ = now;
  moved_bytes_ = 0;
  return Verdict::fine;
}

Instant GuardedStream::next_judgement(const Limits& limits) const {
  return std::min(last_moved_, window_begins_) + limits.idle;
}

}  // namespace koine
