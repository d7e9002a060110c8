#include "koine/rsocket/resume.h"

namespace koine::rsocket {

namespace {

constexpr std::size_t prefix_bytes = 3;

/// The size of the frame whose prefix stands at the beginning.
std::size_t frame_bytes(Bytes bytes) {
  return std::to_integer<std::size_t>(bytes[0]) << 16 | load_be16(&bytes[1]);
}

}  // namespace

bool has_position(Bytes frame) {
  switch (static_cast<FrameType>(load_be16(&frame[4]) >> 10)) {
    case FrameType::request_response:
    case FrameType::request_fnf:
    case FrameType::request_stream:
    case FrameType::request_channel:
    case FrameType::request_n:
    case FrameType::cancel:
    case FrameType::payload:
    case FrameType::error: return true;
    default: return false;
  }
}

void Retained::keep(Bytes frames) {
  while (!frames.empty()) {
    const std::size_t size = frame_bytes(frames);
    const Bytes whole = frames.first(prefix_bytes + size);
    if (has_position(whole.subspan(prefix_bytes))) {
      bytes_.insert(bytes_.end(), whole.begin(), whole.end());
      end_ += size;
    }
    frames = frames.subspan(whole.size());
  }
  while (this->size() > bytes_max_) drop_first();
  compact();
}

bool Retained::release(std::uint64_t position) {
  if (position < first_ || position > end_) return false;
  while (first_ < position && first_ + frame_bytes(this->frames()) <= position) drop_first();
  compact();
  return first_ == position;
}

bool Retained::can_release(std::uint64_t position) const {
  std::uint64_t begins = first_;
  for (Bytes rest = frames(); begins < position && !rest.empty();) {
    const std::size_t size = frame_bytes(rest);
    begins += size;
    rest = rest.subspan(prefix_bytes + size);
  }
  return begins == position;
}

void Retained::drop_first() {
  const std::size_t size = frame_bytes(frames());
  start_ += prefix_bytes + size;
  first_ += size;
}

/// What is dropped takes at most as much memory as what is kept, so that moving it costs little.
void Retained::compact() {
  if (start_ == bytes_.size()) {
    constexpr std::size_t kept_bytes_max = 4096;  // what the pool has ready for the next time
    if (bytes_.capacity() > kept_bytes_max) {
      bytes_ = ByteVector();
    } else {
      bytes_.clear();
    }
    start_ = 0;
  } else if (start_ > bytes_.size() / 2) {
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(start_));
    start_ = 0;
  }
}

}  // namespace koine::rsocket
