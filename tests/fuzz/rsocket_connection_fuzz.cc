// An RSocket connection with a hostile peer, and a user who makes use of what comes.
//
// Whatever the frames: what is kept is bounded, no stream outlives the limit, what is said parses,
// nobody hears of a stream that is not open, and a connection that is over stays so.
//
// Input: one byte for the side, leases and resuming, then for each step one byte for what happens:
// an action of the user in one byte more; a frame, its size in one byte more; or a frame that is
// well formed, of which three bytes more say stream, flags and size. Limits are small so that they
// are met.
#include <cstddef>
#include <cstdint>
#include <set>
#include <vector>

#include "koine/rsocket/connection.h"
#include "tests/fuzz/check.h"

namespace {

using namespace koine;
using namespace koine::rsocket;

constexpr std::size_t message_bytes_max = 200;
constexpr std::size_t partial_bytes_max = 300;
constexpr std::size_t output_bytes_max = 600;
constexpr std::size_t requests_max = 4;
constexpr std::size_t retained_bytes_max = 400;

class Story {
 public:
  Story(Side side, bool lease, bool resume)
      : side_(side),
        connection_(side,
                    {.lease = lease,
                     .lease_requests = 2,
                     .lease_wait = false,
                     .resume = resume,
                     .resume_token = "token",
                     .retained_bytes_max = retained_bytes_max,
                     .requests_max = requests_max,
                     .message_bytes_max = message_bytes_max,
                     .partial_bytes_max = partial_bytes_max,
                     .output_bytes_max = output_bytes_max,
                     .frame_bytes_max = 64},
                    now_) {}

  void hear(Bytes frame) {
    if (!connection_.wants_input()) return;
    const bool was_over = connection_.is_over();
    const Event event = connection_.receive(frame, now_);
    if (was_over) KOINE_CHECK(event.kind == Event::Kind::none);
    obey(event);
  }

  /// A frame that a peer could send if it cared for nothing but its form.
  void hear_formed(unsigned type, unsigned stream, unsigned flags, unsigned size) {
    std::vector<std::byte> frame(header_bytes);
    const auto put32 = [&frame](std::uint32_t value) {
      frame.resize(frame.size() + 4);
      store_be32(&frame[frame.size() - 4], value);
    };
    store_be32(frame.data(), stream % 12);
    store_be16(&frame[4], static_cast<std::uint16_t>(type << 10 | (flags & 0xf) << 5 |
                                                     ((flags & 0x10) != 0 ? flag::metadata : 0)));
    const auto kind = static_cast<FrameType>(type);
    if (kind == FrameType::request_stream || kind == FrameType::request_channel ||
        kind == FrameType::request_n)
      put32((flags & 0x20) != 0 ? request_n_max : stream / 12);
    if (kind == FrameType::error) put32(0x100 + flags);
    if (kind == FrameType::keepalive || kind == FrameType::resume_ok) {
      put32(0);
      put32(size);
    }
    if ((flags & 0x10) != 0) frame.insert(frame.end(), {std::byte{0}, std::byte{0}, std::byte{3}});
    frame.resize(frame.size() + size);
    hear(frame);
  }

  /// What a user may do at any time, on one of a few streams.
  void act(unsigned what) {
    const std::uint32_t id = 1 + (what >> 4);
    const auto type = static_cast<FrameType>(4 + (what >> 4) % 4);
    const Payload payload{Bytes(filler_).first(what), {}};
    switch (what % 10) {
      case 0: {
        const auto opened = connection_.open(
            {.type = type, .initial_n = 1 + what % 3, .payload = payload}, &connection_, now_);
        if (opened && type != FrameType::request_fnf) KOINE_CHECK(open_.insert(*opened).second);
        break;
      }
      case 1: static_cast<void>(connection_.next(id, payload, what % 3 == 0)); break;
      case 2: connection_.complete(id); break;
      case 3: connection_.fail_stream(id, ErrorCode::application_error, "no"); break;
      case 4: connection_.cancel(id); break;
      case 5:
        if (connection_.wants_input()) connection_.request_more(id, 1 + what % 3);
        break;
      case 6: connection_.sent(connection_.output().size()); break;
      case 7: connection_.grant(2, 1s, now_); break;
      case 8:
        now_ += 7s;
        obey(connection_.tick(now_));
        break;
      default:
        if (what % 7 == 0) connection_.close();
        if (what % 7 == 1) static_cast<void>(connection_.push(payload.data));
        if (what % 7 >= 2 && what % 7 < 4) static_cast<void>(connection_.detach(now_));
        if (what % 7 >= 4) come_back(what);
    }
  }

  void check() {
    // One message, fragmented, beyond each bound; a few bytes for each stream's end; one SETUP; and
    // what may have to be sent again, which waits a second time when it is.
    constexpr std::size_t retained = retained_bytes_max + message_bytes_max + 2 * output_bytes_max;
    KOINE_CHECK(connection_.bytes_kept() <= 2 * output_bytes_max + partial_bytes_max +
                                                4 * message_bytes_max + 2 * retained + 2048);
    KOINE_CHECK(connection_.streams() <= 2 * requests_max);
    if (connection_.is_detached()) KOINE_CHECK(connection_.output().empty());
    for (const std::uint32_t id : open_) {
      if (!connection_.is_open(id)) gone_.insert(id);
    }
    for (const std::uint32_t id : gone_) open_.erase(id);
    gone_.clear();
    for (Bytes out = connection_.output(); !out.empty();) {
      KOINE_CHECK(out.size() >= 3);
      const std::size_t size = std::to_integer<std::size_t>(out[0]) << 16 | load_be16(&out[1]);
      KOINE_CHECK(out.size() >= 3 + size);
      KOINE_CHECK(parse_frame(out.subspan(3, size)).has_value());
      out = out.subspan(3 + size);
    }
  }

 private:
  /// A new transport, and at a server positions that may be lies.
  void come_back(unsigned what) {
    connection_.resume(now_);
    if (side_ == Side::client) return;
    const Resume asked{.token = as_bytes("token"),
                       .last_received = what >> 3,
                       .first_available = what % 7 == 5 ? what : 0};
    if (!connection_.resumed(asked, now_)) connection_.abort(ErrorCode::rejected_resume, "no");
  }

  void obey(const Event& event) {
    using Kind = Event::Kind;
    if (event.kind == Kind::none || event.stream_id == 0) {
      if (event.kind == Kind::closed) KOINE_CHECK(connection_.is_over());
      if (event.kind == Kind::lost) KOINE_CHECK(connection_.detach(now_));
      return;
    }
    KOINE_CHECK(event.payload.size() <= message_bytes_max);
    if (event.kind == Kind::request) {
      KOINE_CHECK(open_.insert(event.stream_id).second || event.is_over);
    } else {
      KOINE_CHECK(open_.contains(event.stream_id));  // it was announced
    }
    KOINE_CHECK(event.is_over == !connection_.is_open(event.stream_id));
    if (event.is_over) open_.erase(event.stream_id);
    unsigned sum = 0;  // what is lent can be read
    for (const std::byte byte : event.payload.data) sum += std::to_integer<unsigned>(byte);
    for (const char c : event.text) sum += static_cast<unsigned char>(c);
    sink_ = sum;
  }

  Instant now_{};
  Side side_;
  Connection connection_;
  std::set<std::uint32_t> open_;  // as the user knows
  std::set<std::uint32_t> gone_;
  std::byte filler_[256]{};
  volatile unsigned sink_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  Bytes rest = std::as_bytes(std::span(data, size));
  Story story(data[0] % 2 == 0 ? Side::server : Side::client, data[0] % 4 >= 2, data[0] % 8 >= 4);
  rest = rest.subspan(1);
  while (rest.size() >= 2) {
    const auto step = std::to_integer<unsigned>(rest[0]);
    if (step % 4 == 2 && rest.size() >= 4) {
      story.hear_formed(step >> 2, std::to_integer<unsigned>(rest[1]),
                        std::to_integer<unsigned>(rest[2]), std::to_integer<unsigned>(rest[3]));
      rest = rest.subspan(4);
    } else if (step % 2 == 0) {
      const std::size_t frame_bytes =
          std::min(std::to_integer<std::size_t>(rest[1]), rest.size() - 2);
      story.hear(rest.subspan(2, frame_bytes));
      rest = rest.subspan(2 + frame_bytes);
    } else {
      story.act(std::to_integer<unsigned>(rest[1]));
      rest = rest.subspan(2);
    }
    story.check();
  }
  return 0;
}
