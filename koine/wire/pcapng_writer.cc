// Writing pcapng, in little-endian order whatever the machine.
#include <algorithm>
#include <cassert>

#include "koine/wire/pcapng.h"
#include "koine/wire/pcapng_format.h"

namespace koine::wire {

namespace {

using namespace pcapng;

constexpr std::uint8_t nanoseconds = 9;  // ten to the minus nine

/// One block in the making; its length is filled in at the end.
class BlockWriter {
 public:
  BlockWriter(std::vector<std::byte>& block, std::uint32_t type) : block_(block) {
    block_.clear();
    put32(type);
    put32(0);
  }

  void put16(std::uint16_t value) { put(value, 2); }
  void put32(std::uint32_t value) { put(value, 4); }
  void put64(std::uint64_t value) { put(value, 8); }

  void put_padded(Bytes bytes) {
    block_.insert(block_.end(), bytes.begin(), bytes.end());
    block_.resize(padded(block_.size()));
  }

  void option(std::uint16_t code, Bytes value) {
    has_options_ = true;
    value = value.first(std::min<std::size_t>(value.size(), 0xffff));
    put16(code);
    put16(static_cast<std::uint16_t>(value.size()));
    put_padded(value);
  }
  void option(std::uint16_t code, std::string_view value) {
    if (!value.empty()) option(code, as_bytes(value));
  }

  void finish() {
    if (has_options_) put32(option_end);
    const auto length = static_cast<std::uint32_t>(block_.size() + 4);
    put32(length);
    std::copy_n(block_.end() - 4, 4, block_.begin() + 4);
  }

 private:
  void put(std::uint64_t value, int size) {
    for (int i = 0; i < size; ++i) block_.push_back(static_cast<std::byte>(value >> 8 * i));
  }

  std::vector<std::byte>& block_;
  bool has_options_ = false;
};

}  // namespace

PcapngWriter::PcapngWriter(std::string& file, Duration epoch)
    : PcapngWriter(
          [&file](Bytes block) -> Result<void> {
            file += as_text(block);
            return {};
          },
          epoch) {}

Result<void> PcapngWriter::send() { return sink_(block_); }

Result<void> PcapngWriter::ensure_section() {
  if (has_section_) return {};
  return begin_section();
}

Result<void> PcapngWriter::begin_section(std::string_view comment) {
  BlockWriter block(block_, block_section);
  block.put32(byte_order_magic);
  block.put16(1);  // version 1.0
  block.put16(0);
  block.put64(~std::uint64_t{0});  // the section's length is not told
  block.option(option_section_application, std::string_view("koine"));
  block.option(option_comment, comment);
  block.finish();
  has_section_ = true;
  section_interfaces_ = 0;
  lost_.clear();
  return send();
}

Result<std::uint32_t> PcapngWriter::add_interface(const PcapngInterface& interface) {
  if (auto begun = ensure_section(); !begun) return std::unexpected(begun.error());
  BlockWriter block(block_, block_interface);
  block.put16(static_cast<std::uint16_t>(interface.link));
  block.put16(0);
  block.put32(interface.snap_length);
  block.option(option_interface_name, interface.name);
  block.option(option_interface_description, interface.description);
  if (interface.mac) {
    std::byte octets[Mac::size];
    interface.mac->store(octets);
    block.option(option_interface_mac, Bytes(octets));
  }
  const std::byte resolution{nanoseconds};
  block.option(option_interface_resolution, Bytes(&resolution, 1));
  block.finish();
  if (auto sent = send(); !sent) return std::unexpected(sent.error());
  interfaces_.push_back({section_interfaces_++, interface.link, interface.snap_length});
  return static_cast<std::uint32_t>(interfaces_.size() - 1);
}

Result<void> PcapngWriter::write_on(const Known& interface, const PcapngFrame& frame) {
  const std::size_t captured =
      interface.snap_length == 0 ? frame.bytes.size()
                                 : std::min<std::size_t>(frame.bytes.size(), interface.snap_length);
  const auto ticks = static_cast<std::uint64_t>((frame.at + epoch_).count());
  BlockWriter block(block_, block_enhanced_packet);
  block.put32(interface.number);
  block.put32(static_cast<std::uint32_t>(ticks >> 32));
  block.put32(static_cast<std::uint32_t>(ticks));
  block.put32(static_cast<std::uint32_t>(captured));
  block.put32(static_cast<std::uint32_t>(std::max(frame.wire_length, frame.bytes.size())));
  block.put_padded(frame.bytes.first(captured));
  block.option(option_comment, frame.comment);
  if (frame.direction != PcapngDirection::unknown) {
    const std::byte flags[4] = {static_cast<std::byte>(frame.direction)};
    block.option(option_frame_flags, Bytes(flags));
  }
  if (frame.id) {
    std::byte id[8];
    for (int i = 0; i < 8; ++i) id[i] = static_cast<std::byte>(*frame.id >> 8 * i);
    block.option(option_frame_id, Bytes(id));
  }
  block.finish();
  return send();
}

Result<void> PcapngWriter::write(const PcapngFrame& frame) {
  assert(frame.interface < interfaces_.size());
  return write_on(interfaces_[frame.interface], frame);
}

Result<void> PcapngWriter::write_lost(const PcapngFrame& frame) {
  assert(frame.interface < interfaces_.size());
  const LinkType link = interfaces_[frame.interface].link;
  auto lost = lost_.find(link);
  if (lost == lost_.end()) {
    const auto number = add_interface({.name = link == LinkType::ethernet ? "lost" : "lost (IP)",
                                       .description = "frames that did not arrive, and why",
                                       .link = link});
    if (!number) return std::unexpected(number.error());
    lost = lost_.emplace(link, interfaces_[*number]).first;
  }
  return write_on(lost->second, frame);
}

Result<void> PcapngWriter::write_tls_keys(std::string_view key_log) {
  if (auto begun = ensure_section(); !begun) return begun;
  BlockWriter block(block_, block_secrets);
  block.put32(secrets_tls_keys);
  block.put32(static_cast<std::uint32_t>(key_log.size()));
  block.put_padded(as_bytes(key_log));
  block.finish();
  return send();
}

}  // namespace koine::wire
