// What any good TCP does, told as scripts: opening, closing, loss recovery, windows, timers,
// options and defences. The names of google/packetdrill's and the Linux selftests' cases gave the
// list; the scripts are ours.
#include "koine/stack/tcp/script_test.h"

namespace koine::stack::tcp {
namespace {

// A listener's connection over a path of 100 ms, with segments of 1000 bytes, without timestamps.
const std::string served = R"(
    listen
    0     < SYN seq 0 win 30000 <mss 1000, sackok>
    0     > SYN ACK seq 0 ack 1 <mss 1460, sackok>
    0.1   < ACK seq 1 ack 1 win 30000
)";
const std::string served_without_sack = R"(
    listen
    0     < SYN seq 0 win 30000 <mss 1000>
    0     > SYN ACK seq 0 ack 1 <mss 1460>
    0.1   < ACK seq 1 ack 1 win 30000
)";
const std::string plain = "profile linux tlp=0 quick=0\n";

// So many segments of 1000 bytes that leave at once, the first at `seq`; the last one pushes.
std::string leaves(int count, int seq, bool push = true) {
  std::string text;
  for (int i = 0; i < count; ++i)
    text += std::string("+0 > ") + (push && i == count - 1 ? "PSH " : "") + "ACK seq " +
            std::to_string(seq + i * 1000) + " ack 1 len 1000\n";
  return text;
}

TEST(Opening, AcceptsAConnection) { EXPECT_SCRIPT(plain + served + "+0 state ESTABLISHED"); }

TEST(Opening, ConnectsWithAllOptions) {
  EXPECT_SCRIPT(R"(
    profile linux
    0     connect
    0     > SYN seq 0 win 64240 <mss 1460, sackok, ts 0 none, scale 8>
    0.05  < SYN ACK seq 0 ack 1 win 5000 <mss 1200, sackok, ts 700 0, scale 7>
    0.05  > ACK seq 1 ack 1 win 251 <ts 50 700>
    +0    state ESTABLISHED
    +0    window 5000
    0.2   < ACK seq 1 ack 1 win 100 <ts 800 50>
    +0    window 12800
    +0    write 2000
    +0    > ACK seq 1 len 1188 ack 1 <ts 200 800>
    +0    > PSH ACK seq 1189 len 812 ack 1 <ts 200 800>
  )");
}

TEST(Opening, RepeatsItsSynWithDoublingPausesAndGivesUp) {
  EXPECT_SCRIPT(R"(
    profile linux syn_retries=3 ts=0
    0   connect
    0   > SYN seq 0
    1   > SYN seq 0
    3   > SYN seq 0
    7   > SYN seq 0
    15  quiet
    +0  fault timed out
  )");
}

// However often it has doubled, the pause is never longer than the profile's.
TEST(Opening, TheSynAcksPausesGrowNoLongerThanTheLargest) {
  EXPECT_SCRIPT(R"(
    profile linux syn_retries=6 rto_max=3
    listen
    0   < SYN seq 0 win 1000 <mss 1000>
    0   > SYN ACK seq 0 ack 1
    1   > SYN ACK seq 0 ack 1
    3   > SYN ACK seq 0 ack 1
    6   > SYN ACK seq 0 ack 1
    9   > SYN ACK seq 0 ack 1
    12  > SYN ACK seq 0 ack 1
    15  > SYN ACK seq 0 ack 1
    99  quiet
    +0  state CLOSED
  )");
}

// RFC 9293, figure 8.
TEST(Opening, TwoSynsThatCrossMakeOneConnection) {
  EXPECT_SCRIPT(R"(
    profile linux ts=0 scale=0
    0    connect
    0    > SYN seq 0 <mss 1460, sackok>
    0.1  < SYN seq 0 win 10000 <mss 1000, sackok>
    0.1  > SYN ACK seq 0 ack 1 <mss 1460, sackok>
    +0   state SYN-RECEIVED
    0.2  < SYN ACK seq 0 ack 1 win 10000 <mss 1000, sackok>
    +0   state ESTABLISHED
    +0   write 10
    +0   > PSH ACK seq 1 ack 1 len 10
  )");
}

TEST(Opening, ClosingWhileConnectingIsSilent) {
  EXPECT_SCRIPT(R"(
    profile linux ts=0
    0    connect
    0    > SYN seq 0
    0.1  close
    +0   state CLOSED
    9    quiet
  )");
}

TEST(Opening, AResetRefusesAConnectionOnlyIfItAcknowledgesTheSyn) {
  EXPECT_SCRIPT(R"(
    profile linux ts=0
    0    connect
    0    > SYN seq 0
    0.1  < RST seq 0
    +0   state SYN-SENT
    0.1  < RST ACK seq 0 ack 0
    +0   state SYN-SENT
    0.1  < ACK seq 0 ack 500
    +0   > RST seq 500
    0.2  < RST ACK seq 0 ack 1
    +0   fault refused
  )");
}

TEST(Opening, ASynAckIsRepeatedUntilTheHandshakeIsCompleteOrHopeless) {
  EXPECT_SCRIPT(R"(
    profile linux syn_retries=2
    listen
    0   < SYN seq 0 win 1000 <mss 1000>
    0   > SYN ACK seq 0 ack 1
    1   > SYN ACK seq 0 ack 1
    2   < SYN seq 0 win 1000 <mss 1000>
    2   > SYN ACK seq 0 ack 1
    3   > SYN ACK seq 0 ack 1
    20  quiet
    +0  state CLOSED
  )");
}

TEST(Opening, SynBitsOfEcnChangeNothing) {
  EXPECT_SCRIPT(R"(
    profile linux
    listen
    0   < SYN ECE CWR seq 0 win 1000 <mss 1000>
    0   > SYN ACK seq 0 ack 1 <mss 1460>
    0.1 < ACK seq 1 ack 1 win 1000
    +0  state ESTABLISHED
  )");
}

TEST(Opening, AnswersOnlyTheOptionsThatThePeerHas) {
  for (const bool sack : {false, true})
    for (const bool stamps : {false, true})
      for (const bool scale : {false, true}) {
        std::string theirs = "mss 1000";
        std::string ours = "mss 1460";
        if (sack) theirs += ", sackok", ours += ", sackok";
        if (stamps) theirs += ", ts 7 none", ours += ", ts * 7";
        if (scale) theirs += ", scale 3", ours += ", scale 8";
        EXPECT_SCRIPT("profile linux\n listen\n 0 < SYN seq 0 win 9000 <" + theirs +
                      ">\n 0 > SYN ACK seq 0 ack 1 win 64240 <" + ours + ">\n");
      }
}

// smoltcp 995: whoever connects keeps to what the SYN-ACK agreed to, too.
TEST(Opening, UsesOnlyTheOptionsThatTheAnswerHas) {
  for (const bool sack : {false, true})
    for (const bool stamps : {false, true})
      for (const bool scale : {false, true}) {
        std::string theirs = "mss 1012";
        if (sack) theirs += ", sackok";
        if (stamps) theirs += ", ts 7 0";
        if (scale) theirs += ", scale 3";
        std::string stamp = stamps ? "ts * 7" : "";
        const std::string block = sack ? "sack 1001:2001" : "";
        const std::string comma = stamps && sack ? ", " : "";
        EXPECT_SCRIPT("profile linux quick=0\n" + std::string(R"(
    0    connect
    0    > SYN seq 0 <mss 1460, sackok, ts * none, scale 8>
    0.1  < SYN ACK seq 0 ack 1 win 9000 <)") +
                      theirs + R"(>
    +0   > ACK seq 1 ack 1 win )" +
                      (scale ? "251" : "64240") + " <" + stamp + R"(>
    +0   window 9000
    0.2  < ACK seq 1001 ack 1 win 9000 len 1000 <)" +
                      (stamps ? "ts 8 0" : "") + R"(>
    +0   > ACK seq 1 ack 1 <)" +
                      stamp + comma + block + R"(>
    +0   window )" + (scale ? "72000" : "9000") +
                      R"(
    +0   write 10
    +0   > PSH ACK seq 1 len 10
)");
      }
}

// A peer that goes on with an ACK without the option it had agreed to (gVisor 11536).
TEST(Opening, AnAckWithoutTimestampsStillCompletesTheHandshake) {
  EXPECT_SCRIPT(R"(
    profile linux
    listen
    0   < SYN seq 0 win 9000 <mss 1000, ts 7 none>
    0   > SYN ACK seq 0 ack 1
    0.1 < ACK seq 1 ack 1 win 9000
    +0  state ESTABLISHED
  )");
}

TEST(Reading, BlocksUntilDataComesAndThenTheEnd) {
  EXPECT_SCRIPT(plain + served + R"(
    +0   read would block
    0.2  < PSH ACK seq 1 ack 1 win 30000 len 700
    +0   read 500
    +0   read 200
    +0   read would block
    0.24 > ACK seq 1 ack 701
    0.3  < FIN ACK seq 701 ack 1 win 30000
    0.3  > ACK seq 1 ack 702
    +0   read end
    +0   read end
  )");
}

TEST(Writing, BlocksWhenTheBufferIsFullAndGoesOnWhenItDrains) {
  EXPECT_SCRIPT("profile linux tlp=0 send_buffer=3000\n" + served + R"(
    +0   write 4000 3000
    +0   write would block
    +0   > ACK seq 1 len 1000
    +0   > ACK seq 1001 len 1000
    +0   > PSH ACK seq 2001 len 1000
    0.2  < ACK seq 1 ack 2001 win 30000
    +0   write 2000
    +0   > ACK seq 3001 len 1000
    +0   > PSH ACK seq 4001 len 1000
  )");
}

TEST(Closing, WeFirst) {
  EXPECT_SCRIPT(plain + served + R"(
    0.2  close
    +0   > FIN ACK seq 1 ack 1
    +0   state FIN-WAIT-1
    0.3  < ACK seq 1 ack 2 win 30000
    +0   state FIN-WAIT-2
    0.4  < FIN ACK seq 1 ack 2 win 30000
    +0   > ACK seq 2 ack 2
    +0   state TIME-WAIT
    60   quiet
    +0   state TIME-WAIT
    60.5 quiet
    +0   state CLOSED
  )");
}

TEST(Closing, ThePeerFirst) {
  EXPECT_SCRIPT(plain + served + R"(
    0.2  < FIN ACK seq 1 ack 1 win 30000
    +0   > ACK seq 1 ack 2
    +0   state CLOSE-WAIT
    0.3  write 100
    +0   > PSH ACK seq 1 ack 2 len 100
    0.35 close
    +0   > FIN ACK seq 101 ack 2
    +0   state LAST-ACK
    0.4  < ACK seq 2 ack 102 win 30000
    +0   state CLOSED
    9    quiet
  )");
}

TEST(Closing, BothAtOnce) {
  EXPECT_SCRIPT(plain + served + R"(
    0.2  close
    +0   > FIN ACK seq 1 ack 1
    0.25 < FIN ACK seq 1 ack 1 win 30000
    +0   > ACK seq 2 ack 2
    +0   state CLOSING
    0.3  < ACK seq 2 ack 2 win 30000
    +0   state TIME-WAIT
  )");
}

TEST(Closing, AFinIsRepeatedUntilItIsAcknowledged) {
  EXPECT_SCRIPT(plain + served + R"(
    1    finish
    1    > FIN ACK seq 1 ack 1
    1.3  > FIN ACK seq 1 ack 1
    1.9  > FIN ACK seq 1 ack 1
    2    < ACK seq 1 ack 2 win 30000
    9    quiet
    +0   state FIN-WAIT-2
  )");
}

TEST(Closing, AFinOutOfOrderCountsWhenTheHoleIsFilled) {
  EXPECT_SCRIPT(plain + served + R"(
    0.2  finish
    +0   > FIN ACK seq 1 ack 1
    0.3  < ACK seq 1 ack 2 win 30000
    0.3  < FIN ACK seq 1001 ack 2 win 30000 len 500
    +0   > ACK seq 2 ack 1 <sack 1001:1501>
    +0   state FIN-WAIT-2
    0.4  < ACK seq 1 ack 2 win 30000 len 1000
    +0   > ACK seq 2 ack 1502
    +0   state TIME-WAIT
    +0   read 1500
    +0   read end
  )");
}

TEST(Closing, HalfClosedStillReadsAndDelivers) {
  EXPECT_SCRIPT(plain + served + R"(
    0.2  write 300
    +0   finish
    +0   > PSH ACK seq 1 ack 1 len 300
    +0   > FIN ACK seq 301 ack 1
    0.3  < ACK seq 1 ack 302 win 30000
    90   < PSH ACK seq 1 ack 302 win 30000 len 400
    +0.04 > ACK seq 302 ack 401
    +0   read 400
    91   < FIN ACK seq 401 ack 302 win 30000
    +0   > ACK seq 302 ack 402
    +0   read end
    +0   close
    +0   state TIME-WAIT
  )");
}

// shutdown() of the writing side first, close() before the peer has finished.
TEST(Closing, FinishingFirstAndClosingLaterSendsOneFin) {
  EXPECT_SCRIPT(plain + served + R"(
    0.2  finish
    +0   > FIN ACK seq 1 ack 1
    0.3  < ACK seq 1 ack 2 win 30000
    0.4  close
    +0   state FIN-WAIT-2
    0.5  < FIN ACK seq 1 ack 2 win 30000
    +0   > ACK seq 2 ack 2
    +0   state TIME-WAIT
  )");
}

TEST(Closing, WithUnreadDataItResets) {
  EXPECT_SCRIPT(plain + served + R"(
    0.2  < PSH ACK seq 1 ack 1 win 30000 len 400
    +0   close
    +0   > RST ACK seq 1 ack 401
    +0   state CLOSED
  )");
}

TEST(Closing, WithEverythingReadItDoesNotReset) {
  EXPECT_SCRIPT(plain + served + R"(
    0.2  < PSH ACK seq 1 ack 1 win 30000 len 400
    +0   read 400
    +0   close
    +0   > FIN ACK seq 1 ack 401
  )");
}

TEST(Closing, DataForNobodyIsAnsweredWithAReset) {
  EXPECT_SCRIPT(plain + served + R"(
    0.2  close
    +0   > FIN ACK seq 1 ack 1
    0.3  < ACK seq 1 ack 2 win 30000
    0.4  < PSH ACK seq 1 ack 2 win 30000 len 400
    +0   > RST ACK seq 2 ack 1
    +0   state CLOSED
  )");
}

TEST(Closing, AnOrphanDoesNotWaitForeverForTheOtherFin) {
  EXPECT_SCRIPT(plain + served + R"(
    0.2  close
    +0   > FIN ACK seq 1 ack 1
    0.3  < ACK seq 1 ack 2 win 30000
    61   quiet
    +0   state CLOSED
  )");
}

TEST(Closing, AbortResetsAtOnce) {
  EXPECT_SCRIPT(plain + served + R"(
    0.2  write 100
    +0   > PSH ACK seq 1 len 100
    +0   abort
    +0   > RST ACK seq 101 ack 1
    +0   read closed
    +0   write closed
  )");
}

TEST(TimeWait, AcknowledgesTheFinAgainAndBeginsAnew) {
  EXPECT_SCRIPT(plain + served + R"(
    0.2  close
    +0   > FIN ACK seq 1 ack 1
    0.3  < FIN ACK seq 1 ack 2 win 30000
    +0   > ACK seq 2 ack 2
    40   < FIN ACK seq 1 ack 2 win 30000
    +0   > ACK seq 2 ack 2
    70   quiet
    +0   state TIME-WAIT
    101  quiet
    +0   state CLOSED
  )");
}

// RFC 6191: a later sequence number, or a later timestamp, is a new connection.
TEST(TimeWait, ANewSynReopens) {
  EXPECT_SCRIPT(plain + served + R"(
    0.2  close
    +0   > FIN ACK seq 1 ack 1
    0.3  < FIN ACK seq 1 ack 2 win 30000
    +0   > ACK seq 2 ack 2
    5    < SYN seq 500000 win 9000 <mss 1000>
    +0   > SYN ACK seq 0 ack 1
  )");
}

TEST(TimeWait, AnOldSynIsChallenged) {
  EXPECT_SCRIPT(plain + served + R"(
    0.15 < PSH ACK seq 1 ack 1 win 30000 len 100
    +0   read 100
    0.19 > ACK seq 1 ack 101
    0.2  close
    +0   > FIN ACK seq 1 ack 101
    0.3  < FIN ACK seq 101 ack 2 win 30000
    +0   > ACK seq 2 ack 102
    5    < SYN seq 50 win 9000 <mss 1000>
    +0   > ACK seq 2 ack 102
    +0   state TIME-WAIT
  )");
}

TEST(FastRetransmit, ThreeDuplicateAcksWithoutSack) {
  EXPECT_SCRIPT("profile linux reno=1\n" + served_without_sack + "0.2 write 4000\n" + leaves(4, 1) +
                R"(
    0.3  < ACK seq 1 ack 1 win 30000
    0.3  < ACK seq 1 ack 1 win 30000
    0.3  < ACK seq 1 ack 1 win 30000
    0.3  > ACK seq 1 len 1000
    0.4  < ACK seq 1 ack 4001 win 30000
    9    quiet
  )");
}

TEST(FastRetransmit, ThreeSegmentsThatAreSacked) {
  EXPECT_SCRIPT("profile linux reno=1\n" + served + "0.2 write 4000\n" + leaves(4, 1) + R"(
    0.3  < ACK seq 1 ack 1 win 30000 <sack 1001:2001>
    0.3  < ACK seq 1 ack 1 win 30000 <sack 1001:3001>
    0.3  < ACK seq 1 ack 1 win 30000 <sack 1001:4001>
    0.3  > ACK seq 1 len 1000
    0.4  < ACK seq 1 ack 4001 win 30000
    9    quiet
  )");
}

// The last byte of the fourth segment is reported: parts of segments say nothing, so the first
// three are repeated when the time has come, and everything arrives.
TEST(FastRetransmit, ASackOfTheLastSegmentAloneFindsTheOthersByTime) {
  EXPECT_SCRIPT(plain + served + "0.2 write 4000\n" + leaves(4, 1) + R"(
    0.3   < ACK seq 1 ack 1 win 30000 <sack 3001:4001>
    0.325 > ACK seq 1 len 1000
    0.425 < ACK seq 1 ack 1001 win 30000 <sack 3001:4001>
    +0    > ACK seq 1001 len 1000
    +0    > ACK seq 2001 len 1000
    0.525 < ACK seq 1 ack 4001 win 30000
    9     quiet
  )");
}

// RFC 3042.
TEST(LimitedTransmit, NewDataForTheFirstTwoDuplicates) {
  for (const bool sack : {false, true})
    EXPECT_SCRIPT("profile linux tlp=0 iw=4\n" + (sack ? served : served_without_sack) +
                  "0.2 write 9000\n" + leaves(4, 1, false) + "0.3 < ACK seq 1 ack 1 win 30000" +
                  (sack ? " <sack 1001:2001>" : "") + R"(
    0.3  > ACK seq 4001 len 1000
    0.3  < ACK seq 1 ack 1 win 30000)" +
                  (sack ? " <sack 1001:3001>" : "") + R"(
    0.3  > ACK seq 5001 len 1000
    0.3  < ACK seq 1 ack 1 win 30000)" +
                  (sack ? " <sack 1001:4001>" : "") + R"(
    0.3  > ACK seq 1 len 1000
  )");
}

// RFC 6937: one segment of ten is lost; half of the window is left (Reno), and what is sent follows
// what arrives.
TEST(Prr, OneOfTenLost) {
  EXPECT_SCRIPT("profile linux tlp=0 reno=1\n" + served + "0.2 write 14000\n" +
                leaves(10, 1, false) + R"(
    0.3  < ACK seq 1 ack 1 win 30000 <sack 1001:2001>
    0.3  > ACK seq 10001 len 1000
    0.3  < ACK seq 1 ack 1 win 30000 <sack 1001:3001>
    0.3  > ACK seq 11001 len 1000
    0.3  < ACK seq 1 ack 1 win 30000 <sack 1001:4001>
    0.3  > ACK seq 1 len 1000
    +0   ssthresh 5000
    0.3  < ACK seq 1 ack 1 win 30000 <sack 1001:5001>
    0.3  < ACK seq 1 ack 1 win 30000 <sack 1001:6001>
    0.3  < ACK seq 1 ack 1 win 30000 <sack 1001:7001>
    0.3  > ACK seq 12001 len 1000
    0.3  < ACK seq 1 ack 1 win 30000 <sack 1001:8001>
    0.3  < ACK seq 1 ack 1 win 30000 <sack 1001:9001>
    0.3  < ACK seq 1 ack 1 win 30000 <sack 1001:10001>
    0.3  > PSH ACK seq 13001 len 1000
    0.4  < ACK seq 1 ack 14001 win 30000
    +0   cwnd 5000
    9    quiet
  )");
}

// Four of thirty are lost at the head: all are repeated, paced by what is reported, without a
// timeout.
TEST(Prr, FourOfThirtyLostAreRepairedInOneRecovery) {
  std::string script = "profile linux tlp=0 reno=1 iw=30\n";
  script += R"(
    listen
    0    < SYN seq 0 win 60000 <mss 400, sackok>
    0    > SYN ACK seq 0 ack 1
    0.1  < ACK seq 1 ack 1 win 60000
    0.2  write 12000
)";
  for (int i = 0; i < 30; ++i)
    script += std::string("+0 > ") + (i == 29 ? "PSH " : "") + "ACK seq " +
              std::to_string(1 + i * 400) + " len 400\n";
  int repaired = 0;
  for (int sacked = 1; sacked <= 26; ++sacked) {
    script +=
        "0.3 < ACK seq 1 ack 1 win 60000 <sack 1601:" + std::to_string(1601 + sacked * 400) + ">\n";
    // The first at the third report; then the pipe has to come down to 15 segments first: one for
    // every two that arrive.
    const bool leaves_now = sacked == 3 || sacked == 6 || sacked == 8 || sacked == 10;
    if (leaves_now && repaired < 4)
      script += "0.3 > ACK seq " + std::to_string(1 + 400 * repaired++) + " len 400\n";
  }
  script += "0.4 < ACK seq 1 ack 12001 win 60000\n 9 quiet\n";
  EXPECT_SCRIPT(script);
}

TEST(Acks, BelowTheWindowChangeNothing) {
  EXPECT_SCRIPT(plain + served + "0.2 write 10000\n" + leaves(10, 1) + R"(
    0.3  < ACK seq 1 ack 6001 win 30000
    0.3  < ACK seq 1 ack 3001 win 30000
    0.3  < ACK seq 1 ack 1001 win 100
    +0   window 30000
    +0   unacked 4000
    0.4  < ACK seq 1 ack 10001 win 30000
    9    quiet
  )");
}

// Islands that grow together in any order.
TEST(Sack, BlocksThatMergeInAnyOrderRepairOnlyWhatIsMissing) {
  EXPECT_SCRIPT("profile linux tlp=0\n" + served + "0.2 write 10000\n" + leaves(10, 1) + R"(
    0.3  < ACK seq 1 ack 1 win 30000 <sack 2001:3001>
    0.3  < ACK seq 1 ack 1 win 30000 <sack 6001:7001 2001:3001>
    0.3  < ACK seq 1 ack 1 win 30000 <sack 8001:9001 6001:7001 2001:3001>
    # All holes below the newest report; two segments for what has arrived.
    0.3  > ACK seq 1 len 1000
    0.3  > ACK seq 1001 len 1000
    0.3  < ACK seq 1 ack 1 win 30000 <sack 3001:4001 8001:9001 6001:7001 2001:3001>
    0.3  > ACK seq 4001 len 1000
    0.3  > ACK seq 5001 len 1000
    0.3  < ACK seq 1 ack 1 win 30000 <sack 9001:10001 2001:4001 6001:7001>
    0.3  > ACK seq 7001 len 1000
    0.4  < ACK seq 1 ack 10001 win 30000
    9    quiet
  )");
}

// An ACK that was overtaken comes in the middle of a recovery and moves nothing back; what it
// reports counts.
TEST(Sack, AnOldAckInARecoveryStillReportsWhatArrived) {
  EXPECT_SCRIPT("profile linux tlp=0\n" + served + "0.2 write 10000\n" + leaves(10, 1) + R"(
    0.3  < ACK seq 1 ack 2001 win 30000
    0.3  < ACK seq 1 ack 2001 win 30000 <sack 3001:4001>
    0.3  < ACK seq 1 ack 2001 win 30000 <sack 3001:5001>
    0.3  < ACK seq 1 ack 2001 win 30000 <sack 3001:6001>
    0.3  > ACK seq 2001 len 1000
    0.31 < ACK seq 1 ack 1001 win 100 <sack 7001:8001>
    +0   window 30000
    +0   unacked 8000
    # The hole before the last report is older than it, and has had its time.
    0.31 > ACK seq 6001 len 1000
    0.4  < ACK seq 1 ack 10001 win 30000
    9    quiet
  )");
}

TEST(Sack, ReportsTheNewestBlockFirstAndDuplicatesOnce) {
  EXPECT_SCRIPT(plain + served + R"(
    0.2  < ACK seq 1001 ack 1 win 30000 len 1000
    +0   > ACK seq 1 ack 1 <sack 1001:2001>
    0.2  < ACK seq 3001 ack 1 win 30000 len 1000
    +0   > ACK seq 1 ack 1 <sack 3001:4001 1001:2001>
    0.2  < ACK seq 5001 ack 1 win 30000 len 1000
    +0   > ACK seq 1 ack 1 <sack 5001:6001 3001:4001 1001:2001>
    0.2  < ACK seq 7001 ack 1 win 30000 len 1000
    +0   > ACK seq 1 ack 1 <sack 7001:8001 5001:6001 3001:4001 1001:2001>
    0.2  < ACK seq 9001 ack 1 win 30000 len 1000
    +0   > ACK seq 1 ack 1 <sack 9001:10001 7001:8001 5001:6001 3001:4001>
    0.2  < ACK seq 2001 ack 1 win 30000 len 1000
    +0   > ACK seq 1 ack 1 <sack 1001:4001 9001:10001 7001:8001 5001:6001>
    0.2  < ACK seq 3001 ack 1 win 30000 len 1000
    +0   > ACK seq 1 ack 1 <sack 3001:4001 1001:4001 9001:10001 7001:8001>
    0.2  < ACK seq 1 ack 1 win 30000 len 1000
    +0   > ACK seq 1 ack 4001 <sack 9001:10001 7001:8001 5001:6001>
    0.2  < ACK seq 1 ack 1 win 30000 len 1000
    +0   > ACK seq 1 ack 4001 <sack 1:1001 9001:10001 7001:8001 5001:6001>
  )");
}

TEST(Dsack, ARetransmissionThatWasNeedlessIsUndone) {
  EXPECT_SCRIPT("profile linux tlp=0\n" + served + "0.2 write 10000\n" + leaves(10, 1) + R"(
    0.3  < ACK seq 1 ack 1 win 30000 <sack 1001:4001>
    0.3  > ACK seq 1 len 1000
    +0   ssthresh 7000
    0.31 < ACK seq 1 ack 4001 win 30000
    0.4  < ACK seq 1 ack 4001 win 30000 <sack 1:1001>
    +0   cwnd 10000
  )");
}

TEST(Dsack, TwoThatWereNeedlessAreUndoneWithTheSecondReport) {
  EXPECT_SCRIPT("profile linux tlp=0\n" + served + "0.2 write 10000\n" + leaves(10, 1) + R"(
    0.3  < ACK seq 1 ack 1 win 30000 <sack 2001:3001>
    0.3  < ACK seq 1 ack 1 win 30000 <sack 2001:4001>
    0.3  < ACK seq 1 ack 1 win 30000 <sack 2001:5001>
    0.3  > ACK seq 1 len 1000
    0.3  > ACK seq 1001 len 1000
    +0   ssthresh 7000
    0.31 < ACK seq 1 ack 5001 win 30000
    0.4  < ACK seq 1 ack 5001 win 30000 <sack 1:1001>
    +0   ssthresh 7000
    0.41 < ACK seq 1 ack 5001 win 30000 <sack 1001:2001>
    +0   cwnd 10000
    0.42 < ACK seq 1 ack 10001 win 30000
    9    quiet
  )");
}

TEST(SlowStart, GrowsByWhatIsAcknowledged) {
  EXPECT_SCRIPT("profile linux tlp=0\n" + served + "0.2 write 30000\n" + leaves(10, 1, false) + R"(
    0.3  < ACK seq 1 ack 1001 win 60000
    +0   > ACK seq 10001 len 1000
    +0   > ACK seq 11001 len 1000
    +0   cwnd 11000
    0.3  < ACK seq 1 ack 3001 win 60000
    +0   > ACK seq 12001 len 1000
    +0   > ACK seq 13001 len 1000
    +0   > ACK seq 14001 len 1000
    +0   > ACK seq 15001 len 1000
    +0   cwnd 13000
  )");
}

TEST(SlowStart, BeginsAgainAfterIdleness) {
  EXPECT_SCRIPT("profile linux tlp=0\n" + served + "0.2 write 10000\n" + leaves(10, 1) + R"(
    0.3  < ACK seq 1 ack 10001 win 60000
    +0   cwnd 18000
    5    write 20000
)" + leaves(10, 10'001, false) +
                "5 cwnd 10000\n");
}

TEST(SlowStart, DoesNotGrowAWindowThatIsNotUsed) {
  EXPECT_SCRIPT("profile linux tlp=0\n" + served + R"(
    0.2  write 1000
    +0   > PSH ACK seq 1 len 1000
    0.3  < ACK seq 1 ack 1001 win 60000
    +0   write 1000
    +0   > PSH ACK seq 1001 len 1000
    0.4  < ACK seq 1 ack 2001 win 60000
    +0   cwnd 10000
  )");
}

TEST(SlowStart, BeginsWithOneSegmentIfSynsWereLost) {
  EXPECT_SCRIPT(R"(
    profile strict tlp=0
    0    connect
    0    > SYN seq 0
    1    > SYN seq 0
    1.1  < SYN ACK seq 0 ack 1 win 30000 <mss 1000>
    +0   > ACK seq 1 ack 1
    +0   cwnd 1000
    1.2  write 2000
    +0   > ACK seq 1 len 1000
    # RFC 6298, 5.7: no sample yet, so 3 s.
    4.2  > ACK seq 1 len 1000
  )");
}

TEST(Rack, TheReorderingTimerRepairsWithoutThreeReports) {
  EXPECT_SCRIPT(plain + served + "0.2 write 3000\n" + leaves(3, 1) + R"(
    0.3   < ACK seq 1 ack 1 win 30000 <sack 1001:2001>
    # A quarter of the round trip later it counts as lost.
    0.325 > ACK seq 1 len 1000
    0.4   < PSH ACK seq 1 ack 1 win 30000 len 100 <sack 1001:3001>
    0.425 < ACK seq 101 ack 3001 win 30000
    0.44  > ACK seq 3001 ack 101
    9     quiet
  )");
}

TEST(Tlp, ALostTailIsProbedAfterTwoRoundTrips) {
  EXPECT_SCRIPT("profile linux\n" + served + "0.2 write 4000\n" + leaves(4, 1) + R"(
    # 2 SRTT; the answer shows what is missing.
    0.4  > PSH ACK seq 3001 len 1000
    0.5  < ACK seq 1 ack 2001 win 30000 <sack 3001:4001>
    # What was sent before the probe's answer and is missing has had its time.
    0.5  > ACK seq 2001 len 1000
    0.6  < ACK seq 1 ack 4001 win 30000
    9    quiet
  )");
}

TEST(Rto, DoublesAndStartsFromTheMeasuredRoundTrip) {
  EXPECT_SCRIPT("profile linux tlp=0\n" + served + R"(
    0.2  write 1000
    +0   > PSH ACK seq 1 len 1000
    0.5  > PSH ACK seq 1 len 1000
    +0   cwnd 1000
    1.1  > PSH ACK seq 1 len 1000
    2.3  > PSH ACK seq 1 len 1000
    2.4  < ACK seq 1 ack 1001 win 30000
    9    quiet
  )");
}

TEST(Rto, EifelPutsTheWindowBackWhenTheOriginalIsAnswered) {
  EXPECT_SCRIPT(R"(
    profile linux tlp=0
    listen
    0    < SYN seq 0 win 30000 <mss 1012, sackok, ts 0 none>
    0    > SYN ACK seq 0 ack 1 <mss 1460, sackok, ts 0 0>
    0.1  < ACK seq 1 ack 1 win 30000 <ts 100 0>
    0.2  write 3000
    +0   > ACK seq 1 len 1000 <ts 200 100>
    +0   > ACK seq 1001 len 1000 <ts 200 100>
    +0   > PSH ACK seq 2001 len 1000 <ts 200 100>
    0.5  > ACK seq 1 len 1000 <ts 500 100>
    +0   cwnd 1000
    0.6  < ACK seq 1 ack 1001 win 30000 <ts 600 200>
    +0   cwnd 10000
    0.6  < ACK seq 1 ack 3001 win 30000 <ts 600 200>
    9    quiet
  )");
}

TEST(Nagle, ASmallSegmentWaitsForWhatIsOut) {
  EXPECT_SCRIPT("profile strict tlp=0 ts=0\n" + served + R"(
    0.2  write 100
    +0   > PSH ACK seq 1 len 100
    +0   write 100
    +0   write 50
    0.3  < ACK seq 1 ack 101 win 30000
    +0   > PSH ACK seq 101 len 150
    +0   nodelay on
    +0   write 10
    +0   > PSH ACK seq 251 len 10
    +0   write 10
    +0   > PSH ACK seq 261 len 10
    0.4  < ACK seq 1 ack 271 win 30000
  )");
}

TEST(Nagle, TheTailOfALargeWriteWaitsToo) {
  EXPECT_SCRIPT("profile strict tlp=0 ts=0\n" + served + R"(
    0.2  write 2100
    +0   > ACK seq 1 len 1000
    +0   > ACK seq 1001 len 1000
    0.3  < ACK seq 1 ack 1001 win 30000
    0.3  < ACK seq 1 ack 2001 win 30000
    +0   > PSH ACK seq 2001 len 100
  )");
}

TEST(Nagle, ACorkHoldsWhatIsNotFull) {
  EXPECT_SCRIPT("profile linux tlp=0\n" + served + R"(
    0.2  cork on
    +0   write 400
    +0   write 400
    +0   write 400
    +0   > ACK seq 1 len 1000
    +0.05 cork off
    +0   > PSH ACK seq 1001 len 200
  )");
}

TEST(Mss, IsTheSmallerOfBothSidesAndLeavesRoomForOptions) {
  EXPECT_SCRIPT(R"(
    profile linux mss=700 tlp=0
    listen
    0    < SYN seq 0 win 30000 <mss 1460, sackok, ts 5 none>
    0    > SYN ACK seq 0 ack 1 <mss 700, sackok, ts 0 5>
    0.1  < ACK seq 1 ack 1 win 30000 <ts 100 0>
    0.1  write 1000
    +0   > ACK seq 1 len 688
    +0   > PSH ACK seq 689 len 312
  )");
}

TEST(Mss, APeerThatSaysNothingGets536) {
  EXPECT_SCRIPT(R"(
    profile linux tlp=0
    listen
    0    < SYN seq 0 win 30000
    0    > SYN ACK seq 0 ack 1 <mss 1460>
    0.1  < ACK seq 1 ack 1 win 30000
    0.1  write 536
    +0   > PSH ACK seq 1 len 536
  )");
}

// What was too large for the path is cut and sent again at once, and the window stays.
TEST(Pmtu, SegmentsInFlightAreCutWhenThePathShrinks) {
  EXPECT_SCRIPT("profile linux tlp=0\n" + served + "0.2 write 3000\n" + leaves(3, 1) + R"(
    0.25 pmtu 500 99999
    +0   pmtu 500 1
    +0   > ACK seq 1 len 500
    +0   > ACK seq 501 len 500
    +0   > ACK seq 1001 len 500
    +0   > ACK seq 1501 len 500
    +0   > ACK seq 2001 len 500
    +0   > PSH ACK seq 2501 len 500
    0.3  < ACK seq 1 ack 3001 win 30000
    9    quiet
  )");
}

TEST(Pmtu, ABlackHoleIsLeftWithSmallerSegments) {
  EXPECT_SCRIPT(R"(
    profile linux tlp=0
    listen
    0    < SYN seq 0 win 30000 <mss 1460>
    0    > SYN ACK seq 0 ack 1
    0.1  < ACK seq 1 ack 1 win 30000
    0.2  write 1460
    +0   > PSH ACK seq 1 len 1460
    0.5  > PSH ACK seq 1 len 1460
    1.1  > PSH ACK seq 1 len 1460
    2.3  > ACK seq 1 len 1220
    2.3  > PSH ACK seq 1221 len 240
    2.4  < ACK seq 1 ack 1461 win 30000
    9    quiet
  )");
}

TEST(Timestamps, TheRecentOneFollowsTheLeftEdgeOnly) {
  EXPECT_SCRIPT(R"(
    profile linux quick=1
    listen
    0    < SYN seq 0 win 30000 <mss 1000, sackok, ts 100 none>
    0    > SYN ACK seq 0 ack 1 <mss 1460, sackok, ts 0 100>
    0.1  < ACK seq 1 ack 1 win 30000 <ts 200 0>
    # Out of order: its timestamp is not echoed (RFC 7323, 4.3).
    0.2  < ACK seq 1001 ack 1 win 30000 len 1000 <ts 300 0>
    +0   > ACK seq 1 ack 1 <ts 200 200, sack 1001:2001>
    0.3  < ACK seq 1 ack 1 win 30000 len 1000 <ts 310 0>
    +0   > ACK seq 1 ack 2001 <ts 300 310>
    # Older than what was seen: PAWS.
    0.4  < ACK seq 2001 ack 1 win 30000 len 1000 <ts 150 0>
    +0   > ACK seq 1 ack 2001 <ts 400 310>
    # A FIN carries one too, and so does a reset that answers nothing.
    0.5  finish
    +0   > FIN ACK seq 1 ack 2001 <ts 500 310>
  )");
}

// RFC 7323, section 3.2: a reset SHOULD have one.
TEST(Timestamps, AResetCarriesOneToo) {
  EXPECT_SCRIPT(R"(
    profile linux
    listen
    0    < SYN seq 0 win 30000 <mss 1000, ts 100 none>
    0    > SYN ACK seq 0 ack 1 <mss 1460, ts 0 100>
    0.1  < ACK seq 1 ack 1 win 30000 <ts 200 0>
    0.2  abort
    +0   > RST ACK seq 1 ack 1 <ts 200 200>
  )");
}

TEST(Timestamps, WhatComesAgainIsAnsweredWithItsOwn) {
  EXPECT_SCRIPT(R"(
    profile linux quick=9
    listen
    0    < SYN seq 0 win 30000 <mss 1000, ts 100 none>
    0    > SYN ACK seq 0 ack 1 <mss 1460, ts 0 100>
    0.1  < ACK seq 1 ack 1 win 30000 <ts 200 0>
    0.2  < ACK seq 1 ack 1 win 30000 len 1000 <ts 300 0>
    +0   > ACK seq 1 ack 1001 <ts 200 300>
    # That was lost, the sender waited for a second.
    1.2  < ACK seq 1 ack 1 win 30000 len 1000 <ts 1300 0>
    +0   > ACK seq 1 ack 1001 <ts 1200 1300>
    # Further back than a window it is no word of the peer's.
    1.3  < ACK seq -900000 ack 1 win 30000 len 1000 <ts 5000 0>
    +0   > ACK seq 1 ack 1001 <ts 1300 1300>
  )");
}

TEST(UserTimeout, EndsAConnectionThatGetsNoAnswer) {
  EXPECT_SCRIPT("profile linux tlp=0 user_timeout=2\n" + served + R"(
    0.2  write 1000
    +0   > PSH ACK seq 1 len 1000
    0.5  > PSH ACK seq 1 len 1000
    1.1  > PSH ACK seq 1 len 1000
    2.19 quiet
    +0   fault none
    2.21 quiet
    +0   fault timed out
  )");
}

TEST(UserTimeout, CountsForAClosedWindowToo) {
  EXPECT_SCRIPT("profile linux tlp=0 user_timeout=3\n" + served + R"(
    0.15 < ACK seq 1 ack 1 win 0
    0.2  write 1000
    0.5  > ACK seq 0 len 0
    0.6  < ACK seq 1 ack 1 win 0
    1.1  > ACK seq 0 len 0
    1.2  < ACK seq 1 ack 1 win 0
    2.3  > ACK seq 0 len 0
    2.4  < ACK seq 1 ack 1 win 0
    3.3  quiet
    +0   fault timed out
  )");
}

TEST(ZeroWindow, IsProbedWithOneOctetAndEndsWithItsOpening) {
  EXPECT_SCRIPT("profile strict tlp=0 rto_min=0.2\n" + served + R"(
    0.15 < ACK seq 1 ack 1 win 0
    0.2  write 1000
    0.5  > ACK seq 1 len 1
    0.6  < ACK seq 1 ack 1 win 0
    1.1  > ACK seq 1 len 1
    1.2  < ACK seq 1 ack 2 win 30000
    +0   > PSH ACK seq 2 len 999
    1.3  < ACK seq 1 ack 1001 win 30000
    9    quiet
  )");
}

TEST(ZeroWindow, OursTakesAFinAndNoData) {
  EXPECT_SCRIPT("profile linux quick=0 buffer=2000\n" + served + R"(
    0.2  < ACK seq 1 ack 1 win 30000 len 1000
    0.2  < ACK seq 1001 ack 1 win 30000 len 1000
    +0   > ACK seq 1 ack 2001 win 0
    0.3  < ACK seq 2001 ack 1 win 30000 len 1000
    +0   > ACK seq 1 ack 2001 win 0
    0.4  < FIN ACK seq 2001 ack 1 win 30000
    +0   > ACK seq 1 ack 2002 win 0
    +0   state CLOSE-WAIT
    +0   read 2000
    +0   read end
  )");
}

TEST(ZeroWindow, ReadingOpensItAndThePeerIsTold) {
  EXPECT_SCRIPT("profile linux quick=0 buffer=4000\n" + served + R"(
    0.2  < ACK seq 1 ack 1 win 30000 len 2000
    0.2  < ACK seq 2001 ack 1 win 30000 len 2000
    +0   > ACK seq 1 ack 4001 win 0
    # A few bytes are not worth telling (silly windows).
    0.3  read 100
    0.35 quiet
    +0   read 1500
    +0   > ACK seq 1 ack 4001 win 1600
  )");
}

TEST(Windows, DataBeyondTheEdgeIsCut) {
  EXPECT_SCRIPT("profile linux quick=0 buffer=2000\n" + served + R"(
    0.2  < ACK seq 1 ack 1 win 30000 len 2500
    +0   > ACK seq 1 ack 2001 win 0
    +0   read 2000
    +0   > ACK seq 1 ack 2001 win 2000
    +0   read would block
    0.3  < ACK seq 9001 ack 1 win 30000 len 100
    +0   > ACK seq 1 ack 2001 win 2000
  )");
}

// shadow 334: what lies beyond a hole was counted against the window, which shrank.
TEST(Windows, DataOutOfOrderTakesNothingFromTheWindow) {
  EXPECT_SCRIPT("profile linux quick=0 buffer=4000\n" + served + R"(
    0.2  < ACK seq 1001 ack 1 win 30000 len 1000
    +0   > ACK seq 1 ack 1 win 4000 <sack 1001:2001>
    0.2  < ACK seq 3001 ack 1 win 30000 len 1000
    +0   > ACK seq 1 ack 1 win 4000 <sack 3001:4001 1001:2001>
    0.3  < ACK seq 1 ack 1 win 30000 len 1000
    +0   > ACK seq 1 ack 2001 win 2000 <sack 3001:4001>
  )");
}

TEST(Windows, OldAcksDoNotMoveTheSendWindow) {
  EXPECT_SCRIPT("profile linux tlp=0\n" + served + R"(
    0.2  < PSH ACK seq 1 ack 1 win 20000 len 10
    +0   window 20000
    +0   > ACK seq 1 ack 11
    0.21 < ACK seq 11 ack 1 win 10000
    +0   window 10000
    # Sent before the one above, arrives after it.
    0.22 < ACK seq 1 ack 1 win 25000 len 10
    +0   window 10000
    +0   > ACK seq 1 ack 11 <sack 1:11>
  )");
}

TEST(Reassembly, DataThatCameBeforeAcceptanceIsThere) {
  EXPECT_SCRIPT(plain + R"(
    listen
    0    < SYN seq 0 win 30000 <mss 1000, sackok>
    0    > SYN ACK seq 0 ack 1
    0.1  < ACK seq 1001 ack 1 win 30000 len 1000
    +0   > ACK seq 1 ack 1 <sack 1001:2001>
    0.1  < ACK seq 1 ack 1 win 30000 len 1000
    +0   > ACK seq 1 ack 2001
    +0   read 2000
  )");
}

TEST(DelayedAck, EverySecondSegmentOrWhenTheTimeHasCome) {
  EXPECT_SCRIPT(plain + served + R"(
    0.2   < ACK seq 1 ack 1 win 30000 len 1000
    0.21  < ACK seq 1001 ack 1 win 30000 len 1000
    0.21  > ACK seq 1 ack 2001
    0.3   < ACK seq 2001 ack 1 win 30000 len 1000
    0.34  > ACK seq 1 ack 3001
    # An answer carries it.
    0.4   < ACK seq 3001 ack 1 win 30000 len 1000
    0.41  write 5
    0.41  > PSH ACK seq 1 ack 4001 len 5
    0.5   < ACK seq 4001 ack 6 win 30000
    9     quiet
  )");
}

TEST(KeepAlive, ProbesAnIdlePeerAndGivesUp) {
  EXPECT_SCRIPT("profile linux keep_idle=100 keep_interval=10 keep_probes=2\n" + served + R"(
    0.1   keepalive on
    100.1 > ACK seq 0 ack 1
    100.2 < ACK seq 1 ack 1 win 30000
    200.2 > ACK seq 0 ack 1
    210.2 > ACK seq 0 ack 1
    220.3 quiet
    +0    fault timed out
  )");
}

TEST(KeepAlive, IsOffUnlessAskedFor) {
  EXPECT_SCRIPT(plain + served + "99999 quiet\n +0 state ESTABLISHED\n");
}

TEST(KeepAlive, AProbeIsAnswered) {
  EXPECT_SCRIPT(plain + served + R"(
    9     < ACK seq 0 ack 1 win 30000
    +0    > ACK seq 1 ack 1
  )");
}

TEST(Icmp, EndsOnlyAConnectionThatIsBeingOpened) {
  EXPECT_SCRIPT(R"(
    profile linux
    0    connect
    0    > SYN seq 0
    0.1  icmp port 77
    +0   state SYN-SENT
    0.1  icmp port 0
    +0   fault refused
  )");
  EXPECT_SCRIPT(plain + served + R"(
    0.2  write 100
    +0   > PSH ACK seq 1 len 100
    0.25 icmp host 1
    +0   state ESTABLISHED
    0.3  < ACK seq 1 ack 101 win 30000
  )");
}

TEST(Segments, WithoutAnyFlagAreIgnored) {
  EXPECT_SCRIPT(plain + served + R"(
    0.2  < none seq 1 ack 1 win 30000 len 100
    1    quiet
    +0   read would block
  )");
}

TEST(Urgent, DataStaysInLine) {
  EXPECT_SCRIPT(plain + served + R"(
    0.2  < URG PSH ACK seq 1 ack 1 win 30000 urg 5 len 10
    0.24 > ACK seq 1 ack 11
    +0   read 10
  )");
}

// RFC 5961: only the exact number resets; what is near is challenged, half a second apart at most.
TEST(Defence, AResetMustBeExact) {
  EXPECT_SCRIPT(plain + served + R"(
    0.2  < RST seq 100
    +0   > ACK seq 1 ack 1
    0.3  < RST seq 200
    0.65 quiet
    0.8  < RST seq 200
    +0   > ACK seq 1 ack 1
    0.9  < RST seq 70000
    +0   state ESTABLISHED
    1    < RST seq 1
    +0   fault connection reset
    +0   read connection reset
  )");
}

TEST(Defence, ASynInTheWindowIsChallenged) {
  EXPECT_SCRIPT(plain + served + R"(
    0.2  < SYN seq 100 win 1000
    +0   > ACK seq 1 ack 1
    +0   state ESTABLISHED
    2    < SYN seq 900000 win 1000
    +0   > ACK seq 1 ack 1
    +0   state ESTABLISHED
  )");
}

TEST(Defence, AnAckFarFromWhatWasSentBringsNoData) {
  EXPECT_SCRIPT(plain + served + R"(
    0.2  < ACK seq 1 ack 5000 win 30000 len 100
    +0   > ACK seq 1 ack 1
    +0   read would block
    2    < ACK seq 1 ack 4294900000 win 30000 len 100
    +0   > ACK seq 1 ack 1
    +0   read would block
  )");
}

// Seven pieces in all orders of arrival, some overlapping: the bytes are right, and an ACK that
// fills a hole leaves at once. 5040 scripts; a piece that is old is answered like any other.
TEST(Reassembly, EveryOrderOfPiecesGivesTheSameBytes) {
  const std::pair<std::uint32_t, std::uint32_t> pieces[] = {{0, 10},  {5, 20},  {20, 30}, {30, 31},
                                                            {25, 60}, {60, 64}, {40, 50}};
  std::vector<int> order = {0, 1, 2, 3, 4, 5, 6};
  std::vector<std::byte> bytes(64);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 3);
  do {
    Reassembly reassembly{Seq{0xffff'fff0}};
    bool arrived[64] = {};
    for (const int i : order) {
      const auto [left, right] = pieces[i];
      const auto outcome =
          reassembly.insert(Seq{0xffff'fff0} + left, Bytes(bytes).subspan(left, right - left), 100);
      for (std::uint32_t at = left; at < right; ++at) arrived[at] = true;
      std::uint32_t expected = 0;
      while (expected < 64 && arrived[expected]) ++expected;
      ASSERT_EQ(reassembly.ready(), expected);
      ASSERT_FALSE(outcome.refused);
    }
    std::byte read[100];
    ASSERT_EQ(reassembly.read(read), 64u);
    ASSERT_EQ(std::memcmp(read, bytes.data(), 64), 0);
    ASSERT_TRUE(reassembly.empty());
  } while (std::next_permutation(order.begin(), order.end()));
}

}  // namespace
}  // namespace koine::stack::tcp
