#include "koine/os/workers.h"

#include "koine/async/combine.h"
#include "koine/base/thrown.h"
#include "koine/os/child_process.h"
#include "koine/os/handed.h"
#include "koine/os/signals.h"
#include "koine/os/socket_stream.h"
#include "koine/os/thread_of_one.h"

namespace koine::os {
namespace {

/// Serves until the handler ends or is told to stop.
Io<void> serve_until_stopped(Reactor& reactor, const ServeOne& serve,
                             std::unique_ptr<Stream> stream, Orders& orders) {
  Result<void> result;
  try {
    auto task = serve(reactor, std::move(stream), orders.drain);
    auto either = first_of(std::move(task), orders.stop.wait());
    auto first = co_await either;
    if (first.index() == 0) {
      result = std::move(std::get<0>(first));
    } else {
      result = fail(Fault::cancelled, "serve");
    }
  } catch (...) {
    result = std::unexpected(thrown_error("serve"));
  }
  co_return result;
}

/// Runs the handler on a loop of its own, on this thread. `attend` is given the loop, and what it
/// answers with lives while the loop runs.
template <class Attend>
Result<void> serve_here(Handed handed, const ServeOne& serve, const std::string& multiplexer,
                        Attend attend) {
  auto reactor = Reactor::make({.multiplexer = multiplexer});
  if (!reactor) return std::unexpected(std::move(reactor.error()));
  auto stream =
      SocketStream::make(**reactor, std::move(handed.fd), handed.transport, std::move(handed.peer));
  if (!stream) return std::unexpected(std::move(stream.error()));
  Orders orders;
  [[maybe_unused]] const auto attendant = attend(**reactor, orders);
  auto result = (*reactor)->run(serve_until_stopped(**reactor, serve, std::move(*stream), orders));
  if (!orders.stop.is_set()) (*reactor)->linger_out();
  return result;
}

/// Heeds what the parent tells: see stop_signal.
Task<void> heed_parent(Reactor& reactor, Orders& orders) {
  auto signals = Signals::make(reactor, {SIGTERM, SIGINT, ChildProcess::stop_signal});
  if (!signals) {
    ChildProcess::let_signals_end_it();
    co_return;
  }
  for (;;) {
    auto next = (*signals)->next();
    const auto signal = co_await next;
    if (!signal) co_return;
    (*signal == ChildProcess::stop_signal ? orders.stop : orders.drain).set();
  }
}

}  // namespace

Io<void> serve_in_thread(Reactor& reactor, std::unique_ptr<Stream> stream,
                         std::shared_ptr<const ServeOne> serve, Orders& orders) {
  auto handed = co_await attempt(take_socket(std::move(stream)));
  ThreadOfOne thread(reactor);
  auto begun = thread.begin(
      [handed = std::move(handed), serve = std::move(serve),
       multiplexer = std::string(reactor.multiplexer())](ThreadOfOne::Link& link) mutable {
        return serve_here(std::move(handed), *serve, multiplexer, [&](Reactor& mine, Orders& told) {
          return ThreadOfOne::Attendant(link, mine, told);
        });
      });
  co_await attempt(std::move(begun));
  if (!orders.drain.is_set() && !orders.stop.is_set()) {
    auto news = first_of(thread.over(), orders.drain.wait(), orders.stop.wait());
    co_await news;
  }
  if (!thread.is_over() && !orders.stop.is_set()) {
    thread.drain();
    auto news = first_of(thread.over(), orders.stop.wait());
    co_await news;
  }
  if (!thread.is_over()) {
    thread.stop();
    co_await thread.over();
  }
  co_return thread.result();
}

Io<void> serve_in_process(Reactor& reactor, std::unique_ptr<Stream> stream,
                          std::shared_ptr<const ServeOne> serve, Orders& orders) {
  auto handed = co_await attempt(take_socket(std::move(stream)));
  const std::string multiplexer(reactor.multiplexer());
  ChildProcess child(reactor);
  auto begun = child.begin(handed.fd, [&](Fd mine) {
    handed.fd = std::move(mine);
    return serve_here(std::move(handed), *serve, multiplexer, [](Reactor& own, Orders& told) {
      return std::make_unique<Started<Task<void>>>(own.loop(), heed_parent(own, told));
    });
  });
  co_await attempt(std::move(begun));
  handed.fd.reset();
  if (!orders.drain.is_set() && !orders.stop.is_set()) {
    auto news = first_of(child.exit(), orders.drain.wait(), orders.stop.wait());
    co_await news;
  }
  if (!child.is_over() && !orders.stop.is_set()) {
    child.signal(SIGTERM);
    auto news = first_of(child.exit(), orders.stop.wait());
    co_await news;
  }
  if (!child.is_over()) {
    child.signal(ChildProcess::stop_signal);
    co_await child.exit();
  }
  co_return child.result();
}

}  // namespace koine::os
