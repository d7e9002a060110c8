// Fields one after the other, the words that are the same for every protocol, and what is done
// where bytes run out.
#include "koine/wire/dissect_writer.h"

#include <algorithm>
#include <cassert>
#include <cstdio>

namespace koine::wire::dissection {

std::string hex_number(std::uint64_t value, int digits) {
  char text[24];
  std::snprintf(text, sizeof(text), "0x%0*llx", digits, static_cast<unsigned long long>(value));
  return text;
}

std::string counted(std::size_t count, std::string_view unit) {
  return words(count, " ", unit, count == 1 ? "" : "s");
}

namespace {

std::string left_out(Bytes bytes, std::size_t shown) {
  return shown < bytes.size() ? words(" and ", counted(bytes.size() - shown, "byte"), " more") : "";
}

bool is_printable(std::byte octet) { return octet >= std::byte{' '} && octet < std::byte{0x7f}; }

/// Text with the escapes of C; one character a byte at least, so that size bounds it.
std::string quoted(Bytes bytes) {
  std::string text = "\"";
  for (const std::byte octet : bytes) {
    const char letter = static_cast<char>(octet);
    if (letter == '\n') {
      text += "\\n";
    } else if (letter == '\r') {
      text += "\\r";
    } else if (letter == '\t') {
      text += "\\t";
    } else if (letter == '"' || letter == '\\') {
      text += '\\';
      text += letter;
    } else {
      text += is_printable(octet) ? letter : '.';
    }
  }
  return text + "\"";
}

}  // namespace

std::string hex_bytes(Bytes bytes, std::size_t size_max) {
  std::string text;
  const std::size_t shown = std::min(bytes.size(), size_max);
  for (std::size_t i = 0; i < shown; ++i) {
    if (i > 0 && i % 4 == 0) text += ' ';
    char digits[3];
    std::snprintf(digits, sizeof(digits), "%02x", std::to_integer<unsigned>(bytes[i]));
    text += digits;
  }
  return text + left_out(bytes, shown);
}

std::string preview(Bytes bytes) {
  constexpr std::size_t text_max = 48;
  const auto is_text = [](std::byte octet) {
    return is_printable(octet) || octet == std::byte{'\n'} || octet == std::byte{'\r'} ||
           octet == std::byte{'\t'};
  };
  const Bytes front = bytes.first(std::min(bytes.size(), text_max));
  if (!std::ranges::all_of(front, is_text)) return hex_bytes(bytes, 24);
  return quoted(front) + left_out(bytes, front.size());
}

Writer::Writer(Context& context, const Part& part, std::string_view name, Place place)
    : context_(context),
      part_(part),
      bytes_(context.frame.subspan(part.begin, part.size())),
      limit_(bytes_.size()) {
  layer_.name = name;
  layer_.place = place;
  layer_.offset = part.begin;
  layer_.quoted = part.quotes > 0;
}

void Writer::limit(std::size_t bytes) { limit_ = std::max(at(), std::min(bytes, bytes_.size())); }

std::optional<std::uint8_t> Writer::peek(std::size_t ahead) const {
  assert(bit_ % 8 == 0);
  if (broken_ || ahead >= left()) return std::nullopt;
  return std::to_integer<std::uint8_t>(bytes_[at() + ahead]);
}

Field& Writer::append(std::string_view name, std::size_t bits) {
  Field field;
  field.name = name;
  field.group = group_;
  field.bit_offset = bit_;
  field.bit_count = bits;
  field.source = source_;
  bit_ += bits;
  return layer_.fields.emplace_back(std::move(field));
}

/// Takes `bits` bits as the next field; false if they are not all there.
bool Writer::take(std::string_view name, std::size_t bits, std::uint64_t& value) {
  value = 0;
  if (broken_) return false;
  const std::size_t bits_left = limit_ * 8 - bit_;
  if (bits > bits_left) {
    broken_ = true;
    const Bytes piece = bytes_.subspan(at(), bits_left / 8);
    Field& field = append(name, bits_left);
    field.value = hex_bytes(piece);
    const bool bytes_end = limit_ == bytes_.size();
    const std::string how_much =
        piece.empty() ? "missing"
                      : words(piece.size(), " of ", counted((bits + 7) / 8, "byte"), " here");
    if (bytes_end && part_.cut != nullptr) {
      field.value += words(piece.empty() ? "" : " ", "(", how_much, ": ", part_.cut, ")");
    } else {
      field.problem = words(how_much, bytes_end ? ": the bytes end" : ": the header ends");
    }
    return false;
  }
  if (bits <= 64) {
    for (std::size_t bit = bit_; bit < bit_ + bits; ++bit) {
      const auto octet = std::to_integer<unsigned>(bytes_[bit / 8]);
      value = value << 1 | (octet >> (7 - bit % 8) & 1);
    }
  }
  append(name, bits);
  return true;
}

std::uint64_t Writer::number(std::string_view name, std::size_t bits) {
  std::uint64_t value;
  take(name, bits, value);
  say(std::to_string(value));
  return value;
}

std::uint64_t Writer::hex(std::string_view name, std::size_t bits) {
  std::uint64_t value;
  take(name, bits, value);
  say(hex_number(value, static_cast<int>((bits + 3) / 4)));
  return value;
}

bool Writer::flag(std::string_view name) {
  std::uint64_t value;
  take(name, 1, value);
  say(value != 0 ? "set" : "not set");
  return value != 0;
}

Mac Writer::mac(std::string_view name) {
  std::uint64_t value;
  take(name, 48, value);
  say(to_string(Mac{value}));
  return {value};
}

Ipv4Address Writer::ipv4(std::string_view name) {
  std::uint64_t value;
  take(name, 32, value);
  const Ipv4Address address{static_cast<std::uint32_t>(value)};
  say(to_string(address));
  return address;
}

Ipv6Address Writer::ipv6(std::string_view name) {
  std::uint64_t ignored;
  const std::size_t begin = at();
  if (!take(name, 128, ignored)) return {};
  const Ipv6Address address = Ipv6Address::load(bytes_.data() + begin);
  say(to_string(address));
  return address;
}

std::uint64_t Writer::port(std::string_view name) {
  static constexpr struct {
    std::uint16_t port;
    const char* service;
  } services[] = {
      {7, "echo"},     {9, "discard"}, {20, "ftp-data"},  {21, "ftp"},  {22, "ssh"},
      {25, "smtp"},    {53, "domain"}, {67, "dhcp"},      {68, "dhcp"}, {80, "http"},
      {123, "ntp"},    {443, "https"}, {515, "printer"},  {520, "rip"}, {546, "dhcpv6"},
      {547, "dhcpv6"}, {631, "ipp"},   {853, "domain-s"},
  };
  const std::uint64_t number_ = number(name, 16);
  const auto* const known = std::ranges::find(
      services, number_, [](const auto& service) { return std::uint64_t{service.port}; });
  if (known != std::end(services)) add(known->service);
  return number_;
}

Bytes Writer::octets(std::string_view name, std::size_t size) {
  std::uint64_t ignored;
  const std::size_t begin = at();
  if (!take(name, size * 8, ignored)) return {};
  const Bytes value = bytes_.subspan(begin, size);
  say(hex_bytes(value));
  return value;
}

void Writer::reserved(std::string_view name, std::size_t bits) {
  const std::size_t begin = at();
  std::uint64_t value;
  if (!take(name, bits, value)) return;
  if (bits > 64) {
    const Bytes octets = bytes_.subspan(begin, bits / 8);
    const bool zero = std::ranges::all_of(octets, [](std::byte b) { return b == std::byte{0}; });
    say(zero ? "0" : hex_bytes(octets) + ", not zero: ignored");
  } else {
    say(value == 0 ? "0" : words(value, ", not zero: ignored"));
  }
}

void Writer::checksum(std::string_view name, Checksum pseudo, Bytes covered, std::size_t at,
                      const char* why_not) {
  const std::uint64_t value = hex(name, 16);
  if (broken_) return;
  if (!context_.verify_checksums) why_not = "left to the device";
  if (why_not != nullptr) {
    add(words("not checked: ", why_not));
    return;
  }
  // The field itself counts as zero; an odd front never occurs, checksums lie on even offsets.
  const std::uint16_t expected =
      pseudo.add(partial_sum(covered.first(at)) + partial_sum(covered.subspan(at + 2))).value();
  // 0xffff and 0 are the same number in one's complement.
  if (value == expected || (expected == 0 && value == 0xffff)) {
    add("correct");
  } else {
    complain(words("wrong: these bytes need ", hex_number(expected, 4)));
  }
}

void Writer::overrun(std::string_view whole, std::size_t taken) {
  if (limit_ == bytes_.size() && part_.cut != nullptr) {
    add(part_.cut);
  } else {
    complain(words("the ", whole, " has only ", counted(left() + taken, "byte"), " left"));
  }
  rest("Remaining Bytes");
}

void Writer::rest(std::string_view name, std::string_view problem) {
  if (broken_ || left() == 0) return;
  octets(name, left());
  if (!problem.empty()) complain(problem);
}

void Writer::text(std::string_view name) {
  if (broken_ || left() == 0) return;
  say(preview(octets(name, left())));
}

void Writer::say(std::string value) {
  if (!broken_) layer_.fields.back().value = std::move(value);
}

void Writer::add(std::string_view more) {
  if (broken_) return;
  std::string& value = layer_.fields.back().value;
  if (!value.empty()) value += ", ";
  value += more;
}

void Writer::complain(std::string_view problem) {
  if (broken_) return;
  std::string& before = layer_.fields.back().problem;
  if (!before.empty()) before += "; ";
  before += problem;
}

std::string Writer::why_broken() const {
  const bool problem =
      std::ranges::any_of(layer_.fields, [](const Field& field) { return !field.problem.empty(); });
  return problem || part_.cut == nullptr ? "malformed" : words("the rest is ", part_.cut);
}

Part Writer::finish(std::string summary) {
  assert(bit_ % 8 == 0);
  layer_.length = at();
  layer_.summary = std::move(summary);
  context_.result.layers.push_back(std::move(layer_));
  Part rest = part_;
  rest.begin += at();
  return rest;
}

void write_data(Context& context, const Part& part, std::string_view name, Place place,
                std::string_view problem) {
  if (part.size() == 0) return;
  const Bytes bytes = context.frame.subspan(part.begin, part.size());
  Layer layer;
  layer.name = name;
  layer.place = place;
  layer.offset = part.begin;
  layer.length = part.size();
  layer.header = false;
  layer.quoted = part.quotes > 0;
  layer.summary = counted(part.size(), "byte");
  Field& field = layer.fields.emplace_back();
  field.name = name;
  field.bit_count = part.size() * 8;
  field.value = preview(bytes);
  field.problem = problem;
  context.result.layers.push_back(std::move(layer));
}

}  // namespace koine::wire::dissection

namespace koine::wire {

std::string_view internet_layer_name(int layer) {
  constexpr std::string_view names[] = {"physical", "data link", "network", "transport",
                                        "application"};
  assert(layer >= 1 && layer <= 5);
  return names[layer - 1];
}

std::string_view osi_layer_name(int layer) {
  constexpr std::string_view names[] = {"physical", "data link",    "network",    "transport",
                                        "session",  "presentation", "application"};
  assert(layer >= 1 && layer <= 7);
  return names[layer - 1];
}

bool Dissection::has_problem() const {
  return std::ranges::any_of(layers, [](const Layer& layer) {
    return std::ranges::any_of(layer.fields,
                               [](const Field& field) { return !field.problem.empty(); });
  });
}

}  // namespace koine::wire
