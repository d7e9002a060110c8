#include "koine/transport/reader.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "koine/async/loop.h"

namespace koine {
namespace {

/// A straddling message is gathered in steps of at least so many bytes: few copies of what belongs
/// to the next message, few looks at what is there.
constexpr std::size_t gather_bytes_min = 512;

}  // namespace

// Not in the header, so that including it makes no Read of any kind.

auto Reader::line() -> Read<std::optional<std::string_view>> {
  return {*this, {.kind = Wanted::Kind::line}};
}
auto Reader::until(Bytes delimiter) -> Read<std::optional<Bytes>> {
  return {*this, {.kind = Wanted::Kind::delimited, .delimiter = delimiter}};
}
auto Reader::exactly(std::size_t size) -> Read<Bytes> {
  return {*this, {.kind = Wanted::Kind::exact, .size = size}};
}
auto Reader::prefixed(LengthPrefix prefix) -> Read<std::optional<Bytes>> {
  return {*this, {.kind = Wanted::Kind::prefixed, .prefix = prefix}};
}
auto Reader::some() -> Read<Bytes> { return {*this, {}}; }

void Reader::Gathered::append(Bytes more) {
  if (more.empty()) return;
  const std::size_t wanted = size_ + more.size();
  if (wanted > capacity_) {
    const std::size_t capacity = std::max(wanted, 2 * capacity_);
    auto* larger = static_cast<std::byte*>(frame_pool::allocate(capacity));
    if (size_ != 0) std::memcpy(larger, memory_, size_);
    if (memory_ != nullptr) frame_pool::release(memory_, capacity_);
    memory_ = larger;
    capacity_ = capacity;
  }
  std::memcpy(memory_ + size_, more.data(), more.size());
  size_ = wanted;
}

void Reader::Gathered::drop_first(std::size_t count) {
  size_ -= count;
  std::memmove(memory_, memory_ + count, size_);
}

void Reader::Gathered::clear() {
  if (memory_ != nullptr) frame_pool::release(memory_, capacity_);
  memory_ = nullptr;
  size_ = 0;
  capacity_ = 0;
}

std::size_t Reader::buffered() const {
  const std::size_t behind = carry_.empty() ? 0 : held_.size() - gathered_;
  return received().size() - answered_ + behind;
}

/// The bytes of the last answer are no longer lent.
void Reader::drop_answer() {
  if (answered_ == 0) return;
  unfinished_ = false;
  if (carry_.empty()) {
    held_.consume(answered_);
  } else if (const std::size_t beyond = carry_.size() - answered_; beyond <= gathered_) {
    // What was gathered too much is still in held_.
    held_.consume(gathered_ - beyond);
    gathered_ = 0;
    carry_.clear();
  } else {
    carry_.drop_first(answered_);
  }
  answered_ = 0;
  if (!held_) held_ = Buffer();
  if (carry_.empty()) carry_.clear();
}

/// Moves more of held_ to carry_, so that the message's bytes lie together.
void Reader::gather(std::size_t missing) {
  const Bytes rest = held_.bytes().subspan(gathered_);
  // The first arrival is known to hold no end of the message: all of it belongs.
  const std::size_t step = carry_.empty() ? rest.size() : std::max(missing, gather_bytes_min);
  const std::size_t count = std::min(rest.size(), step);
  carry_.append(rest.first(count));
  gathered_ += count;
  if (gathered_ == held_.size()) {
    held_ = Buffer();
    gathered_ = 0;
  }
}

Result<void> Reader::receive_more() {
  auto arrived = stream_.receive_now();
  if (!arrived) return std::unexpected(std::move(arrived.error()));
  if (!*arrived) {
    ended_ = true;
    return {};
  }
  held_ = std::move(*arrived);
  if (options_.bytes_per_second_min == 0) return {};
  const Instant now = Loop::current().now();
  if (!unfinished_) {
    unfinished_ = true;
    began_ = now;
    return {};
  }
  const std::size_t bytes = carry_.size() + held_.size();
  const Duration allowed =
      options_.message_time +
      std::chrono::duration_cast<Duration>(std::chrono::duration<double>(
          static_cast<double>(bytes) / static_cast<double>(options_.bytes_per_second_min)));
  if (now - began_ <= allowed) return {};
  return std::unexpected(
      Error(Fault::timed_out, "read", stream_.name())
          .with_note("the message comes too slowly: " + std::to_string(bytes) + " bytes so far")
          .with_elapsed(now - began_));
}

Result<FrameDecision> Reader::decide(Wanted& wanted, Bytes bytes) {
  switch (wanted.kind) {
    case Wanted::Kind::some:
      if (bytes.empty()) return FrameDecision::need_more(1);
      return FrameDecision::frame(0, bytes.size(), bytes.size());
    case Wanted::Kind::line: return find_line(bytes, wanted.scanned, options_.message_bytes_max);
    case Wanted::Kind::delimited:
      return find_delimiter(bytes, wanted.delimiter, wanted.scanned, options_.message_bytes_max);
    case Wanted::Kind::exact:
      if (wanted.size > options_.message_bytes_max) {
        return std::unexpected(Error(Fault::over_limit)
                                   .with_note(std::to_string(wanted.size) +
                                              " bytes, where a message may have " +
                                              std::to_string(options_.message_bytes_max)));
      }
      if (bytes.size() < wanted.size) return FrameDecision::need_more(wanted.size - bytes.size());
      return FrameDecision::frame(0, wanted.size, wanted.size);
    case Wanted::Kind::prefixed:
      return find_prefixed(bytes, wanted.prefix, options_.message_bytes_max);
  }
  return fail(Fault::unsupported);
}

/// The stream has ended and the message is not complete.
Result<Reader::Found> Reader::end_of(const Wanted& wanted) {
  const Bytes rest = received();
  if (wanted.kind == Wanted::Kind::line || (rest.empty() && wanted.kind != Wanted::Kind::exact)) {
    answered_ = rest.size();
    return Found{.bytes = rest, .at_end = rest.empty()};
  }
  return std::unexpected(
      Error(Fault::ended, "read", stream_.name())
          .with_note("after " + std::to_string(rest.size()) + " bytes of a message"));
}

Result<Reader::Found> Reader::find(Wanted& wanted) {
  drop_answer();
  for (;;) {
    const auto decision = decide(wanted, received());
    if (!decision) {
      return std::unexpected(Error(decision.error()).with_operation("read", stream_.name()));
    }
    if (decision->is_complete) {
      answered_ = decision->consumed;
      return Found{.bytes = decision->payload(received()), .at_end = false};
    }
    if (held_) {
      gather(decision->missing);
    } else if (ended_) {
      return end_of(wanted);
    } else if (auto more = receive_more(); !more) {
      return std::unexpected(std::move(more.error()));
    } else if (held_ && !carry_.empty()) {
      gather(decision->missing);
    }
  }
}

template <>
Result<Bytes> Reader::read(Wanted& wanted) {
  auto found = find(wanted);
  if (!found) return std::unexpected(std::move(found.error()));
  return found->bytes;
}

template <>
Result<std::optional<Bytes>> Reader::read(Wanted& wanted) {
  auto found = find(wanted);
  if (!found) return std::unexpected(std::move(found.error()));
  if (found->at_end) return std::nullopt;
  return found->bytes;
}

template <>
Result<std::optional<std::string_view>> Reader::read(Wanted& wanted) {
  auto found = find(wanted);
  if (!found) return std::unexpected(std::move(found.error()));
  if (found->at_end) return std::nullopt;
  return as_text(found->bytes);
}

}  // namespace koine
