// Cancelling a story that uses everything that can be awaited, one inside the other, at each of its
// steps. The tests beside each operation do the same with that operation alone.
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "koine/async/channel.h"
#include "koine/async/combine.h"
#include "koine/async/event.h"
#include "koine/async/scope.h"
#include "koine/async/sleep.h"
#include "koine/async/story_test.h"
#include "koine/async/within.h"

namespace koine {
namespace {

/// A small service: clients ask through a channel, a few workers answer, each holding a permit.
struct Service {
  struct Request {
    int number;
    std::shared_ptr<Channel<int>> reply_to;  // who asked may be gone when it is answered
    Counted counted;
  };
  Channel<Request> requests{2};
  Semaphore permits{2};
  Event opened;
  int answered = 0;
};

Io<void> work(Service& service) {
  const Counted counted;
  co_await service.opened.wait();
  while (auto request = co_await service.requests.receive()) {
    auto permit = co_await service.permits.acquire();
    if (request->number % 3 == 0) co_await sleep(2ms);
    if (request->number == 13) co_return fail(Fault::over_limit, "answer", "13");
    if (co_await within(5ms, request->reply_to->send(request->number * 2))) ++service.answered;
    co_await yield();
  }
  co_return {};
}

Io<int> ask(Service& service, int number) {
  const Counted counted;
  auto reply = std::make_shared<Channel<int>>(1);
  Service::Request request{number, reply, {}};
  co_await attempt(service.requests.send(std::move(request)));
  auto answer = co_await attempt(within(10ms, reply->receive()));
  if (!answer) co_return fail(Fault::ended, "ask");
  co_return *answer;
}

Io<int> ask_either(Service& service, int number) {
  auto first = co_await first_of(ask(service, number), within(3ms, ask(service, number + 1)),
                                 service.opened.wait());
  if (first.index() == 2) {
    auto [one, two] = co_await attempt(all(ask(service, number), ask(service, number + 1)));
    co_return one + two;
  }
  co_return co_await attempt(ask(service, number + 2));
}

Io<int> client(Service& service, int number, bool throws) {
  const Counted counted;
  auto sum = co_await within(50ms, ask_either(service, number));
  if (throws) throw std::runtime_error("out of cheese");
  co_return sum ? *sum : 0;
}

Io<void> everything(Service& service, int unlucky, bool throws) {
  const Counted counted;
  Scope workers;
  for (int i = 0; i < 3; ++i) workers.spawn(work, std::ref(service));
  service.opened.set();
  co_await yield();
  service.opened.reset();
  {
    Scope clients;
    clients.spawn(client, std::ref(service), 1, false);
    clients.spawn(client, std::ref(service), unlucky, throws);
    service.opened.set();
    try {
      co_await attempt(within(30ms, clients.join()));
    } catch (const std::runtime_error&) {
      clients.cancel();
    }
    co_await attempt(clients.join());
  }
  service.requests.close();
  co_return co_await within(20ms, workers.join());
}

class Everything : public testing::TestWithParam<std::tuple<int, bool>> {};

TEST_P(Everything, CanBeCancelledAtEveryStep) {
  const auto [unlucky, throws] = GetParam();
  const int steps = cancel_at_every_step<Service>(
      [&](Service& service) { return everything(service, unlucky, throws); },
      [](Service& service) { EXPECT_EQ(service.permits.available(), 2U); });
  EXPECT_GT(steps, 15);
}

TEST_P(Everything, CanRunOutOfTimeAtEveryMoment) {
  const auto [unlucky, throws] = GetParam();
  for (Duration limit{}; limit < 60ms; limit += 1ms) {
    SCOPED_TRACE("within " + std::to_string(limit.count()) + " ns");
    VirtualTime time;
    Service service;
    auto story = [](Service& shared, int number, bool thrown, Duration allowed) -> Task<int> {
      co_await within(allowed, everything(shared, number, thrown));
      co_return Counted::alive;
    };
    // What still waits inside the channel belongs to the service, not to the story.
    const auto left = time.finish(story(service, unlucky, throws, limit));
    EXPECT_EQ(left, static_cast<int>(service.requests.size()));
    EXPECT_EQ(service.permits.available(), 2U);
    EXPECT_FALSE(time.step());
  }
}

INSTANTIATE_TEST_SUITE_P(Stories, Everything,
                         testing::Combine(testing::Values(4, 12, 13), testing::Bool()),
                         [](const auto& about) {
                           return "Asking" + std::to_string(std::get<0>(about.param)) +
                                  (std::get<1>(about.param) ? "AndThrowing" : "");
                         });

}  // namespace
}  // namespace koine
