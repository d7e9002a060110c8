#include "koine/rsocket/codec.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

namespace koine::rsocket {

Message to_message(const Payload& payload) {
  Message message{.data = std::string(as_text(payload.data))};
  if (payload.metadata) message.metadata = std::string(as_text(*payload.metadata));
  return message;
}

Encoded Encoded::owned() && {
  if (held_.empty() && failure_) {
    const std::size_t size = payload_.data.size();
    append(held_, payload_.data);
    if (payload_.metadata) append(held_, *payload_.metadata);
    payload_.data = Bytes(held_).first(size);
    if (payload_.metadata) payload_.metadata = Bytes(held_).subspan(size);
  }
  return std::move(*this);
}

namespace detail {

std::unexpected<Error> not_a(const std::string& expected, Bytes bytes) {
  constexpr std::size_t shown_max = 32;
  std::string note = "expected " + expected + ", not ";
  if (bytes.empty()) {
    note += "nothing";
  } else {
    note += "'";
    for (const char letter : as_text(bytes.first(std::min(bytes.size(), shown_max))))
      note += letter >= ' ' && letter <= '~' ? letter : '?';
    note += bytes.size() > shown_max ? "...'" : "'";
  }
  return std::unexpected(Error(Fault::malformed).with_note(std::move(note)));
}

template <class T>
Result<T> decode_number(Bytes bytes) {
  const std::string_view text = as_text(bytes);
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool is_all = error == std::errc() && end == text.data() + text.size();
  if constexpr (std::is_floating_point_v<T>) {
    if (is_all && std::isfinite(value)) return value;
    return not_a("a number", bytes);
  } else {
    if (is_all) return value;
    return not_a("an integer from " + std::to_string(std::numeric_limits<T>::min()) + " to " +
                     std::to_string(std::numeric_limits<T>::max()),
                 bytes);
  }
}

template <class T>
void encode_number(T value, ByteVector& out) {
  char text[40];
  const auto written = std::to_chars(text, text + sizeof(text), value);
  append(out, std::string_view(text, written.ptr));
}

#define KOINE_NUMBER(T)                    \
  template Result<T> decode_number(Bytes); \
  template void encode_number(T, ByteVector&)
KOINE_NUMBER(signed char);
KOINE_NUMBER(unsigned char);
KOINE_NUMBER(short);
KOINE_NUMBER(unsigned short);
KOINE_NUMBER(int);
KOINE_NUMBER(unsigned);
KOINE_NUMBER(long);
KOINE_NUMBER(unsigned long);
KOINE_NUMBER(long long);
KOINE_NUMBER(unsigned long long);
KOINE_NUMBER(float);
KOINE_NUMBER(double);
#undef KOINE_NUMBER

}  // namespace detail
}  // namespace koine::rsocket
