#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "koine/async/channel.h"
#include "koine/async/combine.h"
#include "koine/async/event.h"
#include "koine/async/scope.h"
#include "koine/async/sleep.h"
#include "koine/async/virtual_time.h"
#include "koine/async/within.h"

namespace koine {
namespace {

// The numbers of lines would change with every edit of this file: they are compared as #.
std::string dump(VirtualTime& time) {
  std::string text = time.loop().dump();
  for (auto at = text.find(".cc:"); at != text.npos; at = text.find(".cc:", at + 4)) {
    const auto digits = text.find_first_not_of("0123456789", at + 4) - (at + 4);
    text.replace(at + 4, digits, "#");
  }
  return "\n" + text;
}

void run_ready(VirtualTime& time) {
  const Loop::Entered entered(time.loop());
  time.loop().run_ready();
}

Task<void> nap(Duration duration) { co_await sleep(duration); }

Io<void> ask(Channel<int>& channel) {
  co_await within(1h, channel.receive());
  co_return {};
}

Io<void> greet(Channel<int>& channel) {
  co_await attempt(all(ask(channel), within(2h, first_of(nap(3h), sleep(4h)))));
  co_return {};
}

Io<void> serve(Channel<int>& channel) {
  Scope guests;
  guests.spawn(greet, std::ref(channel));
  guests.spawn(nap(1h));
  co_return co_await guests.join();
}

TEST(Dump, ShowsTheTreeOfTasksAndWhatEachWaitsFor) {
  VirtualTime time;
  Channel<int> channel(1);
  Event event;
  const Started server(time.loop(), serve(channel));
  const Started waiter(time.loop(), event.wait());
  run_ready(time);
  EXPECT_EQ(dump(time), R"(
task 1, spawned at dump_test.cc:#
  in koine::serve at dump_test.cc:#
  waits: join
    task 2
      in koine::greet at dump_test.cc:#
      waits: all
      - in koine::ask at dump_test.cc:#
        waits: receive from a channel
      - waits: first of
        - in koine::nap at dump_test.cc:#
          waits: sleep
        - waits: sleep
    task 3, spawned at dump_test.cc:#
      in koine::nap at dump_test.cc:#
      waits: sleep
task 4, spawned at dump_test.cc:#
  waits: wait for an event
)");
}

Io<void> nap_twice() {
  co_await attempt(all(nap(1ms), nap(1h)));
  co_return {};
}

TEST(Dump, ShowsOnlyWhatIsNotOver) {
  VirtualTime time;
  {
    const Started over(time.loop(), nap(1ms));
    const Started started(time.loop(), nap_twice());
    while (time.now() < Instant(1ms)) time.step();
    run_ready(time);
    EXPECT_TRUE(over.done());
    EXPECT_EQ(dump(time), R"(
task 1, spawned at dump_test.cc:#
  in koine::nap_twice at dump_test.cc:#
  waits: all
  in koine::nap at dump_test.cc:#
  waits: sleep
)");
  }
  EXPECT_EQ(dump(time), "\nno tasks\n");
}

Task<void> hatch() {
  Scope scope;
  scope.spawn(nap(1h));
  co_await sleep(2h);
}

TEST(Dump, AScopeThatNobodyJoinsShowsItsChildrenAtTheLeft) {
  VirtualTime time;
  const Started started(time.loop(), hatch());
  run_ready(time);
  run_ready(time);
  EXPECT_EQ(dump(time), R"(
task 1, spawned at dump_test.cc:#
  in koine::hatch at dump_test.cc:#
  waits: sleep
task 2, spawned at dump_test.cc:#
  in koine::nap at dump_test.cc:#
  waits: sleep
)");
}

Io<void> join(Scope& scope) { co_return co_await scope.join(); }

TEST(Dump, TasksThatWaitInACircleAreShownOnce) {
  VirtualTime time;
  Scope scope(time.loop());
  scope.spawn(join(scope));  // waits for its own end
  run_ready(time);
  EXPECT_EQ(dump(time), R"(
task 1, spawned at dump_test.cc:#
  in koine::join at dump_test.cc:#
  waits: join
)");
}

template <class T>
struct Server {
  Task<void> serve(T) const { co_await sleep(1h); }
  Task<void> operator()(T) { co_await sleep(1h); }
};

template <class... T>
Result<Task<void>> unusual(T...) {
  auto wait = []<class U>(U) -> Task<void> { co_await sleep(1h); };
  return wait(1);
}

TEST(Dump, NamesFunctionsAsAPersonWould) {
  VirtualTime time;
  Server<std::pair<int, char>> server;
  const Started one(time.loop(), server.serve({}));
  const Started two(time.loop(), server({}));
  const Started three(time.loop(), *unusual(1, 2.0));
  run_ready(time);
  std::string names;
  std::istringstream lines(time.loop().dump());
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("  in ")) names += line.substr(5, line.find(" at ") - 5) + "\n";
  }
  names.insert(0, "\n");
#ifdef __clang__
  EXPECT_EQ(names, R"(
koine::Server<std::pair<int, char>>::serve
koine::Server<std::pair<int, char>>::operator()
koine::unusual(int, double)::lambda
)");
#else
  EXPECT_NE(names.find("::serve\n"), names.npos) << names;
  EXPECT_NE(names.find("::operator()\n"), names.npos) << names;
  EXPECT_NE(names.find("::lambda\n"), names.npos) << names;
#endif
}

}  // namespace
}  // namespace koine
