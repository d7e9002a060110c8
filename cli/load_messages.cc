// A load in messages: calls of route echo, each in a task of its own, or items of route count.
#include "cli/exit_code.h"
#include "cli/load_requests.h"
#include "koine/async/scope.h"
#include "koine/async/within.h"
#include "koine/messages.h"
#include "koine/os/fault_of.h"

namespace koine::cli {
namespace {

/// The bytes of request `number`: from the pattern if they fit into a piece of it.
class Question {
 public:
  Question(const Requests& requests, std::uint64_t number) : position_(number * requests.size()) {
    const Pattern pattern(requests.connection());
    bytes_ = pattern.at(position_, requests.size());
    if (bytes_.size() == requests.size()) return;
    while (text_.size() < requests.size())
      text_ += as_text(pattern.at(position_ + text_.size(), requests.size() - text_.size()));
    bytes_ = as_bytes(text_);
  }
  Question(const Question&) = delete;

  Bytes bytes() const { return bytes_; }
  std::uint64_t position() const { return position_; }

 private:
  std::uint64_t position_;
  std::string text_;
  Bytes bytes_;
};

Io<void> ask_one(Peer& peer, Requests& requests, std::uint64_t number, const std::string& name) {
  const Question question(requests, number);
  const Message answer = co_await attempt(
      within(requests.meter().options().timeout, peer.call("echo", question.bytes())));
  if (answer.data.size() != question.bytes().size()) {
    co_return std::unexpected(
        Error(Fault::malformed, verify_operation, name)
            .with_note(std::to_string(answer.data.size()) + " bytes came back, but " +
                       std::to_string(question.bytes().size()) + " were sent"));
  }
  co_await attempt(verify(as_bytes(answer.data), question.bytes(), question.position(), name));
  requests.answer(number, os::monotonic_now());
  co_return {};
}

Io<void> ask_until_over(Peer& peer, Requests& requests, Scope& asking, const std::string& name) {
  for (;;) {
    auto next = requests.next();
    if (!co_await next) break;
    asking.spawn(ask_one(peer, requests, requests.newest(), name));
  }
  auto rest = requests.all_answered();
  co_await rest;
  co_return {};
}

/// A call that fails ends all of them: what the others say may be wrong as well.
Io<void> ask_all(Peer& peer, Requests& requests, const std::string& name) {
  Scope asking;
  asking.spawn(ask_until_over(peer, requests, asking, name));
  co_return co_await asking.join();
}

Io<void> take_items(Peer& peer, Requests& requests, const std::string& name) {
  constexpr std::uint64_t endless = std::uint64_t{1} << 62;
  constexpr std::uint32_t window = 1024;
  Meter& meter = requests.meter();
  auto opening = peer.stream<std::uint64_t>("count", endless, {.window = window});
  auto items = co_await attempt(std::move(opening));
  Instant before = os::monotonic_now();
  for (std::uint64_t expected = 0; !meter.is_over(); ++expected) {
    meter.sent();
    const auto item = co_await attempt(within(meter.options().timeout, items.next()));
    if (!item || *item != expected) {
      co_return std::unexpected(
          Error(Fault::malformed, verify_operation, name)
              .with_note("item " + std::to_string(expected) + " is " +
                         (item ? std::to_string(*item) : std::string("missing"))));
    }
    const Instant now = os::monotonic_now();
    meter.answered(before, now);
    before = now;
  }
  co_return {};
}

}  // namespace

Io<void> ask_by_messages(std::unique_ptr<Stream> stream, Requests& requests, bool streams) {
  const std::string name = stream->name();
  PeerOptions options;
  options.connection.requests_max = under_way_max;
  Peer peer(std::move(stream), rsocket::Side::client, nullptr, options);
  if (streams) {
    auto taking = take_items(peer, requests, name);
    co_return co_await taking;
  }
  auto asking = ask_all(peer, requests, name);
  co_return co_await asking;
}

}  // namespace koine::cli
