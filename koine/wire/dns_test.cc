#include "koine/wire/dns.h"

#include <gtest/gtest.h>

#include "koine/wire/vectors_test.h"

namespace koine::wire {
namespace {

// What dig sent for "www.example.com A", and an answer with compressed names: a CNAME whose target
// ends in the question's name, and the target's address.
const char* const query_hex =
    "1a2b 0120 0001 0000 0000 0000 03777777 076578616d706c65 03636f6d 00 0001 0001";
const char* const answer_hex =
    "1a2b 8580 0001 0002 0000 0000 03777777 076578616d706c65 03636f6d 00 0001 0001"
    "c00c 0005 0001 0000012c 0006 03776562 c010"
    "c02d 0001 0001 0000003c 0004 c0000201";

DnsMessage answer_of_the_hex() {
  DnsMessage message{.id = 0x1a2b,
                     .is_response = true,
                     .is_authoritative = true,
                     .recursion_desired = true,
                     .recursion_available = true};
  message.questions.push_back({"www.example.com", DnsType::a});
  message.answers.push_back({.name = "www.example.com",
                             .type = DnsType::cname,
                             .time_to_live = 300,
                             .data = DnsName{"web.example.com"}});
  message.answers.push_back({.name = "web.example.com",
                             .type = DnsType::a,
                             .time_to_live = 60,
                             .data = Ipv4Address::of(192, 0, 2, 1)});
  return message;
}

DnsMessage everything() {
  DnsMessage message = answer_of_the_hex();
  message.operation = 2;
  message.code = DnsCode::no_such_name;
  message.answers.push_back({.name = "web.example.com",
                             .type = DnsType::aaaa,
                             .time_to_live = 60,
                             .data = Ipv6Address{0x20010db800000000, 1}});
  message.authority.push_back(
      {.name = ".",
       .type = DnsType::soa,
       .data = DnsAuthority{"ns.example.com", "ann.example.com", 1, 2, 3, 4, 0xffff'ffff}});
  message.authority.push_back(
      {.name = "com", .type = DnsType::ns, .data = DnsName{"ns.example.com"}});
  message.additional.push_back({.name = "a\\.b\\\\\\000\\255.com",
                                .type = static_cast<DnsType>(16),
                                .network_class = 3,
                                .data = hex("0461626364")});
  message.additional.push_back(
      {.name = "1.2.0.192.in-addr.arpa", .type = DnsType::ptr, .data = DnsName{"."}});
  return message;
}

TEST(Dns, ReadsWhatOthersSent) {
  const auto query = parse_dns(hex(query_hex));
  ASSERT_TRUE(query);
  EXPECT_EQ(query->id, 0x1a2b);
  EXPECT_TRUE(query->recursion_desired);
  EXPECT_FALSE(query->is_response);
  ASSERT_EQ(query->questions.size(), 1U);
  EXPECT_EQ(query->questions[0], (DnsQuestion{"www.example.com", DnsType::a}));

  EXPECT_EQ(parse_dns(hex(answer_hex)), answer_of_the_hex());
}

TEST(Dns, WritesEachNameOnce) {
  EXPECT_EQ(to_hex(write(answer_of_the_hex())), to_hex(hex(answer_hex)));
}

TEST(Dns, ReadsAllThatItWrites) {
  const DnsMessage message = everything();
  EXPECT_EQ(parse_dns(write(message)), message);
}

TEST(Dns, TakesNoPartOfAMessageForAWholeOne) {
  const auto whole = write(everything());
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(parse_dns(Bytes(whole).first(size))) << size;
}

TEST(Dns, SeesNothingInMessagesThatLie) {
  const std::string start = "0001 0000 0001 0000 0000 0000 ";
  const std::pair<std::string, const char*> bad[] = {
      {"c00c 0001 0001", "a pointer to itself"},
      {"c00e 0001 0001", "a pointer forward"},
      {"0161 c00c 0001 0001", "a name that ends in itself"},
      {"c0ff 0001 0001", "a pointer to behind the end"},
      {"40 0001 0001", "a label of a kind that is not in use"},
      {"ff", "half a pointer"},
      {"3f61", "a label that is longer than the message"},
  };
  for (const auto& [text, what] : bad) EXPECT_FALSE(parse_dns(hex(start + text))) << what;

  const std::string record = "0001 8000 0000 0001 0000 0000 00 ";
  const std::pair<std::string, const char*> bad_records[] = {
      {"0001 0001 00000000 0003 0a0000", "an address of three octets"},
      {"0001 0001 00000000 0005 0a00000102", "an address of five octets"},
      {"001c 0001 00000000 0004 0a000001", "an IPv6 address of four octets"},
      {"0005 0001 00000000 0002 0161 00", "a name that goes on behind its record"},
      {"0005 0001 00000000 0003 00 0000", "something behind the name"},
      {"0006 0001 00000000 0006 00 00 00000000", "a zone without its numbers"},
      {"0010 0001 00000000 0005 61", "data that are longer than the message"},
  };
  for (const auto& [text, what] : bad_records) EXPECT_FALSE(parse_dns(hex(record + text))) << what;
  EXPECT_FALSE(parse_dns(hex("0001 8000 0000 ffff 0000 0000"))) << "records that are not there";
}

TEST(Dns, FollowsNoMorePointersThanANameHasRoomFor) {
  // 200 labels of one letter, each pointing to the one before it: longer than a name may be.
  std::string text = "0001 0000 0001 0000 0000 0000 ";
  const auto hex4 = [](unsigned value) {
    std::byte bytes[2];
    store_be16(bytes, static_cast<std::uint16_t>(value));
    return to_hex(bytes);
  };
  Octets bytes = hex("0001 8000 0000 00c9 0000 0000");
  unsigned last = 0;
  for (int i = 0; i < 201; ++i) {
    const auto here = static_cast<unsigned>(bytes.size());
    const Octets name = hex("0161 " + (i == 0 ? std::string("00") : hex4(0xc000 | last)));
    bytes.insert(bytes.end(), name.begin(), name.end());
    const Octets rest = hex("0010 0001 00000000 0000");
    bytes.insert(bytes.end(), rest.begin(), rest.end());
    last = here;
    if (i == 125) {
      store_be16(bytes.data() + 6, 126);
      EXPECT_TRUE(parse_dns(bytes)) << "127 labels of one letter are a name";
    }
  }
  store_be16(bytes.data() + 6, 201);
  EXPECT_FALSE(parse_dns(bytes));
}

TEST(Dns, LeavesOutWhatDoesNotFitAndSaysSo) {
  DnsMessage message{.is_response = true};
  message.questions.push_back({"many.example", DnsType::a});
  for (std::uint8_t i = 0; i < 60; ++i) {
    message.answers.push_back(
        {.name = "many.example", .type = DnsType::a, .data = Ipv4Address::of(10, 0, 0, i)});
  }
  const auto small = write(message);
  EXPECT_LE(small.size(), DnsMessage::udp_bytes_max);
  const auto read = parse_dns(small);
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->is_truncated);
  // 12 of header, 18 of question, 16 for each answer.
  EXPECT_EQ(read->answers.size(), (512 - 12 - 18) / 16);
  EXPECT_EQ(read->answers[3], message.answers[3]);

  const auto large = parse_dns(write(message, DnsMessage::tcp_bytes_max));
  ASSERT_TRUE(large);
  EXPECT_FALSE(large->is_truncated);
  EXPECT_EQ(large->answers, message.answers);
}

TEST(Dns, KnowsWhatANameIs) {
  const std::string label(63, 'k');
  for (const std::string& good :
       {std::string("."), std::string("a"), std::string("a.b."), label + "." + label,
        std::string("\\046.com"), std::string("_tcp.host"),
        label + "." + label + "." + label + "." + std::string(61, 'k')})
    EXPECT_TRUE(is_dns_name(good)) << good;
  for (const std::string& bad :
       {std::string(""), std::string(".."), std::string(".a"), std::string("a..b"), label + "k",
        std::string("a\\"), std::string("\\256"), std::string("\\12"),
        label + "." + label + "." + label + "." + std::string(62, 'k')})
    EXPECT_FALSE(is_dns_name(bad)) << bad;
  EXPECT_TRUE(is_same_dns_name("WWW.Example.com", "www.example.COM."));
  EXPECT_FALSE(is_same_dns_name("a.b", "a\\.b"));
  EXPECT_FALSE(is_same_dns_name("", ""));
}

}  // namespace
}  // namespace koine::wire
