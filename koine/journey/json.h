// JSON as the exporters write it: by appending, without a tree.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace koine::journey {

/// `text` in quotes. What is not UTF-8 becomes U+FFFD, because JSON is UTF-8 (RFC 8259,
/// section 8.1).
std::string json_text(std::string_view text);

/// Members of an object, or items of an array, with the commas between them.
class JsonList {
 public:
  explicit JsonList(char open) : text_(1, open), close_(open == '{' ? '}' : ']') {}

  JsonList& item(std::string_view json) {
    if (text_.size() > 1) text_ += ',';
    text_ += json;
    return *this;
  }
  JsonList& member(std::string_view name, std::string_view json) {
    return item(json_text(name) + ":" + std::string(json));
  }
  JsonList& member(std::string_view name, std::int64_t number) {
    return member(name, std::to_string(number));
  }
  std::string done() { return std::move(text_) + close_; }

 private:
  std::string text_;
  char close_;
};

}  // namespace koine::journey
