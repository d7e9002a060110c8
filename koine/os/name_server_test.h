// NameServer: a DNS server of the tests' own, on UDP and TCP at one port of the loopback (RFC
// 1035).
//
// It knows what it is told, says NXDOMAIN about the rest, and can be told to behave badly: to be
// silent, to fail, to truncate what it says over UDP.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "koine/async/scope.h"
#include "koine/transport/network.h"

namespace koine::os {

class NameServer {
 public:
  enum class Manner { answers, is_silent, fails, truncates };

  struct Entry {
    std::vector<IpAddress> addresses;
    Manner manner = Manner::answers;
  };

  /// Serves on `network` while it lives.
  static Result<std::unique_ptr<NameServer>> make(Network& network,
                                                  std::map<std::string, Entry> entries) {
    std::unique_ptr<NameServer> made(new NameServer(network.loop(), std::move(entries)));
    // A UDP port that is free is most often free for TCP too.
    for (int left = 20; made->tcp_ == nullptr; --left) {
      auto udp = network.bind(Endpoint::udp(loopback_v4, 0));
      if (!udp) return std::unexpected(std::move(udp.error()));
      made->udp_ = std::move(*udp);
      const Address here = made->udp_->local();
      if (!here.is_ip()) return fail(Fault::system, "find out", "the own port");
      made->address_ = to_string(here);
      auto tcp = network.listen(Endpoint::tcp(loopback_v4, here.port()));
      if (tcp) {
        made->tcp_ = std::move(*tcp);
      } else if (tcp.error() != Fault::address_in_use || left == 0) {
        return std::unexpected(std::move(tcp.error()));
      }
    }
    made->tasks_.spawn(serve_udp(*made));
    made->tasks_.spawn(serve_tcp(*made));
    return made;
  }
  NameServer(const NameServer&) = delete;

  /// As ResolverOptions::servers wants it.
  const std::string& address() const { return address_; }

  /// Questions so far.
  int asked_by_udp = 0;
  int asked_by_tcp = 0;

 private:
  NameServer(Loop& loop, std::map<std::string, Entry> entries)
      : entries_(std::move(entries)), tasks_(loop) {}

  static constexpr std::size_t header_bytes = 12;
  static constexpr int type_a = 1;
  static constexpr int type_aaaa = 28;

  static Io<void> serve_udp(NameServer& self) {
    std::vector<std::byte> room(512);
    for (;;) {
      const Received query = co_await attempt(receive_from(*self.udp_, room));
      ++self.asked_by_udp;
      const std::string reply = self.reply_to(as_text(Bytes(room).first(query.size)), false);
      if (!reply.empty()) co_await attempt(send_to(*self.udp_, as_bytes(reply), query.from));
    }
  }

  static Io<void> serve_tcp(NameServer& self) {
    Scope clients;
    for (;;) {
      auto client = co_await attempt(accept(*self.tcp_));
      clients.spawn(serve_client(self, std::move(client)));
    }
  }

  /// RFC 1035, section 4.2.2: two bytes of length before each message.
  static Task<void> serve_client(NameServer& self, std::unique_ptr<Stream> client) {
    std::string text;
    for (;;) {
      const auto bytes = co_await receive(*client);
      if (!bytes || bytes->size() == 0) co_return;
      text += bytes->text();
      while (text.size() >= 2) {
        const std::size_t size = load_be16(as_bytes(text).data());
        if (text.size() < 2 + size) break;
        ++self.asked_by_tcp;
        const std::string reply = self.reply_to(std::string_view(text).substr(2, size), true);
        text.erase(0, 2 + size);
        const std::string length{static_cast<char>(reply.size() >> 8),
                                 static_cast<char>(reply.size())};
        const auto written = co_await write_all(*client, length, reply);
        if (!written) co_return;
      }
    }
  }

  /// Empty for what gets no answer.
  std::string reply_to(std::string_view query, bool is_tcp) const {
    if (query.size() < header_bytes + 5) return {};
    std::string name;
    std::size_t at = header_bytes;
    while (at < query.size() && query[at] != '\0') {
      const auto size = static_cast<std::size_t>(static_cast<unsigned char>(query[at]));
      if (!name.empty()) name += '.';
      name += query.substr(at + 1, size);
      at += 1 + size;
    }
    if (at + 5 > query.size()) return {};
    const int type = load_be16(as_bytes(query).data() + at + 1);
    const std::string question(query.substr(header_bytes, at + 5 - header_bytes));

    const auto found = entries_.find(name);
    const Entry none;
    const Entry& entry = found == entries_.end() ? none : found->second;
    if (entry.manner == Manner::is_silent) return {};
    const bool truncates = entry.manner == Manner::truncates && !is_tcp;
    std::string answers;
    int count = 0;
    for (const IpAddress& address : entry.addresses) {
      if (truncates || address.is_v6() != (type == type_aaaa)) continue;
      if (type != type_a && type != type_aaaa) continue;
      const auto bytes = address.bytes();
      // The question's name, type, IN, a minute, the address.
      answers += std::string("\xc0\x0c\x00", 3) + static_cast<char>(type) +
                 std::string("\x00\x01\x00\x00\x00\x3c\x00", 7) + static_cast<char>(bytes.size());
      answers += as_text(bytes);
      ++count;
    }
    int code = 0;
    if (entry.manner == Manner::fails) code = 2;  // SERVFAIL
    if (found == entries_.end()) code = 3;        // NXDOMAIN
    // QR, AA, TC if truncated, RD; RA and the code; one question, `count` answers.
    std::string reply(query.substr(0, 2));
    reply += static_cast<char>(0x85 | (truncates ? 0x02 : 0));
    reply += static_cast<char>(0x80 | code);
    reply += std::string("\x00\x01", 2);
    reply += static_cast<char>(count >> 8);
    reply += static_cast<char>(count);
    reply += std::string(4, '\0');
    return reply + question + answers;
  }

  const std::map<std::string, Entry> entries_;
  std::string address_;
  std::unique_ptr<Datagram> udp_;
  std::unique_ptr<Listener> tcp_;
  Scope tasks_;
};

}  // namespace koine::os
