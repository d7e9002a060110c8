// Handling: one request of a peer's, and the handler that answers it. It ends with its handler, or
// when its caller is gone, or when the time for it is over.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "koine/rsocket/peer.h"

namespace koine::rsocket {

class Handling final : public Root, public InPeer, public StreamOwner, public Responder {
 public:
  Handling(Peer& peer, const Event& event, const RequestHead& head);
  Handling(const Handling&) = delete;
  ~Handling();

  static void* operator new(std::size_t bytes) { return frame_pool::allocate(bytes); }
  static void operator delete(void* handling) noexcept {
    frame_pool::release(handling, sizeof(Handling));
  }

  /// Makes the task that answers; it starts when the loop comes to it. Fails if the request is not
  /// valid.
  Result<void> begin(const Service::Route& route, const Payload& request);

  FrameType type() const { return type_; }
  std::uint32_t id() const { return id_; }
  std::size_t request_bytes() const { return request_bytes_; }

  void run() override;
  const Awaited* awaited() const override { return task_ ? task_->awaited() : nullptr; }
  void hear(const Event& event) override;
  void lost(const Error&) override {}
  Flow& flow() override { return *flow_; }
  Instant arrived() const override { return arrived_; }

 private:
  class Clock final : public Timer {
   public:
    explicit Clock(Handling& handling) : handling_(handling) {}
    void run() override { handling_.time_is_up(); }

   private:
    Handling& handling_;
  };

  Result<void> reply_now(const Payload& payload) override;
  WaitList& room() override;
  bool is_flow() const {
    return type_ == FrameType::request_stream || type_ == FrameType::request_channel;
  }
  void set_clock(const RequestHead& head);
  void time_is_up();
  void finished() noexcept;

  Peer& peer_;
  FrameType type_;
  std::uint32_t id_;
  std::size_t request_bytes_;
  Instant arrived_;
  Clock clock_{*this};
  std::optional<Instant> ends_;  // what the caller said
  std::unique_ptr<Flow> flow_;
  std::optional<Io<void>> task_;
};

}  // namespace koine::rsocket
