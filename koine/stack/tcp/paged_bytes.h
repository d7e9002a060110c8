// Bytes by position, in pages: what both ends of a connection keep their data in.
//
//     dropped | position 0 ... size()        written at any position, taken from the front
//             [ page | page |      | page ]  pages exist only where something was written
//
// An empty one owns no page, so a connection that is idle holds no buffer.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstring>
#include <memory>
#include <vector>

#include "koine/base/bytes.h"

namespace koine::stack::tcp {

class PagedBytes {
 public:
  static constexpr std::size_t page_size = 4096;

  /// Writes `from` at `position`. What lies before it and was never written has no defined content.
  void write_at(std::size_t position, Bytes from) {
    position += front_;
    while (!from.empty()) {
      const std::size_t at = position % page_size;
      const std::size_t count = std::min(from.size(), page_size - at);
      std::memcpy(page(position / page_size) + at, from.data(), count);
      from = from.subspan(count);
      position += count;
    }
  }

  /// Copies what was written at `position` to `into`.
  void copy_from(std::size_t position, MutableBytes into) const {
    position += front_;
    while (!into.empty()) {
      const std::size_t at = position % page_size;
      const std::size_t count = std::min(into.size(), page_size - at);
      const std::size_t index = first_ + position / page_size;
      assert(index < pages_.size() && pages_[index]);
      std::memcpy(into.data(), pages_[index].get() + at, count);
      into = into.subspan(count);
      position += count;
    }
  }

  /// Position `count` becomes position 0.
  void drop_front(std::size_t count) {
    front_ += count;
    for (; front_ >= page_size; front_ -= page_size) {
      if (first_ < pages_.size()) spare(std::move(pages_[first_++]));
    }
    if (first_ > 16 && first_ * 2 > pages_.size()) {
      pages_.erase(pages_.begin(), pages_.begin() + static_cast<std::ptrdiff_t>(first_));
      first_ = 0;
    }
  }

  /// How much memory it owns, in bytes.
  std::size_t footprint() const {
    std::size_t count = spare_ ? 1 : 0;
    for (const auto& each : pages_) count += each ? 1 : 0;
    return count * page_size;
  }

 private:
  using Page = std::unique_ptr<std::byte[]>;

  std::byte* page(std::size_t index) {
    index += first_;
    if (index >= pages_.size()) pages_.resize(index + 1);
    Page& page = pages_[index];
    if (!page)
      page = spare_ ? std::move(spare_) : std::make_unique_for_overwrite<std::byte[]>(page_size);
    return page.get();
  }
  void spare(Page page) { spare_ = std::move(page); }

  std::vector<Page> pages_;
  Page spare_;             // a stream that moves on needs no allocator
  std::size_t first_ = 0;  // pages_ before it are gone
  std::size_t front_ = 0;  // where position 0 is within the first page
};

}  // namespace koine::stack::tcp
