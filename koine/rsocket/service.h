// What a program answers to its peers' requests: handlers, by route.
//
//     Io<Sum> add(Add request);                        // one answer
//     Io<void> note(std::string line);                 // none: fire and forget, or just "done"
//     Io<void> count(int to, Sink<int>& out);          // a stream
//     Io<void> sums(Source<int>& in, Sink<int>& out);  // a channel, both ways
//
//     Service service;
//     service.on("add", add);
//     return koine::serve("rsocket+tcp://:7001", service);
//
// What they take and give is any type that has a Codec (codec.h), or a Message as it is.
//
// A handler whose caller is gone, or has no time left, is cancelled: its task is destroyed at the
// co_await where it waits. An error it returns, or an exception that leaves it, becomes
// APPLICATION_ERROR and harms nobody else; a request that its codec cannot read becomes INVALID. A
// lambda may use its captures, since the service keeps it; on several shards it runs on all of
// them.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "koine/async/loop.h"
#include "koine/async/task.h"
#include "koine/base/function.h"
#include "koine/rsocket/codec.h"
#include "koine/rsocket/flow.h"
#include "koine/transport/stream.h"

namespace koine::rsocket {

/// The answering end of one request, for what stands between it and its handler.
class Responder {
 public:
  /// Sends the answer, which is lent; waits while there is no room.
  class [[nodiscard]] Reply final : public Trying<Reply, void> {
   public:
    Reply(Responder& to, const Payload& payload) : to_(to), payload_(payload) {}
    Result<void> attempt_once() { return to_.reply_now(payload_); }
    void park() { to_.room().join(*this); }
    Activity activity() const override { return {"reply", {}}; }

   private:
    Responder& to_;
    Payload payload_;
  };
  Reply reply(const Payload& payload) { return {*this, payload}; }

  /// Of a stream or channel.
  virtual Flow& flow() = 0;

  /// When the request's last byte reached this host.
  virtual Instant arrived() const = 0;

 protected:
  ~Responder() = default;

 private:
  virtual Result<void> reply_now(const Payload& payload) = 0;
  virtual WaitList& room() = 0;
};

/// A request, for handlers that want to know how old it is.
///
///     Io<Sum> add(Received<Add> request) {
///       if (request.age() > 100ms) co_return fail(Fault::refused, "add");
template <class T>
struct Received {
  T value;
  Instant arrived{};

  /// Since this host's kernel has had its last byte, if it says so: while a recorder is attached
  /// (Peer::attach, Journeys). Otherwise since the program has read it.
  Duration age() const { return Loop::current().now() - arrived; }
};

/// Begins to answer a request, which is lent until it returns. Fails if the request is not valid.
using Answerer = Function<Result<Io<void>>(Responder&, const Payload&)>;

namespace detail {

// How a handler is declared, as the type of a function.
template <class F>
struct Declared : Declared<decltype(&F::operator())> {};
template <class R, class... A>
struct Declared<R (*)(A...)> {
  using Type = R(A...);
};
template <class F, class R, class... A>
struct Declared<R (F::*)(A...)> : Declared<R (*)(A...)> {};
template <class F, class R, class... A>
struct Declared<R (F::*)(A...) const> : Declared<R (*)(A...)> {};

template <class Type>
struct Adapt;  // a handler is none of the kinds that service.h shows at its top

template <class T>
struct RequestOf {
  static Result<T> take(Responder&, const Payload& payload) { return decode<T>(payload); }
};
template <class T>
struct RequestOf<Received<T>> {
  static Result<Received<T>> take(Responder& to, const Payload& payload) {
    auto value = decode<T>(payload);
    if (!value) return std::unexpected(std::move(value.error()));
    return Received<T>{std::move(*value), to.arrived()};
  }
};

template <class Answer>
Io<void> answer_with(Responder& to, Io<Answer> handling) {
  auto answer = co_await handling;
  if (!answer) co_return std::unexpected(std::move(answer.error()));
  const Encoded encoded(*answer);
  if (!encoded.failure()) {
    Error error = encoded.failure().error();
    co_return std::unexpected(std::move(error).with_operation("encode answer", {}));
  }
  auto replying = to.reply(encoded.payload());
  co_return co_await replying;
}

template <class Answer, class Request>
  requires(!std::is_void_v<Answer>)
struct Adapt<Io<Answer>(Request)> {
  template <class F>
  static Answerer call(F handler) {
    return [handler = std::move(handler)](Responder& to,
                                          const Payload& payload) mutable -> Result<Io<void>> {
      auto request = RequestOf<std::remove_cvref_t<Request>>::take(to, payload);
      if (!request) return std::unexpected(std::move(request.error()));
      return answer_with(to, handler(std::move(*request)));
    };
  }
};

template <class Request>
struct Adapt<Io<void>(Request)> {
  template <class F>
  static Answerer fire(F handler) {
    return [handler = std::move(handler)](Responder& to,
                                          const Payload& payload) mutable -> Result<Io<void>> {
      auto request = RequestOf<std::remove_cvref_t<Request>>::take(to, payload);
      if (!request) return std::unexpected(std::move(request.error()));
      return handler(std::move(*request));
    };
  }
};

// The handler is the service's, which outlives it.

template <class Item, class F, class Request>
Io<void> stream_with(Responder& to, F& handler, Request request) {
  Sink<Item> out(to.flow());
  auto handling = handler(std::move(request), out);
  co_return co_await handling;
}

template <class Request, class Item>
struct Adapt<Io<void>(Request, Sink<Item>&)> {
  template <class F>
  static Answerer stream(F handler) {
    return [handler = std::move(handler)](Responder& to,
                                          const Payload& payload) mutable -> Result<Io<void>> {
      auto request = RequestOf<std::remove_cvref_t<Request>>::take(to, payload);
      if (!request) return std::unexpected(std::move(request.error()));
      return stream_with<Item>(to, handler, std::move(*request));
    };
  }
};

template <class In, class Out, class F>
Io<void> channel_with(Responder& to, F& handler) {
  Source<In> in(to.flow());
  Sink<Out> out(to.flow());
  auto handling = handler(in, out);
  co_return co_await handling;
}

template <class In, class Out>
struct Adapt<Io<void>(Source<In>&, Sink<Out>&)> {
  template <class F>
  static Answerer channel(F handler) {
    return
        [handler = std::move(handler)](Responder& to, const Payload&) mutable -> Result<Io<void>> {
          return channel_with<In, Out>(to, handler);
        };
  }
};

template <>
struct Adapt<Io<void>(Message, Flow&)> {
  template <class F>
  static Answerer flow(F handler) {
    return [handler = std::move(handler)](Responder& to,
                                          const Payload& payload) mutable -> Result<Io<void>> {
      return handler(to_message(payload), to.flow());
    };
  }
};

}  // namespace detail

class Service {
 public:
  /// Answers requests of `route`, which has at most 255 bytes. What the handler takes and gives
  /// decides which interactions; a route may have one of each kind, and a later one takes the place
  /// of an earlier. A handler without an answer answers calls too, once it has ended.
  template <class Handler>
  Service& on(std::string route, Handler handler) {
    using Adapt = detail::Adapt<typename detail::Declared<std::decay_t<Handler>>::Type>;
    Route& made = routes_[std::move(route)];
    const auto shared = [](Answerer answerer) {
      return std::make_shared<const Answerer>(std::move(answerer));
    };
    if constexpr (requires { Adapt::call(std::move(handler)); }) {
      made.call = shared(Adapt::call(std::move(handler)));
    } else if constexpr (requires { Adapt::fire(std::move(handler)); }) {
      made.fire = shared(Adapt::fire(std::move(handler)));
    } else if constexpr (requires { Adapt::stream(std::move(handler)); }) {
      made.stream = shared(Adapt::stream(std::move(handler)));
    } else if constexpr (requires { Adapt::channel(std::move(handler)); }) {
      made.channel = shared(Adapt::channel(std::move(handler)));
    } else {
      made.stream = made.channel = shared(Adapt::flow(std::move(handler)));
      made.takes_request = true;
    }
    return *this;
  }

  struct Route {
    std::shared_ptr<const Answerer> call;
    std::shared_ptr<const Answerer> fire;
    std::shared_ptr<const Answerer> stream;
    std::shared_ptr<const Answerer> channel;
    bool takes_request = false;  // channel: it is given the request apart from the items

    /// Null if it answers no such request. What answers nothing answers a call too: it is done.
    const Answerer* answerer(FrameType type) const {
      switch (type) {
        case FrameType::request_response: return call ? call.get() : fire.get();
        case FrameType::request_fnf: return fire.get();
        case FrameType::request_stream: return stream.get();
        case FrameType::request_channel: return channel.get();
        default: return nullptr;
      }
    }
  };

  /// Null if there is none.
  const Route* find(std::string_view route) const {
    const auto at = routes_.find(route);
    return at == routes_.end() ? nullptr : &at->second;
  }

  /// Serves one connection, as the handler of a koine::Server or koine::serve(): it answers with
  /// this service, which outlives it, until the connection is over. For other options see
  /// handler() in peer.h.
  Io<void> operator()(std::unique_ptr<Stream> connection) const;

 private:
  std::map<std::string, Route, std::less<>> routes_;
};

}  // namespace koine::rsocket
