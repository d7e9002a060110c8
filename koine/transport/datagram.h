// Datagram: messages that arrive whole, or not at all, and in no promised order. UDP, or a Unix
// datagram socket.
#pragma once

#include <cstddef>
#include <string>

#include "koine/async/wait.h"
#include "koine/base/bytes.h"
#include "koine/transport/address.h"

namespace koine {

/// Largest payload of one UDP datagram over IPv4: 65535 - 20 (IPv4) - 8 (UDP). RFC 768, RFC 791.
inline constexpr std::size_t datagram_bytes_max = 65507;

/// What arrived.
struct Received {
  std::size_t size = 0;  ///< bytes copied; zero is a datagram without payload, not an end
  Address from;
  bool truncated = false;  ///< it was longer than the room it was given; the rest is lost
};

/// One receive and one send may wait together. It belongs to the loop that made it.
///
/// What is sent to one peer in one turn of the loop may leave together, at the end of that turn or
/// when the socket dies; each datagram is still received by itself. When one that was accepted then
/// cannot be sent, the next send to that peer says so, or the next receive that finds nothing, or
/// flush(). What finds no room when the socket dies is sent as soon as there is some, for a bounded
/// time; whoever has to know that it left calls flush() before.
class Datagram {
 public:
  virtual ~Datagram() = default;

  /// Takes one datagram. Fails with would_block; with refused when an earlier one met a closed
  /// port, or with what became of a datagram that was sent.
  virtual Result<Received> receive_now(MutableBytes into) = 0;

  /// Sends one datagram: whole or not at all. over_limit if it is too large for the protocol or
  /// path.
  virtual Result<void> send_now(Bytes from, const Address& to) = 0;

  /// Hands what was accepted to the network. would_block while it has no room for that; fails with
  /// what became of a datagram that could not be sent.
  virtual Result<void> flush_now() = 0;

  /// From now on only `peer` is heard, and what it refuses is reported: a send that met a closed
  /// port makes the next receive fail with Fault::refused (RFC 1122, section 4.1.3.3).
  virtual Result<void> connect(const Address& peer) = 0;

  /// Woken when receive_now(), and send_now() or flush_now(), may do something again.
  virtual WaitList& readable() = 0;
  virtual WaitList& writable() = 0;

  /// Where peers reach us: the real port, even if port 0 was asked for.
  virtual Address local() const = 0;

  /// As errors name it: `udp://127.0.0.1:5353`.
  virtual std::string name() const = 0;
};

class [[nodiscard]] ReceiveFrom final : public Trying<ReceiveFrom, Received> {
 public:
  ReceiveFrom(Datagram& socket, MutableBytes into) : socket_(socket), into_(into) {}
  Result<Received> attempt_once() { return socket_.receive_now(into_); }
  void park() { socket_.readable().join(*this); }
  Activity activity() const override { return {"receive at", socket_.name()}; }

 private:
  Datagram& socket_;
  MutableBytes into_;
};

extern template class Trying<ReceiveFrom, Received>;

/// `Received datagram = co_await attempt(receive_from(socket, bytes))`
inline ReceiveFrom receive_from(Datagram& socket, MutableBytes into) { return {socket, into}; }

class [[nodiscard]] SendTo final : public Trying<SendTo, void> {
 public:
  SendTo(Datagram& socket, Bytes from, Address&& to)
      : socket_(socket), from_(from), to_(std::move(to)) {}
  Result<void> attempt_once() { return socket_.send_now(from_, to_); }
  void park() { socket_.writable().join(*this); }
  Activity activity() const override { return {"send to", to_string(to_)}; }

 private:
  Datagram& socket_;
  Bytes from_;
  Address to_;
};

extern template class Trying<SendTo, void>;

/// `co_await attempt(send_to(socket, bytes, datagram.from))`
inline SendTo send_to(Datagram& socket, Bytes from, Address to) {
  return SendTo(socket, from, std::move(to));
}

class [[nodiscard]] FlushDatagrams final : public Trying<FlushDatagrams, void> {
 public:
  explicit FlushDatagrams(Datagram& socket) : socket_(socket) {}
  Result<void> attempt_once() { return socket_.flush_now(); }
  void park() { socket_.writable().join(*this); }
  Activity activity() const override { return {"flush", socket_.name()}; }

 private:
  Datagram& socket_;
};

extern template class Trying<FlushDatagrams, void>;

/// `co_await attempt(flush(socket))`: the network has all that was sent.
inline FlushDatagrams flush(Datagram& socket) { return FlushDatagrams(socket); }

}  // namespace koine
