#include "koine/base/joined.h"

namespace koine {

std::string joined(std::initializer_list<Piece> pieces) {
  std::string text;
  for (const Piece& piece : pieces) {
    if (piece.text_ != nullptr) {
      text.append(piece.text_, piece.size_or_number_);
    } else {
      char digits[20];
      char* first = digits + sizeof(digits);
      std::uint64_t rest = piece.size_or_number_;
      do {
        *--first = static_cast<char>('0' + rest % 10);
        rest /= 10;
      } while (rest != 0);
      text.append(first, static_cast<std::size_t>(digits + sizeof(digits) - first));
    }
  }
  return text;
}

}  // namespace koine
