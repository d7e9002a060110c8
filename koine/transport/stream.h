// Stream: an ordered, reliable flow of bytes each way. Over TCP, over a Unix socket, over a
// simulated internet, and over whatever is built on these.
//
// A stream never waits: its `..._now` functions do what can be done at once, and say would_block
// otherwise. Waiting is the business of the operations below it (read_some, receive, write_all,
// ...), which try, wait for readable() or writable(), and try again. So nothing outside ever holds
// a pointer into a caller's memory, cancelling loses no byte, and an operation needs no memory of
// its own.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "koine/async/task.h"
#include "koine/async/wait.h"
#include "koine/base/buffer.h"
#include "koine/base/bytes.h"
#include "koine/transport/address.h"
#include "koine/transport/endpoint.h"

namespace koine::journey {
class Recorder;
class Track;
}  // namespace koine::journey

namespace koine {

/// One read and one write may wait at a time; a read and a write may wait together.
///
/// A stream belongs to the loop that made it, and may be used only there. Destroying it closes the
/// connection; what was written before is still delivered, in the background and within the bounds
/// of its network (see Network), unless abort() was called.
class Stream {
 public:
  virtual ~Stream() = default;

  /// Copies what has arrived into `into`, which is not empty: how many bytes. Zero means that the
  /// peer has finished, and stays so: an end, not an error. Fails with would_block, reset, closed,
  /// ...
  virtual Result<std::size_t> read_now(MutableBytes into) = 0;

  /// Lends what has arrived without copying it: at least one byte, or none when the peer has
  /// finished.
  virtual Result<Buffer> receive_now() = 0;

  /// Takes a non-empty prefix of `from`, which is not empty: how many bytes. Small pieces are
  /// collected, and leave together when nothing more is ready in this turn of the loop. What is
  /// collected is bounded; at the bound the peer is slow and the answer is would_block. A failure
  /// to send shows in the next write.
  virtual Result<std::size_t> write_now(Bytes from) = 0;

  /// Sends what was collected. would_block while some of it is left.
  virtual Result<void> flush_now() = 0;

  /// Bytes that were written and that the network has not yet taken.
  virtual std::size_t unsent() const = 0;

  /// Promises the peer that no more bytes follow those written. Reading continues.
  virtual Result<void> finish() = 0;

  /// Drops the connection at once, together with what is unsent; the peer sees a reset. Everything
  /// that waits, and everything after it, fails with Fault::closed.
  virtual void abort() = 0;

  /// Woken when read_now(), or write_now() and flush_now(), may do something again.
  virtual WaitList& readable() = 0;
  virtual WaitList& writable() = 0;

  /// Our end and the other. Kind::none for an unnamed Unix socket.
  virtual Address local() const = 0;
  virtual Address peer() const = 0;

  /// The peer as errors name it: `tcp://10.0.0.7:80`.
  virtual std::string name() const = 0;

  /// Follows messages from now on, at any time: for `recorder`, which the stream does not outlive,
  /// and for no other; with null, no longer. Fault::unsupported where nobody can stamp bytes.
  virtual Result<void> attach(journey::Recorder* recorder);

  /// Who is told what a message is (koine/journey/track.h): null, unless a recorder is attached.
  virtual journey::Track* track() { return nullptr; }
};

/// Waits for at least one byte; zero means that the peer has finished.
class [[nodiscard]] ReadSome final : public Trying<ReadSome, std::size_t> {
 public:
  ReadSome(Stream& stream, MutableBytes into) : stream_(stream), into_(into) {}
  Result<std::size_t> attempt_once() { return stream_.read_now(into_); }
  void park() { stream_.readable().join(*this); }
  Activity activity() const override { return {"read", stream_.name()}; }

 private:
  Stream& stream_;
  MutableBytes into_;
};

extern template class Trying<ReadSome, std::size_t>;

/// `co_await attempt(read_some(stream, bytes))`: how many, zero at the end.
inline ReadSome read_some(Stream& stream, MutableBytes into) { return {stream, into}; }

/// Waits for bytes and lends them; none means that the peer has finished.
class [[nodiscard]] Receive final : public Trying<Receive, Buffer> {
 public:
  explicit Receive(Stream& stream) : stream_(stream) {}
  Result<Buffer> attempt_once() { return stream_.receive_now(); }
  void park() { stream_.readable().join(*this); }
  Activity activity() const override { return {"read", stream_.name()}; }

 private:
  Stream& stream_;
};

extern template class Trying<Receive, Buffer>;

/// `while (Buffer bytes = co_await attempt(receive(stream)))`
inline Receive receive(Stream& stream) { return Receive(stream); }

namespace detail {

/// Writes `count` pieces from number `next` on; each is shortened by what was taken.
Result<void> write_pieces(Stream& stream, Bytes* pieces, std::size_t count, std::uint8_t& next);

inline Bytes piece(Bytes bytes) { return bytes; }
inline Bytes piece(std::string_view text) { return as_bytes(text); }
inline Bytes piece(const std::string& text) { return as_bytes(text); }
inline Bytes piece(const char* text) { return as_bytes(text); }
inline Bytes piece(const Buffer& buffer) { return buffer.bytes(); }

}  // namespace detail

/// Waits until everything is written.
template <std::size_t count>
class [[nodiscard]] WriteAll final : public Trying<WriteAll<count>, void> {
 public:
  template <class... Pieces>
  explicit WriteAll(Stream& stream, const Pieces&... pieces)
      : stream_(stream), pieces_{detail::piece(pieces)...} {}

  Result<void> attempt_once() {
    return detail::write_pieces(stream_, pieces_.data(), count, next_);
  }
  void park() { stream_.writable().join(*this); }
  Activity activity() const override { return {"write", stream_.name()}; }

 private:
  std::uint8_t next_ = 0;
  Stream& stream_;
  std::array<Bytes, count> pieces_;
};

extern template class Trying<WriteAll<1>, void>;

/// `co_await attempt(write_all(stream, "hello, ", name, "\n"))`: all the pieces, each text or
/// bytes. They are lent until it is over. Waits while the peer is slow.
template <class... Pieces>
WriteAll<sizeof...(Pieces)> write_all(Stream& stream, const Pieces&... pieces) {
  return WriteAll<sizeof...(Pieces)>(stream, pieces...);
}

/// Waits until the network has taken all that was written.
class [[nodiscard]] Flush final : public Trying<Flush, void> {
 public:
  explicit Flush(Stream& stream) : stream_(stream) {}
  Result<void> attempt_once() { return stream_.flush_now(); }
  void park() { stream_.writable().join(*this); }
  Activity activity() const override { return {"flush", stream_.name()}; }

 private:
  Stream& stream_;
};

extern template class Trying<Flush, void>;

/// `co_await attempt(flush(stream))`
inline Flush flush(Stream& stream) { return Flush(stream); }

/// Everything until the peer finishes. Fault::over_limit if that is more than `bytes_max`.
Io<std::string> read_to_end(Stream& from, std::size_t bytes_max = std::size_t{16} << 20);

/// Everything from one stream to the other until it ends; how many bytes. Neither is finished.
Io<std::uint64_t> copy(Stream& from, Stream& to);

}  // namespace koine
