// Structs as messages in JSON, MessagePack or CBOR, with nlohmann-json. Include it by choice: it is
// the only header of koine's that shows that library.
//
//     struct Add { int a = 0; int b = 0; };
//     NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Add, a, b)
//
// makes Add a message in JSON. So is every other type that nlohmann-json converts and that is not
// text or a number, such as std::vector<Add>. To send it in a binary format instead:
//
//     template <>
//     struct koine::Codec<Add> : koine::CborCodec<Add> {};
//
// A peer's message has at most `json_depth_max` arrays and objects inside each other. Numbers are
// converted as nlohmann-json does it: 2.7 becomes 2 in an int.
#pragma once

#include <concepts>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "koine/rsocket/codec.h"

namespace koine {

inline constexpr std::size_t json_depth_max = 128;

namespace detail {

/// Looks at a message before it is turned into values: is it well-formed, and not too deep? (The
/// parsers of the binary formats call themselves for each array inside an array.)
class JsonCheck final : public nlohmann::json::json_sax_t {
 public:
  using Json = nlohmann::json;

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(Json::number_integer_t) override { return true; }
  bool number_unsigned(Json::number_unsigned_t) override { return true; }
  bool number_float(Json::number_float_t, const std::string&) override { return true; }
  bool string(std::string&) override { return true; }
  bool binary(Json::binary_t&) override { return true; }
  bool key(std::string&) override { return true; }
  bool start_object(std::size_t) override { return enter(); }
  bool end_object() override { return leave(); }
  bool start_array(std::size_t) override { return enter(); }
  bool end_array() override { return leave(); }
  bool parse_error(std::size_t, const std::string&,
                   const nlohmann::json::exception& thrown) override {
    what = thrown.what();
    return false;
  }

  std::string what;

 private:
  bool enter() {
    if (++depth_ <= json_depth_max) return true;
    what = "more than " + std::to_string(json_depth_max) + " arrays and objects inside each other";
    return false;
  }
  bool leave() {
    --depth_;
    return true;
  }

  std::size_t depth_ = 0;
};

/// "[json.exception.type_error.302] type must be number" without what is for programs.
inline std::unexpected<Error> json_error(std::string_view format, std::string_view what) {
  if (what.starts_with('[')) {
    const std::size_t end = what.find("] ");
    if (end != what.npos) what.remove_prefix(end + 2);
  }
  return std::unexpected(
      Error(Fault::malformed).with_note(std::string(format) + ": " + std::string(what)));
}

template <class T, nlohmann::json::input_format_t format>
struct NlohmannCodec {
  using Json = nlohmann::json;
  using Format = Json::input_format_t;

  static constexpr std::string_view name = format == Format::json   ? "JSON"
                                           : format == Format::cbor ? "CBOR"
                                                                    : "MessagePack";

  static Result<T> decode(Bytes bytes) {
    const auto* const begin = reinterpret_cast<const std::uint8_t*>(bytes.data());
    const auto* const end = begin + bytes.size();
    try {
      JsonCheck check;
      if (!Json::sax_parse(begin, end, &check, format)) return json_error(name, check.what);
      Json json;
      if constexpr (format == Format::json) {
        json = Json::parse(begin, end);
      } else if constexpr (format == Format::cbor) {
        json = Json::from_cbor(begin, end);
      } else {
        json = Json::from_msgpack(begin, end);
      }
      return json.template get<T>();
    } catch (const std::exception& thrown) {
      return json_error(name, thrown.what());
    }
  }

  static Result<void> encode(const T& value, rsocket::ByteVector& out) {
    try {
      const Json json = value;
      if constexpr (format == Format::json) {
        rsocket::append(out, std::string_view(json.dump()));
      } else if constexpr (format == Format::cbor) {
        rsocket::append(out, std::as_bytes(std::span<const std::uint8_t>(Json::to_cbor(json))));
      } else {
        rsocket::append(out, std::as_bytes(std::span<const std::uint8_t>(Json::to_msgpack(json))));
      }
    } catch (const std::exception& thrown) {
      return json_error(name, thrown.what());
    }
    return {};
  }
};

/// Types that nlohmann-json converts and that are nothing else here.
template <class T>
concept JsonValue =
    !rsocket::Raw<T> && !std::is_arithmetic_v<T> && !std::same_as<T, std::string> &&
    std::default_initializable<T> && requires(const nlohmann::json& json, const T& value) {
      json.get<T>();
      nlohmann::json(value);
    };

}  // namespace detail

template <class T>
using JsonCodec = detail::NlohmannCodec<T, nlohmann::json::input_format_t::json>;
template <class T>
using CborCodec = detail::NlohmannCodec<T, nlohmann::json::input_format_t::cbor>;
template <class T>
using MessagePackCodec = detail::NlohmannCodec<T, nlohmann::json::input_format_t::msgpack>;

template <detail::JsonValue T>
struct Codec<T> : JsonCodec<T> {};

}  // namespace koine
