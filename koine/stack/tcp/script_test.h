// Scripts of segments: what a peer sends and what our end has to answer, with the times, run
// against one connection in virtual time.
//
//     profile linux mss=1000
//     listen
//     0      <  SYN seq 0 win 20000 <mss 1000, sackok>
//     0      >  SYN ACK seq 0 ack 1 <mss 1000, sackok>
//     +0.1   <  ACK seq 1 ack 1 win 20000
//     +0     write 1500                     the application writes so many bytes
//     +0     >  ACK seq 1 ack 1 len 1000    ">" leaves our end, "<" arrives there
//     +0.2   >  PSH ACK seq 1001 len 500    0.2 s later, give or take the tolerance
//     9      quiet                          nothing else leaves until then
//
// A time is in seconds since the beginning, or with "+" since the line before. Sequence numbers
// count from either end's initial one, windows are as the header has them. "ts" takes the peer's
// clock and, as echo, ours in ticks since the beginning, or "last" for the last value that left.
// What a ">" line does not mention is not compared, except the flags; options are compared as a
// whole if there are any. Whatever leaves and is not expected fails the script, and so does what is
// missing.
//
// Each script runs several times, with sequence numbers and timestamps that wrap at different
// places.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <deque>
#include <sstream>
#include <string>
#include <vector>

#include "koine/stack/tcp/connection.h"

namespace koine::stack::tcp {

class Script {
 public:
  explicit Script(std::string text) : text_(std::move(text)) {}

  /// The first difference, as a text that begins with the line; empty if all went as written.
  std::string run() {
    struct Base {
      std::uint32_t iss, irs, stamp;
    };
    for (const Base base : {Base{0, 0, 0}, Base{0xffff'ffff, 0xffff'fffe, 0xffff'ffff},
                            Base{0xffff'fc00, 0x7fff'ff00, 0x7fff'fff0},
                            Base{0x7fff'f000, 0xffff'f800, 0xffff'ff00}}) {
      iss_ = {base.iss};
      irs_ = {base.irs};
      stamp_base_ = base.stamp;
      std::string difference = run_once();
      if (!difference.empty())
        return difference + "\n  (iss " + std::to_string(base.iss) + ", irs " +
               std::to_string(base.irs) + ")";
    }
    return {};
  }

  Environment& environment() { return *environment_; }

 private:
  struct Sent {
    Instant at;
    wire::TcpHeader header;
    std::uint32_t size = 0;
    bool wrong_data = false;
  };
  using Words = std::istringstream;

  static constexpr Instant start_ = Instant(10s);

  std::string run_once() {
    profile_ = strict_profile();
    environment_.reset();
    connection_.reset();
    sent_.clear();
    now_ = start_;
    listening_ = false;
    written_ = 0;
    tolerance_ = 1ms;
    last_stamp_ = 0;
    std::istringstream lines(text_);
    std::string line;
    for (int number = 1; std::getline(lines, line); ++number) {
      const auto comment = line.find('#');
      if (comment != std::string::npos) line.resize(comment);
      Words words(line);
      std::string first;
      if (!(words >> first)) continue;
      std::string difference = run_line(first, words);
      if (!difference.empty())
        return "line " + std::to_string(number) + ": " + line + "\n  " + difference;
    }
    collect();
    if (!sent_.empty()) return "at the end: unexpected " + describe(sent_.front());
    return {};
  }

  std::string run_line(const std::string& first, Words& words) {
    if (first == "profile") return set_profile(words);
    if (first == "tolerance") {
      double seconds = 0;
      words >> seconds;
      tolerance_ = duration_of(seconds);
      return {};
    }
    if (first == "listen") {
      listening_ = true;
      begin();
      return {};
    }
    const bool any_time = first == "*";
    Instant at = now_;
    if (!any_time) {
      const double seconds = std::stod(first);
      at = first[0] == '+' ? line_at_ + duration_of(seconds) : start_ + duration_of(seconds);
    }
    std::string verb;
    if (!(words >> verb)) return "a verb is missing";
    if (verb == ">") return expect(at, any_time, words);
    // Everything else happens at its time, after what leaves before it.
    advance_to(at);
    const bool together = at == line_at_ && verb != "<" && verb != "quiet";
    line_at_ = at;
    if (!sent_.empty() && !together) return "before it: unexpected " + describe(sent_.front());
    std::string difference = verb == "<" ? arrive(words) : act(verb, words);
    collect();
    return difference;
  }

  static Duration duration_of(double seconds) {
    return Duration(static_cast<Duration::rep>(std::llround(seconds * 1e9)));
  }

  std::string set_profile(Words& words) {
    std::string word;
    words >> word;
    profile_ = word == "linux" ? linux_profile() : strict_profile();
    profile_.hystart = false;
    while (words >> word) {
      const auto equals = word.find('=');
      const std::string key = word.substr(0, equals);
      const double value = std::stod(word.substr(equals + 1));
      const auto number = static_cast<std::uint32_t>(value);
      const bool on = number != 0;
      if (key == "mss")
        profile_.mss = static_cast<std::uint16_t>(number);
      else if (key == "sack")
        profile_.sack = on;
      else if (key == "ts")
        profile_.timestamps = on;
      else if (key == "scale")
        profile_.window_scale = on;
      else if (key == "reno")
        profile_.congestion = on ? CongestionControl::reno : CongestionControl::cubic;
      else if (key == "tlp")
        profile_.tail_loss_probe = on;
      else if (key == "buffer")
        profile_.receive_buffer_initial = profile_.receive_buffer_max = number;
      else if (key == "quick")
        profile_.quick_acks = static_cast<std::uint8_t>(number);
      else if (key == "abc")
        profile_.byte_counting_limit = static_cast<std::uint8_t>(number);
      else if (key == "iw")
        profile_.initial_window_segments = static_cast<std::uint8_t>(number);
      else if (key == "retries")
        profile_.retries = static_cast<std::uint8_t>(number);
      else if (key == "syn_retries")
        profile_.syn_retries = profile_.syn_ack_retries = static_cast<std::uint8_t>(number);
      else if (key == "rto_min")
        profile_.rto_min = duration_of(value);
      else if (key == "rto_max")
        profile_.rto_max = duration_of(value);
      else if (key == "send_buffer")
        profile_.send_buffer_max = number;
      else if (key == "keep_idle")
        profile_.keep_alive_idle = duration_of(value);
      else if (key == "keep_interval")
        profile_.keep_alive_interval = duration_of(value);
      else if (key == "keep_probes")
        profile_.keep_alive_probes = static_cast<std::uint8_t>(number);
      else if (key == "user_timeout")
        profile_.user_timeout = duration_of(value);
      else
        return "no such setting: " + key;
    }
    return {};
  }

  void begin() {
    environment_ = std::make_unique<Environment>(profile_, 1);
    renew();
  }
  void renew() {
    Opening opening;
    opening.iss = iss_;
    opening.timestamp_offset = stamp_base_ - static_cast<std::uint32_t>(start_.time_since_epoch() /
                                                                        profile_.timestamp_tick);
    opening.passive = listening_;
    connection_ = std::make_unique<Connection>(*environment_, opening);
  }

  void collect() {
    if (!connection_) return;
    while (auto departure = connection_->poll_transmit(now_)) {
      Sent sent{now_, departure->header, departure->data_size};
      std::vector<std::byte> data(departure->data_size);
      connection_->copy_data(*departure, data);
      for (std::size_t i = 0; i < data.size(); ++i)
        if (data[i] != content(departure->header.seq - iss_ - 1 + static_cast<std::uint32_t>(i)))
          sent.wrong_data = true;
      if (sent.header.options.timestamps) last_stamp_ = sent.header.options.timestamps->value;
      sent_.push_back(std::move(sent));
      if (sent_.size() > 10'000) return;
    }
  }
  static std::byte content(std::uint32_t position) {
    return static_cast<std::byte>(position * 7 % 251);
  }

  void advance_to(Instant at) {
    while (connection_) {
      collect();
      const Instant next = connection_->next_deadline();
      if (next > at || !sent_.empty()) break;
      now_ = std::max(now_, next);
    }
    if (sent_.empty()) now_ = std::max(now_, at);
  }

  // Whether a segment leaves by `at`; stops at the first.
  void wait_for_one(Instant at) {
    while (connection_ && sent_.empty()) {
      collect();
      if (!sent_.empty()) return;
      const Instant next = connection_->next_deadline();
      if (next > at) break;
      now_ = std::max(now_, next);
    }
  }

  std::string arrive(Words& words) {
    Described described;
    std::string error = parse(words, described, true);
    if (!error.empty()) return error;
    if (!connection_) return "there is no connection yet: listen or connect first";
    std::vector<std::byte> data(described.size);
    for (std::size_t i = 0; i < data.size(); ++i)
      data[i] = content(described.header.seq - irs_ - 1 + static_cast<std::uint32_t>(i));
    const Segment segment{described.header, data};
    if (listening_ && connection_->state() == State::closed && !accepted_by(segment)) return {};
    if (fresh_) {
      fresh_ = false;
      return {};
    }
    const Answer answer = connection_->input(segment, now_);
    if (answer.reset) sent_.push_back({now_, *answer.reset});
    if (answer.reopen) {
      iss_ = connection_->snd_nxt() + 1000;
      irs_ = described.header.seq;
      renew();
      connection_->accept(segment, now_);
    }
    return {};
  }
  bool fresh_ = false;
  bool accepted_by(const Segment& segment) {
    if (segment.header.flags.has(wire::tcp_syn) &&
        !segment.header.flags.has_any(wire::tcp_ack | wire::tcp_rst)) {
      renew();
      connection_->accept(segment, now_);
      fresh_ = true;
    }
    return fresh_;
  }

  std::string act(const std::string& verb, Words& words);

  struct Described {
    wire::TcpHeader header;
    std::uint32_t size = 0;
    bool has_seq = false, has_ack = false, has_window = false, has_size = false;
    bool has_options = false, any_stamp = false;
  };

  std::string parse(Words& words, Described& into, bool arriving) {
    wire::TcpHeader& header = into.header;
    const Seq own = arriving ? irs_ : iss_;
    const Seq other = arriving ? iss_ : irs_;
    std::string word;
    while (words >> word) {
      std::uint32_t number = 0;
      if (word == "SYN")
        header.flags |= wire::tcp_syn;
      else if (word == "ACK")
        header.flags |= wire::tcp_ack;
      else if (word == "FIN")
        header.flags |= wire::tcp_fin;
      else if (word == "RST")
        header.flags |= wire::tcp_rst;
      else if (word == "PSH")
        header.flags |= wire::tcp_psh;
      else if (word == "URG")
        header.flags |= wire::tcp_urg;
      else if (word == "ECE")
        header.flags |= wire::tcp_ece;
      else if (word == "CWR")
        header.flags |= wire::tcp_cwr;
      else if (word == "none")
        header.flags = {};
      else if (word == "seq" && words >> number)
        header.seq = own + number, into.has_seq = true;
      else if (word == "ack" && words >> number)
        header.ack = other + number, into.has_ack = true;
      else if (word == "win" && words >> number)
        header.window = static_cast<std::uint16_t>(number), into.has_window = true;
      else if (word == "urg" && words >> number)
        header.urgent = static_cast<std::uint16_t>(number);
      else if (word == "len" && words >> number)
        into.size = number, into.has_size = true;
      else if (word[0] == '<') {
        std::string rest;
        std::getline(words, rest);
        return parse_options(word.substr(1) + rest, into, arriving);
      } else
        return "not understood: " + word;
    }
    return {};
  }

  std::string parse_options(std::string text, Described& into, bool arriving) {
    into.has_options = true;
    for (char& each : text)
      if (each == ',' || each == '>' || each == ':') each = ' ';
    Words words(text);
    wire::TcpOptions& options = into.header.options;
    std::string word;
    while (words >> word) {
      unsigned number = 0;
      if (word == "mss" && words >> number)
        options.mss = static_cast<std::uint16_t>(number);
      else if (word == "scale" && words >> number)
        options.window_scale = static_cast<std::uint8_t>(number);
      else if (word == "sackok")
        options.sack_permitted = true;
      else if (word == "ts") {
        std::string value, echo;
        words >> value >> echo;
        into.any_stamp = value == "*";
        const auto theirs = [&](const std::string& t) {
          return 1'000'000 + stamp_base_ + static_cast<std::uint32_t>(std::stoul(t));
        };
        const auto ours = [&](const std::string& t) {
          return stamp_base_ + static_cast<std::uint32_t>(std::stoul(t));
        };
        wire::TcpTimestamps stamps;
        if (arriving) {
          stamps.value = theirs(value);
          stamps.echo = echo == "last" ? last_stamp_ : echo == "none" ? 0 : ours(echo);
        } else {
          stamps.value = value == "*" ? 0 : ours(value);
          stamps.echo = echo == "none" ? 0 : theirs(echo);
        }
        options.timestamps = stamps;
      } else if (word == "sack") {
        const Seq base = arriving ? iss_ : irs_;
        unsigned left = 0, right = 0;
        while (words >> left >> right) options.sack.push_back({base + left, base + right});
        if (words.eof()) break;
        words.clear();
      } else
        return "option not understood: " + word;
    }
    return {};
  }

  std::string expect(Instant at, bool any_time, Words& words) {
    Described expected;
    std::string error = parse(words, expected, false);
    if (!error.empty()) return error;
    wait_for_one(any_time ? now_ + std::chrono::hours(24) : at + tolerance_);
    if (sent_.empty()) {
      now_ = std::max(now_, at);
      return "nothing was sent";
    }
    const Sent sent = sent_.front();
    sent_.pop_front();
    line_at_ = any_time ? sent.at : at;
    if (!any_time && (sent.at < at - tolerance_ || sent.at > at + tolerance_))
      return "at the wrong time: " + describe(sent);
    const wire::TcpHeader& header = sent.header;
    const wire::TcpHeader& wanted = expected.header;
    wire::TcpOptions options = header.options;
    if (expected.any_stamp && options.timestamps) options.timestamps->value = 0;
    if (header.flags != wanted.flags || (expected.has_seq && header.seq != wanted.seq) ||
        (expected.has_ack && header.ack != wanted.ack) ||
        (expected.has_window && header.window != wanted.window) || sent.size != expected.size ||
        (expected.has_options && options != wanted.options))
      return "instead: " + describe(sent);
    if (sent.wrong_data) return "with wrong data: " + describe(sent);
    return {};
  }

  std::string describe(const Sent& sent) const {
    const wire::TcpHeader& header = sent.header;
    std::ostringstream text;
    text << std::chrono::duration<double>(sent.at - start_).count() << " > "
         << to_string(header.flags) << " seq " << header.seq - iss_ << " ack " << header.ack - irs_
         << " win " << header.window << " len " << sent.size << " <";
    if (header.options.mss) text << "mss " << *header.options.mss << ", ";
    if (header.options.sack_permitted) text << "sackok, ";
    if (header.options.timestamps)
      text << "ts " << header.options.timestamps->value - stamp_base_ << ' '
           << header.options.timestamps->echo - stamp_base_ - 1'000'000 << ", ";
    if (header.options.window_scale) text << "scale " << int{*header.options.window_scale} << ", ";
    for (const wire::SackBlock& block : header.options.sack)
      text << "sack " << block.left - irs_ << ':' << block.right - irs_ << ' ';
    text << ">  (cwnd " << (connection_ ? connection_->congestion_window() : 0) << ", "
         << (connection_ ? tcp::to_string(connection_->state()) : "") << ')';
    return text.str();
  }

  std::string text_;
  Profile profile_;
  std::unique_ptr<Environment> environment_;
  std::unique_ptr<Connection> connection_;
  std::deque<Sent> sent_;
  Instant now_{};
  Instant line_at_ = start_;
  Duration tolerance_{};
  bool listening_ = false;
  std::uint32_t written_ = 0;
  Seq iss_{};
  Seq irs_{};
  std::uint32_t stamp_base_ = 0;
  std::uint32_t last_stamp_ = 0;
};

inline std::string Script::act(const std::string& verb, Words& words) {
  std::string word;
  std::uint32_t number = 0;
  if (verb == "connect") {
    listening_ = false;
    begin();
    connection_->connect(now_);
    return {};
  }
  if (!connection_) return "there is no connection yet: listen or connect first";
  Connection& connection = *connection_;
  const auto same = [](auto got, auto wanted) {
    std::ostringstream text;
    if (got != wanted) text << "it is " << got;
    return text.str();
  };
  if (verb == "write" && words >> number) {
    std::vector<std::byte> data(number);
    for (std::uint32_t i = 0; i < number; ++i) data[i] = content(written_ + i);
    const auto taken = connection.write_now(data, now_);
    if (!taken) return "write: " + std::string(to_string(taken.error().fault()));
    written_ += static_cast<std::uint32_t>(*taken);
    if (words >> number) return same(*taken, std::size_t{number});
    return same(*taken, data.size());
  }
  if (verb == "write" || verb == "read") {
    words.clear();
    if (verb == "read" && words >> number) {
      std::vector<std::byte> data(number + 1);
      const auto got = connection.read_now(MutableBytes(data).first(std::max(number, 1u)), now_);
      if (!got) return "read: " + std::string(to_string(got.error().fault()));
      return same(*got, std::size_t{number});
    }
    words.clear();
    words >> word;
    std::byte data[1]{content(written_)};
    const auto got =
        verb == "read" ? connection.read_now(data, now_) : connection.write_now(data, now_);
    const std::string fault =
        got ? (*got == 0 ? "end" : "data") : std::string(to_string(got.error().fault()));
    std::string rest;
    while (words >> rest) word += " " + rest;
    return same(fault, word);
  }
  if (verb == "finish") return connection.finish(now_) ? "" : "refused";
  if (verb == "close") return connection.close(now_), "";
  if (verb == "abort") return connection.abort(), "";
  if (verb == "nodelay" && words >> word) return connection.set_no_delay(word == "on"), "";
  if (verb == "cork" && words >> word) return connection.set_cork(word == "on"), "";
  if (verb == "keepalive" && words >> word)
    return connection.set_keep_alive(word == "on", now_), "";
  if (verb == "state" && words >> word)
    return same(std::string(tcp::to_string(connection.state())), word);
  if (verb == "cwnd" && words >> number) return same(connection.congestion_window(), number);
  if (verb == "ssthresh" && words >> number) return same(connection.slow_start_threshold(), number);
  if (verb == "unacked" && words >> number) return same(connection.unacknowledged(), number);
  if (verb == "window" && words >> number) return same(connection.snd_wnd(), number);
  if (verb == "quiet") return "";
  if (verb == "fault" && words >> word) {
    std::string rest;
    while (words >> rest) word += " " + rest;
    const auto fault = connection.fault();
    return same(fault ? std::string(to_string(*fault)) : std::string("none"), word);
  }
  if (verb == "pmtu") {  // pmtu MSS SEQ
    std::uint32_t quoted = 0;
    words >> number >> quoted;
    connection.path_shrank(static_cast<std::uint16_t>(number), iss_ + quoted, now_);
    return {};
  }
  if (verb == "icmp" && words >> word >> number) {
    connection.unreachable(word == "port" ? Fault::refused : Fault::unreachable, iss_ + number);
    return {};
  }
  return "no such verb: " + verb;
}

#define EXPECT_SCRIPT(text)                                                 \
  do {                                                                      \
    const std::string difference = ::koine::stack::tcp::Script(text).run(); \
    EXPECT_TRUE(difference.empty()) << difference;                          \
  } while (false)

}  // namespace koine::stack::tcp
