// What the contracts of datagram sockets share.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/contract/place.h"
#include "tests/contract/stories.h"

namespace koine::contract {

class DatagramContract : public ContractTest {
 protected:
  std::unique_ptr<Datagram> at(const Endpoint& endpoint) {
    auto made = server().bind(endpoint);
    EXPECT_TRUE(made) << why(made);
    return std::move(*made);
  }
  std::unique_ptr<Datagram> anywhere() { return at(place->any_udp()); }

  /// What `socket` receives next, of at most `room_bytes`.
  struct Heard {
    std::string text;
    Address from;
    bool truncated = false;
  };
  static Io<Heard> hear(Datagram& socket, std::size_t room_bytes) {
    std::string room(room_bytes, '\0');
    auto receiving = receive_from(socket, std::as_writable_bytes(std::span(room)));
    const Received received = co_await attempt(std::move(receiving));
    room.resize(received.size);
    co_return Heard{
        .text = std::move(room), .from = received.from, .truncated = received.truncated};
  }
  static constexpr std::size_t plenty = 65'536;

  /// Message number `i` of those below: it says so itself, and is of one of a few sizes.
  static std::string message(std::size_t i, std::size_t size) {
    std::string text = std::to_string(i) + ':';
    text.resize(std::max(size, text.size()), 'm');
    return text;
  }
  /// All in one go, without waiting for anything but room.
  static Io<void> send_all(Datagram& from, std::vector<std::string> messages, Address to) {
    for (const std::string& text : messages) co_await attempt(send_to(from, as_bytes(text), to));
    co_return {};
  }
  static Io<std::vector<Heard>> hear_all(Datagram& at, std::size_t count, std::size_t room) {
    std::vector<Heard> all;
    while (all.size() < count) {
      auto hearing = hear(at, room);
      all.push_back(co_await attempt(std::move(hearing)));
    }
    co_return all;
  }
};

}  // namespace koine::contract
