#include <algorithm>
#include <charconv>

#include "koine/journey/frames.h"
#include "koine/journey/ink.h"
#include "koine/journey/picture.h"
#include "koine/wire/dissect.h"

namespace koine::journey {
namespace {

std::string hex(Bytes bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i != 0 && i % 4 == 0) text += ' ';
    const auto value = std::to_integer<unsigned>(bytes[i]);
    text += digits[value >> 4];
    text += digits[value & 15];
  }
  return text;
}

/// What people can read of it, and dots.
std::string shown(Bytes bytes, std::size_t most) {
  std::string text = "\"";
  for (const std::byte byte : bytes.first(std::min(bytes.size(), most))) {
    const auto letter = std::to_integer<char>(byte);
    text += letter < 0x20 || letter > 0x7e ? '.' : letter;
  }
  return text + (bytes.size() > most ? "...\"" : "\"");
}

std::string cut(std::string text, std::size_t columns) {
  if (text.size() > columns) text = text.substr(0, columns - 3) + "...";
  return text;
}

std::string columns_of(std::string text, std::size_t columns, bool right) {
  if (text.size() >= columns) return text;
  const std::string space(columns - text.size(), ' ');
  return right ? space + text : text + space;
}

class Layers {
 public:
  Layers(const Frame& frame, PictureOptions options)
      : frame_(frame), columns_(std::max<std::size_t>(options.columns, 60)), ink_(options.colours) {
    wire_bytes_ = std::max<std::size_t>(frame.wire_bytes, frame.bytes.size());
    link_ = link_of(frame.bytes);
    what_ =
        wire::dissect(frame.bytes, link_, {.wire_length = wire_bytes_, .verify_checksums = false});
  }

  std::string draw() {
    out_ += ink_.bold(frame_.reply ? "the answer's frame" : "the message's frame") + ", " +
            std::to_string(wire_bytes_) + " bytes; each layer: its own bytes + what it carries\n";
    std::size_t payload = wire_bytes_;
    for (const wire::Layer& layer : what_.layers)
      if (layer.header) payload = wire_bytes_ - layer.offset - layer.length;
    const Bytes inner =
        Bytes(frame_.bytes).subspan(std::min(wire_bytes_ - payload, frame_.bytes.size()));
    row("5 program", std::to_string(payload), shown(inner, 40));
    for (auto layer = what_.layers.rbegin(); layer != what_.layers.rend(); ++layer)
      if (layer->header) header(*layer);
    const std::size_t wrapping = wire_bytes_ - payload;
    row("1 wire", std::to_string(wire_bytes_),
        std::to_string(wrapping) + " of " + std::to_string(wire_bytes_) + " bytes are wrapping (" +
            std::to_string(wire_bytes_ == 0 ? 0 : wrapping * 100 / wire_bytes_) + " %)");
    return out_;
  }

 private:
  void header(const wire::Layer& layer) {
    const std::size_t carries = wire_bytes_ - layer.offset - layer.length;
    row(std::to_string(layer.place.internet) + " " + layer.name,
        std::to_string(layer.length) + "+" + std::to_string(carries), layer.summary);
    // Sixteen bytes fit into a line of 60 columns.
    const Bytes bytes = Bytes(frame_.bytes).subspan(layer.offset, layer.length);
    for (std::size_t at = 0; at < bytes.size(); at += 16)
      out_ += std::string(24, ' ') +
              ink_.dim(hex(bytes.subspan(at, std::min<std::size_t>(16, bytes.size() - at)))) + "\n";
  }

  void row(const std::string& name, const std::string& bytes, const std::string& what) {
    out_ += " " + ink_.cyan(columns_of(name, 13, false)) + columns_of(bytes, 8, true) + "  " +
            cut(what, columns_ - 24) + "\n";
  }

  const Frame& frame_;
  std::size_t columns_;
  Ink ink_;
  std::size_t wire_bytes_ = 0;
  wire::LinkType link_{};
  wire::Dissection what_;
  std::string out_;
};

}  // namespace

wire::LinkType link_of(Bytes frame) {
  if (frame.size() >= 14) {
    const unsigned type = load_be16(frame.data() + 12);
    if (type == 0x0800 || type == 0x86dd || type == 0x8100) return wire::LinkType::ethernet;
  }
  const unsigned version = frame.empty() ? 0 : std::to_integer<unsigned>(frame[0]) >> 4;
  return version == 4 || version == 6 ? wire::LinkType::raw_ip : wire::LinkType::ethernet;
}

std::string layers(const Journey& journey, PictureOptions options) {
  std::string text;
  for (const Frame& frame : journey.frames) {
    if (!text.empty()) text += "\n";
    text += Layers(frame, options).draw();
  }
  return text;
}

}  // namespace koine::journey
