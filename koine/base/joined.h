// Text out of pieces: `joined({"port ", number, " is larger than ", max})`.
//
// One call, where each `+` of std::string would be a call, a temporary, and its end should
// something be thrown. Error texts are a tenth of what a small program consists of.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace koine {

/// Text that is lent, or a number.
class Piece {
 public:
  Piece(const char* text) : Piece(std::string_view(text)) {}         // NOLINT
  Piece(const std::string& text) : Piece(std::string_view(text)) {}  // NOLINT
  Piece(std::string_view text)                                       // NOLINT
      : text_(text.empty() ? "" : text.data()), size_or_number_(text.size()) {}
  Piece(std::unsigned_integral auto number) : size_or_number_(number) {}  // NOLINT

 private:
  friend std::string joined(std::initializer_list<Piece> pieces);

  const char* text_ = nullptr;  // null: a number
  std::uint64_t size_or_number_;
};

/// All of them, numbers in decimal.
std::string joined(std::initializer_list<Piece> pieces);

}  // namespace koine
