// A connection of the kernel's as a Stream.
//
// Output is collected in a block of the loop's while a turn lasts and sent once at its end; what
// the kernel does not take then is kept, and sent as soon as it can be. Large pieces that meet no
// collected output are sent without copying.
#pragma once

#include <memory>

#include "koine/os/fd.h"
#include "koine/os/reactor.h"
#include "koine/os/stored_address.h"
#include "koine/os/watcher.h"
#include "koine/transport/stream.h"

namespace koine::os {

class Track;

/// Output that was collected and is not yet sent.
class Outbox {
 public:
  /// What is collected at most; a writer that fills it waits.
  static constexpr std::size_t bytes_max = BlockPool::block_bytes;

  Outbox() = default;
  Outbox(Outbox&& other) noexcept;
  Outbox& operator=(Outbox&&) = delete;
  ~Outbox() {
    if (memory_ != nullptr) release();
  }

  bool empty() const { return sent_ == end_; }
  Bytes rest() const { return {memory_ + sent_, end_ - sent_}; }
  std::size_t size() const { return end_ - sent_; }

  /// Appends as much as fits, in a block of the pool's: how much.
  std::size_t append(Bytes bytes, BlockPool& pool);

  /// The first `count` bytes were sent.
  void consume(std::size_t count);

  /// Moves what is left, of a slow peer, to memory of just its size.
  void shrink();

 private:
  void make_room(BlockPool& pool);
  void release();

  std::byte* memory_ = nullptr;
  BlockPool* pool_ =
      nullptr;  // where the memory is from; nullptr: it is exactly as large as needed
  std::uint32_t sent_ = 0;
  std::uint32_t end_ = 0;
};

/// There are tens of thousands that only wait, so it is kept small: what output needs exists only
/// while there is some.
class SocketStream final : public Stream {
 public:
  static void* operator new(std::size_t bytes) { return frame_pool::allocate(bytes); }
  static void operator delete(void* stream) noexcept {
    frame_pool::release(stream, sizeof(SocketStream));
  }

  /// Takes over a connected, non-blocking socket. Fails if the multiplexer cannot watch it.
  static Result<std::unique_ptr<Stream>> make(Reactor& reactor, Fd fd, Transport transport,
                                              Address peer);
  ~SocketStream() override;

  Result<std::size_t> read_now(MutableBytes into) override;
  Result<Buffer> receive_now() override;
  Result<std::size_t> write_now(Bytes from) override;
  Result<void> flush_now() override;
  std::size_t unsent() const override { return sender_ ? sender_->outbox.size() : 0; }
  Result<void> finish() override;
  void abort() override;
  WaitList& readable() override { return watcher_.readers; }
  WaitList& writable() override { return watcher_.writers; }
  Address local() const override;
  Address peer() const override { return peer_.get(); }
  std::string name() const override;
  Result<void> attach(journey::Recorder* recorder) override;
  journey::Track* track() override;

  /// Gives up the socket: for a thread or process of its own. What was collected is sent first, as
  /// far as that goes without waiting.
  Fd release();

  /// The socket, for options; -1 after abort().
  int descriptor() const { return watcher_.fd; }

 private:
  /// The output that was collected, as long as there is any: it is sent at the end of the turn, or
  /// when the kernel takes more.
  struct Sender final : Runnable {
    explicit Sender(SocketStream& whose) : stream(whose) {}
    static void* operator new(std::size_t bytes) { return frame_pool::allocate(bytes); }
    static void operator delete(void* sender) noexcept {
      frame_pool::release(sender, sizeof(Sender));
    }
    void run() override { stream.send_collected(); }

    SocketStream& stream;
    Outbox outbox;
  };

  SocketStream(Reactor& reactor, Fd fd, Transport transport, Address peer);

  void detach();
  bool is_open() const { return watcher_.fd >= 0; }
  Fd take_fd() { return Fd(std::exchange(watcher_.fd, -1)); }
  ssize_t receive_some(MutableBytes into);
  Result<std::size_t> received_none(ssize_t count);
  std::unexpected<Error> nothing_yet();
  ssize_t receive_message(MutableBytes into);
  ssize_t send_tracked(Bytes from);
  Result<std::size_t> write_otherwise(Bytes from);
  Result<std::size_t> collect(Bytes from);
  Result<std::size_t> send_with_outbox(Bytes from);
  Result<std::size_t> send_behind_outbox(Bytes from);
  std::size_t send_some(Bytes from);
  void send_later();
  void send_collected();
  void collected_was_sent(std::size_t bytes);
  void drop_collected();
  int broken() const;
  bool close_would_lose() const;
  void broke(int error);
  void finish_now();
  std::unexpected<Error> failed(const char* operation) const;

  Reactor& reactor_;
  [[no_unique_address]] Watcher watcher_;  // and the descriptor, which is ours
  Transport transport_ : 4;
  bool finishing_ : 1 = false;  // shut down for writing when all was sent
  bool finished_ : 1 = false;   // it was
  bool peer_finished_ : 1 = false;
  std::uint8_t error_ = 0;       // errno: what broke the connection while sending
  std::uint8_t read_error_ = 0;  // and while reading
  StoredAddress peer_;
  std::unique_ptr<Sender> sender_;  // null if nothing waits to be sent
  std::unique_ptr<Track> track_;    // null unless somebody follows messages
};

}  // namespace koine::os
