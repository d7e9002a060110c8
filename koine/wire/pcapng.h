// Captures in the format that Wireshark opens: pcapng (draft-ietf-opsawg-pcapng).
//
// The writer does no I/O: it hands whole blocks to a sink. An interface of the file stands for one
// NIC; what happened to a frame that did not arrive is a comment on the frame, which then stands
// on an interface of its own, "lost", so that nobody mistakes it for one that was seen.
//
// The reader takes any bytes. It reads what the writer writes, in either byte order and with other
// resolutions of time as well, and passes over blocks and options of kinds it does not know.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "koine/base/bytes.h"
#include "koine/base/error.h"
#include "koine/base/time.h"
#include "koine/wire/address.h"
#include "koine/wire/protocol.h"

namespace koine::wire {

/// A network interface of a capture.
struct PcapngInterface {
  std::string name{};  ///< "client:eth0"
  std::string description{};
  std::optional<Mac> mac{};
  LinkType link = LinkType::ethernet;
  std::uint32_t snap_length = 0;  ///< frames are cut to this many bytes; 0: they are not

  friend bool operator==(const PcapngInterface&, const PcapngInterface&) = default;
};

/// Which way a frame went, seen from its interface.
enum class PcapngDirection : std::uint8_t { unknown = 0, inbound = 1, outbound = 2 };

/// One frame of a capture. The bytes and the comment are lent.
struct PcapngFrame {
  std::uint32_t interface = 0;  ///< as add_interface() numbered it; from 0 throughout the file
  Duration at{};                ///< since 1970, UTC
  Bytes bytes{};
  std::size_t wire_length = 0;  ///< if more than `bytes` has
  PcapngDirection direction{};
  std::optional<std::uint64_t> id{};
  std::string_view comment{};  ///< UTF-8, at most 65,535 bytes: more is cut
};

class PcapngWriter {
 public:
  /// Takes the bytes of one whole block. Its failure is the writer's, and the capture then ends
  /// with the block before, unless the sink took a part.
  using Sink = std::function<Result<void>(Bytes)>;

  /// `epoch` is added to the time of every frame: worlds begin at zero, captures in some year.
  explicit PcapngWriter(Sink sink, Duration epoch = {}) : sink_(std::move(sink)), epoch_(epoch) {}

  /// Appends to `file`, which must outlive the writer.
  explicit PcapngWriter(std::string& file, Duration epoch = {});

  /// Says what wrote the file and anything else worth knowing; the first block. Called by the
  /// others if the caller did not. Once more, it begins another section, with interfaces of its
  /// own; numbers of interfaces go on.
  Result<void> begin_section(std::string_view comment = {});

  /// Answers the number by which frames name it.
  Result<std::uint32_t> add_interface(const PcapngInterface& interface);

  /// One frame. Times may go back; the file keeps the order of the calls.
  Result<void> write(const PcapngFrame& frame);

  /// A frame that somebody expected on `frame.interface` and that did not get there, on the
  /// interface "lost" for its link type; `frame.comment` says what became of it.
  Result<void> write_lost(const PcapngFrame& frame);

  /// Keys of TLS sessions, in the format of SSLKEYLOGFILE, for what follows.
  Result<void> write_tls_keys(std::string_view key_log);

 private:
  struct Known {
    std::uint32_t number;  // within its section
    LinkType link;
    std::uint32_t snap_length;
  };

  Result<void> ensure_section();
  Result<void> write_on(const Known& interface, const PcapngFrame& frame);
  Result<void> send();

  Sink sink_;
  Duration epoch_;
  bool has_section_ = false;
  std::uint32_t section_interfaces_ = 0;
  std::vector<Known> interfaces_;
  std::map<LinkType, Known> lost_;
  std::vector<std::byte> block_;  // kept for its memory
};

class PcapngReader {
 public:
  /// More interfaces than this in one file are refused.
  static constexpr std::size_t interfaces_max = 65'536;

  /// `file` is lent for as long as the reader and what it answers are used.
  explicit PcapngReader(Bytes file) : file_(file) {}

  /// The next frame, or nothing at the end. After an error, the same error again: `note()` says
  /// at which byte what was wrong. Frames before it have been answered.
  Result<std::optional<PcapngFrame>> next();

  /// Those that were met so far; PcapngFrame::interface counts in it.
  const std::vector<PcapngInterface>& interfaces() const { return interfaces_; }

  /// The comment of the section that was begun last.
  std::string_view section_comment() const { return section_comment_; }

 private:
  struct Clock {
    std::uint8_t resolution = 6;  // ten to the minus; two to the minus if the high bit is set
    std::int64_t offset_s = 0;
  };
  struct Block;

  Error broken(std::size_t at, std::string_view what);
  std::uint16_t load16(std::size_t at) const;
  std::uint32_t load32(std::size_t at) const;
  std::uint64_t load64(std::size_t at) const;

  Result<std::optional<Block>> next_block();
  Result<void> read_section(const Block& block);
  Result<void> read_interface(const Block& block);
  Result<PcapngFrame> read_frame(const Block& block);
  Result<PcapngFrame> read_simple_frame(const Block& block);
  Duration time_of(std::uint64_t ticks, const Clock& clock) const;

  /// Calls `take(code, value)` for the options between two places.
  template <class Take>
  Result<void> read_options(std::size_t at, std::size_t end, Take take);

  Bytes file_;
  std::size_t at_ = 0;
  bool big_endian_ = false;
  bool in_section_ = false;
  std::size_t section_begin_ = 0;  // the number of its first interface
  std::vector<PcapngInterface> interfaces_;
  std::vector<Clock> clocks_;
  std::string section_comment_;
  std::optional<Error> error_;
};

}  // namespace koine::wire
