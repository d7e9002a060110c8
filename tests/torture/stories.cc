#include "tests/torture/stories.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <thread>

#include "koine/async/combine.h"
#include "koine/async/event.h"
#include "koine/async/scope.h"
#include "koine/async/sleep.h"
#include "koine/async/within.h"
#include "koine/os/fd.h"
#include "koine/os/name_server_test.h"
#include "koine/os/sockaddr.h"

namespace koine::os::torture {
namespace {

std::unexpected<Error> wrong_bytes(const char* what) { return fail(Fault::malformed, what); }

/// Bytes in which every shift shows: the period is a prime.
std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('!' + i % 89);
  return text;
}

Io<void> echo(std::unique_ptr<Stream> stream) {
  while (const Buffer bytes = co_await attempt(receive(*stream)))
    co_await attempt(write_all(*stream, bytes));
  co_return stream->finish();
}

/// What went wrong on the server's side: there it was told, so its client may be surprised.
struct Complaint {
  Event made;
  std::optional<Error> error;
};

Io<void> serve_one(std::unique_ptr<Stream> guest, Complaint& complaint) {
  auto echoing = echo(std::move(guest));
  auto ended = co_await echoing;
  if (!ended) {
    if (!complaint.error) complaint.error = std::move(ended.error());
    complaint.made.set();
  }
  co_return {};
}

Io<void> serve_echo(Listener& listener, Complaint& complaint) {
  Scope guests;
  for (;;) {
    auto guest = co_await attempt(accept(listener));
    guests.spawn(serve_one(std::move(guest), complaint));
  }
}

/// Until the clients are done, or the server complains.
Io<void> while_serving(Listener& listener, Io<void> clients) {
  Complaint complaint;
  Scope server;
  server.spawn(serve_echo(listener, complaint));
  auto either = first_of(std::move(clients), server.join(), complaint.made.wait());
  auto first = co_await either;
  if (complaint.error) co_return std::unexpected(*complaint.error);
  co_return first.index() == 0 ? std::move(std::get<0>(first)) : std::move(std::get<1>(first));
}

/// Writes in pieces of many sizes, and then the end.
Io<void> write_pieces(Stream& stream, const std::string& text) {
  std::size_t piece = 1;
  for (std::size_t at = 0; at < text.size(); at += piece) {
    piece = std::min(piece * 7 % 30'011, text.size() - at);
    const std::string_view next = std::string_view(text).substr(at, piece);
    co_await attempt(write_all(stream, next));
  }
  co_return stream.finish();
}

Io<void> expect_back(Stream& stream, std::string text, const char* what) {
  auto reading = read_to_end(stream);
  const std::string heard = co_await attempt(std::move(reading));
  if (heard != text) co_return wrong_bytes(what);
  co_return {};
}

Io<void> visit(Network& network, Endpoint peer, std::size_t volume, const char* what) {
  auto connection = dial(network, std::move(peer));
  auto stream = co_await attempt(std::move(connection));
  const std::string text = pattern(volume);
  Scope both;
  both.spawn(write_pieces(*stream, text));
  both.spawn(expect_back(*stream, text, what));
  co_return co_await both.join();
}

Io<void> visit_twice(Network& network, Endpoint peer, std::size_t volume, const char* what) {
  Scope both;
  both.spawn(visit(network, peer, volume, what));
  both.spawn(visit(network, peer, 10, what));
  co_return co_await both.join();
}

Io<void> exchange_at(Ground& ground, Endpoint at, const char* what) {
  auto listener = co_await attempt(ground.network.listen(at));
  auto exchange = while_serving(
      *listener, visit_twice(ground.network, listener->endpoint(), ground.volume, what));
  co_return co_await exchange;
}

Io<void> echo_over_tcp(Ground& ground) {
  auto exchange = exchange_at(ground, Endpoint::tcp(loopback_v4, 0), "echo");
  co_return co_await exchange;
}

Io<void> echo_over_unix(Ground& ground) {
  const Endpoint at =
      Endpoint::of(Address::unix_path(ground.folder + "/echo").value(), Transport::unix_stream);
  {
    // A socket file without a listener stands in the way.
    const Fd stale(::socket(AF_UNIX, SOCK_STREAM, 0));
    const Sockaddr there = to_sockaddr(*at.address()).value();
    if (::bind(stale.get(), there.get(), there.size) != 0) co_return fail(Fault::system, "prepare");
  }
  auto exchange = exchange_at(ground, at, "echo over a Unix socket");
  co_return co_await exchange;
}

Io<void> ask_ten_times(Network& network, Endpoint peer) {
  auto connection = dial(network, std::move(peer));
  auto stream = co_await attempt(std::move(connection));
  for (int round = 0; round < 10; ++round) {
    const std::string ping = "ping " + std::to_string(round);
    co_await attempt(write_all(*stream, ping));
    std::string pong;
    while (pong.size() < ping.size()) {
      const Buffer bytes = co_await attempt(receive(*stream));
      if (!bytes) co_return fail(Fault::ended, "read", "the echo");
      pong += bytes.text();
    }
    if (pong != ping) co_return wrong_bytes("ping");
  }
  co_return stream->finish();
}

Io<void> ping_pong(Ground& ground) {
  auto listener = co_await attempt(ground.network.listen(Endpoint()));
  const Endpoint peer = Endpoint::tcp("", listener->endpoint().port()).value();
  auto exchange = while_serving(*listener, ask_ten_times(ground.network, peer));
  co_return co_await exchange;
}

/// Everything is written, and the writer gone, before anybody reads.
Io<void> leave_it_behind(Ground& ground) {
  auto listener = co_await attempt(ground.network.listen(Endpoint::tcp(loopback_v4, 0)));
  auto connection = dial(ground.network, listener->endpoint());
  auto ours = co_await attempt(std::move(connection));
  auto theirs = co_await attempt(accept(*listener));
  co_await attempt(write_all(*theirs, "left unread"));
  co_await attempt(flush(*theirs));
  // As much as the network takes, and what then fits into the outbox.
  std::string text;
  const std::string piece = pattern(ground.volume / 10 + 1);
  while (text.size() < 10 * ground.volume) {
    const auto taken = ours->write_now(as_bytes(piece));
    if (!taken && taken.error() != Fault::would_block) co_return std::unexpected(taken.error());
    if (!taken) break;
    text += piece.substr(0, *taken);
  }
  ours.reset();
  auto rest = expect_back(*theirs, text, "what was left behind");
  co_return co_await rest;
}

Io<void> finish_and_abort(Ground& ground) {
  auto listener = co_await attempt(ground.network.listen(Endpoint::tcp(loopback_v4, 0)));
  auto connection = dial(ground.network, listener->endpoint());
  auto ours = co_await attempt(std::move(connection));
  auto theirs = co_await attempt(accept(*listener));
  co_await attempt(write_all(*ours, "question"));
  co_await attempt(ours->finish());
  auto question = expect_back(*theirs, "question", "the question");
  co_await attempt(std::move(question));
  co_await attempt(write_all(*theirs, "answer"));
  co_await attempt(flush(*theirs));
  Buffer answer = co_await attempt(receive(*ours));
  if (!std::string_view("answer").starts_with(answer.text())) co_return wrong_bytes("the answer");
  theirs->abort();
  while (true) {
    const auto rest = co_await receive(*ours);
    if (!rest) co_return {};
    if (rest->size() == 0) co_return fail(Fault::ended, "read", "where a reset was due");
  }
}

Io<void> datagrams(Ground& ground) {
  auto ours = co_await attempt(ground.network.bind(Endpoint::udp(loopback_v4, 0)));
  auto theirs = co_await attempt(ground.network.bind(Endpoint::udp(loopback_v4, 0)));
  const Address there = theirs->local();
  if (!there.is_ip()) co_return fail(Fault::system, "find out", "where the peer is");
  std::array<std::byte, 2000> room;
  for (const std::size_t size : {0UL, 5UL, 1'500UL}) {
    const std::string text = pattern(size);
    co_await attempt(send_to(*ours, as_bytes(text), there));
    const Received heard = co_await attempt(receive_from(*theirs, room));
    if (as_text(Bytes(room).first(heard.size)) != text) co_return wrong_bytes("a datagram");
    co_await attempt(send_to(*theirs, Bytes(room).first(heard.size), heard.from));
    const Received back = co_await attempt(receive_from(*ours, room));
    if (back.size != size) co_return wrong_bytes("a datagram that came back");
    // The first of a turn is sent at once, and can say whether it was.
    co_await sleep(Duration::zero());
  }
  // Together, as one train.
  for (const char* word : {"one", "two", "six"})
    co_await attempt(send_to(*ours, as_bytes(word), there));
  for (const char* word : {"one", "two", "six"}) {
    const Received heard = co_await attempt(receive_from(*theirs, room));
    if (as_text(Bytes(room).first(heard.size)) != word) co_return wrong_bytes("one of a train");
  }
  theirs.reset();
  co_await attempt(ours->connect(there));
  co_await attempt(send_to(*ours, as_bytes("anyone?"), there));
  const auto refused = co_await receive_from(*ours, room);
  if (refused) co_return wrong_bytes("a datagram from nobody");
  co_return {};
}

Io<void> unix_datagrams(Ground& ground) {
  const auto at = [&](const char* name) {
    return Endpoint::of(Address::unix_path(ground.folder + name).value(), Transport::unix_datagram);
  };
  auto ours = co_await attempt(ground.network.bind(at("/ours")));
  auto theirs = co_await attempt(ground.network.bind(at("/theirs")));
  auto flood = [](Datagram& from, Address to) -> Io<void> {
    for (int i = 0; i < 30; ++i) {
      const std::string number = std::to_string(i);
      co_await attempt(send_to(from, as_bytes(number), to));
    }
    co_return {};
  };
  Scope sender;
  sender.spawn(flood(*ours, *at("/theirs").address()));
  co_await sleep(1ms);  // the queue is full by now
  std::array<std::byte, 10> room;
  for (int i = 0; i < 30 && sender.running() != 0; ++i) {
    // Who cannot send any more says so; until then something comes.
    auto either = first_of(receive_from(*theirs, room), sender.join());
    auto first = co_await either;
    if (first.index() == 1) {
      co_await attempt(std::move(std::get<1>(first)));
      break;
    }
    const Received heard = co_await attempt(std::move(std::get<0>(first)));
    if (as_text(Bytes(room).first(heard.size)) != std::to_string(i))
      co_return wrong_bytes("a Unix datagram");
  }
  co_return co_await sender.join();
}

Io<void> names(Ground& ground) {
  const std::map<std::string, NameServer::Entry> entries{
      {"four.example", {.addresses = {loopback_v4}, .manner = {}}}};
  auto listener = co_await attempt(ground.network.listen(Endpoint::tcp(loopback_v4, 0)));
  const auto server = NameServer::make(ground.network, entries);
  if (!server) co_return std::unexpected(server.error());
  const ResolverOptions options{.servers = (*server)->address(), .timeout = 2ms, .tries = 2};
  Network asking(ground.network.reactor(), options);
  auto connection =
      dial(asking, Endpoint::tcp("four.example", listener->endpoint().port()).value());
  auto stream = co_await attempt(std::move(connection));
  auto lookup = asking.resolve("nowhere.example");
  const auto nowhere = co_await lookup;
  if (nowhere) co_return wrong_bytes("a name that is not there");
  co_return {};
}

/// A socket as a parent process would pass it.
Io<void> inherited(Ground& ground) {
  Fd passed(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(passed.get(), reinterpret_cast<const sockaddr*>(&any), sizeof(any)) != 0 ||
      ::listen(passed.get(), 8) != 0)
    co_return fail(Fault::system, "prepare");
  const int number = passed.get();
  auto listener = ground.network.listen(parse_endpoint("fd://" + std::to_string(number)).value());
  if (!listener) co_return std::unexpected(listener.error());  // and it is still the parent's
  passed.release();
  auto connection = dial(ground.network, (*listener)->endpoint());
  auto stream = co_await attempt(std::move(connection));
  co_await attempt(accept(**listener));
  co_return {};
}

/// A message from another thread wakes the loop.
Io<void> posted(Ground& ground) {
  Event heard;
  struct Joined {
    ~Joined() { thread.join(); }
    std::thread thread;
  };
  const Joined other{
      std::thread([&] { ground.network.reactor().post([&heard] { heard.set(); }); })};
  co_await heard.wait();
  co_return {};
}

/// A deadline ends an attempt that nobody answers.
Io<void> in_vain(Ground& ground) {
  ListenOptions few;
  few.backlog = 0;
  auto listener = co_await attempt(ground.network.listen(Endpoint::tcp(loopback_v4, 0), few));
  std::vector<std::unique_ptr<Stream>> waiting;
  for (int i = 0; i < 8; ++i) {
    const DialOptions options{.timeout = 2ms, .attempt_delay = 250ms};
    auto connection = dial(ground.network, listener->endpoint(), options);
    auto stream = co_await connection;
    if (!stream) co_return {};
    waiting.push_back(std::move(*stream));
  }
  co_return wrong_bytes("a queue without end");
}

constexpr Story all[] = {
    {"echo_over_tcp", &echo_over_tcp},
    {"echo_over_unix", &echo_over_unix},
    {"ping_pong", &ping_pong},
    {"leave_it_behind", &leave_it_behind},
    {"finish_and_abort", &finish_and_abort},
    {"datagrams", &datagrams},
    {"unix_datagrams", &unix_datagrams},
    {"names", &names},
    {"inherited", &inherited},
    {"posted", &posted},
    {"in_vain", &in_vain},
};

}  // namespace

std::span<const Story> stories() { return all; }

}  // namespace koine::os::torture
