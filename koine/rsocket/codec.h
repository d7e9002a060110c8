// Codec: how a type becomes the bytes of a message, and comes back.
//
//     template <>
//     struct koine::Codec<Colour> {
//       static Result<Colour> decode(Bytes bytes);
//       static Result<void> encode(const Colour& colour, rsocket::ByteVector& out);  // appends
//     };
//
// Text and bytes are messages as they are. Numbers and `bool` are written as JSON writes them. What
// anything else looks like is said by a header that a program includes by choice (json.h,
// protobuf.h), or by a codec of its own.
//
// decode() is given what a peer sent: it fails with Fault::malformed and a note that says what is
// wrong, where, and what was expected. Who calls it adds which message it was.
#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <type_traits>

#include "koine/base/bytes.h"
#include "koine/base/error.h"
#include "koine/rsocket/frame.h"

namespace koine {

template <class T>
struct Codec;

namespace rsocket {

/// A message that is owned. A request's metadata is there if it says more than a route and a time.
struct Message {
  std::string data = {};
  std::optional<std::string> metadata = {};

  Payload payload() const {
    Payload payload{.data = as_bytes(data)};
    if (metadata) payload.metadata = as_bytes(*metadata);
    return payload;
  }
};

/// An owned copy of what is lent.
Message to_message(const Payload& payload);

/// What is a message as it is.
template <class T>
concept Raw = std::convertible_to<const T&, std::string_view> ||
              std::convertible_to<const T&, Bytes> || std::same_as<T, Message>;

/// What a codec can write, and read.
template <class T>
concept Encodable = Raw<T> || requires(const T& value, ByteVector& out) {
  { Codec<T>::encode(value, out) } -> std::same_as<Result<void>>;
};
template <class T>
concept Decodable = std::same_as<T, Message> || requires(Bytes bytes) {
  { Codec<T>::decode(bytes) } -> std::same_as<Result<T>>;
};

/// Integers of every size, `float` and `double`; no characters.
template <class T>
concept Number = std::same_as<T, float> || std::same_as<T, double> ||
                 (std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char> &&
                  !std::same_as<T, wchar_t> && !std::same_as<T, char8_t> &&
                  !std::same_as<T, char16_t> && !std::same_as<T, char32_t>);

inline void append(ByteVector& out, Bytes bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}
inline void append(ByteVector& out, std::string_view text) { append(out, as_bytes(text)); }

namespace detail {

/// The error of what is no `expected`: says what it is instead.
std::unexpected<Error> not_a(const std::string& expected, Bytes bytes);

// For every Number.
template <class T>
Result<T> decode_number(Bytes bytes);
template <class T>
void encode_number(T value, ByteVector& out);

template <class T>
Payload lend(const T& value) {
  if constexpr (std::same_as<T, Message>) {
    return value.payload();
  } else if constexpr (std::convertible_to<const T&, std::string_view>) {
    return {.data = as_bytes(std::string_view(value))};
  } else {
    return {.data = Bytes(value)};
  }
}

}  // namespace detail

/// A value as it is sent. Raw values are lent, all others encoded. See encoded().
class Encoded {
 public:
  template <class T>
    requires Encodable<T>
  explicit Encoded(const T& value) {
    if constexpr (Raw<T>) {
      payload_ = detail::lend(value);
    } else {
      failure_ = Codec<T>::encode(value, held_);
      payload_.data = Bytes(held_);
    }
  }
  /// What was encoded before, lent.
  explicit Encoded(const Payload& payload) : payload_(payload) {}
  Encoded(const Encoded&) = delete;
  Encoded(Encoded&&) = default;  // what a ByteVector holds stays where it is

  const Payload& payload() const { return payload_; }

  /// The error of the codec, if it could not be encoded.
  const Result<void>& failure() const { return failure_; }

  /// The same, lending nothing.
  Encoded owned() &&;

 private:
  Payload payload_;
  ByteVector held_;
  Result<void> failure_;
};

/// As it is sent: lends what outlives the expression, and takes over what would not.
template <class T>
  requires Encodable<std::remove_cvref_t<T>>
Encoded encoded(T&& value) {
  using Value = std::remove_cvref_t<T>;
  if constexpr (!std::is_lvalue_reference_v<T> && Raw<Value> &&
                !std::is_trivially_destructible_v<Value>) {
    return Encoded(value).owned();
  } else {
    return Encoded(value);
  }
}

template <class T>
  requires Decodable<T>
Result<T> decode(const Payload& payload) {
  if constexpr (std::same_as<T, Message>) {
    return to_message(payload);
  } else {
    return Codec<T>::decode(payload.data);
  }
}

}  // namespace rsocket

template <>
struct Codec<std::string> {
  static Result<std::string> decode(Bytes bytes) { return std::string(as_text(bytes)); }
};

template <>
struct Codec<bool> {
  static Result<bool> decode(Bytes bytes) {
    if (as_text(bytes) == "true") return true;
    if (as_text(bytes) == "false") return false;
    return rsocket::detail::not_a("true or false", bytes);
  }
  static Result<void> encode(bool value, rsocket::ByteVector& out) {
    rsocket::append(out, std::string_view(value ? "true" : "false"));
    return {};
  }
};

/// In decimal. NaN and the infinities are no numbers here, as in JSON.
template <rsocket::Number T>
struct Codec<T> {
  static Result<T> decode(Bytes bytes) { return rsocket::detail::decode_number<T>(bytes); }
  static Result<void> encode(T value, rsocket::ByteVector& out) {
    if constexpr (std::floating_point<T>) {
      if (value - value != 0) {
        return std::unexpected(
            Error(Fault::malformed, "encode").with_note("not a number, or infinite"));
      }
    }
    rsocket::detail::encode_number(value, out);
    return {};
  }
};

}  // namespace koine
