// Names that travel: hosts that ask a name server of their world, and what can happen to that.
#include "koine/sim/name_server.h"

#include <gtest/gtest.h>

#include "koine/async/sleep.h"
#include "koine/async/within.h"
#include "koine/sim/resolver.h"
#include "koine/sim/story_test.h"
#include "koine/sim/test_seed.h"
#include "koine/sim/world.h"
#include "koine/wire/dns.h"

namespace koine::sim {
namespace {

/// A client, a server and a name server on one switch.
struct Town {
  explicit Town(std::uint64_t seed, const LinkOptions& to_names = {.delay = 5ms}) : world(seed) {
    auto& middle = world.ethernet_switch("middle");
    world.link(client, middle, {.delay = 1ms});
    world.link(server, middle, {.delay = 1ms});
    cable = &world.link(names, middle, to_names);
  }

  /// What the client learns about a name, and how long that took.
  Result<std::vector<IpAddress>> ask(std::string name) {
    Result<std::vector<IpAddress>> answer = fail(Fault::cancelled);
    const Duration begun = world.now();
    client.run([&](Network& network) -> Io<void> {
      auto resolving = network.resolve(name);
      answer = co_await resolving;
      took = world.now() - begun;
      co_return {};
    });
    EXPECT_TRUE(world.run());
    return answer;
  }

  World world;
  Host& client = world.host("client");
  Host& server = world.host("server");
  Host& names = world.host("names");
  Link* cable = nullptr;
  Duration took{};
};

TEST(Names, AreFoundThroughTheNetwork) {
  Town town(test_seed());
  town.world.dns(town.names);
  town.server.run(greet_server);
  town.client.run(greet_client);
  EXPECT_TRUE(town.world.run());
  EXPECT_TRUE(town.client.finished()) << why(town.client);
  EXPECT_GE(town.cable->towards(town.names).counters().delivered, 3U) << "ARP and two questions";
  EXPECT_TRUE(town.names.finished()) << "the service is no program that anybody waits for";
}

TEST(Names, TakeTheTimeOfTheWay) {
  Town town(test_seed());
  town.world.dns(town.names);
  const auto found = town.ask("server");
  ASSERT_TRUE(found) << why(found);
  EXPECT_EQ(*found, (std::vector<IpAddress>{town.server.v4(), town.server.v6()}));
  EXPECT_EQ(town.took, 18ms) << "the server announces itself; the questions, and the answers";
}

TEST(Names, OfHostsAreKnownToAllAtOnceWhereNobodyServesThem) {
  Town town(test_seed());
  EXPECT_EQ(town.ask("SERVER").value().front(), town.server.v4());
  EXPECT_EQ(town.took, 0ms);
  const auto unknown = town.ask("nobody");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error(), Fault::not_found);
}

TEST(Names, ThatAreAddressesOrThisMachineNeedNobody) {
  Town town(test_seed());
  town.client.use_name_servers({});
  EXPECT_EQ(town.ask("192.0.2.1").value().front(), IpAddress::v4(192, 0, 2, 1));
  EXPECT_EQ(town.ask("localhost").value().front(), loopback_v6);
  EXPECT_EQ(town.ask("a.LOCALHOST.").value().front(), loopback_v6);
  EXPECT_EQ(town.ask("server").error(), Fault::unreachable);
  for (const std::string& name : {std::string(), std::string("a..b"), std::string(64, 'k')})
    EXPECT_EQ(town.ask(name).error(), Fault::malformed) << name;
}

TEST(Names, ThatDoNotExistAreNotFound) {
  Town town(test_seed());
  town.world.dns(town.names);
  town.world.add_name("empty", {});
  const auto unknown = town.ask("nobody.example");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error(), Fault::not_found) << why(unknown);
  EXPECT_LT(town.took, 100ms) << "an answer, though not a welcome one";
  EXPECT_EQ(town.ask("empty").error(), Fault::not_found);
}

TEST(Names, MayBeAddedAndHaveOneKindOfAddress) {
  Town town(test_seed());
  town.world.dns(town.names);
  town.world.add_name("Six.Example", {IpAddress::v6({0x2001, 0xdb8, 0, 0, 0, 0, 0, 6})});
  EXPECT_EQ(to_string(town.ask("six.example.").value().at(0)), "2001:db8::6");
}

TEST(Names, WithMoreAddressesThanADatagramHoldsAreAskedForByTcp) {
  Town town(test_seed());
  town.world.dns(town.names);
  std::vector<IpAddress> many;
  for (int i = 0; i < 600; ++i)
    many.push_back(
        IpAddress::v4(10, 9, static_cast<std::uint8_t>(i / 256), static_cast<std::uint8_t>(i)));
  town.world.add_name("many.example", many);
  const auto found = town.ask("many.example");
  ASSERT_TRUE(found) << why(found);
  EXPECT_EQ(*found, many);
}

TEST(Names, AreAskedForAgainWhenAQuestionOrAnswerIsLost) {
  int late = 0;
  int found = 0;
  constexpr int seeds = 40;
  try_seeds(seeds, [&](std::uint64_t seed) {
    Town town(seed, {.delay = 5ms, .loss = 0.3});
    town.world.dns(town.names);
    const auto answer = town.ask("server");
    if (answer) {
      ++found;
      EXPECT_LE(answer->size(), 2U);
      EXPECT_EQ(answer->front().is_v4() ? town.server.v4() : town.server.v6(), answer->front());
    } else {
      EXPECT_TRUE(answer.error() == Fault::timed_out || answer.error() == Fault::unreachable)
          << why(answer);
    }
    if (town.took >= 2s) ++late;
    EXPECT_LT(town.took, 15s);
  });
  if (detail::environment("KOINE_SEED") != nullptr) return;
  EXPECT_GT(found, seeds * 3 / 4);
  EXPECT_GT(late, 0) << "else nothing was ever lost";
}

TEST(Names, AreSomebodyElsesAfterTheNameServerHasDied) {
  Town town(test_seed());
  auto& second = town.world.host("second");
  auto& middle = *town.cable->b().node;
  town.world.link(second, middle, {.delay = 1ms});
  town.world.dns(town.names);
  town.world.dns(second);
  EXPECT_TRUE(town.ask("server"));
  town.names.crash();
  EXPECT_TRUE(town.ask("server"));
  EXPECT_GT(town.took, 1s) << "the first was given its time";
  second.crash();
  const auto lost = town.ask("server");
  ASSERT_FALSE(lost);
  EXPECT_TRUE(lost.error() == Fault::timed_out || lost.error() == Fault::unreachable) << why(lost);
  town.names.reboot();
  EXPECT_TRUE(town.ask("server")) << "and serves again after a reboot";
}

TEST(Names, AreOutOfReachWhereNobodyServesThemAndAHostSaysSoAtOnce) {
  Town town(test_seed());
  town.client.use_name_servers({Address(town.server.v4(), 53)});
  const auto refused = town.ask("server");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), Fault::unreachable) << why(refused);
  EXPECT_NE(std::string(refused.error().note()).find("refused"), std::string::npos);
  EXPECT_LT(town.took, 100ms);
}

/// A name server that is told what to say to each question; nothing is nothing.
using Says = std::function<std::vector<std::string>(const wire::DnsMessage&)>;

void serve(Host& host, const Says& says) {
  host.run([says](Network& network) -> Io<void> {
    auto socket = co_await attempt(network.bind(Endpoint::udp(any_v4, 53)));
    std::vector<std::byte> room(512);
    for (;;) {
      const Received query = co_await attempt(receive_from(*socket, room));
      const auto message = wire::parse_dns(Bytes(room).first(query.size));
      if (!message) co_return fail(Fault::malformed, "parse");
      for (const std::string& reply : says(*message))
        co_await attempt(send_to(*socket, as_bytes(reply), query.from));
    }
  });
}

std::string text_of(const wire::DnsMessage& message) {
  return std::string(as_text(wire::write(message)));
}

wire::DnsMessage reply_to(const wire::DnsMessage& query, std::uint8_t last) {
  wire::DnsMessage reply = query;
  reply.is_response = true;
  if (query.questions[0].type == wire::DnsType::a) {
    reply.answers.push_back({.name = query.questions[0].name,
                             .type = wire::DnsType::a,
                             .data = wire::Ipv4Address::of(192, 0, 2, last)});
  }
  return reply;
}

TEST(Names, TimeOutWhenTheServerIsSilent) {
  Town town(test_seed());
  town.client.use_name_servers({Address(town.names.v4(), 53)});
  serve(town.names, [](const wire::DnsMessage&) { return std::vector<std::string>{}; });
  const auto answer = town.ask("server");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error(), Fault::timed_out) << why(answer);
  EXPECT_EQ(town.took, 14s) << "2, 4 and 8 s";
}

TEST(Names, AreUnreachableWhenTheServerFails) {
  Town town(test_seed());
  town.client.use_name_servers({Address(town.names.v4(), 53)});
  serve(town.names, [](const wire::DnsMessage& query) {
    wire::DnsMessage reply = query;
    reply.is_response = true;
    reply.code = wire::DnsCode::server_failure;
    return std::vector<std::string>{text_of(reply)};
  });
  const auto answer = town.ask("server");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error(), Fault::unreachable) << why(answer);
  EXPECT_NE(std::string(answer.error().note()).find("code 2"), std::string::npos);
}

TEST(Names, AreNotBelievedFromThoseWhoWereNotAskedThat) {
  Town town(test_seed());
  town.client.use_name_servers({Address(town.names.v4(), 53)});
  serve(town.names, [](const wire::DnsMessage& query) {
    wire::DnsMessage other_id = reply_to(query, 1);
    ++other_id.id;
    wire::DnsMessage other_name = reply_to(query, 2);
    other_name.questions[0].name = "bank.example";
    wire::DnsMessage other_type = reply_to(query, 3);
    other_type.questions[0].type = wire::DnsType::any;
    wire::DnsMessage question = reply_to(query, 4);
    question.is_response = false;
    wire::DnsMessage beside = reply_to(query, 7);
    if (!beside.answers.empty()) {
      beside.answers.push_back(beside.answers[0]);
      beside.answers[1].name = "bank.example";
    }
    return std::vector<std::string>{"",
                                    "not a message",
                                    text_of(other_id),
                                    text_of(other_name),
                                    text_of(other_type),
                                    text_of(question),
                                    text_of(beside)};
  });
  const auto answer = town.ask("server");
  ASSERT_TRUE(answer) << why(answer);
  EXPECT_EQ(*answer, std::vector<IpAddress>{IpAddress::v4(192, 0, 2, 7)});
}

TEST(Names, MayStandForOtherNames) {
  Town town(test_seed());
  town.client.use_name_servers({Address(town.names.v4(), 53)});
  serve(town.names, [](const wire::DnsMessage& query) {
    wire::DnsMessage reply = reply_to(query, 9);
    const auto alias = [&](const char* name, const char* target) {
      reply.answers.push_back(
          {.name = name, .type = wire::DnsType::cname, .data = wire::DnsName{target}});
    };
    if (query.questions[0].name == "www.example") {
      for (auto& record : reply.answers) record.name = "host.example";
      alias("WEB.example", "host.example");
      alias("www.example", "web.example");
    } else {
      reply.answers.clear();
      alias("round.example", "about.example");
      alias("about.example", "round.example");
    }
    return std::vector<std::string>{text_of(reply)};
  });
  EXPECT_EQ(town.ask("www.example").value(), std::vector<IpAddress>{IpAddress::v4(192, 0, 2, 9)});
  EXPECT_EQ(town.ask("round.example").error(), Fault::not_found) << "and no endless walk";
}

TEST(NameServer, SaysWhatIsWrongWithAQuestion) {
  World world{1};
  world.add_name("k", {IpAddress::v4(192, 0, 2, 1)});
  const auto answer = [&](const wire::DnsMessage& query) {
    return wire::parse_dns(answer_about_names(world, wire::write(query), 512)).value();
  };
  wire::DnsMessage query{.id = 7, .recursion_desired = true};
  EXPECT_EQ(answer(query).code, wire::DnsCode::format_error) << "no question";
  query.questions.push_back({.name = "K", .type = wire::DnsType::any});
  EXPECT_EQ(answer(query).answers.size(), 1U);
  EXPECT_TRUE(answer(query).is_authoritative);
  query.questions[0].type = wire::DnsType::aaaa;
  EXPECT_EQ(answer(query).code, wire::DnsCode::ok) << "the name exists";
  ASSERT_EQ(answer(query).authority.size(), 1U) << "for how long nothing stays nothing";
  query.questions[0].network_class = 3;
  EXPECT_EQ(answer(query).code, wire::DnsCode::refused);
  query.questions.push_back(query.questions[0]);
  EXPECT_EQ(answer(query).code, wire::DnsCode::format_error) << "two questions";
  query.operation = 4;
  EXPECT_EQ(answer(query).code, wire::DnsCode::not_implemented);
  EXPECT_EQ(answer(query).id, 7);

  query.is_response = true;
  EXPECT_TRUE(answer_about_names(world, wire::write(query), 512).empty()) << "an answer gets none";
  const std::string cut(wire::DnsMessage::header_size, '\1');
  EXPECT_EQ(wire::parse_dns(answer_about_names(world, as_bytes(cut), 512)).value().code,
            wire::DnsCode::format_error);
  EXPECT_TRUE(answer_about_names(world, as_bytes(cut).first(11), 512).empty());
}

TEST(NameServer, TurnsAwayMoreClientsThanItHasRoomForAndHangsUpOnTheSilent) {
  Town town(test_seed());
  town.world.dns(town.names, {.idle_max = 3s, .clients_max = 2});
  std::vector<Duration> ended;
  for (int i = 0; i < 3; ++i) {
    town.client.run([&](Network& network) -> Io<void> {
      auto stream = co_await attempt(network.connect(Address(town.names.v4(), 53), Transport::tcp));
      auto end = co_await receive(*stream);
      if (end && end->size() != 0) co_return fail(Fault::malformed, "hear nothing");
      ended.push_back(town.world.now());
      co_return {};
    });
  }
  town.world.run();
  ASSERT_TRUE(town.client.finished()) << why(town.client);
  ASSERT_EQ(ended.size(), 3U);
  EXPECT_LT(ended[0], 1s);
  EXPECT_GE(ended[1], 3s);
  EXPECT_LT(ended[2], 4s);
}

}  // namespace
}  // namespace koine::sim
