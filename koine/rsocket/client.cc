#include "koine/rsocket/client.h"

#include "koine/async/sleep.h"

namespace koine::rsocket {

namespace {

/// Whether asking once more could do harm, or could not help.
bool may_ask_again(Fate fate, Fault fault, bool idempotent) {
  switch (fate) {
    case Fate::unsent: return may_pass(fault) || fault == Fault::closed;
    case Fate::rejected: return true;
    case Fate::unknown: return idempotent;
    case Fate::answered: return false;
  }
  return false;
}

}  // namespace

Client::Client(Network& network, std::string url, ClientOptions options)
    : network_(network), url_(std::move(url)), options_(std::move(options)) {}

Io<std::shared_ptr<Peer>> Client::peer() {
  // One connects, and the others wait for it: they all want the same.
  const auto permit = co_await connecting_.acquire();
  if (peer_ && peer_->is_open()) co_return peer_;
  peer_.reset();
  auto connecting = connect(network_, url_, options_.peer);
  std::unique_ptr<Peer> made = co_await attempt(std::move(connecting));
  peer_ = std::move(made);
  ++counts_.connections;
  co_return peer_;
}

Io<void> Client::pause_after_failure(Error error, Fate fate, int attempts, AskOptions options,
                                     Instant deadline) {
  const Loop& loop = network_.loop();
  const Duration pause = pause_after(attempts, options_.retry, network_.loop().chance());
  const bool goes_on = attempts < options_.retry.attempts_max &&
                       later(loop.now(), pause) < deadline &&
                       may_ask_again(fate, error.fault(), options.idempotent);
  if (goes_on) {
    ++counts_.retries;
    co_await sleep(pause);
    co_return {};
  }
  if (attempts == 1) co_return std::unexpected(std::move(error));
  std::string note(error.note());
  if (!note.empty()) note += "; ";
  note += std::to_string(attempts) + " attempts";
  co_return std::unexpected(std::move(error).with_note(std::move(note)));
}

}  // namespace koine::rsocket
