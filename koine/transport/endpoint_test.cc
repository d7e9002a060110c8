#include "koine/transport/endpoint.h"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "koine/base/random.h"
#include "koine/transport/mistake.h"

namespace koine {
namespace {

using Texts = std::vector<std::pair<std::string, std::string>>;

Endpoint endpoint(std::string_view text) {
  auto parsed = parse_endpoint(text);
  EXPECT_TRUE(parsed) << (parsed ? "" : to_string(parsed.error()));
  return parsed.value_or(Endpoint());
}

std::string why_not(std::string_view text) {
  const auto parsed = parse_endpoint(text);
  return parsed ? "reads as " + to_string(*parsed) : std::string(parsed.error().note());
}

std::string times(std::size_t count, std::string_view text) {
  std::string repeated;
  while (count-- > 0) repeated += text;
  return repeated;
}

/// What is written, and the one way koine writes it.
const Texts& canonical_forms() {
  static const Texts forms{
      {"tcp://127.0.0.1:80", "tcp://127.0.0.1:80"},
      {"TCP://127.0.0.1:80", "tcp://127.0.0.1:80"},
      {"tcp://127.0.0.1:80/", "tcp://127.0.0.1:80"},
      {"tcp://127.0.0.1:80?", "tcp://127.0.0.1:80"},
      {"tcp://127.0.0.1:0", "tcp://127.0.0.1:0"},
      {"tcp://:65535", "tcp://:65535"},
      {"udp://[::]:53", "udp://[::]:53"},
      {"udp://[2001:DB8:0:0::1]:53", "udp://[2001:db8::1]:53"},
      {"tcp://[::ffff:1.2.3.4]:1", "tcp://[::ffff:1.2.3.4]:1"},
      {"tcp://[fe80::1%25eth0]:80", "tcp://[fe80::1%25eth0]:80"},
      {"tcp://[fe80::1%eth0]:80", "tcp://[fe80::1%25eth0]:80"},
      {"tcp://[fe80::1%2]:80", "tcp://[fe80::1%252]:80"},
      {"tcp://[fe80::1%25]:80", "tcp://[fe80::1%2525]:80"},  // alone, 25 is an interface's index
      {"tcp://Example.ORG:80", "tcp://example.org:80"},
      {"tcp://example.org.:80", "tcp://example.org.:80"},
      {"tcp://_service._tcp.x-1:80", "tcp://_service._tcp.x-1:80"},
      {"tcp://1.2.3.x:80", "tcp://1.2.3.x:80"},
      {"tcp://127.0.0.1.example:80", "tcp://127.0.0.1.example:80"},
      {"tcp://0xg:80", "tcp://0xg:80"},
      {"tcp://h:1?nodelay=1&mark=7", "tcp://h:1?nodelay=1&mark=7"},
      {"tls://h:993?ca=/a%2fb&x", "tls://h:993?ca=/a%2Fb&x"},
      {"unix:/run/x", "unix:/run/x"},
      {"unix:///run/x", "unix:/run/x"},
      {"unix:////run/x", "unix:////run/x"},  // two slashes of the path's own
      {"unix:x.sock", "unix:x.sock"},
      {"unix:../x", "unix:../x"},
      {"unix:@x", "unix:@x"},
      {"unix://@x", "unix:@x"},
      {"unix:@", "unix:@"},
      {"unix:@/tmp/.X11-unix/X0", "unix:@/tmp/.X11-unix/X0"},
      {"unix:@a%00b", "unix:@a%00b"},
      {"unix:%40x", "unix:%40x"},  // a path that looks like an abstract name
      {"unix:/%40x", "unix:/@x"},
      {"unix:/my files/ü", "unix:/my%20files/%C3%BC"},
      {"unix:/my%20files/%c3%bc", "unix:/my%20files/%C3%BC"},
      {"unix:/run/x?mode=600", "unix:/run/x?mode=600"},
      {"unix:/50%25%3F%23", "unix:/50%25%3F%23"},
      {"unixgram:/run/log", "unixgram:/run/log"},
      {"unixgram:@log", "unixgram:@log"},
      {"fd://0", "fd://0"},
      {"fd://2147483647/", "fd://2147483647"},
      {"systemd://", "systemd://"},
      {"systemd://web.socket", "systemd://web.socket"},
      {"systemd://Web%20%2F%3c", "systemd://Web%20%2F%3C"},
      {"systemd://1", "systemd://1"},
      {"http://h", "http://h/"},
      {"http://h:80/", "http://h/"},
      {"http://h?q", "http://h/?q"},
      {"http://h:8080/a/../b;c=1?d=%7e&e=?/", "http://h:8080/a/../b;c=1?d=%7E&e=?/"},
      {"http://:80", "http://:80/"},
      {"https://[::1]", "https://[::1]/"},
      {"https://h:443/x", "https://h/x"},
      {"https://h:80/x", "https://h:80/x"},
      {"http://h/ü{}[]|^`\"<>", "http://h/%C3%BC%7B%7D%5B%5D%7C%5E%60%22%3C%3E"},
      {"ws://h/chat", "ws://h/chat"},
      {"wss://h:443", "wss://h/"},
      {"rsocket+tcp://:7001", "rsocket+tcp://:7001"},
      {"rsocket+tls://h:7001", "rsocket+tls://h:7001"},
      {"rsocket+unix:/run/x", "rsocket+unix:/run/x"},
      {"rsocket+unix:@x", "rsocket+unix:@x"},
      {"rsocket+ws://h", "rsocket+ws://h/"},
      {"rsocket+wss://h:443/x", "rsocket+wss://h/x"},
      {"rsocket+ws+unix:/run/x", "rsocket+ws+unix:/run/x"},
      {"rsocket+fd://3", "rsocket+fd://3"},
      {"tls+unix:/run/x", "tls+unix:/run/x"},
      {"http+systemd://web/x", "http+systemd://web/x"},
      {"http+fd://3", "http+fd://3/"},
      {"http+unix:/run/x", "http+unix:/run/x"},
      {"http+unix://%2Frun%2Fx", "http+unix:/run/x"},
      {"http+unix://%2frun%2fx/feed?n=1", "http+unix://%2Frun%2Fx/feed?n=1"},
      {"http+unix://@x/feed", "http+unix://@x/feed"},
      {"http+unix://%40x/feed", "http+unix://%40x/feed"},
      {"http+unix://@/feed", "http+unix://@/feed"},
  };
  return forms;
}

TEST(Endpoint, HasOneCanonicalText) {
  for (const auto& [written, canonical] : canonical_forms()) {
    EXPECT_EQ(to_string(endpoint(written)), canonical) << written;
    EXPECT_EQ(endpoint(canonical), endpoint(written)) << written;
  }
}

TEST(Endpoint, EveryPrefixOfAGoodOneIsGoodOrSaysWhatIsWrong) {
  for (const auto& [written, canonical] : canonical_forms()) {
    for (std::size_t size = 0; size < written.size(); ++size) {
      const std::string prefix = written.substr(0, size);
      const auto parsed = parse_endpoint(prefix);
      if (parsed) {
        EXPECT_EQ(parse_endpoint(to_string(*parsed)), *parsed) << prefix;
      } else {
        EXPECT_EQ(parsed.error(), Fault::malformed) << prefix;
        EXPECT_EQ(parsed.error().operation(), "parse") << prefix;
        EXPECT_GE(column_of(parsed.error()), 1U) << prefix;
        EXPECT_LE(column_of(parsed.error()), parsed.error().peer().size() + 1) << prefix;
      }
    }
  }
}

TEST(Endpoint, PointsAtWhatIsWrong) {
  const Texts mistakes{
      // Nothing, or no scheme.
      {"", "at column 1: expected an endpoint, as in tcp://127.0.0.1:4000"},
      {"127.0.0.1:80", "at column 1: expected a scheme: did you mean tcp://127.0.0.1:80?"},
      {"localhost:80", "at column 1: expected a scheme: did you mean tcp://localhost:80?"},
      {":80", "at column 1: expected a scheme: did you mean tcp://:80?"},
      {"[::1]:80", "at column 1: expected a scheme: did you mean tcp://[::1]:80?"},
      {"/run/x", "at column 1: expected a scheme: did you mean unix:/run/x?"},
      {"./x", "at column 1: expected a scheme: did you mean unix:./x?"},
      {"@x", "at column 1: expected a scheme: did you mean unix:@x?"},
      {"localhost", "at column 1: expected a scheme, as in tcp://127.0.0.1:4000"},
      {"4000", "at column 1: expected a scheme, as in tcp://127.0.0.1:4000"},
      {"://h:80", "at column 1: expected a scheme, as in tcp://127.0.0.1:4000"},
      {" tcp://h:80", "at column 1: expected a scheme, as in tcp://127.0.0.1:4000"},
      {times(200, "h") + ":80", "at column 1: expected a scheme, as in tcp://127.0.0.1:4000"},
      // A scheme that is none, or fits badly.
      {"htpp://h",
       "at column 1: unknown scheme 'htpp': expected tcp, udp, unix, unixgram, fd, systemd, tls, "
       "http, https, ws, wss or rsocket+tcp"},
      {"+tcp://h:80",
       "at column 1: unknown scheme '+tcp': expected tcp, udp, unix, unixgram, fd, systemd, tls, "
       "http, https, ws, wss or rsocket+tcp"},
      {"http+://h:80",
       "at column 1: unknown scheme 'http+': expected tcp, udp, unix, unixgram, fd, systemd, tls, "
       "http, https, ws, wss or rsocket+tcp"},
      {times(50, "x") + "://h",
       "at column 1: unknown scheme '" + times(40, "x") +
           "...': expected tcp, udp, unix, unixgram, fd, systemd, tls, http, https, ws, wss or "
           "rsocket+tcp"},
      {"rsocket://h:80",
       "at column 1: rsocket needs a transport: rsocket+tcp, +unix, +tls, +ws or +wss"},
      {"rsocket:h",
       "at column 1: rsocket needs a transport: rsocket+tcp, +unix, +tls, +ws or +wss"},
      {"http+udp://h:80", "at column 6: http is not carried by udp"},
      {"rsocket+unixgram:/x", "at column 9: rsocket is not carried by unixgram"},
      {"http+tcp://h:80", "at column 5: http means TCP without saying so: write http://"},
      {"rsocket+ws+tcp://h",
       "at column 11: rsocket+ws means TCP without saying so: write rsocket+ws://"},
      {"tcp:h:80", "at column 5: expected // after tcp:"},
      {"tcp:/h:80", "at column 5: expected // after tcp:"},
      {"HTTP:h", "at column 6: expected // after HTTP:"},
      {"fd:3", "at column 4: expected // after fd:"},
      // Characters that have no place anywhere.
      {"tcp://h\n:80", "at column 8: an endpoint has no control characters"},
      {"tcp://h:80\n", "at column 11: an endpoint has no control characters"},
      {"unix:/a\tb", "at column 8: an endpoint has no control characters"},
      {std::string("tcp://h:80\0", 11), "at column 11: an endpoint has no control characters"},
      {"http://h/#top",
       "at column 10: an endpoint has no fragment; the character # is written %23"},
      {"tcp://h:" + times(9000, "1"), "at column 104: an endpoint has at most 8192 bytes"},
      // Hosts.
      {"tcp://user@h:80", "at column 11: an endpoint names no user"},
      {"http://u:p@h/", "at column 11: an endpoint names no user"},
      {"tcp://a b:80",
       "at column 8: a host name has only letters, digits, hyphens and dots, found ' '"},
      {"tcp://a%20b:80",
       "at column 8: a host name has only letters, digits, hyphens and dots, found '%'"},
      {"tcp://a\\b:80",
       "at column 8: a host name has only letters, digits, hyphens and dots, found '\\'"},
      {"tcp://a,b:80",
       "at column 8: a host name has only letters, digits, hyphens and dots, found ','"},
      {"tcp://*:80",
       "at column 7: a host name has only letters, digits, hyphens and dots, found '*'"},
      {"tcp://bücher.example:80",
       "at column 8: a host name is ASCII: write an international one in its xn-- form"},
      {"tcp://-a:80", "at column 7: a hyphen may not begin or end a part of a host name"},
      {"tcp://a-.b:80", "at column 8: a hyphen may not begin or end a part of a host name"},
      {"tcp://a..b:80", "at column 9: expected a part of a host name, found '.'"},
      {"tcp://.a:80", "at column 7: expected a part of a host name, found '.'"},
      {"tcp://.:80", "at column 7: expected a part of a host name, found '.'"},
      {"tcp://a..:80", "at column 9: expected a part of a host name, found '.'"},
      {"tcp://a." + times(64, "b") + ":80",
       "at column 9: a part of a host name has at most 63 characters, this one has 64"},
      {"tcp://" + times(127, "a.") + ":80",  // 253 and the root's dot: good, so see the port
       "reads as tcp://" + times(127, "a.") + ":80"},
      {"tcp://" + times(127, "a.") + "b:80",
       "at column 7: a host name has at most 253 characters, this one has 255"},
      // Hosts that end in a number are IPv4 addresses or nothing.
      {"tcp://127.1:80", "at column 12: an IPv4 address has four numbers, as in 192.0.2.1"},
      {"tcp://1:80", "at column 8: an IPv4 address has four numbers, as in 192.0.2.1"},
      {"tcp://1.2.3.256:80", "at column 13: a number of an IPv4 address is at most 255"},
      {"tcp://1.2.3.4.5:80", "at column 14: an IPv4 address has only four numbers"},
      {"tcp://1.2.3.4.:80", "at column 14: an IPv4 address has only four numbers"},
      {"tcp://01.2.3.4:80",
       "at column 7: a number of an IPv4 address has no leading zero: it could be octal"},
      {"tcp://0x7f000001:80",
       "at column 8: expected a digit or a dot of an IPv4 address, found 'x'"},
      {"tcp://a.0x:80", "at column 7: expected a number of an IPv4 address, found 'a'"},
      // Brackets.
      {"tcp://::1:80", "at column 7: an IPv6 address stands in brackets, as in tcp://[::1]:80"},
      {"tcp://2001:db8::1",
       "at column 7: an IPv6 address stands in brackets, as in tcp://[::1]:80"},
      {"tcp://[::1", "at column 11: expected a ] after the IPv6 address"},
      {"tcp://[::1:80/]", "at column 14: expected a ] after the IPv6 address"},
      {"tcp://[]:80", "at column 8: expected an IP address, found nothing"},
      {"tcp://[127.0.0.1]:80", "at column 8: brackets are for IPv6: write an IPv4 address without"},
      {"tcp://[::1]80", "at column 12: expected a colon and a port after the ], found '8'"},
      {"tcp://[::g]:80",
       "at column 10: expected a hexadecimal group of an IPv6 address, found 'g'"},
      {"tcp://[fe80::1%25]x:80",
       "at column 19: expected a colon and a port after the ], found 'x'"},
      {"tcp://[fe80::1%25a!]:80",
       "at column 19: a zone has only letters, digits and -._~, found '!'"},
      {"tcp://[fe80::1%a!]:80",
       "at column 17: a zone has only letters, digits and -._~, found '!'"},
      {"tcp://[::1%25lo]:80",
       "at column 11: a zone goes only with a link-local address (fe80::/10, ff01::/16, "
       "ff02::/16)"},
      // Ports.
      {"tcp://", "at column 7: expected a host, or a colon and a port"},
      {"http://", "at column 8: expected a host, or a colon and a port"},
      {"http:///path", "at column 8: expected a host, or a colon and a port"},
      {"tcp://h", "at column 8: expected a colon and a port"},
      {"tcp://[::1]", "at column 12: expected a colon and a port"},
      {"tls://h", "at column 8: expected a colon and a port"},
      {"tcp://h:", "at column 9: expected a port, found the end"},
      {"http://h:/", "at column 10: expected a port, found the end"},
      {"tcp://h:http", "at column 9: expected a port, found 'h'"},
      {"tcp://h:8o", "at column 10: expected another digit of the port, found 'o'"},
      {"tcp://h:80:90", "at column 11: expected another digit of the port, found ':'"},
      {"tcp://h:-1", "at column 9: expected a port, found '-'"},
      {"tcp://h:080", "at column 9: a port has no leading zero"},
      {"tcp://h:65536", "at column 9: port 65536 is larger than 65535"},
      {"tcp://127.0.0.1:99999", "at column 17: port 99999 is larger than 65535"},
      {"tcp://h:18446744073709551697",  // 81, if it wrapped around at 64 bits
       "at column 9: port 18446744073709551697 is larger than 65535"},
      {"tcp://h:" + times(30, "9"),
       "at column 9: port 99999999999999999999... is larger than 65535"},
      // What follows the place.
      {"tcp://h:80/x", "at column 11: tcp has no path: expected the end, found '/'"},
      {"tls://h:80//", "at column 11: tls has no path: expected the end, found '/'"},
      {"fd://3/x", "at column 7: fd has no path: expected the end, found '/'"},
      {"http://h/a b", "at column 11: a space is written %20 here"},
      {"http://h/?a b", "at column 12: a space is written %20 here"},
      {"http://h/a\\b", "at column 11: a backslash is written %5C here"},
      {"http://h/%",
       "at column 11: expected two hexadecimal digits after %, found the end (a % itself is "
       "written %25)"},
      {"http://h/%4",
       "at column 12: expected two hexadecimal digits after %, found the end (a % itself is "
       "written %25)"},
      {"http://h/%4g/",
       "at column 12: expected two hexadecimal digits after %, found 'g' (a % itself is written "
       "%25)"},
      {"tcp://h:80?a=%?",
       "at column 15: expected two hexadecimal digits after %, found '?' (a % itself is written "
       "%25)"},
      // Unix names.
      {"unix:", "at column 6: expected a path, or @ and a name"},
      {"unix:?mode=600", "at column 6: expected a path, or @ and a name"},
      {"unix://", "at column 8: a Unix path after // begins with another /, as in unix:///run/x"},
      {"unix://run/x",
       "at column 8: a Unix path after // begins with another /, as in unix:///run/x"},
      {"rsocket+unix://run/x",
       "at column 16: a Unix path after // begins with another /, as in unix:///run/x"},
      {"http+unix://", "at column 13: expected a path, or @ and a name"},
      {"unix:/a%00b", "at column 8: a path cannot contain a NUL"},
      {"unix:/100%",
       "at column 11: expected two hexadecimal digits after %, found the end (a % itself is "
       "written %25)"},
      {"unix:/" + times(107, "x"),
       "at column 6: a name of 108 bytes does not fit a Unix address (at most 107)"},
      {"unix:@" + times(108, "x"),
       "at column 7: a name of 108 bytes does not fit a Unix address (at most 107)"},
      {"unix:@" + times(108, "%00"),
       "at column 7: a name of 108 bytes does not fit a Unix address (at most 107)"},
      // Inherited sockets.
      {"fd://", "at column 6: expected a descriptor, found the end"},
      {"fd://x", "at column 6: expected a descriptor, found 'x'"},
      {"fd://-1", "at column 6: expected a descriptor, found '-'"},
      {"fd://03", "at column 6: a descriptor has no leading zero"},
      {"fd://3:80", "at column 7: expected another digit of the descriptor, found ':'"},
      {"fd://2147483648", "at column 6: descriptor 2147483648 is larger than 2147483647"},
      {"systemd://a:b", "at column 12: expected the name of a systemd socket, found ':'"},
      {"systemd://a%3Ab", "at column 11: the name of a systemd socket is ASCII without colons"},
      {"systemd://ü", "at column 11: expected the name of a systemd socket, found 'ü'"},
      {"systemd://a%0a", "at column 11: the name of a systemd socket is ASCII without colons"},
      {"systemd://" + times(256, "x"),
       "at column 11: the name of a systemd socket has at most 255 characters"},
  };
  for (const auto& [text, reason] : mistakes) EXPECT_EQ(why_not(text), reason) << text;
}

TEST(Endpoint, PrintsItsMistakeAsOneLineAndAsTwo) {
  const Error error = parse_endpoint("tcp://127.0.0.1:99999").error();
  EXPECT_EQ(
      to_string(error),
      "parse tcp://127.0.0.1:99999: malformed: at column 17: port 99999 is larger than 65535");
  EXPECT_EQ(point_at(error),
            "tcp://127.0.0.1:99999\n"
            "                ^ port 99999 is larger than 65535\n");
}

TEST(Endpoint, TellsItsParts) {
  const Endpoint tcp = endpoint("tcp://192.0.2.1:80");
  EXPECT_EQ(tcp.transport(), Transport::tcp);
  EXPECT_EQ(tcp.protocol(), "");
  EXPECT_EQ(tcp.scheme(), "tcp");
  EXPECT_EQ(tcp.host(), "192.0.2.1");
  EXPECT_EQ(tcp.ip(), IpAddress::v4(192, 0, 2, 1));
  EXPECT_EQ(tcp.port(), 80);
  EXPECT_EQ(tcp.address(), Address(IpAddress::v4(192, 0, 2, 1), 80));
  EXPECT_EQ(tcp.path(), "");
  EXPECT_EQ(tcp.descriptor(), -1);
  EXPECT_EQ(tcp.systemd_name(), "");
  EXPECT_FALSE(tcp.is_any());
  EXPECT_FALSE(tcp.has_name());

  const Endpoint feed = endpoint("rsocket+wss://Example.org/feed?n=7");
  EXPECT_EQ(feed.transport(), Transport::tcp);
  EXPECT_EQ(feed.protocol(), "rsocket+wss");
  EXPECT_EQ(feed.scheme(), "rsocket+wss");
  EXPECT_EQ(feed.host(), "example.org");
  EXPECT_EQ(feed.port(), 443);
  EXPECT_EQ(feed.target(), "/feed?n=7");
  EXPECT_TRUE(feed.has_name());
  EXPECT_EQ(feed.address(), std::nullopt);

  const Endpoint local = endpoint("udp://[fe80::1%eth0]:9");
  EXPECT_EQ(local.transport(), Transport::udp);
  EXPECT_EQ(local.host(), "fe80::1%eth0");
  EXPECT_EQ(local.ip()->zone(), "eth0");

  const Endpoint any = endpoint("tcp://:7000");
  EXPECT_TRUE(any.is_any());
  EXPECT_FALSE(any.has_name());
  EXPECT_EQ(any.host(), "");
  EXPECT_EQ(any.address(), Address(any_v6, 7000));
  EXPECT_FALSE(endpoint("tcp://[::]:7000").is_any());  // IPv6's any is not everybody's

  const Endpoint abstract = endpoint("http+unix://@a%2Fb/feed");
  EXPECT_EQ(abstract.transport(), Transport::unix_stream);
  EXPECT_EQ(abstract.protocol(), "http");
  EXPECT_EQ(abstract.scheme(), "http+unix");
  EXPECT_EQ(abstract.address(), Address::unix_abstract("a/b").value());
  EXPECT_EQ(abstract.path(), "/feed");
  EXPECT_EQ(abstract.host(), "");
  EXPECT_FALSE(abstract.is_any());
  EXPECT_EQ(endpoint("unixgram:/x").transport(), Transport::unix_datagram);
  EXPECT_EQ(endpoint("unixgram:/x").address(), Address::unix_path("/x").value());

  EXPECT_EQ(endpoint("fd://3").transport(), Transport::inherited);
  EXPECT_EQ(endpoint("fd://3").descriptor(), 3);
  EXPECT_EQ(endpoint("fd://3").address(), std::nullopt);
  EXPECT_EQ(endpoint("systemd://a%20b").transport(), Transport::systemd);
  EXPECT_EQ(endpoint("systemd://a%20b").systemd_name(), "a b");
  EXPECT_EQ(endpoint("systemd://a%20b").host(), "");
  EXPECT_FALSE(endpoint("systemd://a").has_name());
}

TEST(Endpoint, TakesItsQueryApart) {
  const Endpoint tls = endpoint("tls://h:1?cert=%2Fa%20b.pem&key=k+1&quiet&&=x&cert=second&e=a=b");
  const std::vector<std::pair<std::string, std::string>> expected{
      {"cert", "/a b.pem"}, {"key", "k+1"}, {"quiet", ""}, {"", "x"},
      {"cert", "second"},   {"e", "a=b"},
  };
  EXPECT_EQ(tls.parameters(), expected);
  EXPECT_EQ(tls.parameter("cert"), "/a b.pem");
  EXPECT_EQ(tls.parameter("quiet"), "");
  EXPECT_EQ(tls.parameter("absent"), std::nullopt);
  EXPECT_TRUE(endpoint("tls://h:1").parameters().empty());
}

TEST(Endpoint, IsMadeFromItsParts) {
  EXPECT_EQ(to_string(Endpoint()), "tcp://:0");
  EXPECT_EQ(Endpoint::tcp("", 80).value(), endpoint("tcp://:80"));
  EXPECT_EQ(Endpoint::tcp("Example.org", 80).value(), endpoint("tcp://example.org:80"));
  EXPECT_EQ(Endpoint::tcp("::1", 80).value(), endpoint("tcp://[::1]:80"));
  EXPECT_EQ(Endpoint::udp("127.0.0.1", 53).value(), endpoint("udp://127.0.0.1:53"));
  EXPECT_EQ(Endpoint::tcp(loopback_v4, 80), endpoint("tcp://127.0.0.1:80"));
  EXPECT_EQ(Endpoint::udp(loopback_v6, 80), endpoint("udp://[::1]:80"));
  EXPECT_EQ(to_string(Endpoint::tcp("a b", 80).error()),
            "parse a b: malformed: at column 2: a host name has only letters, digits, hyphens and "
            "dots, found ' '");
  EXPECT_EQ(Endpoint::tcp("[::1]", 80).error(), Fault::malformed);

  const Address path = Address::unix_path("/my files").value();
  EXPECT_EQ(Endpoint::of(path, Transport::unix_stream), endpoint("unix:/my files"));
  EXPECT_EQ(Endpoint::of(path, Transport::unix_datagram), endpoint("unixgram:/my files"));
}

TEST(Endpoint, KeepsItsProtocolWhereverItTurnsOutToBe) {
  EXPECT_EQ(to_string(endpoint("https://:0/x?y").with_port(4711)), "https://:4711/x?y");
  EXPECT_EQ(to_string(endpoint("http+systemd://web/x").at({loopback_v4, 80}, Transport::tcp)),
            "http://127.0.0.1/x");
  EXPECT_EQ(to_string(endpoint("rsocket+fd://3").at({loopback_v4, 80}, Transport::tcp)),
            "rsocket+tcp://127.0.0.1:80");
  EXPECT_EQ(to_string(endpoint("http://h/x?y")
                          .at(Address::unix_path("/run/x").value(), Transport::unix_stream)),
            "http+unix://%2Frun%2Fx/x?y");
  EXPECT_EQ(to_string(endpoint("tcp://h:1").at({loopback_v6, 2}, Transport::tcp)), "tcp://[::1]:2");
}

TEST(EndpointDeathTest, AnAddressThatDoesNotFitTheTransportIsABug) {
  EXPECT_DEATH(Endpoint::of({loopback_v4, 80}, Transport::unix_stream), "fits");
  EXPECT_DEATH(Endpoint::of(Address(), Transport::tcp), "fits");
}

TEST(Endpoint, MutatedTextsGiveAnErrorOrSurviveTheRoundTrip) {
  constexpr std::uint64_t seed = 3;
  Prng random(seed);
  const Texts& forms = canonical_forms();
  constexpr std::string_view letters = "abtcpunixhws:/?@[]%25.0189-+=&# \n\xc3\xbc_\\";
  int good = 0;
  for (int round = 0; round < 100'000; ++round) {
    std::string text = forms[random.below(forms.size())].first;
    for (std::uint64_t changes = 1 + random.below(3); changes > 0 && !text.empty(); --changes) {
      const std::size_t at = random.below(text.size());
      const char letter = letters[random.below(letters.size())];
      switch (random.below(4)) {
        case 0: text[at] = letter; break;
        case 1: text.insert(at + random.below(2), 1, letter); break;
        case 2: text.erase(at, 1 + random.below(3)); break;
        default: text.insert(at, forms[random.below(forms.size())].first.substr(0, at));
      }
    }
    const auto parsed = parse_endpoint(text);
    if (!parsed) {
      ASSERT_GE(column_of(parsed.error()), 1U) << text << " of seed " << seed;
      continue;
    }
    ++good;
    const std::string canonical = to_string(*parsed);
    const auto again = parse_endpoint(canonical);
    ASSERT_TRUE(again) << text << " as " << canonical << ": " << to_string(again.error());
    ASSERT_EQ(*again, *parsed) << text << " as " << canonical;
    ASSERT_EQ(to_string(*again), canonical) << text;
  }
  EXPECT_GT(good, 10'000);  // or the test sees nothing but refusals
}

}  // namespace
}  // namespace koine
