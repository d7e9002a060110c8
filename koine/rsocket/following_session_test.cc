// Journeys over a session that is cut and resumed; and how old a request is, by the same stamps.
#include <chrono>

#include "koine/async/sleep.h"
#include "koine/rsocket/following_test.h"
#include "koine/rsocket/pair_test.h"
#include "koine/rsocket/sessions.h"

namespace koine::rsocket {
namespace {

/// A session whose connection can be cut: its client connects again by itself.
class Resumable {
 public:
  explicit Resumable(Both& both) : both_(both) {}

  Io<void> begin() {
    auto beginning = both_.stamps_begin();
    co_await attempt(std::move(beginning));
    auto endpoint = parse_endpoint("tcp://127.0.0.1:0");
    both_.listener = co_await attempt(both_.network->listen(*endpoint));
    auto connecting = connect(*both_.network, to_string(both_.listener->endpoint()),
                              PeerOptions{.connection = {.resume = true}, .journeys = &both_.here});
    client_ = co_await attempt(std::move(connecting));
    auto accepted = co_await attempt(accept(*both_.listener));
    raw_ = accepted.get();
    session_.emplace(std::move(accepted), Side::server, &both_.answers, theirs_);
    co_return {};
  }
  Peer& client() { return *client_; }
  void cut() { raw_->abort(); }
  Io<void> accept_again() {
    second_ = co_await attempt(accept(*both_.listener));
    co_return {};
  }
  void go_on() { fresh_.emplace(std::move(second_), Side::server, &both_.answers, theirs_); }

 private:
  Both& both_;
  Sessions sessions_;
  const PeerOptions theirs_{
      .connection = {.resume = true}, .sessions = &sessions_, .journeys = &both_.there};
  Stream* raw_ = nullptr;
  std::unique_ptr<Stream> second_;
  std::unique_ptr<Peer> client_;
  std::optional<Peer> session_;
  std::optional<Peer> fresh_;
};

TEST(RsocketJourney, ASessionThatIsResumedIsFollowedOnItsNewConnection) {
  Both both;
  const auto story = [&]() -> Io<void> {
    Resumable session(both);
    auto beginning = session.begin();
    co_await attempt(std::move(beginning));
    Peer& client = session.client();
    const auto ask = [&](std::string text) -> Io<int> {
      auto following = client.call<std::string>("echo", text, journey::follow);
      const auto followed = co_await attempt(std::move(following));
      EXPECT_EQ(followed.answer, text);
      co_return followed.journey ? journey::stamps_of(*followed.journey) : 0;
    };
    auto before = ask("before");
    EXPECT_EQ(co_await attempt(std::move(before)), 14);
    session.cut();
    auto accepting = session.accept_again();
    co_await attempt(std::move(accepting));
    session.go_on();
    auto meanwhile = ask("meanwhile");
    co_await attempt(std::move(meanwhile));  // perhaps on no connection: then without a journey
    auto after = ask("after");
    EXPECT_EQ(co_await attempt(std::move(after)), 14);
    EXPECT_EQ(client.connection().counts().resumed, 1U);
    co_return {};
  };
  const auto done = both.run(story());
  EXPECT_TRUE(done) << to_string(done.error());
}

// Who comes back may be at another address.
TEST(RsocketJourney, ASessionThatIsResumedIsToldWhatItsNewConnectionMayHear) {
  Both both;
  Tells allowed = Tells::stamps_and_frames;
  both.there.tells_whom = [&](const Address&) { return allowed; };
  const auto story = [&]() -> Io<void> {
    Resumable session(both);
    auto beginning = session.begin();
    co_await attempt(std::move(beginning));
    Peer& client = session.client();
    auto before = client.call<std::string>("echo", std::string("before"), journey::follow);
    EXPECT_TRUE((co_await attempt(std::move(before))).journey->request.rx);
    session.cut();
    allowed = Tells::nothing;
    auto accepting = session.accept_again();
    co_await attempt(std::move(accepting));
    both.there.attach(both.answered);  // with no connection to ask about
    session.go_on();
    co_await attempt(client.call<std::string>("echo", std::string("meanwhile")));
    auto after = client.call<std::string>("echo", std::string("after"), journey::follow);
    const auto followed = co_await attempt(std::move(after));
    EXPECT_TRUE(followed.journey && !followed.journey->request.rx);
    EXPECT_EQ(client.connection().counts().resumed, 1U);
    co_return {};
  };
  const auto done = both.run(story());
  EXPECT_TRUE(done) << to_string(done.error());
}

// How old a request is.

TEST(RsocketRequestAge, IsCountedFromTheReadWhenNobodyRecords) {
  Service aged;
  aged.on("age", [](Received<std::string> request) -> Io<std::string> {
    EXPECT_EQ(request.value, "x");
    const Duration first = request.age();
    co_await sleep(50ms);
    co_return std::to_string(first / 1ms) + " " + std::to_string(request.age() / 1ms);
  });
  Pair pair(std::move(aged));
  EXPECT_EQ(pair.answer(within(1s, pair.client->call("age", "x"))), "0 50");
}

/// The client is played by hand, so that its request is in the kernel and nobody has read it while
/// this loop does something else.
TEST(RsocketRequestAge, IsCountedFromTheKernelsStampWhenThereIsOne) {
  Both both;
  std::optional<Duration> age;
  both.answers.on("age", [&](Received<std::string> request) -> Io<std::string> {
    age = request.age();
    co_return request.value;
  });
  Duration busy{};
  const auto story = [&]() -> Io<void> {
    auto beginning = both.stamps_begin();
    co_await attempt(std::move(beginning));
    auto endpoint = parse_endpoint("tcp://127.0.0.1:0");
    both.listener = co_await attempt(both.network->listen(*endpoint));
    auto dialing = dial(*both.network, both.listener->endpoint());
    const auto raw = co_await attempt(std::move(dialing));
    auto accepted = co_await attempt(accept(*both.listener));
    both.server.emplace(std::move(accepted), Side::server, &both.answers,
                        PeerOptions{.journeys = &both.there});
    ByteVector out;
    FrameWriter writer(out);
    const rsocket::Setup setup{.keepalive_ms = 20'000,
                               .lifetime_ms = 90'000,
                               .metadata_mime_type = composite_mime_type,
                               .data_mime_type = binary_mime_type};
    co_await attempt(writer.setup(setup));
    co_await attempt(write_all(*raw, Bytes(out)));
    while (both.server->connection().counts().frames == 0) co_await sleep(1ms);
    ByteVector metadata;
    co_await attempt(append_route(metadata, "age"));
    const Request request{.type = FrameType::request_response,
                          .payload = {as_bytes(std::string_view("x")), Bytes(metadata)}};
    out.clear();
    co_await attempt(writer.request(1, request));
    co_await attempt(write_all(*raw, Bytes(out)));
    co_await attempt(flush(*raw));
    const auto begun = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - begun < 30ms) continue;
    busy = std::chrono::steady_clock::now() - begun;
    while (!age) co_await sleep(1ms);
    co_return {};
  };
  const auto done = both.run(story());
  ASSERT_TRUE(done) << to_string(done.error());
  EXPECT_GE(*age, busy / 2);
}

}  // namespace
}  // namespace koine::rsocket
