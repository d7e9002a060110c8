// Which connection a segment belongs to: open addressing, linear probing, a keyed hash, so that
// peers cannot choose to collide. It has no begin(): nothing may depend on its order.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "koine/stack/ip.h"

namespace koine::stack {

struct TcpKey {
  IpPort local{};
  IpPort remote{};

  friend constexpr bool operator==(const TcpKey&, const TcpKey&) = default;
};

class TcpTable {
 public:
  explicit TcpTable(std::uint64_t key) : key_(key | 1), cells_(16) {}

  std::size_t size() const { return size_; }

  std::optional<std::uint32_t> find(const TcpKey& key) const {
    for (std::size_t at = place(key);; at = next(at)) {
      const Cell& cell = cells_[at];
      if (!cell.used) return std::nullopt;
      if (cell.key == key) return cell.value;
    }
  }

  void insert(const TcpKey& key, std::uint32_t value) {
    if ((size_ + 1) * 2 > cells_.size()) grow();
    put(key, value);
    ++size_;
  }

  void erase(const TcpKey& key) {
    std::size_t at = place(key);
    while (!(cells_[at].used && cells_[at].key == key)) {
      if (!cells_[at].used) return;
      at = next(at);
    }
    --size_;
    // What follows moves up, so that no search ends too early.
    for (std::size_t from = next(at);; from = next(from)) {
      if (!cells_[from].used) break;
      const std::size_t home = place(cells_[from].key);
      const bool between = at < from ? (home > at && home <= from) : (home > at || home <= from);
      if (between) continue;
      cells_[at] = cells_[from];
      at = from;
    }
    cells_[at].used = false;
  }

 private:
  struct Cell {
    TcpKey key{};
    std::uint32_t value = 0;
    bool used = false;
  };
  __extension__ using Wide = unsigned __int128;

  static std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
    const Wide wide = static_cast<Wide>(a) * b;
    return static_cast<std::uint64_t>(wide) ^ static_cast<std::uint64_t>(wide >> 64);
  }
  std::size_t place(const TcpKey& key) const {
    std::uint64_t hash =
        fold(key.remote.ip.bits.low ^ key_, key.local.ip.bits.low ^ 0x9e37'79b9'7f4a'7c15);
    hash =
        fold(hash ^ key.remote.ip.bits.high, key_ ^ key.local.ip.bits.high ^ 0xbf58'476d'1ce4'e5b9);
    hash = fold(hash ^ (std::uint64_t{key.remote.port} << 16 | key.local.port), key_);
    return hash & (cells_.size() - 1);
  }
  std::size_t next(std::size_t at) const { return (at + 1) & (cells_.size() - 1); }

  void put(const TcpKey& key, std::uint32_t value) {
    std::size_t at = place(key);
    while (cells_[at].used) at = next(at);
    cells_[at] = {key, value, true};
  }
  void grow() {
    std::vector<Cell> old(cells_.size() * 2);
    old.swap(cells_);
    for (const Cell& cell : old)
      if (cell.used) put(cell.key, cell.value);
  }

  std::uint64_t key_;
  std::vector<Cell> cells_;  // a power of two, at most half of them used
  std::size_t size_ = 0;
};

}  // namespace koine::stack
