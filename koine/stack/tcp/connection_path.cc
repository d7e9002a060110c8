// How large segments may be: what both ends and the path between them take.
//
// Routers say so (RFC 1191; RFC 8201), or drop what is too large and say nothing (RFC 2923). Then
// full segments are lost again and again, smaller ones are tried, and the largest that arrives is
// searched for: with a single larger segment of data at a time, whose loss is no congestion
// (RFC 4821, section 7). What a router said is asked again after a while in the same way: paths
// change.
#include <algorithm>

#include "koine/stack/tcp/connection.h"

namespace koine::stack::tcp {

namespace {

constexpr Duration raise_interval = std::chrono::minutes(10);  // RFC 4821, section 7.7
constexpr std::uint32_t near_enough = 16;                      // bytes; the search ends here

}  // namespace

std::uint32_t Connection::data_max() const { return mss_ - option_size(); }

void Connection::set_mss(std::uint32_t mss) {
  const bool smaller = mss < mss_;
  mss_ = static_cast<std::uint16_t>(mss);
  if (smaller) cut_to_fit();
}

/// What is too large now is lost, for its size and not for congestion.
void Connection::cut_to_fit() {
  if (!flight_ || flight_->scoreboard.empty()) return;
  const bool probe = only_probe_lost();
  if (flight_->scoreboard.cut(data_max()) == 0 && !probe) return;
  if (flight_->phase == Phase::open) {
    flight_->phase = Phase::repair;
    flight_->recovery_point = snd_nxt_;
    flight_->undo_possible = false;
  }
  first_repair_ = true;
}

bool Connection::only_probe_lost() const {
  const Scoreboard::Record* const lost = flight_->scoreboard.first_lost();
  return lost != nullptr && lost->end() == flight_->path.end &&
         lost->size == flight_->scoreboard.lost();
}

bool Connection::path_shrank(std::uint16_t mss, Seq quoted, Instant now) {
  if (quoted < snd_una_ || quoted >= snd_nxt_ || mss >= mss_path_) {
    // Or it is about a probe, and tells what to try next.
    if (!flight_ || !flight_->path.is_out || mss < mss_ || mss >= flight_->path.size ||
        quoted + (flight_->path.size - option_size()) != flight_->path.end)
      return false;
    flight_->path.high = mss;
    path_probe_lost(now);
    flight_->path.try_high = true;
    return true;
  }
  mss_path_ = mss;
  if (mss < mss_) {
    set_mss(mss);
    if (!nothing_out() && is_synchronized()) arm_repeat(now);
  }
  if (is_synchronized()) search_path(mss_limit(), now + raise_interval, true);
  return true;
}

void Connection::path_grew(std::uint16_t mss) {
  mss_path_ = std::min(mss, mss_own_);
  set_mss(std::min(mss_peer_, mss_path_));
}

/// Full segments were lost so often that the path may be a black hole for them.
void Connection::leave_black_hole(std::uint32_t safe, Instant now) {
  const std::uint32_t failed = mss_;
  mss_path_ = static_cast<std::uint16_t>(safe);
  set_mss(safe);
  search_path(failed - 1, now, false);
}

/// From `at` on, something between what we send and `high` is tried; `high` itself first, or the
/// middle.
void Connection::search_path(std::uint32_t high, Instant at, bool try_high) {
  PathSearch& path = flight().path;
  path = {};
  path.is_on = high > mss_;
  path.try_high = try_high;
  path.high = static_cast<std::uint16_t>(high);
  path.at = at;
}

/// The data of a segment that probes the path now, or zero.
std::uint32_t Connection::path_probe(std::uint32_t unsent, std::uint32_t usable,
                                     Instant now) const {
  const PathSearch& path = flight_->path;
  if (!path.is_on || path.is_out || now < path.at || flight_->phase != Phase::open ||
      flight_->scoreboard.lost() > 0)
    return 0;
  const std::uint32_t size =
      (path.try_high ? path.high : (mss_ + path.high + 1) / 2) - option_size();
  // Enough follows for its loss to be found without a timeout (RFC 4821, section 7.4).
  const std::uint32_t with_followers = size + 3 * data_max();
  return unsent >= with_followers && usable >= with_followers ? size : 0;
}

void Connection::path_probe_left(std::uint32_t size) {
  PathSearch& path = flight_->path;
  path.is_out = true;
  path.size = static_cast<std::uint16_t>(size + option_size());
  path.end = snd_nxt_;
  ++environment_->counters.path_probes;
}

/// What the last acknowledgment, or its absence, says about the probe.
void Connection::judge_path_probe(Instant now) {
  PathSearch& path = flight_->path;
  if (!path.is_out) return;
  if (snd_una_ >= path.end) {
    path.is_out = false;
    mss_path_ = path.size;
    set_mss(std::min(mss_peer_, mss_path_));
    path.at = now;
    end_path_search(now);
    return;
  }
  const Scoreboard::Record* const lost = flight_->scoreboard.first_lost();
  if (lost != nullptr && lost->end() == path.end) path_probe_lost(now);
}

void Connection::path_probe_lost(Instant now) {
  PathSearch& path = flight_->path;
  path.is_out = path.try_high = false;
  path.high = std::min<std::uint16_t>(path.high, static_cast<std::uint16_t>(path.size - 1));
  path.at = now;
  cut_to_fit();
  end_path_search(now);
}

/// If it has come to its end; begun again later, as the path may get better.
void Connection::end_path_search(Instant now) {
  PathSearch& path = flight_->path;
  if (mss_ >= mss_limit()) {
    path.is_on = false;
  } else if (path.high < mss_ + near_enough) {
    search_path(mss_limit(), now + raise_interval, true);
  }
}

}  // namespace koine::stack::tcp
