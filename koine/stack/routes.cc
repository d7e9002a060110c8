// IPv4 prefixes are those below ::ffff:0:0/96, so both versions share the tables.
#include "koine/stack/routes.h"

#include <algorithm>

namespace koine::stack {

namespace {

int whole_length(const Ip& prefix, int length) { return prefix.is_v4() ? length + 96 : length; }

Ip masked(const Ip& ip, int length) {
  const wire::Ipv6Prefix prefix{{}, static_cast<std::uint8_t>(length)};
  const wire::Ipv6Address mask = prefix.mask();
  return wire::Ipv6Address{ip.bits.high & mask.high, ip.bits.low & mask.low};
}

}  // namespace

std::size_t Routes::position(const Table& table, const Ip& key) {
  std::size_t low = 0;
  std::size_t high = table.entries.size();
  while (low < high) {
    const std::size_t middle = (low + high) / 2;
    if (table.entries[middle].prefix < key) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

void Routes::set(const Ip& prefix, int length, std::vector<Route> hops) {
  const int whole = whole_length(prefix, length);
  std::size_t i = 0;
  while (i < tables_.size() && tables_[i].length > whole) ++i;
  if (i == tables_.size() || tables_[i].length != whole)
    tables_.insert(tables_.begin() + static_cast<std::ptrdiff_t>(i), Table{whole, {}});
  auto& entries = tables_[i].entries;
  const Ip key = masked(prefix, whole);
  const std::size_t at = position(tables_[i], key);
  if (at < entries.size() && entries[at].prefix == key) {
    entries[at].hops = std::move(hops);
  } else {
    entries.insert(entries.begin() + static_cast<std::ptrdiff_t>(at), Entry{key, std::move(hops)});
  }
}

void Routes::remove(const Ip& prefix, int length) {
  const int whole = whole_length(prefix, length);
  const Ip key = masked(prefix, whole);
  for (Table& table : tables_) {
    if (table.length != whole) continue;
    std::erase_if(table.entries, [&](const Entry& entry) { return entry.prefix == key; });
  }
}

std::optional<Route> Routes::find(const Ip& target) const {
  const auto hops = find_all(target);
  if (hops.empty()) return std::nullopt;
  return hops.front();
}

std::span<const Route> Routes::find_all(const Ip& target) const {
  for (const Table& table : tables_) {
    if (target.is_v4() && table.length < 96) break;  // IPv6's default route is not IPv4's
    const Ip key = masked(target, table.length);
    const std::size_t at = position(table, key);
    if (at < table.entries.size() && table.entries[at].prefix == key) return table.entries[at].hops;
  }
  return {};
}

}  // namespace koine::stack
