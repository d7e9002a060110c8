// The messages of Protocol Buffers as they are. Include it by choice, and link the library that it
// shows (protobuf::libprotobuf, or protobuf::libprotobuf-lite): koine itself does not need it.
//
//     message Add { int32 a = 1; int32 b = 2; }
//
// Every class that protoc makes is a message in the binary format (protobuf's "encoding"), without
// a length before it: peer.call<Sum>("add", add).
//
// What a peer sends is bounded by protobuf: messages inside each other to a depth of 100, and 2
// GiB, long after rsocket's own bound. A text of proto3 that is no UTF-8 cannot be read; protobuf
// also writes a line about it to standard error, unless the program has a log handler of its own.
#pragma once

#include <google/protobuf/message_lite.h>

#include <concepts>
#include <cstdint>
#include <limits>
#include <string>

#include "koine/rsocket/codec.h"

namespace koine {

namespace detail {

/// What protobuf has no larger messages than.
inline constexpr std::size_t protobuf_bytes_max = std::numeric_limits<int>::max();

/// "protobuf: game.Move of 7 bytes lacks required fields: from, to"
inline std::unexpected<Error> protobuf_error(const google::protobuf::MessageLite& message,
                                             std::size_t bytes, const std::string& what) {
  return std::unexpected(Error(Fault::malformed)
                             .with_note("protobuf: " + std::string(message.GetTypeName()) + " of " +
                                        std::to_string(bytes) +
                                        (bytes == 1 ? " byte " : " bytes ") + what));
}

inline std::unexpected<Error> protobuf_lacks(const google::protobuf::MessageLite& message,
                                             std::size_t bytes) {
  return protobuf_error(message, bytes,
                        "lacks required fields: " + message.InitializationErrorString());
}

/// The classes that protoc makes; no interface above them.
template <class T>
concept ProtobufMessage =
    std::derived_from<T, google::protobuf::MessageLite> && std::default_initializable<T>;

}  // namespace detail

template <detail::ProtobufMessage T>
struct Codec<T> {
  static Result<T> decode(Bytes bytes) {
    T message;
    // Partial, as a missing field is ours to tell: protobuf would write it to standard error.
    if (bytes.size() > detail::protobuf_bytes_max ||
        !message.ParsePartialFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      return detail::protobuf_error(message, bytes.size(), "cannot be read");
    }
    if (!message.IsInitialized()) return detail::protobuf_lacks(message, bytes.size());
    return message;
  }

  /// Required fields that are missing are Fault::malformed, more than 2 GiB Fault::over_limit.
  static Result<void> encode(const T& message, rsocket::ByteVector& out) {
    const std::size_t size = message.ByteSizeLong();  // kept in the message for the writing
    if (!message.IsInitialized()) return detail::protobuf_lacks(message, size);
    if (size > detail::protobuf_bytes_max) return fail(Fault::over_limit);
    const std::size_t begin = out.size();
    out.resize(begin + size);
    message.SerializeWithCachedSizesToArray(reinterpret_cast<std::uint8_t*>(out.data() + begin));
    return {};
  }
};

}  // namespace koine
