// Reading pcapng. Every length in the file is a claim; none is used before it was compared with
// what is there.
#include <algorithm>

#include "koine/wire/pcapng.h"
#include "koine/wire/pcapng_format.h"

namespace koine::wire {

using namespace pcapng;

/// A block whose two lengths agree and lie within the file.
struct PcapngReader::Block {
  std::uint32_t type = 0;
  std::size_t at = 0;     // of the block
  std::size_t begin = 0;  // of the body
  std::size_t end = 0;    // of the body
};

Error PcapngReader::broken(std::size_t at, std::string_view what) {
  error_ = Error(Fault::malformed, "read pcapng")
               .with_note("byte " + std::to_string(at) + ": " + std::string(what));
  return *error_;
}

std::uint16_t PcapngReader::load16(std::size_t at) const {
  const std::uint16_t big = load_be16(file_.data() + at);
  return big_endian_ ? big : static_cast<std::uint16_t>(big << 8 | big >> 8);
}
std::uint32_t PcapngReader::load32(std::size_t at) const {
  const std::uint32_t first = load16(at);
  const std::uint32_t second = load16(at + 2);
  return big_endian_ ? first << 16 | second : second << 16 | first;
}
std::uint64_t PcapngReader::load64(std::size_t at) const {
  const std::uint64_t first = load32(at);
  const std::uint64_t second = load32(at + 4);
  return big_endian_ ? first << 32 | second : second << 32 | first;
}

Result<std::optional<PcapngReader::Block>> PcapngReader::next_block() {
  if (at_ == file_.size()) return std::nullopt;
  const std::size_t left = file_.size() - at_;
  if (left < block_size_min) return std::unexpected(broken(at_, "a block that is cut off"));
  // The type of a section header is the same in both orders; its magic tells which one follows.
  const bool is_section = load_be32(file_.data() + at_) == block_section;
  if (is_section) {
    const std::uint32_t magic = load_be32(file_.data() + at_ + 8);
    if (magic != byte_order_magic && magic != 0x4d3c'2b1a)
      return std::unexpected(broken(at_ + 8, "no byte-order magic"));
    big_endian_ = magic == byte_order_magic;
  } else if (!in_section_) {
    return std::unexpected(broken(at_, "no section header: not a pcapng file"));
  }
  const std::size_t length = load32(at_ + 4);
  if (length < block_size_min || length % 4 != 0)
    return std::unexpected(broken(at_ + 4, "a block length of " + std::to_string(length)));
  if (length > left)
    return std::unexpected(broken(at_ + 4, "a block of " + std::to_string(length) +
                                               " bytes, of which only " + std::to_string(left) +
                                               " are in the file"));
  if (load32(at_ + length - 4) != length)
    return std::unexpected(broken(at_ + length - 4, "a block's two lengths differ"));
  const Block block{is_section ? block_section : load32(at_), at_, at_ + 8, at_ + length - 4};
  at_ += length;
  return block;
}

template <class Take>
Result<void> PcapngReader::read_options(std::size_t at, std::size_t end, Take take) {
  while (at < end) {
    if (end - at < 4) return std::unexpected(broken(at, "an option that is cut off"));
    const std::uint16_t code = load16(at);
    const std::size_t length = load16(at + 2);
    if (code == option_end) return {};
    if (padded(length) > end - at - 4)
      return std::unexpected(broken(at + 2, "an option that reaches beyond its block"));
    take(code, at + 4, length);
    at += 4 + padded(length);
  }
  return {};
}

Result<void> PcapngReader::read_section(const Block& block) {
  if (block.end - block.begin < 16)
    return std::unexpected(broken(block.at, "a section header that is too short"));
  if (load16(block.begin + 4) != 1)
    return std::unexpected(broken(block.begin + 4, "a version that is not 1"));
  in_section_ = true;
  section_begin_ = interfaces_.size();
  section_comment_.clear();
  return read_options(block.begin + 16, block.end,
                      [this](std::uint16_t code, std::size_t at, std::size_t length) {
                        if (code == option_comment)
                          section_comment_ = as_text(file_.subspan(at, length));
                      });
}

Result<void> PcapngReader::read_interface(const Block& block) {
  if (block.end - block.begin < 8)
    return std::unexpected(broken(block.at, "an interface that is too short"));
  if (interfaces_.size() == interfaces_max)
    return std::unexpected(
        broken(block.at, "more than " + std::to_string(interfaces_max) + " interfaces"));
  PcapngInterface interface;
  interface.link = static_cast<LinkType>(load16(block.begin));
  interface.snap_length = load32(block.begin + 4);
  Clock clock;
  auto read = read_options(block.begin + 8, block.end,
                           [&](std::uint16_t code, std::size_t at, std::size_t length) {
                             const Bytes value = file_.subspan(at, length);
                             if (code == option_interface_name) {
                               interface.name = as_text(value);
                             } else if (code == option_interface_description) {
                               interface.description = as_text(value);
                             } else if (code == option_interface_mac && length == Mac::size) {
                               interface.mac = Mac::load(value.data());
                             } else if (code == option_interface_resolution && length == 1) {
                               clock.resolution = std::to_integer<std::uint8_t>(value[0]);
                             } else if (code == option_interface_offset && length == 8) {
                               clock.offset_s = static_cast<std::int64_t>(load64(at));
                             }
                           });
  if (!read) return read;
  interfaces_.push_back(std::move(interface));
  clocks_.push_back(clock);
  return {};
}

/// In nanoseconds; modulo 2^64 where a forged clock leads beyond that.
Duration PcapngReader::time_of(std::uint64_t ticks, const Clock& clock) const {
  const unsigned power = clock.resolution & 0x7f;
  std::uint64_t ns = 0;
  if ((clock.resolution & 0x80) != 0) {
    if (power < 64) {
      const std::uint64_t seconds = ticks >> power;
      const std::uint64_t rest = ticks - (seconds << power);
      // Below 2^-34 the lower bits are less than a nanosecond, and would overflow the product.
      const unsigned dropped = power > 34 ? power - 34 : 0;
      ns = seconds * 1'000'000'000 + ((rest >> dropped) * 1'000'000'000 >> (power - dropped));
    }
  } else {
    ns = ticks;
    for (unsigned i = power; i < 9; ++i) ns *= 10;
    for (unsigned i = power; i > 9 && ns > 0; --i) ns /= 10;
  }
  ns += static_cast<std::uint64_t>(clock.offset_s) * 1'000'000'000;
  return Duration(static_cast<std::int64_t>(ns));
}

Result<PcapngFrame> PcapngReader::read_frame(const Block& block) {
  constexpr std::size_t fixed = 20;
  if (block.end - block.begin < fixed)
    return std::unexpected(broken(block.at, "a frame that is too short"));
  const std::size_t interface = section_begin_ + load32(block.begin);
  if (interface >= interfaces_.size())
    return std::unexpected(broken(block.begin, "a frame on an interface that is not there"));
  const std::size_t captured = load32(block.begin + 12);
  if (captured > block.end - block.begin - fixed)
    return std::unexpected(broken(block.begin + 12, "a frame that reaches beyond its block"));
  const std::uint64_t ticks =
      std::uint64_t{load32(block.begin + 4)} << 32 | load32(block.begin + 8);
  PcapngFrame frame;
  frame.interface = static_cast<std::uint32_t>(interface);
  frame.at = time_of(ticks, clocks_[interface]);
  frame.bytes = file_.subspan(block.begin + fixed, captured);
  frame.wire_length = std::max<std::size_t>(load32(block.begin + 16), captured);
  const auto read = read_options(block.begin + fixed + padded(captured), block.end,
                                 [&](std::uint16_t code, std::size_t at, std::size_t length) {
                                   if (code == option_comment && frame.comment.empty()) {
                                     frame.comment = as_text(file_.subspan(at, length));
                                   } else if (code == option_frame_flags && length == 4) {
                                     const std::uint32_t direction = load32(at) & 3;
                                     if (direction != 3)
                                       frame.direction = static_cast<PcapngDirection>(direction);
                                   } else if (code == option_frame_id && length == 8) {
                                     frame.id = load64(at);
                                   }
                                 });
  if (!read) return std::unexpected(read.error());
  return frame;
}

/// A frame on the section's first interface, without a time.
Result<PcapngFrame> PcapngReader::read_simple_frame(const Block& block) {
  if (block.end - block.begin < 4)
    return std::unexpected(broken(block.at, "a frame that is too short"));
  if (section_begin_ >= interfaces_.size())
    return std::unexpected(broken(block.at, "a frame on an interface that is not there"));
  const std::size_t wire_length = load32(block.begin);
  const std::uint32_t snap_length = interfaces_[section_begin_].snap_length;
  const std::size_t captured =
      snap_length == 0 ? wire_length : std::min<std::size_t>(wire_length, snap_length);
  if (captured > block.end - block.begin - 4)
    return std::unexpected(broken(block.begin, "a frame that reaches beyond its block"));
  PcapngFrame frame;
  frame.interface = static_cast<std::uint32_t>(section_begin_);
  frame.bytes = file_.subspan(block.begin + 4, captured);
  frame.wire_length = wire_length;
  return frame;
}

Result<std::optional<PcapngFrame>> PcapngReader::next() {
  if (error_) return std::unexpected(*error_);
  for (;;) {
    const auto block = next_block();
    if (!block) return std::unexpected(block.error());
    if (!*block) return std::nullopt;
    Result<void> read;
    switch ((*block)->type) {
      case block_section: read = read_section(**block); break;
      case block_interface: read = read_interface(**block); break;
      case block_enhanced_packet: return read_frame(**block);
      case block_simple_packet: return read_simple_frame(**block);
      default: break;
    }
    if (!read) return std::unexpected(read.error());
  }
}

}  // namespace koine::wire
