// Every state, flags, sequence number and acknowledgment against a second reading of the RFCs.
//
// oracle() below was written from the text of RFC 9293, section 3.10.7, and RFC 5961, as functions
// of plain numbers; it shares nothing with the connection. 9 states x 64 sets of flags x 7 places
// of the sequence number x 5 acknowledgments, with and without data, are put to both: 40,320 cases.
// Compared are the next state, whether a reset is sent back and with which number, and whether an
// ACK is.
#include <gtest/gtest.h>

#include "koine/stack/tcp/connection.h"

namespace koine::stack::tcp {
namespace {

constexpr std::uint32_t iss = 0xffff'ff00;  // ours wraps
constexpr std::uint32_t irs = 0x8000'0000;  // theirs goes through the sign

enum class Answered { nothing, ack, syn_ack, reset, any_ack };

struct Outcome {
  State state;
  Answered answered = Answered::nothing;
  std::uint32_t reset_seq = 0;
};

struct Case {
  State state;
  std::uint8_t flags;
  std::uint32_t seq, ack, size;
};

// What both sides of the comparison start from.
struct Situation {
  std::uint32_t snd_una, snd_nxt, rcv_nxt, rcv_wnd;
  std::uint32_t wnd_max = 30'000;
  bool fin_sent = false;
};

bool between(std::uint32_t low, std::uint32_t x, std::uint32_t high) {
  return x - low <= high - low;
}

Outcome oracle(const Case& c, const Situation& s) {
  const bool syn = (c.flags & 2) != 0, rst = (c.flags & 4) != 0, ack = (c.flags & 16) != 0;
  const bool fin = (c.flags & 1) != 0;
  Outcome out{c.state};
  if (c.state == State::syn_sent) {
    // "If SEG.ACK =< ISS or SEG.ACK > SND.NXT, send a reset (unless the RST bit is set)."
    if (ack && c.ack != iss + 1) {
      if (!rst) out.answered = Answered::reset, out.reset_seq = c.ack;
      return out;
    }
    if (rst) {
      if (ack) out.state = State::closed;
      return out;
    }
    if (!syn) return out;
    if (!ack) {
      out.state = State::syn_received;
      out.answered = Answered::syn_ack;
      return out;
    }
    out.state = fin ? State::close_wait : State::established;
    out.answered = Answered::ack;
    return out;
  }
  const std::uint32_t length = c.size + syn + fin;
  // RFC 6191 has the first word about a SYN in TIME-WAIT; without timestamps: a later number.
  if (c.state == State::time_wait && syn && !rst && !ack) {
    if (static_cast<std::int32_t>(c.seq - s.rcv_nxt) < 0)
      out.answered = Answered::ack;
    else
      out.state = State::closed;  // stands for "reopened"
    return out;
  }
  std::uint32_t seq = c.seq;
  bool has_syn = syn;
  std::uint32_t seg_length = length;
  if (c.state == State::syn_received && syn && !rst && seq == irs) {
    // Figure 8: the other SYN of a simultaneous open, or one that is repeated.
    if (!ack) {
      out.answered = Answered::syn_ack;
      return out;
    }
    seq += 1, has_syn = false, seg_length -= 1;
  }
  // First: table 6, for a window that is not zero.
  const std::uint32_t last_byte = seq + seg_length - 1;
  const bool acceptable =
      seq - s.rcv_nxt < s.rcv_wnd || (seg_length > 0 && last_byte - s.rcv_nxt < s.rcv_wnd);
  if (!acceptable) {
    if (!rst) out.answered = c.state == State::syn_received ? Answered::any_ack : Answered::ack;
    return out;
  }
  // Second: RFC 5961, section 3.2.
  if (rst) {
    if (seq != s.rcv_nxt) {
      out.answered = c.state == State::syn_received ? Answered::any_ack : Answered::ack;
    } else {
      out.state = State::closed;
    }
    return out;
  }
  // Fourth: in SYN-RECEIVED a passive open goes back to LISTEN; else RFC 5961, section 4.2.
  if (has_syn) {
    if (c.state == State::syn_received)
      out.state = State::closed;
    else
      out.answered = Answered::ack;
    return out;
  }
  // Fifth.
  if (!ack) return out;
  State state = c.state;
  if (state == State::syn_received) {
    if (c.ack == s.snd_una || !between(s.snd_una, c.ack, s.snd_nxt)) {
      out.answered = Answered::reset;
      out.reset_seq = c.ack;
      return out;
    }
    state = State::established;
  } else if (!between(s.snd_una - s.wnd_max, c.ack, s.snd_nxt)) {  // RFC 5961, section 5.2
    out.answered = Answered::ack;
    return out;
  }
  const bool ours_acked = s.fin_sent && c.ack == s.snd_nxt;
  if (ours_acked && state == State::fin_wait_1)
    state = State::fin_wait_2;
  else if (ours_acked && state == State::closing)
    state = State::time_wait;
  else if (ours_acked && state == State::last_ack) {
    out.state = State::closed;
    return out;
  }
  // Seventh and eighth. What lies left of the window is cut off; a FIN that has a hole before it
  // waits.
  const bool receives =
      state == State::established || state == State::fin_wait_1 || state == State::fin_wait_2;
  if (receives && seg_length > 0) {
    out.answered = Answered::any_ack;  // at once or a little later
    const bool fin_fits = fin && seq + c.size - s.rcv_nxt < s.rcv_wnd;
    const bool reaches = static_cast<std::int32_t>(seq - s.rcv_nxt) <= 0;
    if (fin_fits && reaches) {
      if (state == State::established)
        state = State::close_wait;
      else if (state == State::fin_wait_1)
        state = State::closing;
      else
        state = State::time_wait;
    }
  }
  if (c.state == State::time_wait && seg_length > 0) out.answered = Answered::ack;
  out.state = state;
  return out;
}

class Machine {
 public:
  explicit Machine(State wanted)
      : environment(profile(), 1),
        connection(environment, {.iss = {iss}, .passive = wanted != State::syn_sent}) {
    if (wanted == State::syn_sent) {
      connection.connect(now);
      drain();
      return;
    }
    Segment syn;
    syn.header = {.seq = {irs}, .flags = wire::tcp_syn, .window = 30'000};
    connection.accept(syn, now);
    drain();
    if (wanted == State::syn_received) return;
    say(irs + 1, iss + 1, wire::tcp_ack);
    const bool we_first = wanted == State::fin_wait_1 || wanted == State::fin_wait_2 ||
                          wanted == State::closing || wanted == State::time_wait;
    if (we_first) {
      EXPECT_TRUE(connection.finish(now));
      drain();
      if (wanted == State::fin_wait_2 || wanted == State::time_wait)
        say(irs + 1, iss + 2, wire::tcp_ack);
      if (wanted == State::closing || wanted == State::time_wait)
        say(irs + 1, wanted == State::closing ? iss + 1 : iss + 2, wire::tcp_ack | wire::tcp_fin);
    } else if (wanted != State::established) {
      say(irs + 1, iss + 1, wire::tcp_ack | wire::tcp_fin);
      if (wanted == State::last_ack) {
        EXPECT_TRUE(connection.finish(now));
        drain();
      }
    }
    EXPECT_EQ(connection.state(), wanted);
  }

  Situation situation() const {
    return {connection.snd_una().value,
            connection.snd_nxt().value,
            connection.rcv_nxt().value,
            connection.rcv_wnd(),
            30'000,
            connection.snd_nxt().value == iss + 2};
  }

  Outcome put(const Case& c) {
    std::vector<std::byte> data(c.size);
    Segment segment;
    segment.header = {.seq = {c.seq}, .ack = {c.ack}, .flags = {c.flags}, .window = 30'000};
    segment.data = data;
    const Answer answer = connection.input(segment, now);
    Outcome out{connection.state()};
    if (answer.reopen) out.state = State::closed;
    while (const auto sent = connection.poll_transmit(now)) {
      if (sent->header.flags.has(wire::tcp_syn))
        out.answered = Answered::syn_ack;
      else if (sent->header.flags.has(wire::tcp_ack))
        out.answered = Answered::ack;
    }
    if (answer.reset) out.answered = Answered::reset, out.reset_seq = answer.reset->seq.value;
    return out;
  }

 private:
  static Profile profile() {
    Profile profile = strict_profile();
    profile.sack = profile.timestamps = profile.window_scale = false;
    profile.segments_per_ack = 1;
    profile.receive_buffer_initial = profile.receive_buffer_max = 20'000;
    return profile;
  }
  void say(std::uint32_t seq, std::uint32_t ack, wire::TcpFlags flags) {
    Segment segment;
    segment.header = {.seq = {seq}, .ack = {ack}, .flags = flags, .window = 30'000};
    connection.input(segment, now);
    drain();
  }
  void drain() {
    while (connection.poll_transmit(now)) {
    }
  }

  Instant now{1000s};
  Environment environment;
  Connection connection;
};

TEST(Matrix, EveryCaseGoesAsTheRfcSays) {
  int cases = 0;
  int differences = 0;
  for (int state = 1; state <= static_cast<int>(State::time_wait); ++state) {
    for (int flags = 0; flags < 64; ++flags) {
      for (int place = 0; place < 7; ++place) {
        for (int acked = 0; acked < 5; ++acked) {
          for (const std::uint32_t size : {0u, 100u}) {
            const auto wanted = static_cast<State>(state);
            Machine machine(wanted);
            const Situation s = machine.situation();
            const std::uint32_t left = wanted == State::syn_sent ? irs : s.rcv_nxt;
            const std::uint32_t window = wanted == State::syn_sent ? 20'000 : s.rcv_wnd;
            const std::uint32_t seqs[] = {left - 200,    left, left + 5'000,      left + window - 1,
                                          left + window, irs,  left + 0x7fff'0000};
            const std::uint32_t acks[] = {s.snd_una - 40'000, s.snd_una - 1, s.snd_una, s.snd_nxt,
                                          s.snd_nxt + 1};
            const Case c{wanted, static_cast<std::uint8_t>(flags), seqs[place], acks[acked], size};
            const Outcome expected = oracle(c, s);
            const Outcome got = machine.put(c);
            ++cases;
            const bool answer_fits =
                got.answered == expected.answered ||
                (expected.answered == Answered::any_ack &&
                 (got.answered == Answered::ack || got.answered == Answered::syn_ack));
            const bool same =
                got.state == expected.state && answer_fits &&
                (expected.answered != Answered::reset || got.reset_seq == expected.reset_seq);
            if (same) continue;
            if (++differences <= 20)
              ADD_FAILURE() << to_string(wanted) << " flags " << to_string(wire::TcpFlags{c.flags})
                            << " seq class " << place << " ack class " << acked << " size " << size
                            << ": expected " << to_string(expected.state) << '/'
                            << static_cast<int>(expected.answered) << ", got "
                            << to_string(got.state) << '/' << static_cast<int>(got.answered);
          }
        }
      }
    }
  }
  EXPECT_EQ(cases, 9 * 64 * 7 * 5 * 2);
  EXPECT_EQ(differences, 0);
}

}  // namespace
}  // namespace koine::stack::tcp
