// Reader: lines, messages and exact numbers of bytes out of a stream.
//
//     Reader reader(*stream);
//     while (auto line = co_await attempt(reader.line())) ...
//
// What an operation answers with is lent until the next one. Usually it is the memory that the
// bytes arrived in; only what straddles two arrivals is copied together. A reader that waits and
// has no beginning of a message holds no memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "koine/async/frame_pool.h"
#include "koine/base/buffer.h"
#include "koine/transport/framing.h"
#include "koine/transport/stream.h"

namespace koine {

struct ReaderOptions {
  /// A line or message may have so many bytes; a longer one fails with over_limit.
  std::size_t message_bytes_max = std::size_t{64} << 10;

  /// A message that has begun may take `message_time`, and beyond that as long as its bytes so far
  /// at this rate; then reading fails with timed_out. Silence is not counted here, only arrivals:
  /// it is for within() and a server's idle limit. 0 allows any rate.
  Duration message_time = 10s;
  std::uint64_t bytes_per_second_min = 64;
};

class Reader {
 public:
  explicit Reader(Stream& stream, ReaderOptions options = {})
      : stream_(stream), options_(options) {}
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

 private:
  /// What an operation looks for, and how much of the message needs no second look.
  struct Wanted {
    enum class Kind : std::uint8_t { some, line, delimited, exact, prefixed };
    Kind kind = Kind::some;
    LengthPrefix prefix = LengthPrefix::be32;
    std::size_t size = 0;
    Bytes delimiter = {};
    std::size_t scanned = 0;
  };

  /// Bytes that lie together, in memory that costs nothing to give back and to take again.
  class Gathered {
   public:
    Gathered() = default;
    Gathered(const Gathered&) = delete;
    Gathered& operator=(const Gathered&) = delete;
    ~Gathered() { clear(); }

    bool empty() const { return size_ == 0; }
    std::size_t size() const { return size_; }
    Bytes bytes() const { return {memory_, size_}; }
    void append(Bytes more);
    void drop_first(std::size_t count);

    /// Holds neither bytes nor memory.
    void clear();

   private:
    std::byte* memory_ = nullptr;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
  };

 public:
  /// Answers with Bytes, std::optional<Bytes> or std::optional<std::string_view>.
  template <class T>
  class [[nodiscard]] Read final : public Trying<Read<T>, T> {
   public:
    Result<T> attempt_once() { return reader_.read<T>(wanted_); }
    void park() { reader_.stream_.readable().join(*this); }
    Activity activity() const override { return {"read", reader_.stream_.name()}; }

   private:
    friend class Reader;
    Read(Reader& reader, const Wanted& wanted) : reader_(reader), wanted_(wanted) {}

    Reader& reader_;
    Wanted wanted_;
  };

  /// The next line without its LF or CR LF; nothing at the end. A last line need not be terminated.
  Read<std::optional<std::string_view>> line();

  /// What stands before the next `delimiter`, which is not empty and is lent; nothing at the end.
  /// Fault::ended if the end comes in the middle.
  Read<std::optional<Bytes>> until(Bytes delimiter);

  /// Exactly `size` bytes. Fault::ended if the end comes first; over_limit if they are more than a
  /// message may have.
  Read<Bytes> exactly(std::size_t size);

  /// The next message behind a length prefix; nothing at the end. Fault::ended if the end comes in
  /// the middle.
  Read<std::optional<Bytes>> prefixed(LengthPrefix prefix);

  /// Whatever is there, at least one byte; none at the end.
  Read<Bytes> some();

  /// How many bytes have arrived that nobody has taken: those behind the last message.
  std::size_t buffered() const;
  bool has_buffered() const { return buffered() != 0; }

 private:
  template <class T>
  Result<T> read(Wanted& wanted);

  /// The message's bytes; or the end, with what came before it.
  struct Found {
    Bytes bytes;
    bool at_end = false;
  };
  Result<Found> find(Wanted& wanted);
  Result<FrameDecision> decide(Wanted& wanted, Bytes received);
  Result<Found> end_of(const Wanted& wanted);
  void drop_answer();
  void gather(std::size_t missing);
  Result<void> receive_more();
  Bytes received() const { return carry_.empty() ? held_.bytes() : carry_.bytes(); }

  Stream& stream_;
  ReaderOptions options_;
  Buffer held_;               // the last arrival
  Gathered carry_;            // a message that straddles arrivals
  std::size_t gathered_ = 0;  // how much of held_ is in carry_ too
  std::size_t answered_ = 0;  // how much of received() the last answer took
  Instant began_{};           // when the unfinished message's first arrival was waited for
  bool unfinished_ = false;
  bool ended_ = false;
};

}  // namespace koine
