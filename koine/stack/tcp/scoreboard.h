// What was sent and not yet acknowledged: when, whether it has arrived out of order, whether it is
// lost. The queue of retransmissions, the SACK scoreboard (RFC 6675) and RACK's memory (RFC 8985).
//
//     una                                      nxt
//      | sent | sacked | lost | sent | ... |        one record a segment, in sequence order
//
// Records that are in flight are also linked in the order of their last transmission, so finding
// what is overdue looks only at what is overdue. pipe() is what the network still holds.
#pragma once

#include <cassert>
#include <cstdint>
#include <vector>

#include "koine/base/time.h"
#include "koine/wire/tcp.h"

namespace koine::stack::tcp {

using wire::Seq;

/// What one acknowledgment told about the segments that were in flight.
struct Delivery {
  std::uint32_t bytes = 0;         ///< newly known to have arrived
  std::uint32_t acknowledged = 0;  ///< of these, and of earlier ones: cumulatively
  std::uint32_t segments = 0;      ///< cumulatively acknowledged records
  bool sacked = false;             ///< something became known out of order
  bool repaired = false;           ///< something acknowledged had been sent more than once
  bool reordered = false;          ///< a first transmission arrived after what was sent later

  Instant oldest_sent = Instant::max();  ///< of what was acknowledged and sent only once
  Instant newest_sent = Instant::min();

  /// The most recently sent of what arrived: RACK.segment.
  bool has_rack = false;
  Instant rack_sent{};
  Seq rack_end{};
  bool rack_repaired = false;

  /// A retransmission sent later than this cannot have caused the acknowledgment.
  Instant plausible_until = Instant::max();
};

class Scoreboard {
 public:
  enum class Fate : std::uint8_t { in_flight, lost, sacked };

  struct Record {
    Instant sent{};
    Seq start{};
    std::uint32_t size = 0;  ///< sequence numbers, a FIN included
    std::uint32_t older = none;
    std::uint32_t newer = none;
    Fate fate = Fate::in_flight;
    bool repeated = false;  ///< sent more than once
    bool fin = false;

    Seq end() const { return start + size; }
  };

  bool empty() const { return count_ == 0; }
  std::size_t size() const { return count_; }

  /// Bytes that are believed to be in the network (RFC 6675, section 4).
  std::uint32_t pipe() const { return pipe_; }
  std::uint32_t lost() const { return lost_; }
  std::uint32_t sacked() const { return sacked_; }
  std::uint32_t sacked_segments() const { return sacked_segments_; }

  /// The end of the highest segment that is known to have arrived.
  Seq highest_arrived() const { return highest_arrived_; }
  void begin(Seq una) { highest_arrived_ = una; }

  /// New data; it begins where the last record ends.
  void sent(Seq start, std::uint32_t size, bool fin, Instant now);

  /// Forgets what lies before `ack`.
  void acknowledge(Seq ack, Delivery& delivery);

  /// Marks whole records within `block`. A block that covers part of a record says nothing about
  /// it: a peer that splits segments costs a retransmission, and cannot make our memory grow.
  void sack(wire::SackBlock block, Delivery& delivery);

  /// The lowest record that is lost, or nothing.
  const Record* first_lost();
  const Record* front() const { return count_ == 0 ? nullptr : &at(first_); }
  const Record* back() const { return count_ == 0 ? nullptr : &at(first_ + count_ - 1); }

  /// `record` is on the wire again.
  void repeated(const Record& record, Instant now);

  /// The lowest record is lost, if it is in flight.
  void lose_first();

  /// Everything that is in flight is lost; if `forget_sacks`, what was sacked as well (a peer that
  /// drops what it had, RFC 2018, section 8).
  void lose_all(bool forget_sacks);

  /// Takes "lost" back from everything that was sent only once.
  void find_again();

  /// RFC 8985, section 6.2, step 5: what was sent before (`sent`, `end`) and has been waiting for
  /// `patience` is lost. When the next one will be, or Instant::max().
  Instant lose_overdue(Instant sent, Seq end, Duration patience, Instant now, bool& found);

  /// Cuts records that are larger than `size_max`; the cut ones are lost, for they were dropped for
  /// their size. Returns how many bytes were marked.
  std::uint32_t cut(std::uint32_t size_max);

 private:
  static constexpr std::uint32_t none = 0xffff'ffff;

  Record& at(std::uint32_t number) { return ring_[number & (ring_.size() - 1)]; }
  const Record& at(std::uint32_t number) const { return ring_[number & (ring_.size() - 1)]; }
  std::uint32_t number_of(Seq seq) const;  // of the first record that does not end before seq
  std::uint32_t number_of(const Record& record) const;
  void grow();
  void link(std::uint32_t number);
  void unlink(std::uint32_t number);
  void lose(std::uint32_t number);
  void arrived(const Record& record, Delivery& delivery);
  void relink_all();

  std::vector<Record> ring_;  // its size is a power of two
  std::uint32_t first_ = 0;   // number of the lowest record; numbers are never given twice
  std::uint32_t count_ = 0;
  std::uint32_t oldest_ = none;  // by transmission
  std::uint32_t newest_ = none;
  std::uint32_t lost_from_ = 0;  // no record before it is lost
  std::uint32_t pipe_ = 0;
  std::uint32_t lost_ = 0;
  std::uint32_t sacked_ = 0;
  std::uint32_t sacked_segments_ = 0;
  Seq highest_arrived_{};
  wire::FixedList<wire::SackBlock, 4> known_{};  // the blocks of the last ACK
};

}  // namespace koine::stack::tcp
