#include "koine/sim/link.h"

#include <algorithm>

#include "koine/wire/ethernet.h"

namespace koine::sim {
namespace {

/// Preamble and start delimiter, check sequence, and the gap to the next frame: IEEE 802.3.
constexpr std::size_t ethernet_overhead = 8 + 4 + 12;

constexpr std::uint64_t corrupted_bits_max = 8;

}  // namespace

const char* to_string(Fate fate) {
  switch (fate) {
    case Fate::delivered: return "delivered";
    case Fate::lost: return "lost";
    case Fate::queue_full: return "dropped: queue full";
    case Fate::too_large: return "dropped: larger than the MTU";
    case Fate::cut: return "lost: the link is cut";
    case Fate::damaged: return "dropped: wrong check sequence";
    case Fate::ignored: return "ignored by the receiver";
  }
  return "?";
}

void Nic::send(Frame frame) {
  if (out != nullptr && has_carrier) out->send(std::move(frame));
}

LinkDirection::LinkDirection(Timeline& timeline, const std::string& name, Nic& from, Nic& to,
                             const LinkOptions& options)
    : Component(timeline), from_(from), to_(to), options_(options), name_(name) {}

void LinkDirection::send(Frame frame) {
  ++counters_.frames;
  counters_.bytes += frame.size();
  timeline().trace().mix(frame.bytes());
  tell([&](LinkWatcher& each) { each.sent(from_, to_, frame.bytes(), now()); });
  if (is_cut_) return fail(frame, Fate::cut, counters_.cut);
  if (frame.size() > options_.mtu + wire::EthernetHeader::size)
    return fail(frame, Fate::too_large, counters_.too_large);

  const Duration takes = options_.rate.time_for(frame.size() + ethernet_overhead);
  Instant& free_at = frame.is_control() ? control_free_at_ : free_at_;
  const Instant begins = std::max(now(), free_at);
  if (begins > now() &&
      options_.rate.bytes_in(begins - now()) + frame.size() > options_.queue_bytes)
    return fail(frame, Fate::queue_full, counters_.queue_full);
  free_at = begins + takes;
  const Instant sent = free_at;
  if (frame.is_control()) free_at_ = std::max(now(), free_at_) + takes;  // the others wait for it

  tell([&](LinkWatcher& each) { each.scheduled(begins, sent); });

  if (is_lost()) return fail(frame, Fate::lost, counters_.lost);
  if (options_.corrupt > 0 && chance().corrupt.chance(options_.corrupt)) {
    ++counters_.corrupted;
    if (options_.check_sequence) return fail(frame, Fate::damaged, counters_.damaged);
    corrupt(frame);
  }
  if (options_.duplicate > 0 && chance().duplicate.chance(options_.duplicate)) {
    ++counters_.duplicated;
    depart(frame, sent);
  }
  depart(std::move(frame), sent);
}

bool LinkDirection::is_lost() {
  bool lost = options_.loss > 0 && chance().loss.chance(options_.loss);
  if (const auto& bursts = options_.bursts) {
    if (chance().loss.chance(is_bad_ ? bursts->to_good : bursts->to_bad)) is_bad_ = !is_bad_;
    if (chance().loss.chance(is_bad_ ? bursts->loss_in_bad : bursts->loss_in_good)) lost = true;
  }
  return lost;
}

/// The frame is sent whole at `sent`; when does it arrive?
void LinkDirection::depart(Frame frame, Instant sent) {
  Instant at = sent + options_.delay;
  if (options_.jitter > Duration())
    at += Duration(static_cast<Duration::rep>(
        chance().jitter.below(static_cast<std::uint64_t>(options_.jitter.count()) + 1)));
  if (options_.reorder > 0 && chance().reorder.chance(options_.reorder)) {
    ++counters_.reordered;
    at = std::max(at, last_at_) + options_.reorder_by;
  } else if (!frame.is_control()) {
    at = last_at_ = std::max(at, last_at_);
  }
  tell([&](LinkWatcher& each) { each.departed(at); });
  expect(frame, 1);
  in_flight_.push_back({at, std::move(frame)});
  for (std::size_t i = in_flight_.size() - 1; i > 0 && in_flight_[i - 1].at > at; --i)
    std::swap(in_flight_[i - 1], in_flight_[i]);
  wake_at(in_flight_.front().at);
}

void LinkDirection::happen() {
  while (!in_flight_.empty() && in_flight_.front().at <= now()) {
    Frame frame = std::move(in_flight_.front().frame);
    in_flight_.pop_front();
    expect(frame, -1);
    ++counters_.delivered;
    tell([&](LinkWatcher& each) { each.arrived(to_, frame.bytes(), now()); });
    to_.node->receive(to_, std::move(frame));
  }
  if (!in_flight_.empty()) wake_at(in_flight_.front().at);
}

void LinkDirection::fail(const Frame& frame, Fate fate, std::uint64_t& counter) {
  ++counter;
  timeline().trace().mix(static_cast<std::uint64_t>(fate));
  tell([&](LinkWatcher& each) { each.failed(from_, to_, frame.bytes(), fate, now()); });
}

void LinkDirection::corrupt(Frame& frame) {
  const MutableBytes bytes = frame.writable();
  const std::uint64_t count = 1 + chance().corrupt.below(corrupted_bits_max);
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t bit = chance().corrupt.below(bytes.size() * 8);
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
  }
}

void LinkDirection::expect(const Frame& frame, int change) {
  if (frame.is_control()) return;
  in_flight_awaited_ += static_cast<std::uint64_t>(change);
  set_awaited(in_flight_awaited_);
}

void LinkDirection::cut() {
  is_cut_ = true;
  for (std::size_t i = 0; i < in_flight_.size(); ++i)
    fail(in_flight_[i].frame, Fate::cut, counters_.cut);
  in_flight_.clear();
  in_flight_awaited_ = 0;
  set_awaited(0);
  free_at_ = control_free_at_ = last_at_ = now();
}

Link::Link(Timeline& timeline, const std::string& name, Nic& a, Nic& b, const LinkOptions& a_to_b,
           const LinkOptions& b_to_a)
    : name_(name),
      a_(a),
      b_(b),
      a_to_b_(timeline, name + " >", a, b, a_to_b),
      b_to_a_(timeline, name + " <", b, a, b_to_a) {
  a.out = &a_to_b_;
  b.out = &b_to_a_;
}

void Link::set(const LinkOptions& options) {
  a_to_b_.set(options);
  b_to_a_.set(options);
}

LinkDirection& Link::towards(const Node& node) {
  assert(a_.node == &node || b_.node == &node);
  return b_.node == &node ? a_to_b_ : b_to_a_;
}

void Link::cut(Cut how) {
  a_to_b_.cut();
  b_to_a_.cut();
  if (how == Cut::visibly) set_carrier(false);
}

void Link::mend() {
  a_to_b_.mend();
  b_to_a_.mend();
  set_carrier(true);
}

void Link::set_carrier(bool up) {
  for (Nic* nic : {&a_, &b_}) {
    if (nic->has_carrier == up) continue;
    nic->has_carrier = up;
    nic->node->carrier_changed(*nic);
  }
}

}  // namespace koine::sim
