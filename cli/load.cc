#include "cli/load.h"

#include <cmath>
#include <memory>

#include "cli/exit_code.h"
#include "cli/load_requests.h"
#include "cli/reach.h"
#include "koine/async/combine.h"
#include "koine/async/scope.h"
#include "koine/async/sleep.h"
#include "koine/async/within.h"
#include "koine/os/fault_of.h"

namespace koine::cli {
namespace {

/// A connection that broke comes back after so long: often enough to be there when the server is,
/// and seldom enough not to be a load of its own.
constexpr Duration pause_after_failure = 100ms;

/// Connections that are being made at a time; more would overflow the queues of many a server.
constexpr std::size_t connecting_max = 64;

bool is_datagram(const Endpoint& peer) {
  return peer.transport() == Transport::udp || peer.transport() == Transport::unix_datagram;
}

/// "connect: refused"
std::string kind_of(const Error& error) {
  if (error.operation() == verify_operation) return "wrong bytes came back";
  return std::string(error.operation()) + ": " + std::string(to_string(error.fault()));
}

/// Where all connections go, found once; and whatever was connected to find it.
struct Target {
  Address address;
  Transport transport = Transport::tcp;
  bool in_messages = false;
  std::unique_ptr<Stream> stream;
};

/// One connection, by a stream or by datagrams, until the load is over.
class Caller {
 public:
  Caller(Network& network, const Target& target, Semaphore& connecting, Meter& meter,
         std::uint64_t number)
      : network_(network),
        target_(target),
        connecting_(connecting),
        requests_(meter, number),
        meter_(meter) {}

  Task<void> live(std::unique_ptr<Stream> stream) {
    stream_ = std::move(stream);
    for (bool first = true; !meter_.is_over(); first = false) {
      auto opening = open();
      Result<void> lived = co_await opening;
      if (first) {
        meter_.ready(lived.has_value());
        co_await meter_.begun().wait();
      }
      if (lived) {
        auto asking = ask();
        lived = co_await asking;
        if (lived) co_return;
      }
      meter_.failed(std::move(lived.error()));
      requests_.restart();
      co_await first_of(sleep(pause_after_failure), meter_.over().wait());
    }
  }

 private:
  bool by_datagram() const {
    return target_.transport == Transport::udp || target_.transport == Transport::unix_datagram;
  }

  Io<void> open() {
    if (stream_ != nullptr) co_return Result<void>();
    if (by_datagram()) {
      auto socket = datagram_to(network_, target_.address, target_.transport);
      if (!socket) co_return std::unexpected(std::move(socket.error()));
      socket_ = std::move(*socket);
      co_return Result<void>();
    }
    const auto permit = co_await connecting_.acquire();
    auto connecting =
        within(meter_.options().timeout, network_.connect(target_.address, target_.transport));
    auto stream = co_await connecting;
    if (!stream) co_return std::unexpected(std::move(stream.error()));
    stream_ = std::move(*stream);
    co_return Result<void>();
  }

  Io<void> ask() {
    Result<void> asked;
    if (by_datagram()) {
      auto asking = ask_by_datagram(*socket_, target_.address, requests_);
      asked = co_await asking;
      socket_ = nullptr;
    } else if (target_.in_messages) {
      auto asking = ask_by_messages(std::move(stream_), requests_, meter_.options().streams);
      asked = co_await asking;
    } else {
      auto asking = ask_by_stream(*stream_, requests_);
      asked = co_await asking;
      stream_ = nullptr;
    }
    co_return asked;
  }

  Network& network_;
  const Target& target_;
  Semaphore& connecting_;
  Requests requests_;
  Meter& meter_;
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<Datagram> socket_;
};

Task<void> call(Network& network, const Target& target, Semaphore& connecting, Meter& meter,
                std::uint64_t number, std::unique_ptr<Stream> stream) {
  Caller caller(network, target, connecting, meter, number);
  auto living = caller.live(std::move(stream));
  co_await living;
}

/// One datagram there and back, to see which of several addresses has somebody.
Io<void> knock(Network& network, const Address& peer, Transport transport, Duration timeout) {
  const auto socket = co_await attempt(datagram_to(network, peer, transport));
  const std::vector<std::byte> datagram(datagram_bytes_min);
  std::vector<std::byte> answer(datagram_bytes_min);
  co_await attempt(send_to(*socket, datagram, peer));
  co_await attempt(within(timeout, receive_from(*socket, answer)));
  co_return Result<void>();
}

Io<Target> find_target(Network& network, Endpoint peer, Duration timeout) {
  Target target{.address = {},
                .transport = peer.transport(),
                .in_messages = peer.protocol() == "rsocket",
                .stream = nullptr};
  if (!is_datagram(peer)) {
    const DialOptions dialling{.timeout = timeout};
    auto dialled = dial(network, peer, dialling);
    target.stream = co_await attempt(std::move(dialled));
    target.address = target.stream->peer();
    if (const auto address = peer.address(); !target.address.is_ip() && address)
      target.address = *address;  // a Unix socket's peer may have no name
    co_return target;
  }
  auto looking_up = datagram_peers(network, peer, timeout);
  const auto addresses = co_await attempt(std::move(looking_up));
  Result<void> found;
  for (const Address& address : addresses) {
    auto knocking = knock(network, address, peer.transport(), timeout);
    found = co_await knocking;
    target.address = address;
    // Silence may be a datagram that was lost; who refuses is not there.
    if (found || found.error() == Fault::timed_out) co_return target;
  }
  if (found.error() == Fault::refused)  // said of our end; better name the other
    co_return std::unexpected(Error(Fault::refused, "connect", to_string(peer)));
  co_return std::unexpected(std::move(found.error()));
}

}  // namespace

double LoadResult::answers_per_second() const {
  const auto seconds = std::chrono::duration<double>(lasted).count();
  return seconds > 0 ? static_cast<double>(answered_in_time) / seconds : 0;
}

void Meter::interrupt() {
  if (over_.is_set() || !begun_.is_set()) cut_.set();
  result_.interrupted = true;
  over_.set();
}

std::optional<Duration> Meter::elapsed() const {
  if (!begun_.is_set()) return std::nullopt;
  return is_over() ? result_.lasted : os::monotonic_now() - begins_;
}

void Meter::ready(bool connected) {
  if (connected) ++result_.connected;
  if (++ready_ == options_.connections) all_ready_.set();
}

void Meter::answered(Instant since, Instant now) {
  ++result_.answered;
  if (!is_over()) ++result_.answered_in_time;
  result_.latency.record(
      static_cast<std::uint64_t>(std::max<Duration::rep>((now - since).count(), 0)));
}

void Meter::failed(Error error) {
  const std::string kind = kind_of(error);
  const auto found = result_.failures.find(kind);
  if (found != result_.failures.end()) {
    ++found->second.times;
  } else {
    result_.failures.emplace(kind, LoadResult::Failure{1, std::move(error)});
  }
  if (options_.ends_at_first_error) {
    over_.set();
    cut_.set();
  }
}

Instant Meter::due(std::uint64_t number) const {
  const long double ns = static_cast<long double>(number) * 1e9L / *options_.rate;
  return later(begins_, ns < 9e18L ? Duration(std::llround(ns)) : Duration::max());
}

void Meter::begin() {
  begins_ = os::monotonic_now();
  begun_.set();
}

void Meter::end() {
  result_.lasted = std::max(os::monotonic_now() - begins_, Duration::zero());
  over_.set();
}

Io<void> put_load(Network& network, Endpoint peer, Meter& meter) {
  const LoadOptions& options = meter.options();
  auto finding = find_target(network, std::move(peer), options.timeout);
  Target target = co_await attempt(std::move(finding));
  Semaphore connecting(connecting_max);
  Scope callers;
  for (std::uint64_t number = 0; number < options.connections; ++number) {
    callers.spawn(
        call(network, target, connecting, meter, number, std::exchange(target.stream, nullptr)));
  }
  co_await first_of(meter.all_ready_.wait(), meter.cut_.wait());
  meter.begin();
  co_await first_of(sleep_until(meter.ends()), meter.over_.wait());
  meter.end();
  co_await first_of(callers.join(), meter.cut_.wait());
  co_return Result<void>();
}

}  // namespace koine::cli
