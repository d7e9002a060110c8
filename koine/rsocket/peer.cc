#include "koine/rsocket/peer.h"

#include <algorithm>
#include <utility>

#include "koine/base/thrown.h"

namespace koine::rsocket {

namespace {

Message owned(const Payload& payload) {
  Message message{.data = std::string(as_text(payload.data))};
  if (payload.metadata) message.metadata = std::string(as_text(*payload.metadata));
  return message;
}

Fault fault_of(const Event& event) {
  if (event.fault != Fault::reset) return event.fault;  // found out here
  switch (event.code) {
    case ErrorCode::rejected: return Fault::refused;
    case ErrorCode::canceled: return Fault::cancelled;
    case ErrorCode::invalid: return Fault::malformed;
    default: return Fault::system;
  }
}

std::string note_of(const Event& event) {
  std::string note = to_string(event.code);
  if (!event.text.empty()) note += ": " + std::string(event.text);
  return note;
}

}  // namespace

// One request of ours for one answer.

Call::~Call() {
  if (id_ == 0) return;
  peer_->connection_.release_owner(id_, static_cast<StreamOwner*>(this));
  peer_->connection_.cancel(id_);
  peer_->write();
  peer_->room_.wake_all(peer_->loop_);
}

/// True if it is over at once; otherwise it is on its way, or waits for room.
bool Call::begin() {
  auto opened = peer_->open(FrameType::request_response, route_, data_, 0, this);
  if (opened) {
    id_ = *opened;
    return false;
  }
  if (opened.error() == Fault::would_block) return false;
  answer_ = std::unexpected(std::move(opened.error()));
  return true;
}

bool Call::ready() { return begin(); }

std::coroutine_handle<> Call::start(Completion completion) {
  completion_ = completion;
  if (id_ == 0) peer_->room_.join(*this);
  return std::noop_coroutine();
}

void Call::run() {
  if (is_over_ || begin()) {
    completion_().resume();
  } else if (id_ == 0) {
    peer_->room_.join(*this);
  }
}

void Call::hear(const Event& event) {
  if (event.kind == Event::Kind::next || event.kind == Event::Kind::completed) {
    over(owned(event.payload));
  } else if (event.kind == Event::Kind::failed) {
    over(std::unexpected(Error(fault_of(event), "call", route_).with_note(note_of(event))));
  }
}

void Call::lost(const Error& error) { over(std::unexpected(error)); }

void Call::over(Result<Message> answer) {
  id_ = 0;
  is_over_ = true;
  answer_ = std::move(answer);
  peer_->loop_.schedule(*this);
}

// The items of one stream.

Flow::~Flow() {
  if (id_ == 0) return;
  peer_.connection_.release_owner(id_, static_cast<StreamOwner*>(this));
  peer_.connection_.cancel(id_);
  peer_.connection_.complete(id_);
  peer_.write();
  peer_.room_.wake_all(peer_.loop_);
}

Result<std::optional<Message>> Flow::take_now() {
  if (!items_.empty()) {
    std::optional<Message> item = items_.pop_front();
    // Half of the window at a time: few frames, and the peer need not wait.
    if (++taken_ >= (items_.capacity() + 1) / 2 && !is_ended_) {
      peer_.connection_.request_more(id_, std::exchange(taken_, 0));
      peer_.write();
    }
    return item;
  }
  if (error_) return std::unexpected(*error_);
  if (is_ended_) return std::nullopt;
  return fail(Fault::would_block);
}

Result<void> Flow::send_now(const Payload& payload) {
  if (error_) return std::unexpected(*error_);
  if (id_ == 0) return fail(Fault::closed, "send item", route_);
  auto sent = peer_.connection_.next(id_, payload, false);
  if (sent) peer_.write();
  return sent;
}

WaitList& Flow::sendable() {
  return peer_.connection_.may_send(id_) == 0 ? requested_ : peer_.room_;
}

void Flow::complete() {
  if (id_ == 0) return;
  peer_.connection_.complete(id_);
  if (!peer_.connection_.is_open(id_)) id_ = 0;
  peer_.write();
}

void Flow::hear(const Event& event) {
  using Kind = Event::Kind;
  if (event.kind == Kind::next) items_.push_back(owned(event.payload));
  if (event.is_last || event.kind == Kind::failed) is_ended_ = true;
  if (event.kind == Kind::failed)
    error_ = Error(fault_of(event), "stream", route_).with_note(note_of(event));
  if (event.is_over) id_ = 0;
  takeable_.wake_all(peer_.loop_);
  requested_.wake_all(peer_.loop_);
}

void Flow::lost(const Error& error) {
  id_ = 0;
  is_ended_ = true;
  error_ = error;
  takeable_.wake_all(peer_.loop_);
  requested_.wake_all(peer_.loop_);
}

// What waits for room.

class [[nodiscard]] Peer::Opening final : public Trying<Opening, std::uint32_t> {
 public:
  Opening(Peer& peer, FrameType type, std::string_view route, Bytes data, std::uint32_t n,
          StreamOwner* owner)
      : peer_(peer), type_(type), route_(route), data_(data), n_(n), owner_(owner) {}
  Result<std::uint32_t> attempt_once() { return peer_.open(type_, route_, data_, n_, owner_); }
  void park() { peer_.room_.join(*this); }
  Activity activity() const override { return {"request", std::string(route_)}; }

 private:
  Peer& peer_;
  FrameType type_;
  std::string_view route_;
  Bytes data_;
  std::uint32_t n_;
  StreamOwner* owner_;
};

class [[nodiscard]] Peer::Reply final : public Trying<Reply, void> {
 public:
  Reply(Peer& peer, std::uint32_t id, const Message& message)
      : peer_(peer), id_(id), message_(message) {}
  Result<void> attempt_once() {
    auto sent = peer_.connection_.next(id_, message_.payload(), true);
    if (sent) peer_.write();
    return sent;
  }
  void park() { peer_.room_.join(*this); }
  Activity activity() const override { return {"reply", peer_.stream_->name()}; }

 private:
  Peer& peer_;
  std::uint32_t id_;
  const Message& message_;
};

class [[nodiscard]] Peer::Room final : public Trying<Room, void> {
 public:
  explicit Room(Peer& peer) : peer_(peer) {}
  Result<void> attempt_once() {
    if (!peer_.connection_.wants_input()) return fail(Fault::would_block);
    return {};
  }
  void park() { peer_.room_.join(*this); }
  Activity activity() const override { return {"wait for room", peer_.stream_->name()}; }

 private:
  Peer& peer_;
};

// One request of the peer's, and the handler that answers it. It dies when the handler ends, or
// when its caller is gone.

class Handling final : public Root, public InPeer, public StreamOwner {
 public:
  Handling(Peer& peer, const Service::Route& route, std::string name, const Event& event)
      : peer_(peer), type_(event.type), id_(event.stream_id), request_(owned(event.payload)) {
    if (type_ == FrameType::request_response) {
      task_.emplace(call(*this, route.call));
    } else if (type_ == FrameType::request_fnf) {
      task_.emplace(fire(*this, route.fire));
    } else {
      const bool has_items = !event.is_last;
      const std::uint32_t window = std::max(peer.options_.window, 1u);
      flow_.reset(new Flow(peer, std::move(name), has_items ? window : 1));
      flow_->id_ = id_;
      flow_->is_ended_ = !has_items;
      if (has_items) peer.connection_.request_more(id_, window);
      task_.emplace(flow(*this, route.flow));
    }
    peer.loop_.add(*this);
    peer.loop_.schedule(*this);
  }
  ~Handling() {
    peer_.connection_.release_owner(id_, static_cast<StreamOwner*>(this));
    if (flow_) flow_->id_ = 0;  // its end is said by whoever ends the handler
  }

  static void* operator new(std::size_t bytes) { return frame_pool::allocate(bytes); }
  static void operator delete(void* handling) noexcept {
    frame_pool::release(handling, sizeof(Handling));
  }

  bool is_fire() const { return type_ == FrameType::request_fnf; }

  void run() override {
    Continuation(task_->start({[](void* who) noexcept -> std::coroutine_handle<> {
                                 auto& handling = *static_cast<Handling*>(who);
                                 handling.task_.reset();
                                 handling.peer_.ended(handling);
                                 return std::noop_coroutine();
                               },
                               this}))
        .resume();
  }
  const Awaited* awaited() const override { return task_ ? task_->awaited() : nullptr; }

  void hear(const Event& event) override {
    // What goes on is for the flow; what is over for both has nobody left to answer.
    const bool is_gone = event.kind == Event::Kind::cancelled || event.kind == Event::Kind::failed;
    if (is_gone) {
      peer_.ended(*this);
    } else if (flow_) {
      static_cast<StreamOwner&>(*flow_).hear(event);
    }
  }
  void lost(const Error&) override {}

 private:
  static Task<void> call(Handling& self, const CallHandler& handler) {
    Result<Message> answer{std::unexpect, Fault::closed};
    try {
      auto task = handler(std::move(self.request_));
      answer = co_await task;
    } catch (...) {
      answer = std::unexpected(thrown_error("answer"));
    }
    if (answer) {
      Peer::Reply reply(self.peer_, self.id_, *answer);
      auto sent = co_await reply;
      if (sent || sent.error() == Fault::closed) co_return;
      answer = std::unexpected(std::move(sent.error()));
    }
    self.say(answer.error());
  }

  static Task<void> fire(Handling& self, const FireHandler& handler) {
    try {
      auto task = handler(std::move(self.request_));
      static_cast<void>(co_await task);  // nobody is there to be told
    } catch (...) {
      static_cast<void>(thrown_error("answer"));
    }
  }

  static Task<void> flow(Handling& self, const FlowHandler& handler) {
    Result<void> done;
    try {
      auto task = handler(std::move(self.request_), *self.flow_);
      done = co_await task;
    } catch (...) {
      done = std::unexpected(thrown_error("answer"));
    }
    if (!done) {
      self.say(done.error());
      co_return;
    }
    self.peer_.connection_.complete(self.id_);
    self.peer_.connection_.cancel(self.id_);
    self.peer_.write();
  }

  void say(const Error& error) {
    peer_.connection_.fail_stream(id_, ErrorCode::application_error, to_string(error));
    peer_.write();
  }

  Peer& peer_;
  FrameType type_;
  std::uint32_t id_;
  Message request_;
  std::unique_ptr<Flow> flow_;
  std::optional<Task<void>> task_;
};

// The peer.

namespace {

ReaderOptions reader_options(const Connection& connection) {
  return {.message_bytes_max = connection.frame_bytes_max_in()};
}

}  // namespace

Peer::Peer(std::unique_ptr<Stream> stream, Side side, const Service* service, PeerOptions options)
    : loop_(Loop::current()),
      stream_(std::move(stream)),
      service_(service),
      options_(std::move(options)),
      connection_(side, options_.connection, loop_.now()),
      reader_(*stream_, reader_options(connection_)) {
  reading_.spawn(read());
  write();
}

Peer::~Peer() {
  const Loop::Entered entered(loop_);
  is_ending_ = true;
  if (!error_) error_ = Error(Fault::closed, "rsocket", stream_->name());
  finish();
}

Io<void> Peer::fire(std::string route, std::string data) {
  Opening opening(*this, FrameType::request_fnf, route, as_bytes(data), 0, nullptr);
  auto opened = co_await opening;
  if (!opened) co_return std::unexpected(std::move(opened.error()));
  co_return {};
}

Io<std::unique_ptr<Flow>> Peer::stream(std::string route, std::string data, std::uint32_t window) {
  return open_flow(FrameType::request_stream, std::move(route), std::move(data), window);
}

Io<std::unique_ptr<Flow>> Peer::channel(std::string route, std::string data, std::uint32_t window) {
  return open_flow(FrameType::request_channel, std::move(route), std::move(data), window);
}

Io<std::unique_ptr<Flow>> Peer::open_flow(FrameType type, std::string route, std::string data,
                                          std::uint32_t window) {
  window = std::clamp(window, 1u, request_n_max);
  std::unique_ptr<Flow> flow(new Flow(*this, route, window));
  Opening opening(*this, type, route, as_bytes(data), window, flow.get());
  auto opened = co_await opening;
  if (!opened) co_return std::unexpected(std::move(opened.error()));
  flow->id_ = *opened;
  co_return std::move(flow);
}

Result<std::uint32_t> Peer::open(FrameType type, std::string_view route, Bytes data,
                                 std::uint32_t n, StreamOwner* owner) {
  ByteVector metadata;
  Result<void> routed;
  if (connection_.metadata_mime_type() == routing_mime_type) {
    routed = append_tag(metadata, route);
  } else if (connection_.metadata_mime_type() == composite_mime_type) {
    routed = append_route(metadata, route);
  } else if (!route.empty()) {
    routed = std::unexpected(Error(Fault::unsupported, "request", route)
                                 .with_note("the connection's metadata has no routes"));
  }
  if (!routed) return std::unexpected(std::move(routed.error()));
  Request request{.type = type, .initial_n = n, .payload = {.data = data}};
  if (!metadata.empty()) request.payload.metadata = metadata;
  auto opened = connection_.open(request, owner, loop_.now());
  if (!opened) {
    if (opened.error() == Fault::closed && error_) return std::unexpected(*error_);
    if (opened.error() == Fault::would_block) return opened;
    return std::unexpected(std::move(opened.error()).with_operation("request", route));
  }
  write();
  return opened;
}

void Peer::close() {
  connection_.close();
  write();
}

Io<void> Peer::run() {
  co_await over_.wait();
  if (error_) co_return std::unexpected(*error_);
  co_return {};
}

Io<void> Peer::read() {
  for (;;) {
    if (!connection_.wants_input()) {
      Room room(*this);
      static_cast<void>(co_await room);
    }
    auto reading = reader_.prefixed(LengthPrefix::be24);
    auto frame = co_await reading;
    if (is_ending_) co_return {};
    if (!frame) {
      if (frame.error() == Fault::over_limit)
        connection_.abort(ErrorCode::connection_error, "a frame is too large");
      end(std::move(frame.error()));
      co_return {};
    }
    if (!*frame) {
      // A peer that goes while nothing is open goes in peace.
      if (connection_.streams() == 0) {
        end(std::nullopt);
      } else {
        end(Error(Fault::ended, "rsocket", stream_->name()));
      }
      co_return {};
    }
    obey(connection_.receive(**frame, loop_.now()));
    write();
  }
}

void Peer::obey(const Event& event) {
  if (event.kind == Event::Kind::closed) {
    end(Error(event.fault, "rsocket", stream_->name()).with_note(note_of(event)));
    return;
  }
  const bool is_over = event.is_over;
  if (event.owner != nullptr) {
    static_cast<StreamOwner*>(event.owner)->hear(event);
  } else if (event.kind == Event::Kind::request) {
    answer(event);
  }
  // One more may be open.
  if (is_over || event.kind == Event::Kind::leased) room_.wake_all(loop_);
}

void Peer::answer(const Event& event) {
  const auto refuse = [&](ErrorCode code, std::string_view text) {
    connection_.fail_stream(event.stream_id, code, text);
  };
  std::string_view name;
  if (event.payload.metadata) {
    const auto route = find_route(connection_.metadata_mime_type(), *event.payload.metadata);
    if (!route) return refuse(ErrorCode::invalid, to_string(route.error()));
    name = route->value_or(std::string_view());
  }
  const Service::Route* const route = service_ ? service_->find(name) : nullptr;
  const bool fits = route != nullptr &&
                    (event.type == FrameType::request_response ? static_cast<bool>(route->call)
                     : event.type == FrameType::request_fnf    ? static_cast<bool>(route->fire)
                                                               : static_cast<bool>(route->flow));
  if (!fits) {
    return refuse(ErrorCode::invalid, "no handler for " + std::string(to_string(event.type)) +
                                          " of route '" + std::string(name) + "'");
  }
  if (event.type == FrameType::request_fnf) {
    if (fires_ >= options_.fires_max) {
      ++fires_dropped_;
      return;
    }
    ++fires_;
  }
  auto* const handling = new Handling(*this, *route, std::string(name), event);
  connection_.set_owner(event.stream_id, static_cast<StreamOwner*>(handling));
  handlings_.push_back(*handling);
  ++running_;
}

void Peer::ended(Handling& handling) {
  --running_;
  if (handling.is_fire()) --fires_;
  delete &handling;
}

void Peer::tick() {
  obey(connection_.tick(loop_.now()));
  write();
}

/// A deadline that has moved away need not move the timer: a tick too early does no harm.
void Peer::arm() {
  const auto deadline = connection_.next_deadline();
  if (!deadline || (ticker_.armed() && ticker_.deadline() <= *deadline)) return;
  loop_.arm(ticker_, *deadline);
}

/// Gives the stream what waits to be sent; the stream collects it until the end of the turn.
void Peer::write() {
  if (is_ending_ && error_) return;
  bool has_moved = false;
  while (!connection_.output().empty()) {
    const auto taken = stream_->write_now(connection_.output());
    if (!taken) {
      if (taken.error() == Fault::would_block) {
        if (!writer_.listed()) stream_->writable().join(writer_);
      } else {
        end(taken.error());
      }
      break;
    }
    connection_.sent(*taken);
    has_moved = true;
  }
  if (has_moved && room_ && connection_.wants_input()) room_.wake_all(loop_);
  if (connection_.is_over() && connection_.output().empty()) end(std::nullopt);
  if (!is_ending_) arm();
}

/// The connection is over. Who is told may be who called, so it is done in a moment.
void Peer::end(std::optional<Error> error) {
  if (is_ending_) return;
  is_ending_ = true;
  write();
  error_ = std::move(error);
  loop_.schedule(ender_);
}

void Peer::finish() {
  connection_.abort(ErrorCode::connection_error, "closing");  // nothing, if it is over
  const Error error = error_ ? *error_ : Error(Fault::closed, "rsocket", stream_->name());
  connection_.for_each_stream([&](OpenStream& stream) {
    // Each is told once: it may be gone when the peer itself dies.
    void* const owner = std::exchange(stream.owner, nullptr);
    if (owner != nullptr) static_cast<StreamOwner*>(owner)->lost(error);
  });
  while (!handlings_.empty()) ended(handlings_.front());
  ticker_.cancel();
  writer_.leave();
  static_cast<void>(stream_->finish());
  reading_.cancel();
  over_.set();
  room_.wake_all(loop_);
}

Io<std::unique_ptr<Peer>> connect(Network& network, std::string url, PeerOptions options,
                                  const Service* service) {
  auto dialing = dial(network, std::move(url));
  auto stream = co_await attempt(std::move(dialing));
  co_return std::make_unique<Peer>(std::move(stream), Side::client, service, std::move(options));
}

namespace {

Io<void> serve(std::unique_ptr<Stream> stream, std::shared_ptr<const Service> service,
               PeerOptions options) {
  Peer peer(std::move(stream), Side::server, service.get(), std::move(options));
  auto running = peer.run();
  co_return co_await running;
}

}  // namespace

Function<Io<void>(std::unique_ptr<Stream>)> handler(std::shared_ptr<const Service> service,
                                                    PeerOptions options) {
  return [service = std::move(service), options = std::move(options)](
             std::unique_ptr<Stream> stream) { return serve(std::move(stream), service, options); };
}

}  // namespace koine::rsocket
