// Cancelling at every point where a story waits: nothing is left of it, and everything else goes
// on.
//
// A story is run once to count how often anything ran in it; then again and again, destroyed after
// the first step, after the second, and so on. Between any two suspensions of one coroutine there
// is such a step, also inside connect(), dial() and resolve().
#include <functional>
#include <string>

#include "koine/async/scope.h"
#include "tests/contract/place.h"
#include "tests/contract/stories.h"

namespace koine::contract {
namespace {

/// Looks at a loop after each round in which something else ran, and has `at_step` called at the
/// step of that number. It keeps a loop from waiting only while things happen.
class Stepper final : public Runnable {
 public:
  Stepper(Loop& loop, int step, std::function<void()> at_step)
      : loop_(loop), left_(step), at_step_(std::move(at_step)), seen_(loop.runs()) {
    resume();
  }

  /// To be called after each turn: looks, and joins the loop again.
  void resume() {
    if (listed()) return;
    look(0);
    quiet_ = 0;
    loop_.schedule(*this);
  }

  int steps() const { return steps_; }

 private:
  static constexpr int quiet_max = 20;  // rounds without news before the world may wait or move on

  void run() override {
    look(1);
    if (++quiet_ < quiet_max) loop_.schedule(*this);
  }

  /// Of what ran since the last look, `own` was this.
  void look(std::uint64_t own) {
    const bool moved = loop_.runs() - seen_ > own;
    seen_ = loop_.runs();
    if (!moved) return;
    quiet_ = 0;
    ++steps_;
    if (left_ != 0 && --left_ == 0) at_step_();
  }

  Loop& loop_;
  int left_;
  std::function<void()> at_step_;
  std::uint64_t seen_;
  int steps_ = 0;
  int quiet_ = 0;
};

using Story = Io<void> (*)(Place&);

// The stories, each with both of its ends.

Io<void> exchange(Place& place) {
  auto listener = co_await attempt(place.server().listen(place.any_tcp()));
  Scope serving;
  serving.spawn(echo_once(*listener));
  auto asking = ask(place.client(), listener->endpoint(), "is it you?");
  const std::string heard = co_await attempt(std::move(asking));
  if (heard != "is it you?") co_return fail(Fault::malformed, "exchange", heard);
  co_return co_await serving.join();
}

Io<void> flood_both_ways(Place& place) {
  auto listener = co_await attempt(place.server().listen(place.any_tcp()));
  auto connection = dial(place.client(), listener->endpoint());
  auto ours = co_await attempt(std::move(connection));
  auto theirs = co_await attempt(accept(*listener));
  auto expect = [](Stream& from, std::uint64_t seed) -> Io<void> {
    auto reading = read_pattern(from, seed);
    const std::size_t count = co_await attempt(std::move(reading));
    if (count != 1'500'000) co_return fail(Fault::ended, "flood");
    co_return {};
  };
  Scope four;
  four.spawn(write_pattern(*ours, 1, 1'500'000));
  four.spawn(write_pattern(*theirs, 2, 1'500'000));
  four.spawn(expect(*ours, 2));
  four.spawn(expect(*theirs, 1));
  co_return co_await four.join();
}

/// Ends with everything written and nothing read: what is cut short then lingers.
Io<void> write_and_leave(Place& place) {
  auto listener = co_await attempt(place.server().listen(place.any_tcp()));
  auto connection = dial(place.client(), listener->endpoint());
  auto ours = co_await attempt(std::move(connection));
  auto theirs = co_await attempt(accept(*listener));
  co_await attempt(write_all(*theirs, "unread"));
  co_await attempt(flush(*theirs));
  const std::string text(300'000, 'x');
  auto late = co_await within(2ms, write_all(*ours, text));
  ours.reset();
  auto reading = read_to_end(*theirs);
  const std::string heard = co_await attempt(std::move(reading));
  if (heard.size() != text.size() && late) co_return fail(Fault::ended, "leave");
  co_return {};
}

Io<void> datagrams(Place& place) {
  auto ours = co_await attempt(place.server().bind(place.any_udp()));
  auto theirs = co_await attempt(place.server().bind(place.any_udp()));
  std::array<std::byte, 100> room;
  for (int i = 0; i < 3; ++i) {
    co_await attempt(send_to(*ours, as_bytes("ping"), theirs->local()));
    const Received ping = co_await attempt(receive_from(*theirs, room));
    co_await attempt(send_to(*theirs, Bytes(room).first(ping.size), ping.from));
    co_await attempt(receive_from(*ours, room));
  }
  const Address gone = theirs->local();
  theirs.reset();
  co_await attempt(ours->connect(gone));
  co_await attempt(send_to(*ours, as_bytes("ping"), gone));
  const auto refused = co_await receive_from(*ours, room);
  if (refused || refused.error() != Fault::refused) co_return fail(Fault::malformed, "refusal");
  co_return {};
}

Io<void> dial_by_name(Place& place) {
  auto listener = co_await attempt(place.server().listen(place.any_tcp()));
  auto connection =
      dial(place.client(), Endpoint::tcp(place.known_name(), listener->endpoint().port()).value());
  auto ours = co_await attempt(std::move(connection));
  auto theirs = co_await attempt(accept(*listener));
  auto lookup = dial(place.client(), Endpoint::tcp(place.unknown_name(), 9).value());
  const auto nobody = co_await lookup;
  if (nobody || nobody.error() != Fault::not_found) co_return fail(Fault::malformed, "resolve");
  co_return {};
}

Io<void> dial_whoever_answers(Place& place) {
  auto listener = co_await attempt(place.server().listen(Endpoint::tcp(place.v4(), 0)));
  // An open host is loopback: IPv6, where nobody is, and then IPv4.
  auto race = dial(place.client(), Endpoint::tcp("", listener->endpoint().port()).value());
  const auto stream = co_await race;
  if (!stream && place.v4().is_loopback()) co_return std::unexpected(stream.error());
  listener->close();
  auto again = dial(place.client(), Endpoint::tcp("", listener->endpoint().port()).value());
  const auto refused = co_await again;
  if (refused) co_return fail(Fault::malformed, "dial");
  co_return {};
}

Io<void> wait_in_vain(Place& place) {
  ListenOptions few;
  few.backlog = 0;
  auto listener = co_await attempt(place.server().listen(place.any_tcp(), few));
  std::vector<std::unique_ptr<Stream>> waiting;
  while (waiting.size() < 16) {
    auto connection = place.client().connect(*listener->endpoint().address(), Transport::tcp);
    auto stream = co_await within(10ms, std::move(connection));
    if (!stream) {
      if (stream.error() != Fault::timed_out) co_return std::unexpected(stream.error());
      co_return {};
    }
    waiting.push_back(std::move(*stream));
  }
  co_return fail(Fault::malformed, "wait in vain");
}

Io<void> wait_for_room_in_a_unix_queue(Place& place) {
  if (!place.has_unix_sockets()) co_return {};
  ListenOptions few;
  few.backlog = 0;
  const Endpoint at =
      Endpoint::of(Address::unix_path(place.unix_path()).value(), Transport::unix_stream);
  auto listener = co_await attempt(place.server().listen(at, few));
  Scope guests;
  auto visit = [](Network& network, Endpoint there) -> Io<void> {
    auto asking = ask(network, std::move(there), "x");
    co_await attempt(std::move(asking));
    co_return {};
  };
  for (int i = 0; i < 4; ++i) guests.spawn(visit(place.client(), at));
  co_await sleep(3ms);
  for (int i = 0; i < 4; ++i) {
    auto serving = echo_once(*listener);
    co_await attempt(std::move(serving));
  }
  co_return co_await guests.join();
}

Io<void> closed_under_whoever_waits(Place& place) {
  auto listener = co_await attempt(place.server().listen(place.any_tcp()));
  auto connection = dial(place.client(), listener->endpoint());
  auto ours = co_await attempt(std::move(connection));
  auto wait_here = [](Listener& from) -> Io<void> {
    auto first = co_await attempt(accept(from));
    const auto reading = co_await receive(*first);
    const auto second = co_await accept(from);
    if (reading || second) co_return fail(Fault::malformed, "wait");
    co_return {};
  };
  Scope scope;
  scope.spawn(wait_here(*listener));
  co_await sleep(1ms);
  ours->abort();
  co_await sleep(1ms);
  listener->close();
  co_return co_await scope.join();
}

struct Named {
  const char* name;
  Story story;
};
constexpr Named stories[] = {
    {"exchange", &exchange},
    {"flood_both_ways", &flood_both_ways},
    {"write_and_leave", &write_and_leave},
    {"datagrams", &datagrams},
    {"dial_by_name", &dial_by_name},
    {"dial_whoever_answers", &dial_whoever_answers},
    {"wait_in_vain", &wait_in_vain},
    {"wait_for_room_in_a_unix_queue", &wait_for_room_in_a_unix_queue},
    {"closed_under_whoever_waits", &closed_under_whoever_waits},
};

class CancelContract : public ContractTest {
 protected:
  /// Runs `story`, destroyed at `step` unless that is 0: how many steps there were, and how it
  /// ended if it was left to.
  int run_until(Story story, int step, std::optional<Result<void>>& over) {
    const Loop::Entered entered(place->loop());
    std::optional<Started<Within<Io<void>>>> running;
    running.emplace(place->loop(), within(Place::patience, story(*place)));
    Stepper stepper(place->loop(), step, [&] { running.reset(); });
    while (running && !running->done()) {
      const auto turned = place->turn();
      EXPECT_TRUE(turned) << why(turned);
      if (!turned) break;
      stepper.resume();
    }
    if (running && running->done()) over = running->take();
    return stepper.steps();
  }
};

INSTANTIATE_CONTRACT(CancelContract);

TEST_P(CancelContract, AStoryMayBeDestroyedAtAnyStepAndNothingIsLeftOfIt) {
  auto [bystander, echoing] = connected();
  auto call_out = [](Stream& asks, Stream& answers) -> Io<std::string> {
    co_await attempt(write_all(asks, "here?"));
    co_await attempt(receive(answers));
    co_await attempt(write_all(answers, "here."));
    const Buffer answer = co_await attempt(receive(asks));
    co_return std::string(answer.text());
  };
  const std::size_t held = place->held();
  const std::string at_rest = place->loop().dump();

  for (const Named& each : stories) {
    std::optional<Result<void>> over;
    const int steps = run_until(each.story, 0, over);
    ASSERT_TRUE(over && *over) << each.name << ": " << (over ? why(*over) : "no end");
    ASSERT_GT(steps, 0);
    // A large story is cut at each of its first steps, and then at some.
    for (int step = 1; step <= steps; step += step < 60 ? 1 : 7) {
      SCOPED_TRACE(std::string(each.name) + ", cut at step " + std::to_string(step) + " of " +
                   std::to_string(steps));
      over.reset();
      run_until(each.story, step, over);
      ASSERT_TRUE(place->settles_at(held)) << place->held() << " held, of " << held;
      ASSERT_EQ(place->loop().dump(), at_rest);
      ASSERT_TRUE(place->loop().idle());
      ASSERT_FALSE(place->loop().next_deadline()) << "a timer was left behind";
      const auto answer = place->run(call_out(*bystander, *echoing));
      ASSERT_EQ(answer, "here.") << why(answer);
    }
  }
}

}  // namespace
}  // namespace koine::contract
