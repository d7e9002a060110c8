// Any bytes as a DNS message: what is read can be written, and reads as the same.
#include <cstddef>
#include <cstdint>
#include <span>

#include "koine/wire/dns.h"
#include "tests/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace koine::wire;
  const auto message = parse_dns(std::as_bytes(std::span(data, size)));
  if (!message) return 0;
  std::size_t question_bytes = 0;
  for (const DnsQuestion& question : message->questions) {
    KOINE_CHECK(is_dns_name(question.name) && is_same_dns_name(question.name, question.name));
    question_bytes += question.name.size() + 6;
  }
  for (const auto* const section : {&message->answers, &message->authority, &message->additional})
    for (const DnsRecord& record : *section) KOINE_CHECK(is_dns_name(record.name));

  const auto whole = write(*message, DnsMessage::tcp_bytes_max);
  const auto again = parse_dns(whole);
  KOINE_CHECK(again);
  // Names that were pointed to in the data of unknown types are longer now, but 4 KiB never are 64.
  KOINE_CHECK(*again == *message);

  if (question_bytes > 400) return 0;
  const auto small = write(*message);
  KOINE_CHECK(small.size() <= DnsMessage::udp_bytes_max);
  const auto part = parse_dns(small);
  KOINE_CHECK(part && part->questions == message->questions);
  KOINE_CHECK(part->is_truncated || *part == *message);
  return 0;
}
