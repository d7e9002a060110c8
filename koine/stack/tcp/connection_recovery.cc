// What an acknowledgment means: data that arrived, a round trip measured, segments lost, and how
// much may be sent now (RFC 5681, 6298, 6582, 6675, 6937, 8985).
#include <algorithm>

#include "koine/stack/tcp/connection.h"

namespace koine::stack::tcp {

using namespace wire;

namespace {

constexpr std::uint32_t duplicate_threshold = 3;
constexpr std::uint8_t window_keep_recoveries = 16;  // RFC 8985, section 6.2, step 4

}  // namespace

void Connection::acknowledged(const TcpHeader& header, std::uint32_t length, Instant now) {
  const Seq ack = header.ack;
  const bool progress = ack > snd_una_;
  const std::uint32_t window = std::uint32_t{header.window} << snd_scale_;
  const bool duplicate = ack == snd_una_ && length == 0 && window == snd_wnd_ && !nothing_out();
  Flight* const flight = flight_.get();
  const bool was_out = flight != nullptr && !flight->scoreboard.empty();

  Delivery delivery;
  bool dsack = false;
  if (was_out) {
    if (flight->rtt_min != Duration::max()) delivery.plausible_until = now - flight->rtt_min;
    if (use_timestamps_ && header.options.timestamps && header.options.timestamps->echo != 0) {
      const Duration tick = environment_->profile.timestamp_tick;
      const auto age = static_cast<std::int32_t>(stamp(now) - header.options.timestamps->echo);
      const Duration into_tick = now.time_since_epoch() % tick;
      delivery.plausible_until =
          std::min(delivery.plausible_until, now - into_tick - age * tick + tick);
    }
    if (use_sack_ && !header.options.sack.empty()) dsack = take_sacks(header, delivery);
  }

  if (progress) {
    const Seq before = data_una();
    snd_una_ = ack;
    if (flight != nullptr) {
      flight->scoreboard.acknowledge(ack, delivery);
      flight->data.drop_front(data_una() - before);
    }
    waiting_since_ = now;
    tries_ = 0;
    rtt_.forgive();
    if (write_blocked_ && room() > 0) {
      write_blocked_ = false;
      events_ |= event_writable;
    }
  }

  if (ack == snd_una_ && (snd_wl1_ < header.seq || (snd_wl1_ == header.seq && snd_wl2_ <= ack))) {
    snd_wnd_ = window;
    snd_wnd_max_ = std::max(snd_wnd_max_, window);
    snd_wl1_ = header.seq;
    snd_wl2_ = ack;
  }
  if (repeat_ == Repeat::persist) {
    tries_ = 0;  // the peer is there
    if (snd_una_ + snd_wnd_ > snd_nxt_) {
      repeat_ = Repeat::none;
      repeat_at_ = never;
      rtt_.forgive();
    }
  }
  if (!was_out) return;

  measure(header, delivery, progress, now);
  if (use_sack_) update_rack(delivery, dsack, now);
  judge_probe(header, dsack, now);

  // Without SACK a duplicate says only that some segment has arrived.
  std::uint32_t delivered = delivery.bytes;
  if (!use_sack_) {
    const std::uint32_t mss = data_max();
    if (duplicate) {
      ++flight->duplicate_acks;
      delivered += mss;
    } else if (progress) {
      const std::uint64_t credited = std::uint64_t{flight->duplicate_acks} * mss;
      delivered = delivered > credited + mss ? static_cast<std::uint32_t>(delivered - credited)
                                             : std::min(delivered, mss);
      flight->duplicate_acks -=
          std::min(flight->duplicate_acks, delivery.segments > 0 ? delivery.segments - 1 : 0);
    }
  }

  const bool reducing = flight->phase == Phase::recovery;
  judge_recovery(header, progress, dsack);
  if (!flight_) return;
  if (!use_sack_ && progress && flight->phase != Phase::recovery) flight->duplicate_acks = 0;
  if (!use_sack_ && progress && flight->phase == Phase::recovery)
    flight->scoreboard.lose_first();  // a partial ACK: the next hole (RFC 6582, section 3.2)
  detect_losses(now);
  judge_path_probe(now);
  if (flight->phase == Phase::open && flight->scoreboard.lost() > 0) enter_recovery(now);
  if (flight->phase == Phase::recovery) {
    reduce_by_delivery(delivered, progress);
  } else if (progress && !reducing) {
    grow_window(delivery, now);
  }

  if (flight->scoreboard.empty()) {
    if (repeat_ == Repeat::timeout) {
      repeat_ = Repeat::none;
      repeat_at_ = never;
    }
    early_at_ = never;
    keep_memory(now);
  } else if (progress) {
    arm_repeat(now);
  }
  if (progress || delivery.sacked) arm_probe(now);
}

// Blocks in; true if the first was about data that had arrived before (RFC 2883).
bool Connection::take_sacks(const TcpHeader& header, Delivery& delivery) {
  const auto& blocks = header.options.sack;
  bool dsack = false;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const SackBlock& block = blocks[i];
    if (i == 0) {
      const bool below = block.left < block.right && block.right <= header.ack;
      const bool within = blocks.size() > 1 && block.left >= blocks[1].left &&
                          block.right <= blocks[1].right && block.left < block.right;
      if (below || within) {
        dsack = true;
        continue;
      }
    }
    // Nobody can have received what was not sent.
    if (!(block.left < block.right) || block.left < snd_una_ || block.right > snd_nxt_) continue;
    flight_->scoreboard.sack(block, delivery);
  }
  if (dsack && flight_->undo_repeats > 0) --flight_->undo_repeats;
  return dsack;
}

void Connection::measure(const TcpHeader& header, const Delivery& delivery, bool progress,
                         Instant now) {
  // Karn: what was sent twice tells nothing. Without SACK, neither does what waited behind it.
  if (delivery.oldest_sent != Instant::max() && (use_sack_ || !delivery.repaired)) {
    rtt_.sample(now - delivery.oldest_sent);
    Flight& flight = *flight_;
    const Duration newest = now - delivery.newest_sent;
    if (newest <= flight.rtt_min || now - flight.rtt_min_at > std::chrono::minutes(5)) {
      flight.rtt_min = newest;
      flight.rtt_min_at = now;
    }
    return;
  }
  const auto& stamps = header.options.timestamps;
  if (!progress || !use_timestamps_ || !stamps || stamps->echo == 0) return;
  const auto age = static_cast<std::int32_t>(stamp(now) - stamps->echo);
  if (age >= 0) rtt_.sample(age * environment_->profile.timestamp_tick);
}

// RFC 8985, section 6.2, steps 2 to 4.
void Connection::update_rack(const Delivery& delivery, bool dsack, Instant now) {
  Flight& flight = *flight_;
  if (delivery.has_rack) {
    const bool later =
        delivery.rack_sent > flight.rack_sent ||
        (delivery.rack_sent == flight.rack_sent && delivery.rack_end > flight.rack_end);
    flight.rack_rtt = now - delivery.rack_sent;
    if (later) {
      flight.rack_sent = delivery.rack_sent;
      flight.rack_end = delivery.rack_end;
    }
  }
  if (delivery.reordered) flight.reordering_seen = true;
  if (flight.dsack_round && snd_una_ >= flight.dsack_round_end) flight.dsack_round = false;
  if (dsack && !flight.dsack_round) {
    flight.dsack_round = true;
    flight.dsack_round_end = snd_nxt_;
    if (flight.window_quarters < 255) ++flight.window_quarters;
    flight.window_keep = window_keep_recoveries;
  }
}

Duration Connection::reordering_window() const {
  const Flight& flight = *flight_;
  if (!flight.reordering_seen &&
      (flight.phase != Phase::open || flight.scoreboard.sacked_segments() >= duplicate_threshold))
    return Duration::zero();
  if (flight.rtt_min == Duration::max()) return rtt_.smoothed() / 4;
  return std::min(flight.rtt_min * flight.window_quarters / 4, rtt_.smoothed());
}

void Connection::detect_losses(Instant now) {
  Flight& flight = *flight_;
  if (early_ == Early::reordering) early_at_ = never;
  if (!use_sack_) {
    // RFC 5681, section 3.2; "recover" keeps one loss from being answered twice (RFC 6582).
    if (snd_una_ > flight.recovery_point) flight.answered = false;
    if (flight.phase == Phase::open && flight.duplicate_acks == duplicate_threshold &&
        !flight.answered)
      flight.scoreboard.lose_first();
    return;
  }
  if (flight.rack_sent == Instant::min()) return;
  bool found = false;
  const Instant next = flight.scoreboard.lose_overdue(
      flight.rack_sent, flight.rack_end, flight.rack_rtt + reordering_window(), now, found);
  if (next != Instant::max()) {
    early_ = Early::reordering;
    early_at_ = next;
  }
}

// RFC 8985, section 7.4.2: did the probe repair a loss? Then there was one to answer.
void Connection::judge_probe(const TcpHeader& header, bool dsack, Instant) {
  Flight& flight = *flight_;
  if (!flight.probe_out || header.ack < flight.probe_end) return;
  if (!flight.probe_was_repeat || dsack) {
    flight.probe_out = false;
  } else if (header.ack > flight.probe_end) {
    flight.probe_out = false;
    if (flight.phase == Phase::open) {
      congestion_.on_loss(congestion_.window(), data_max(), environment_->profile);
      congestion_.set_window(congestion_.threshold());
    }
  }
}

void Connection::judge_recovery(const TcpHeader& header, bool progress, bool dsack) {
  Flight& flight = *flight_;
  if (flight.phase == Phase::open) return;
  // Eifel (RFC 3522): the answer is to the original, not to the retransmission.
  const auto& stamps = header.options.timestamps;
  const bool original = progress && use_timestamps_ && stamps && flight.repair_stamped &&
                        static_cast<std::int32_t>(stamps->echo - flight.repair_stamp) < 0;
  const bool all_needless = dsack && flight.repair_stamped && flight.undo_repeats == 0;
  if (flight.undo_possible && (original || all_needless)) undo();
  if (flight.phase == Phase::open || snd_una_ < flight.recovery_point) return;
  if (flight.phase == Phase::recovery) {
    congestion_.set_window(congestion_.threshold());
    if (flight.window_keep > 0 && --flight.window_keep == 0) flight.window_quarters = 1;
  }
  flight.phase = Phase::open;
  flight.duplicate_acks = 0;
}

void Connection::undo() {
  Flight& flight = *flight_;
  congestion_.restore(flight.undo_window, flight.undo_threshold);
  flight.undo_possible = false;
  flight.phase = Phase::open;
  flight.duplicate_acks = 0;
  flight.scoreboard.find_again();
  ++environment_->counters.spurious_recoveries;
}

void Connection::enter_recovery(Instant) {
  Flight& flight = *flight_;
  ++environment_->counters.fast_recoveries;
  flight.phase = Phase::recovery;
  flight.recovery_point = snd_nxt_;
  flight.answered = true;
  flight.prr_delivered = flight.prr_out = 0;
  flight.prr_flight = std::max(1u, std::min(snd_nxt_ - snd_una_, congestion_.window()));
  flight.undo_possible = true;
  flight.undo_window = congestion_.window();
  flight.undo_threshold = congestion_.threshold();
  flight.undo_repeats = 0;
  flight.repair_stamped = false;
  congestion_.on_loss(snd_nxt_ - snd_una_, data_max(), environment_->profile);
  if (early_ == Early::tail_loss) early_at_ = never;
  first_repair_ = true;
}

// RFC 6937, section 3, with the slow start reduction bound.
void Connection::reduce_by_delivery(std::uint32_t delivered, bool) {
  Flight& flight = *flight_;
  const std::uint32_t mss = data_max();
  const std::uint32_t threshold = congestion_.threshold();
  const std::uint32_t pipe = network_holds();
  flight.prr_delivered += delivered;
  std::int64_t send = 0;
  if (pipe > threshold) {
    const std::uint64_t share =
        (std::uint64_t{flight.prr_delivered} * threshold + flight.prr_flight - 1) /
        std::max(flight.prr_flight, 1u);
    send = static_cast<std::int64_t>(share) - flight.prr_out;
  } else {
    const std::int64_t owed = static_cast<std::int64_t>(flight.prr_delivered) - flight.prr_out;
    const std::int64_t limit = std::max<std::int64_t>(owed, delivered) + mss;
    send = std::min<std::int64_t>(threshold - pipe, limit);
  }
  send = std::max<std::int64_t>(send, 0);
  congestion_.set_window(pipe + static_cast<std::uint32_t>(send));
}

void Connection::grow_window(const Delivery& delivery, Instant now) {
  Congestion::Ack ack;
  ack.bytes = delivery.acknowledged;
  if (delivery.newest_sent != Instant::min()) ack.rtt = now - delivery.newest_sent;
  ack.smoothed = rtt_.smoothed();
  ack.una = snd_una_;
  ack.nxt = snd_nxt_;
  ack.mss = data_max();
  ack.limited = window_is_bound();
  ack.after_timeout = flight_->phase == Phase::repair;
  congestion_.on_ack(ack, environment_->profile, now);
}

bool Connection::window_is_bound() {
  const Flight& flight = *flight_;
  if (flight.phase == Phase::repair) return true;
  if (congestion_.in_slow_start()) return congestion_.window() < 2 * std::uint64_t{flight.pipe_max};
  return flight.window_was_full;
}

std::uint32_t Connection::network_holds() const {
  const Flight& flight = *flight_;
  const std::uint32_t pipe = flight.scoreboard.pipe();
  if (use_sack_) return pipe;
  const std::uint64_t left = std::uint64_t{flight.duplicate_acks} * data_max();
  return left < pipe ? pipe - static_cast<std::uint32_t>(left) : 0;
}

}  // namespace koine::stack::tcp
