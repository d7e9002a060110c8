// Records in a ring, numbered in sequence order.
#include "koine/stack/tcp/scoreboard.h"

#include <algorithm>

namespace koine::stack::tcp {

namespace {

/// RFC 8985, section 6.2, step 2: segment 1 was sent after segment 2.
bool sent_after(Instant sent1, Seq end1, Instant sent2, Seq end2) {
  return sent1 > sent2 || (sent1 == sent2 && end1 > end2);
}

}  // namespace

void Scoreboard::grow() {
  std::vector<Record> larger(ring_.empty() ? 8 : ring_.size() * 2);
  for (std::uint32_t i = 0; i < count_; ++i)
    larger[(first_ + i) & (larger.size() - 1)] = at(first_ + i);
  ring_ = std::move(larger);
}

void Scoreboard::link(std::uint32_t number) {
  Record& record = at(number);
  record.older = newest_;
  record.newer = none;
  if (newest_ != none) {
    at(newest_).newer = number;
  } else {
    oldest_ = number;
  }
  newest_ = number;
}

void Scoreboard::unlink(std::uint32_t number) {
  Record& record = at(number);
  (record.older != none ? at(record.older).newer : oldest_) = record.newer;
  (record.newer != none ? at(record.newer).older : newest_) = record.older;
  record.older = record.newer = none;
}

std::uint32_t Scoreboard::number_of(const Record& record) const {
  return number_of(record.start + 1);
}

std::uint32_t Scoreboard::number_of(Seq seq) const {
  std::uint32_t low = 0;
  std::uint32_t high = count_;
  while (low < high) {
    const std::uint32_t middle = (low + high) / 2;
    if (at(first_ + middle).end() < seq) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return first_ + low;
}

void Scoreboard::sent(Seq start, std::uint32_t size, bool fin, Instant now) {
  assert(size > 0 && (count_ == 0 || back()->end() == start));
  if (count_ == ring_.size()) grow();
  const std::uint32_t number = first_ + count_++;
  at(number) = Record{.sent = now, .start = start, .size = size, .fin = fin};
  link(number);
  pipe_ += size;
}

void Scoreboard::arrived(const Record& record, Delivery& delivery) {
  if (!record.repeated) {
    delivery.oldest_sent = std::min(delivery.oldest_sent, record.sent);
    delivery.newest_sent = std::max(delivery.newest_sent, record.sent);
    if (record.end() < highest_arrived_) delivery.reordered = true;
  } else {
    delivery.repaired = true;
    // An early answer to a retransmission is the late answer to what was sent before.
    if (record.sent > delivery.plausible_until) return;
  }
  highest_arrived_ = wire::later(highest_arrived_, record.end());
  if (!delivery.has_rack ||
      sent_after(record.sent, record.end(), delivery.rack_sent, delivery.rack_end)) {
    delivery.has_rack = true;
    delivery.rack_sent = record.sent;
    delivery.rack_end = record.end();
    delivery.rack_repaired = record.repeated;
  }
}

void Scoreboard::acknowledge(Seq ack, Delivery& delivery) {
  while (count_ > 0) {
    Record& record = at(first_);
    if (record.start >= ack) break;
    const std::uint32_t covered = std::min(ack - record.start, record.size);
    delivery.acknowledged += covered;
    const bool whole = covered == record.size;
    switch (record.fate) {
      case Fate::in_flight:
        if (whole) {
          arrived(record, delivery);
          unlink(first_);
        }
        pipe_ -= covered;
        delivery.bytes += covered;
        break;
      case Fate::lost:
        if (whole) arrived(record, delivery);
        lost_ -= covered;
        delivery.bytes += covered;
        break;
      case Fate::sacked:
        sacked_ -= covered;
        if (whole) --sacked_segments_;
        break;
    }
    if (!whole) {  // a peer may acknowledge part of a segment
      record.start += covered;
      record.size -= covered;
      break;
    }
    ++delivery.segments;
    ++first_;
    --count_;
  }
  if (static_cast<std::int32_t>(first_ - lost_from_) > 0) lost_from_ = first_;
  if (highest_arrived_ < ack) highest_arrived_ = ack;
  if (sacked_segments_ == 0) known_.clear();
}

void Scoreboard::sack(wire::SackBlock block, Delivery& delivery) {
  if (count_ == 0) return;
  Seq from = wire::later(block.left, front()->start);
  for (const wire::SackBlock& known : known_) {
    // What an earlier ACK said about the beginning of the same block need not be read again.
    if (known.left == block.left && known.right <= block.right && known.right > from)
      from = known.right;
  }
  if (from >= block.right) return;
  std::uint32_t number = number_of(from);
  for (; number != first_ + count_; ++number) {
    Record& record = at(number);
    if (record.end() > block.right) break;
    if (record.start < block.left || record.fate == Fate::sacked) continue;
    arrived(record, delivery);
    if (record.fate == Fate::in_flight) {
      unlink(number);
      pipe_ -= record.size;
    } else {
      lost_ -= record.size;
    }
    record.fate = Fate::sacked;
    sacked_ += record.size;
    ++sacked_segments_;
    delivery.bytes += record.size;
    delivery.sacked = true;
  }
  // Remember up to where whole records were read.
  const Seq read_to = number == first_ ? from : at(number - 1).end();
  if (read_to <= block.left) return;
  for (wire::SackBlock& known : known_) {
    if (known.left != block.left) continue;
    known.right = wire::later(known.right, read_to);
    return;
  }
  if (known_.full()) {
    std::rotate(known_.begin(), known_.begin() + 1, known_.end());
    known_[known_.size() - 1] = {block.left, read_to};
  } else {
    known_.push_back({block.left, read_to});
  }
}

const Scoreboard::Record* Scoreboard::first_lost() {
  if (lost_ == 0) return nullptr;
  while (at(lost_from_).fate != Fate::lost) ++lost_from_;
  return &at(lost_from_);
}

void Scoreboard::repeated(const Record& record, Instant now) {
  const std::uint32_t number = number_of(record);
  Record& mine = at(number);
  if (mine.fate == Fate::in_flight) {
    unlink(number);
  } else {
    assert(mine.fate == Fate::lost);
    lost_ -= mine.size;
    pipe_ += mine.size;
    mine.fate = Fate::in_flight;
  }
  mine.sent = now;
  mine.repeated = true;
  link(number);
}

void Scoreboard::lose(std::uint32_t number) {
  Record& record = at(number);
  assert(record.fate == Fate::in_flight);
  unlink(number);
  pipe_ -= record.size;
  lost_ += record.size;
  record.fate = Fate::lost;
  if (static_cast<std::int32_t>(number - lost_from_) < 0) lost_from_ = number;
}

void Scoreboard::lose_first() {
  if (count_ > 0 && at(first_).fate == Fate::in_flight) lose(first_);
}

void Scoreboard::lose_all(bool forget_sacks) {
  for (std::uint32_t number = first_; number != first_ + count_; ++number) {
    Record& record = at(number);
    if (forget_sacks && record.fate == Fate::sacked) {
      sacked_ -= record.size;
      --sacked_segments_;
      lost_ += record.size;
      record.fate = Fate::lost;
    } else if (record.fate == Fate::in_flight) {
      lose(number);
    }
  }
  if (forget_sacks) known_.clear();
  lost_from_ = first_;
}

void Scoreboard::find_again() {
  for (std::uint32_t number = first_; number != first_ + count_; ++number) {
    Record& record = at(number);
    if (record.fate != Fate::lost || record.repeated) continue;
    lost_ -= record.size;
    pipe_ += record.size;
    record.fate = Fate::in_flight;
  }
  relink_all();
}

void Scoreboard::relink_all() {
  std::vector<std::uint32_t> flying;
  for (std::uint32_t number = first_; number != first_ + count_; ++number)
    if (at(number).fate == Fate::in_flight) flying.push_back(number);
  std::sort(flying.begin(), flying.end(), [&](std::uint32_t a, std::uint32_t b) {
    return at(a).sent != at(b).sent ? at(a).sent < at(b).sent : at(a).start < at(b).start;
  });
  oldest_ = newest_ = none;
  for (const std::uint32_t number : flying) link(number);
}

Instant Scoreboard::lose_overdue(Instant sent, Seq end, Duration patience, Instant now,
                                 bool& found) {
  for (std::uint32_t number = oldest_; number != none;) {
    const Record& record = at(number);
    if (!sent_after(sent, end, record.sent, record.end())) {
      if (record.sent > sent) break;
      number = record.newer;  // of the same instant, and further on
      continue;
    }
    const Instant due = record.sent + patience;
    if (due > now) return due;
    const std::uint32_t next = record.newer;
    lose(number);
    found = true;
    number = next;
  }
  return Instant::max();
}

std::uint32_t Scoreboard::cut(std::uint32_t size_max) {
  std::vector<Record> pieces;
  std::uint32_t marked = 0;
  for (std::uint32_t number = first_; number != first_ + count_; ++number) {
    Record record = at(number);
    if (record.size - (record.fin ? 1 : 0) <= size_max) {
      pieces.push_back(record);
      continue;
    }
    if (record.fate == Fate::in_flight) {
      record.fate = Fate::lost;
      pipe_ -= record.size;
      lost_ += record.size;
      marked += record.size;
    }
    if (record.fate == Fate::sacked) --sacked_segments_;
    for (std::uint32_t left = record.size; left > 0;) {
      Record piece = record;
      piece.start = record.end() - left;
      const bool last = left - (record.fin ? 1 : 0) <= size_max;
      piece.size = last ? left : size_max;
      piece.fin = record.fin && last;
      left -= piece.size;
      if (record.fate == Fate::sacked) ++sacked_segments_;
      pieces.push_back(piece);
    }
  }
  std::size_t capacity = 8;
  while (capacity < pieces.size()) capacity *= 2;
  ring_.assign(capacity, Record{});
  first_ = 0;
  count_ = static_cast<std::uint32_t>(pieces.size());
  std::copy(pieces.begin(), pieces.end(), ring_.begin());
  lost_from_ = 0;
  known_.clear();
  relink_all();
  return marked;
}

}  // namespace koine::stack::tcp
