// The two tables. Everything that might be longer than its column is wrapped, nothing is cut.
#include "koine/wire/dissect_text.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ranges>
#include <vector>

#include "koine/wire/address.h"

namespace koine::wire {

namespace {

constexpr std::size_t columns = 80;

/// Lines of at most `width` columns, broken where the text is, and at blanks where there are any.
std::vector<std::string> wrapped(std::string_view text, std::size_t width) {
  std::vector<std::string> lines;
  if (const std::size_t end = text.find('\n'); end != std::string_view::npos) {
    lines = wrapped(text.substr(0, end), width);
    for (std::string& line : wrapped(text.substr(end + 1), width)) lines.push_back(std::move(line));
    return lines;
  }
  while (text.size() > width) {
    std::size_t end = text.rfind(' ', width);
    if (end == std::string_view::npos || end == 0) end = width;
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
    while (text.starts_with(' ')) text.remove_prefix(1);
  }
  lines.emplace_back(text);
  return lines;
}

void append_line(std::string& to, std::string line) {
  while (line.ends_with(' ')) line.pop_back();
  to += line;
  to += '\n';
}

struct Column {
  std::size_t begin;
  std::size_t width;
};

/// One row of a table: cells that wrap side by side.
template <std::size_t count>
void append_row(std::string& to, const std::array<Column, count>& layout,
                const std::array<std::string, count>& cells) {
  std::array<std::vector<std::string>, count> lines;
  std::size_t height = 0;
  for (std::size_t i = 0; i < count; ++i) {
    lines[i] = wrapped(cells[i], layout[i].width);
    height = std::max(height, lines[i].size());
  }
  for (std::size_t row = 0; row < height; ++row) {
    std::string line;
    for (std::size_t i = 0; i < count; ++i) {
      if (row >= lines[i].size()) continue;
      line.resize(layout[i].begin, ' ');
      line += lines[i][row];
    }
    append_line(to, line);
  }
}

void append_wrapped(std::string& to, std::size_t indent, std::string_view text) {
  append_row<1>(to, {Column{indent, columns - indent}}, {std::string(text)});
}

constexpr std::array<Column, 4> field_columns = {Column{2, 12}, {15, 24}, {40, 23}, {64, 16}};

std::string bits_of(const Field& field) {
  if (field.bit_count == 0) return "-";
  std::string bits = std::to_string(field.bit_offset);
  if (field.bit_count > 1) bits += ".." + std::to_string(field.bit_offset + field.bit_count - 1);
  return bits;
}

void append_fields(std::string& to, const Layer& layer) {
  std::string_view group;
  for (const Field& field : layer.fields) {
    if (field.group != group && !field.group.empty())
      append_wrapped(to, field_columns[1].begin, field.group + ":");
    group = field.group;
    append_row(to, field_columns,
               {bits_of(field), field.name, field.value, std::string(field.source)});
    if (!field.problem.empty()) append_wrapped(to, field_columns[1].begin, "!! " + field.problem);
  }
}

std::string head_of(const Layer& layer) {
  std::string head = layer.name;
  if (layer.quoted) head += " (quoted)";
  if (layer.length == 0) {
    head += "  no bytes";
  } else if (layer.length == 1) {
    head += "  byte " + std::to_string(layer.offset);
  } else {
    head += "  bytes " + std::to_string(layer.offset) + ".." +
            std::to_string(layer.offset + layer.length - 1);
  }
  head += "  layer " + std::to_string(layer.place.internet) + " ";
  head += internet_layer_name(layer.place.internet);
  head += "  OSI " + std::to_string(layer.place.osi) + " ";
  head += osi_layer_name(layer.place.osi);
  return head;
}

/// Hexadecimal, with a blank wherever a field ends with a byte, and within long fields.
std::string bytes_of(const Layer& layer, Bytes frame) {
  std::string text;
  std::size_t at = 0;
  for (const Field& field : layer.fields) {
    const std::size_t end = (field.bit_offset + field.bit_count) / 8;
    const std::size_t begin = at;
    for (; at < end; ++at) {
      const bool is_long = end - begin > Mac::size;
      if (at == begin ? !text.empty() : is_long && (at - begin) % 4 == 0) text += ' ';
      char digits[3];
      std::snprintf(digits, sizeof(digits), "%02x",
                    std::to_integer<unsigned>(frame[layer.offset + at]));
      text += digits;
    }
  }
  return text;
}

bool is_padding(const Layer& layer) { return !layer.header && layer.place == place_link; }

/// The highest first; what fills up the link's frame stands with the link.
std::vector<const Layer*> from_the_top(const Dissection& dissection) {
  std::vector<const Layer*> order;
  for (const bool link : {false, true}) {
    for (const Layer& layer : std::views::reverse(dissection.layers)) {
      if ((layer.place == place_link && !layer.quoted) == link) order.push_back(&layer);
    }
  }
  return order;
}

constexpr std::array<Column, 3> layer_columns = {Column{1, 14}, {16, 9}, {26, 54}};

}  // namespace

std::string field_table(const Dissection& dissection) {
  std::string text;
  for (const Layer& layer : dissection.layers) {
    if (!text.empty()) text += '\n';
    append_wrapped(text, 0, head_of(layer));
    if (!layer.summary.empty()) append_wrapped(text, 2, layer.summary);
    append_fields(text, layer);
  }
  return text;
}

std::string layer_table(const Dissection& dissection, Bytes frame, std::size_t wire_length) {
  std::string text;
  append_row(text, layer_columns, {"layer", "bytes", "as sent, and what it says"});
  std::size_t padding = 0;
  std::size_t carried = 0;
  for (const Layer& layer : dissection.layers) {
    if (is_padding(layer)) padding += layer.length;
    if (!layer.header && !layer.quoted && layer.place == place_application) carried += layer.length;
  }
  for (const Layer* layer : from_the_top(dissection)) {
    std::string name = std::to_string(layer->place.internet) + " " + layer->name;
    if (layer->quoted) name += "\n(quoted)";
    std::string bytes = std::to_string(layer->length);
    std::string content = layer->fields.empty() ? "" : layer->fields.front().value;
    if (layer->header) {
      std::size_t inside = frame.size() - layer->offset - layer->length;
      if (layer->offset > 0) inside -= std::min(inside, padding);
      bytes += "+" + std::to_string(inside);
      content = bytes_of(*layer, frame) + "\n" + layer->summary;
    }
    append_row(text, layer_columns, {name, bytes, content});
    for (const Field& field : layer->fields) {
      if (!field.problem.empty())
        append_wrapped(text, layer_columns[2].begin, "!! " + field.name + ": " + field.problem);
    }
  }
  const std::size_t length = std::max(wire_length, frame.size());
  const std::size_t wrapping = frame.size() - carried;
  std::string wire =
      std::to_string(wrapping) + " of " + std::to_string(frame.size()) + " bytes are wrapping";
  if (!frame.empty()) wire += " (" + std::to_string(wrapping * 100 / frame.size()) + " %)";
  if (length > frame.size())
    wire += ", " + std::to_string(length - frame.size()) + " more were not captured";
  append_row(text, layer_columns, {"1 wire", std::to_string(length), wire});
  return text;
}

}  // namespace koine::wire
