// Where a packet goes next: the longest prefix that contains its target (RFC 1812,
// section 5.2.4.3).
//
// One sorted list for each length that is in use, longest first: a lookup is a few binary searches.
#pragma once

#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "koine/stack/ip.h"

namespace koine::stack {

struct Route {
  int nic = 0;
  Ip gateway{};  ///< unspecified: the target is on the link

  friend constexpr auto operator<=>(const Route&, const Route&) = default;
};

class Routes {
 public:
  /// `length` counts from the beginning of an address of its version: 0 to 32, or 0 to 128. An
  /// equal prefix is replaced.
  void add(const Ip& prefix, int length, const Route& route) { set(prefix, length, {route}); }
  /// Several that are equally good; at least one.
  void set(const Ip& prefix, int length, std::vector<Route> hops);
  void remove(const Ip& prefix, int length);
  std::optional<Route> find(const Ip& target) const;
  /// All that are equally good; empty if there is none.
  std::span<const Route> find_all(const Ip& target) const;

 private:
  struct Entry {
    Ip prefix{};
    std::vector<Route> hops{};
  };
  struct Table {
    int length = 0;              // of 128 bits
    std::vector<Entry> entries;  // ascending
  };

  static std::size_t position(const Table& table, const Ip& key);

  std::vector<Table> tables_;  // longest first
};

}  // namespace koine::stack
