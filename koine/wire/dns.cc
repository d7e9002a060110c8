// DNS messages.
#include "koine/wire/dns.h"

#include <algorithm>
#include <cassert>
#include <map>
#include <utility>

namespace koine::wire {
namespace {

constexpr std::size_t label_bytes_max = 63;
constexpr std::size_t name_bytes_max = 255;
constexpr std::size_t pointer_reach = 0x4000;  // a pointer has 14 bits
constexpr std::uint8_t pointer_mark = 0xc0;

char lower(char letter) {
  return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
}

using Labels = std::vector<std::string>;

/// The labels of a name as text, or nothing if it is none.
std::optional<Labels> labels_of(std::string_view name) {
  Labels labels;
  if (name == ".") return labels;
  if (name.ends_with('.') && !name.ends_with("\\.")) name.remove_suffix(1);
  std::string label;
  std::size_t bytes = 1;  // that ends it
  const auto is_digit = [](char letter) { return letter >= '0' && letter <= '9'; };
  const auto end_label = [&] {
    bytes += 1 + label.size();
    const bool is_good = !label.empty() && label.size() <= label_bytes_max;
    labels.push_back(std::exchange(label, {}));
    return is_good && bytes <= name_bytes_max;
  };
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char letter = name[i];
    if (letter == '.') {
      if (!end_label()) return std::nullopt;
    } else if (letter != '\\') {
      label += letter;
    } else if (i + 3 < name.size() && is_digit(name[i + 1]) && is_digit(name[i + 2]) &&
               is_digit(name[i + 3])) {
      const int octet = (name[i + 1] - '0') * 100 + (name[i + 2] - '0') * 10 + (name[i + 3] - '0');
      if (octet > 255) return std::nullopt;
      label += static_cast<char>(octet);
      i += 3;
    } else if (i + 1 < name.size() && !is_digit(name[i + 1])) {
      label += name[++i];
    } else {
      return std::nullopt;
    }
  }
  if (!end_label()) return std::nullopt;
  return labels;
}

void append_label(std::string& name, Bytes label) {
  if (!name.empty()) name += '.';
  for (const std::byte each : label) {
    const auto octet = std::to_integer<unsigned>(each);
    if (octet == '.' || octet == '\\') {
      name += '\\';
      name += static_cast<char>(octet);
    } else if (octet > ' ' && octet < 0x7f) {
      name += static_cast<char>(octet);
    } else {
      name += '\\';
      for (const unsigned unit : {100u, 10u, 1u})
        name += static_cast<char>('0' + octet / unit % 10);
    }
  }
}

/// Takes a message apart; what is not there makes it broken.
class Reader {
 public:
  explicit Reader(Bytes message) : message_(message), end_(message.size()) {}

  bool is_broken() const { return is_broken_; }
  std::size_t left() const { return end_ - at_; }

  std::uint8_t u8() { return has(1) ? std::to_integer<std::uint8_t>(message_[at_++]) : 0; }
  std::uint16_t u16() { return has(2) ? load_be16(skip(2)) : 0; }
  std::uint32_t u32() { return has(4) ? load_be32(skip(4)) : 0; }
  Bytes bytes(std::size_t count) { return has(count) ? Bytes(skip(count), count) : Bytes(); }

  std::string name() {
    std::string text;
    std::size_t bytes = 1;
    std::size_t from = at_;           // where this piece of it began
    std::optional<std::size_t> back;  // behind the first pointer
    std::size_t at = at_;
    const std::size_t end = end_;
    for (;;) {
      if (at >= end) return broken();
      const auto size = std::to_integer<std::uint8_t>(message_[at]);
      if (size == 0) {
        at_ = back.value_or(at + 1);
        return text.empty() ? "." : text;
      }
      if ((size & pointer_mark) == pointer_mark) {
        if (at + 2 > end) return broken();
        const std::size_t target = load_be16(message_.data() + at) & (pointer_reach - 1);
        if (target >= from) return broken();  // backwards, or it might go round
        if (!back) back = at + 2;
        from = at = target;
        continue;
      }
      bytes += 1 + std::size_t{size};
      if (size > label_bytes_max || bytes > name_bytes_max || at + 1 + size > end) return broken();
      append_label(text, message_.subspan(at + 1, size));
      at += 1 + std::size_t{size};
    }
  }

  /// What follows ends after `count` bytes, until widen().
  void narrow(std::size_t count) {
    if (has(count)) end_ = at_ + count;
  }
  void widen() {
    if (at_ != end_) is_broken_ = true;
    end_ = message_.size();
  }

 private:
  bool has(std::size_t count) {
    if (!is_broken_ && end_ - at_ >= count) return true;
    is_broken_ = true;
    return false;
  }
  const std::byte* skip(std::size_t count) {
    at_ += count;
    return message_.data() + at_ - count;
  }
  std::string broken() {
    is_broken_ = true;
    return ".";
  }

  Bytes message_;
  std::size_t at_ = 0;
  std::size_t end_;
  bool is_broken_ = false;
};

DnsData read_data(Reader& reader, DnsType type) {
  switch (type) {
    case DnsType::a:
      if (const Bytes bytes = reader.bytes(Ipv4Address::size); !bytes.empty())
        return Ipv4Address::load(bytes.data());
      return {};
    case DnsType::aaaa:
      if (const Bytes bytes = reader.bytes(Ipv6Address::size); !bytes.empty())
        return Ipv6Address::load(bytes.data());
      return {};
    case DnsType::cname:
    case DnsType::ns:
    case DnsType::ptr: return DnsName{reader.name()};
    case DnsType::soa: {
      DnsAuthority zone{.server = reader.name(), .mailbox = reader.name()};
      for (std::uint32_t* each :
           {&zone.serial, &zone.refresh, &zone.retry, &zone.expire, &zone.minimum})
        *each = reader.u32();
      return zone;
    }
    case DnsType::any: break;
  }
  const Bytes bytes = reader.bytes(reader.left());
  return std::vector<std::byte>(bytes.begin(), bytes.end());
}

std::vector<DnsRecord> read_records(Reader& reader, std::size_t count) {
  std::vector<DnsRecord> records;
  for (std::size_t i = 0; i < count && !reader.is_broken(); ++i) {
    DnsRecord record{.name = reader.name(), .type = static_cast<DnsType>(reader.u16())};
    record.network_class = reader.u16();
    record.time_to_live = reader.u32();
    reader.narrow(reader.u16());
    if (!reader.is_broken()) record.data = read_data(reader, record.type);
    reader.widen();
    records.push_back(std::move(record));
  }
  return records;
}

/// Puts a message together; names that were written before are pointed to.
class Writer {
 public:
  explicit Writer(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  void u8(std::size_t value) { bytes_.push_back(static_cast<std::byte>(value)); }
  void u16(std::size_t value) {
    u8(value >> 8);
    u8(value & 0xff);
  }
  void u32(std::uint32_t value) {
    u16(value >> 16);
    u16(value & 0xffff);
  }
  void append(Bytes bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }

  void name(std::string_view text) {
    const auto labels = labels_of(text);
    assert(labels && "not a name");
    for (std::size_t i = 0; i < labels->size(); ++i) {
      std::string rest;  // with its lengths: nothing else looks like it
      for (std::size_t j = i; j < labels->size(); ++j) {
        rest += static_cast<char>((*labels)[j].size());
        rest += (*labels)[j];
      }
      if (const auto known = written_.find(rest); known != written_.end())
        return u16(pointer_reach * 3 | known->second);
      if (bytes_.size() < pointer_reach) written_.emplace(std::move(rest), bytes_.size());
      u8((*labels)[i].size());
      append(as_bytes((*labels)[i]));
    }
    u8(0);
  }

  /// False, and nothing is written, if it does not fit.
  bool record(const DnsRecord& record) {
    const std::size_t before = bytes_.size();
    name(record.name);
    u16(static_cast<std::uint16_t>(record.type));
    u16(record.network_class);
    u32(record.time_to_live);
    const std::size_t length_at = bytes_.size();
    u16(0);
    data(record.data);
    const std::size_t length = bytes_.size() - length_at - 2;
    if (bytes_.size() <= bytes_max_ && length <= 0xffff) {
      store_be16(bytes_.data() + length_at, static_cast<std::uint16_t>(length));
      return true;
    }
    bytes_.resize(before);
    std::erase_if(written_, [&](const auto& each) { return each.second >= before; });
    return false;
  }

  std::vector<std::byte> take() { return std::move(bytes_); }
  std::byte* at(std::size_t offset) { return bytes_.data() + offset; }

 private:
  void data(const DnsData& data) {
    if (const auto* const bytes = std::get_if<std::vector<std::byte>>(&data)) {
      append(*bytes);
    } else if (const auto* const v4 = std::get_if<Ipv4Address>(&data)) {
      u32(v4->bits);
    } else if (const auto* const v6 = std::get_if<Ipv6Address>(&data)) {
      std::byte room[Ipv6Address::size];
      v6->store(room);
      append(room);
    } else if (const auto* const other = std::get_if<DnsName>(&data)) {
      name(other->name);
    } else {
      const auto& zone = std::get<DnsAuthority>(data);
      name(zone.server);
      name(zone.mailbox);
      for (const std::uint32_t each :
           {zone.serial, zone.refresh, zone.retry, zone.expire, zone.minimum})
        u32(each);
    }
  }

  std::vector<std::byte> bytes_;
  std::size_t bytes_max_;
  std::map<std::string, std::size_t> written_;  // where the end of a name stands
};

enum Flag : unsigned {
  response = 0x8000,
  authoritative = 0x0400,
  truncated = 0x0200,
  desired = 0x0100,
  available = 0x0080,
};

}  // namespace

bool is_dns_name(std::string_view name) { return labels_of(name).has_value(); }

bool is_same_dns_name(std::string_view a, std::string_view b) {
  const auto first = labels_of(a);
  const auto second = labels_of(b);
  if (!first || !second) return false;
  return std::ranges::equal(*first, *second, [](const std::string& one, const std::string& other) {
    return std::ranges::equal(one, other, {}, lower, lower);
  });
}

std::optional<DnsMessage> parse_dns(Bytes bytes) {
  Reader reader(bytes);
  DnsMessage message{.id = reader.u16()};
  const unsigned flags = reader.u16();
  message.is_response = (flags & response) != 0;
  message.operation = static_cast<std::uint8_t>(flags >> 11 & 15);
  message.is_authoritative = (flags & authoritative) != 0;
  message.is_truncated = (flags & truncated) != 0;
  message.recursion_desired = (flags & desired) != 0;
  message.recursion_available = (flags & available) != 0;
  message.code = static_cast<DnsCode>(flags & 15);
  const std::size_t questions = reader.u16();
  const std::size_t answers = reader.u16();
  const std::size_t authority = reader.u16();
  const std::size_t additional = reader.u16();
  for (std::size_t i = 0; i < questions && !reader.is_broken(); ++i) {
    DnsQuestion question{.name = reader.name(), .type = static_cast<DnsType>(reader.u16())};
    question.network_class = reader.u16();
    message.questions.push_back(std::move(question));
  }
  message.answers = read_records(reader, answers);
  message.authority = read_records(reader, authority);
  message.additional = read_records(reader, additional);
  if (reader.is_broken()) return std::nullopt;
  return message;
}

std::vector<std::byte> write(const DnsMessage& message, std::size_t bytes_max) {
  assert(bytes_max >= DnsMessage::udp_bytes_max);
  Writer writer(std::min(bytes_max, DnsMessage::tcp_bytes_max));
  for (std::size_t i = 0; i < DnsMessage::header_size; ++i) writer.u8(0);
  for (const DnsQuestion& question : message.questions) {
    writer.name(question.name);
    writer.u16(static_cast<std::uint16_t>(question.type));
    writer.u16(question.network_class);
  }
  bool is_full = false;
  std::size_t counts[3] = {};
  const std::vector<DnsRecord>* const sections[] = {&message.answers, &message.authority,
                                                    &message.additional};
  for (std::size_t i = 0; i < 3; ++i) {
    for (const DnsRecord& record : *sections[i]) {
      is_full = is_full || !writer.record(record);
      if (!is_full) ++counts[i];
    }
  }
  unsigned flags = (message.operation & 15u) << 11 | (static_cast<unsigned>(message.code) & 15u);
  if (message.is_response) flags |= response;
  if (message.is_authoritative) flags |= authoritative;
  if (message.is_truncated || is_full) flags |= truncated;
  if (message.recursion_desired) flags |= desired;
  if (message.recursion_available) flags |= available;
  store_be16(writer.at(0), message.id);
  store_be16(writer.at(2), static_cast<std::uint16_t>(flags));
  store_be16(writer.at(4), static_cast<std::uint16_t>(message.questions.size()));
  for (std::size_t i = 0; i < 3; ++i)
    store_be16(writer.at(6 + 2 * i), static_cast<std::uint16_t>(counts[i]));
  return writer.take();
}

}  // namespace koine::wire
