// Track: a message of a simulated socket, for whoever knows what a message is.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "koine/base/function.h"
#include "koine/journey/track.h"
#include "koine/sim/follower.h"
#include "koine/stack/tcp/connection.h"

namespace koine::sim {

class Track final : public journey::Track {
 public:
  /// Journeys of which something was sent or received and that are not finished; more are
  /// forgotten.
  static constexpr std::size_t messages_max = 64;
  /// A message that has been under way for so long is waited for no more.
  static constexpr Duration patience = 2s;
  /// Of larger messages it is also known when their first bytes left.
  static constexpr std::size_t large_bytes_min = std::size_t{16} << 10;

  /// Where a stream is in its two flows, and its connection; null if that is gone.
  struct Positions {
    std::uint32_t written = 0;
    std::uint32_t read = 0;
    const stack::tcp::Connection* connection = nullptr;
  };

  Track(World& world, journey::Recorder& recorder, const FlowKey& flow,
        Function<Positions()> positions);
  /// Of a UDP socket.
  Track(Host& host, journey::Recorder& recorder, std::uint16_t port);
  Track(const Track&) = delete;
  Track& operator=(const Track&) = delete;
  ~Track();

  journey::Recorder& recorder() override { return recorder_; }
  journey::Connection& connection() override { return connection_; }
  journey::Level level() const override { return journey::Level::both_ends; }
  journey::Stamp now() const override { return follower_.now(); }
  journey::ClockIdentity clock() const override;

  /// Of a UDP socket: the datagram that is sent next.
  bool send(std::shared_ptr<journey::Journey> journey, journey::Way way, std::size_t bytes,
            std::size_t bytes_before = 0) override;
  bool awaits(const journey::Journey& journey) const override;
  void receive(const std::shared_ptr<journey::Journey>& journey, journey::Way way,
               std::size_t bytes_behind = 0) override;
  void expect() override {}
  std::optional<Duration> since_arrival() const override;
  bool keep_frames(bool wanted) override;
  void finish(const std::shared_ptr<journey::Journey>& journey) override;

  /// For a UDP socket.
  void datagram_written();

 private:
  struct Message {
    std::shared_ptr<journey::Journey> journey;
    journey::Way way{};
    bool is_ours = false;  // we have sent it
    FlowKey flow{};
    std::uint32_t end = 0;
    journey::Stamp since{};
  };
  void keep(Message message);
  void fill(const Message& message) const;
  std::optional<Follower::DatagramAt> last_read() const;

  World& world_;
  Follower& follower_;
  journey::Recorder& recorder_;
  journey::Connection connection_;
  FlowKey flow_{};
  Function<Positions()> positions_;
  Host* host_ = nullptr;  // of a UDP socket
  std::uint16_t port_ = 0;
  std::uint32_t sent_end_ = 0;
  bool has_sent_ = false;
  bool keeps_frames_ = false;
  std::vector<Message> to_leave_;  // marked datagrams
  std::vector<Message> messages_;
};

}  // namespace koine::sim
