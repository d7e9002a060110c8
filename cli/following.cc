#include "cli/following.h"

#include <algorithm>
#include <deque>
#include <functional>

#include "koine/journey/spans.h"
#include "koine/journey/track.h"

namespace koine::cli {
namespace {

/// The followed messages of one connection that were answered, and whose answers the kernel still
/// has something to say of.
class Answered {
 public:
  explicit Answered(journey::Track& track) : track_(track) {}
  Answered(const Answered&) = delete;
  Answered& operator=(const Answered&) = delete;

  /// What is not known by now will not be.
  ~Answered() {
    for (const auto& journey : journeys_) track_.finish(journey);
  }

  /// The bytes that were read last are a message, and the next ones that are written its answer.
  void follow(std::size_t bytes) {
    finish_known();
    auto journey = track_.recorder().begin(track_.connection());
    std::swap(journey->client, journey->server);  // it is we who serve
    journey->request.bytes = bytes;
    track_.receive(journey, journey::Way::there);
    track_.send(journey, journey::Way::back, bytes);
    journeys_.push_back(std::move(journey));
  }

 private:
  void finish_known() {
    while (!journeys_.empty() && !track_.awaits(*journeys_.front())) {
      track_.finish(journeys_.front());
      journeys_.pop_front();
    }
  }

  journey::Track& track_;
  std::deque<std::shared_ptr<journey::Journey>> journeys_;
};

Io<void> echo(std::unique_ptr<Stream> client, std::shared_ptr<Following> following) {
  journey::Recorder& recorder = following->here();
  co_await attempt(client->attach(&recorder));
  journey::Track& track = *client->track();
  Answered answered(track);
  for (;;) {
    if (recorder.samples_next()) track.expect();
    const Buffer bytes = co_await attempt(receive(*client));
    if (!bytes) co_return {};
    if (recorder.samples()) answered.follow(bytes.size());
    co_await attempt(write_all(*client, bytes));
  }
}

}  // namespace

Following::Following(std::uint32_t every, std::size_t keep)
    : options_{.every = every, .keep_slowest = keep} {}

journey::Recorder& Following::here() {
  const std::lock_guard lock(mutex_);
  auto& recorder = recorders_[std::this_thread::get_id()];
  if (!recorder) recorder = std::make_unique<journey::Recorder>(options_);
  return *recorder;
}

std::vector<std::shared_ptr<const journey::Journey>> Following::slowest(std::size_t count) const {
  std::vector<std::shared_ptr<const journey::Journey>> all;
  for (const auto& [thread, recorder] : recorders_)
    for (auto& journey : recorder->slowest()) all.push_back(std::move(journey));
  std::ranges::sort(all, std::greater(),
                    [](const auto& journey) { return spans_of(*journey).total_ns; });
  all.resize(std::min(all.size(), count));
  return all;
}

std::uint64_t Following::messages() const {
  std::uint64_t sum = 0;
  for (const auto& [thread, recorder] : recorders_) sum += recorder->messages();
  return sum;
}

std::uint64_t Following::journeys() const {
  std::uint64_t sum = 0;
  for (const auto& [thread, recorder] : recorders_) sum += recorder->journeys();
  return sum;
}

Handler followed_echo(std::shared_ptr<Following> following) {
  return [following = std::move(following)](std::unique_ptr<Stream> client) {
    return echo(std::move(client), following);
  };
}

}  // namespace koine::cli
