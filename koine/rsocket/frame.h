// RSocket 1.0 frames: bytes to meaning and back.
//
// Nothing here keeps state or reads a socket. A frame is what stands behind the length prefix of a
// byte stream (TCP, Unix sockets) or fills one WebSocket message:
//
//     | stream id (31) | type (6) | flags (10) | fields of the type | metadata length (24) |
//       metadata | data
//
// A parsed frame lends from the bytes it was parsed from. What breaks the rules becomes a Mistake,
// which says what the specification asks the receiver to do. Read "Protocol.md" of RSocket 1.0,
// sections "Framing", "Frame Types" and "Handling the Unexpected", before changing it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "koine/async/frame_pool.h"
#include "koine/base/bytes.h"
#include "koine/base/error.h"

namespace koine::rsocket {

/// What goes on a stream: data, and optionally metadata about it. Lent.
struct Payload {
  Bytes data = {};
  std::optional<Bytes> metadata = {};

  std::size_t size() const { return data.size() + (metadata ? metadata->size() : 0); }
};

enum class FrameType : std::uint8_t {
  setup = 0x01,
  lease = 0x02,
  keepalive = 0x03,
  request_response = 0x04,
  request_fnf = 0x05,
  request_stream = 0x06,
  request_channel = 0x07,
  request_n = 0x08,
  cancel = 0x09,
  payload = 0x0a,
  error = 0x0b,
  metadata_push = 0x0c,
  resume = 0x0d,
  resume_ok = 0x0e,
  extension = 0x3f,
};

/// As the specification writes it: "REQUEST_RESPONSE".
std::string_view to_string(FrameType type);

/// The ten bits behind the type. Some have another meaning in another type.
namespace flag {
inline constexpr std::uint16_t ignore = 0x200;    ///< may be passed over if not understood
inline constexpr std::uint16_t metadata = 0x100;  ///< metadata present
inline constexpr std::uint16_t resume = 0x80;     ///< SETUP: a resume token is present
inline constexpr std::uint16_t lease = 0x40;      ///< SETUP: the client will honor LEASE
inline constexpr std::uint16_t respond = 0x80;    ///< KEEPALIVE: answer with one
inline constexpr std::uint16_t follows = 0x80;    ///< requests, PAYLOAD: more fragments follow
inline constexpr std::uint16_t complete = 0x40;   ///< REQUEST_CHANNEL, PAYLOAD: the last one
inline constexpr std::uint16_t next = 0x20;       ///< PAYLOAD: it carries an item
}  // namespace flag

/// Section "Error Codes". Other values are the application's (0x301 to 0xfffffffe).
enum class ErrorCode : std::uint32_t {
  reserved = 0,
  invalid_setup = 0x001,      ///< stream 0: the SETUP breaks the rules
  unsupported_setup = 0x002,  ///< stream 0: some of its parameters are not served here
  rejected_setup = 0x003,     ///< stream 0: the server does not want it
  rejected_resume = 0x004,    ///< stream 0: the session cannot go on
  connection_error = 0x101,   ///< stream 0: closing at once
  connection_close = 0x102,   ///< stream 0: closing when the streams are over
  application_error = 0x201,  ///< the handler failed
  rejected = 0x202,           ///< it was not processed: trying again is safe
  canceled = 0x203,           ///< the responder gave up; it may have been processed in part
  invalid = 0x204,            ///< the request is not valid
};

/// "APPLICATION_ERROR", or "0x00000301" for those without a name.
std::string to_string(ErrorCode code);

inline constexpr std::uint32_t stream_id_max = 0x7fffffff;
/// Also "no limit" (section "Flow Control: Reactive Streams Semantics").
inline constexpr std::uint32_t request_n_max = 0x7fffffff;
/// Lengths of frames and metadata have 24 bits.
inline constexpr std::size_t length_max = 0xffffff;
inline constexpr std::size_t header_bytes = 6;
inline constexpr std::uint16_t version_major = 1;
inline constexpr std::uint16_t version_minor = 0;

struct Setup {
  std::uint16_t major = version_major;
  std::uint16_t minor = version_minor;
  std::uint32_t keepalive_ms = 0;  ///< between KEEPALIVEs of the client, at least 1
  std::uint32_t lifetime_ms = 0;   ///< without one, the other is taken for dead; at least 1
  bool lease = false;
  std::optional<Bytes> resume_token = {};
  std::string_view metadata_mime_type = {};  ///< at most 255 bytes of ASCII
  std::string_view data_mime_type = {};
  Payload payload = {};
};

/// With 0 for either number: no requests from now on.
struct Lease {
  std::uint32_t time_to_live_ms = 0;
  std::uint32_t requests = 0;
  std::optional<Bytes> metadata = {};
};

struct KeepAlive {
  bool respond = false;
  std::uint64_t last_position = 0;  ///< for resuming; 0 without
  Bytes data = {};
};

struct Request {
  FrameType type = FrameType::request_response;
  bool follows = false;
  bool complete = false;        ///< REQUEST_CHANNEL: the requester sends nothing more
  std::uint32_t initial_n = 0;  ///< REQUEST_STREAM and REQUEST_CHANNEL: at least 1
  Payload payload = {};
};

struct RequestN {
  std::uint32_t n = 0;
};

struct Cancel {};

struct Next {
  bool follows = false;
  bool complete = false;
  bool next = false;
  Payload payload = {};
};

struct Failure {
  ErrorCode code = ErrorCode::application_error;
  std::string_view text = {};  ///< UTF-8, for people
};

struct MetadataPush {
  Bytes metadata = {};
};

struct Resume {
  std::uint16_t major = version_major;
  std::uint16_t minor = version_minor;
  Bytes token = {};
  std::uint64_t last_received = 0;
  std::uint64_t first_available = 0;
};

struct ResumeOk {
  std::uint64_t last_received = 0;
};

struct Extension {
  std::uint32_t type = 0;
  bool can_ignore = false;
  Bytes body = {};  ///< with the metadata's length, if any, at its beginning
};

struct Frame {
  std::uint32_t stream_id = 0;
  std::variant<Setup, Lease, KeepAlive, Request, RequestN, Cancel, Next, Failure, MetadataPush,
               Resume, ResumeOk, Extension>
      body;
};

/// In one line: "1 REQUEST_STREAM n=2 'data'".
std::string to_string(const Frame& frame);

/// What is wrong with a frame, and what its receiver is to do about it.
struct Mistake {
  /// ErrorCode::reserved: ignore the frame. Otherwise answer with an ERROR of this code.
  ErrorCode code = ErrorCode::reserved;
  std::uint32_t stream_id = 0;  ///< where that ERROR goes; on 0 it ends the connection
  const char* reason = "";

  bool is_ignored() const { return code == ErrorCode::reserved; }
};

/// The frame that is all of `bytes`, which are without a length prefix.
std::expected<Frame, Mistake> parse_frame(Bytes bytes);

/// Memory that costs nothing to give back and to take again: see async/frame_pool.h.
template <class T>
struct FromPool {
  using value_type = T;
  FromPool() = default;
  template <class U>
  FromPool(FromPool<U>) {}  // NOLINT: an allocator of another type of the same memory
  T* allocate(std::size_t count) {
    return static_cast<T*>(frame_pool::allocate(count * sizeof(T)));
  }
  void deallocate(T* memory, std::size_t count) noexcept {
    frame_pool::release(memory, count * sizeof(T));
  }
  friend bool operator==(FromPool, FromPool) { return true; }
};

using ByteVector = std::vector<std::byte, FromPool<std::byte>>;

/// Appends frames to `out`. It has no opinion about their order: see connection.h.
///
/// What a frame has no room for is over_limit, and then nothing is appended.
class FrameWriter {
 public:
  /// `has_length`: each frame is preceded by its length, as byte streams need it.
  explicit FrameWriter(ByteVector& out, bool has_length = true)
      : out_(out), has_length_(has_length) {}

  Result<void> setup(const Setup& setup);
  Result<void> lease(const Lease& lease);
  Result<void> keepalive(const KeepAlive& keepalive);
  void request_n(std::uint32_t stream_id, std::uint32_t n);
  void cancel(std::uint32_t stream_id);
  /// Text beyond what a frame has room for is cut off.
  void error(std::uint32_t stream_id, ErrorCode code, std::string_view text);
  Result<void> metadata_push(Bytes metadata);
  Result<void> resume(const Resume& resume);
  void resume_ok(std::uint64_t last_received);

  /// As one frame if it fits into `frame_bytes_max` (with its header, without the length prefix; at
  /// least fragment_bytes_min), otherwise as fragments: all metadata first, then the data (section
  /// "Fragmentation and Reassembly"). `request.follows` is not looked at.
  Result<void> request(std::uint32_t stream_id, const Request& request,
                       std::size_t frame_bytes_max = length_max);
  Result<void> next(std::uint32_t stream_id, const Next& next,
                    std::size_t frame_bytes_max = length_max);

 private:
  std::size_t begin(std::uint32_t stream_id, FrameType type, std::uint16_t flags);
  void end(std::size_t started);
  void put16(std::uint16_t value);
  void put24(std::size_t value);
  void put32(std::uint32_t value);
  void put64(std::uint64_t value);
  void put(Bytes bytes);
  void put(const Payload& payload);
  void fragments(std::uint32_t stream_id, Payload rest, bool complete, std::size_t frame_bytes_max);

  ByteVector& out_;
  bool has_length_;
};

/// Of a frame that is a fragment, and not the last: our own limit, since each carries its header.
inline constexpr std::size_t fragment_bytes_min = 64;

}  // namespace koine::rsocket
