// Islands merge when they touch, and vanish when the hole before them is filled.
#include "koine/stack/tcp/reassembly.h"

#include <algorithm>

namespace koine::stack::tcp {

Reassembly::Outcome Reassembly::insert(Seq seq, Bytes data, std::size_t islands_max) {
  Outcome outcome;
  Seq end = seq + static_cast<std::uint32_t>(data.size());
  if (seq < nxt_) {
    outcome.duplicate = {seq, wire::earlier(nxt_, end)};
    if (end <= nxt_) return outcome;
    data = data.subspan(nxt_ - seq);
    seq = nxt_;
  }
  if (data.empty()) return outcome;
  const auto write = [&] { bytes_.write_at(ready_ + (seq - nxt_), data); };

  if (seq == nxt_ && islands_.empty()) {  // nearly always
    write();
    nxt_ = end;
    ready_ += static_cast<std::uint32_t>(data.size());
    outcome.advanced = static_cast<std::uint32_t>(data.size());
    return outcome;
  }

  // The islands that [seq, end) touches become one with it.
  auto first = std::lower_bound(islands_.begin(), islands_.end(), seq,
                                [](const Island& island, Seq at) { return island.right < at; });
  auto last = first;
  Seq left = seq;
  Seq right = end;
  for (; last != islands_.end() && last->left <= end; ++last) {
    const Seq from = wire::later(last->left, seq);
    const Seq to = wire::earlier(last->right, end);
    if (from < to && outcome.duplicate.left == outcome.duplicate.right)
      outcome.duplicate = {from, to};
    left = wire::earlier(left, last->left);
    right = wire::later(right, last->right);
  }

  if (seq == nxt_) {
    write();
    outcome.filled = true;
    outcome.advanced = right - nxt_;
    ready_ += outcome.advanced;
    nxt_ = right;
    islands_.erase(first, last);
    return outcome;
  }

  if (first == last && islands_.size() >= islands_max) {
    outcome.refused = true;
    return outcome;
  }
  write();
  outcome.apart = true;
  const Island merged{left, right, ++stamp_};
  if (first == last) {
    islands_.insert(first, merged);
  } else {
    *first = merged;
    islands_.erase(first + 1, last);
  }
  return outcome;
}

bool Reassembly::has(Seq left, Seq right) const {
  if (right <= nxt_) return true;
  left = wire::later(left, nxt_);
  const auto island = std::lower_bound(islands_.begin(), islands_.end(), right,
                                       [](const Island& each, Seq at) { return each.right < at; });
  return island != islands_.end() && island->left <= left;
}

std::size_t Reassembly::read(MutableBytes into) {
  const std::size_t count = std::min<std::size_t>(into.size(), ready_);
  if (count == 0) return 0;
  bytes_.copy_from(0, into.first(count));
  bytes_.drop_front(count);
  ready_ -= static_cast<std::uint32_t>(count);
  return count;
}

void Reassembly::report(std::size_t count_max, wire::FixedList<SackBlock, 4>& into) const {
  std::uint32_t below = ~std::uint32_t{0};
  while (into.size() < count_max && !into.full()) {
    const Island* newest = nullptr;
    for (const Island& island : islands_)
      if (island.stamp < below && (newest == nullptr || island.stamp > newest->stamp))
        newest = &island;
    if (newest == nullptr) return;
    into.push_back({newest->left, newest->right});
    below = newest->stamp;
  }
}

}  // namespace koine::stack::tcp
