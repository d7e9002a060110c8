// What a program answers to its peers' requests: handlers, by route.
//
//     rsocket::Service service;
//     service.on("greet", [](Message name) -> Io<Message> { co_return Message{"hello, " +
//     name.data}; }); service.on("count", count);     // Io<void> count(Message to, Flow& out)
//     service.on("log", note);        // Io<void> note(Message line)
//
// A handler whose caller is gone is cancelled: its task is destroyed at the co_await where it
// waits. An error it returns, or an exception that leaves it, becomes APPLICATION_ERROR and harms
// nobody else. A lambda may use its captures, since the service keeps it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "koine/async/task.h"
#include "koine/base/function.h"
#include "koine/rsocket/frame.h"

namespace koine::rsocket {

class Flow;

/// A message that is owned.
struct Message {
  std::string data = {};
  std::optional<std::string> metadata = {};

  Payload payload() const {
    Payload payload{.data = as_bytes(data)};
    if (metadata) payload.metadata = as_bytes(*metadata);
    return payload;
  }
};

/// For REQUEST_RESPONSE.
using CallHandler = Function<Io<Message>(Message)>;
/// For REQUEST_FNF.
using FireHandler = Function<Io<void>(Message)>;
/// For REQUEST_STREAM and REQUEST_CHANNEL; the flow is lent until the task ends, which completes
/// it.
using FlowHandler = Function<Io<void>(Message, Flow&)>;

class Service {
 public:
  /// Answers requests of `route`. What the handler takes and gives decides which interactions; a
  /// route may have one handler of each kind, and a later one takes the place of an earlier.
  template <class Handler>
    requires std::is_invocable_r_v<Io<Message>, Handler&, Message>
  Service& on(std::string route, Handler handler) {
    routes_[std::move(route)].call = std::move(handler);
    return *this;
  }
  template <class Handler>
    requires std::is_invocable_r_v<Io<void>, Handler&, Message>
  Service& on(std::string route, Handler handler) {
    routes_[std::move(route)].fire = std::move(handler);
    return *this;
  }
  template <class Handler>
    requires std::is_invocable_r_v<Io<void>, Handler&, Message, Flow&>
  Service& on(std::string route, Handler handler) {
    routes_[std::move(route)].flow = std::move(handler);
    return *this;
  }

  struct Route {
    CallHandler call;
    FireHandler fire;
    FlowHandler flow;
  };

  /// Null if there is none.
  const Route* find(std::string_view route) const {
    const auto at = routes_.find(route);
    return at == routes_.end() ? nullptr : &at->second;
  }

 private:
  std::map<std::string, Route, std::less<>> routes_;
};

}  // namespace koine::rsocket
