// Serving by a command for each connection: what a Served made of a Command is linked with.
#include "koine/os/workers.h"
#include "koine/serving.h"

namespace koine::detail {
namespace {

/// Runs a command for each connection.
class Commands final : public Workers {
 public:
  explicit Commands(const Place& place)
      : reactor_(place.shard.reactor),
        command_(place.job, &place.job->served.command()),
        drain_quiet_(place.options().drain_quiet) {}

  Io<void> serve(std::unique_ptr<Stream> stream) override {
    return os::serve_with_command(reactor_, std::move(stream), command_, drain_quiet_, orders_);
  }
  void drain() override { orders_.drain.set(); }
  void cut() override { orders_.stop.set(); }

 private:
  os::Reactor& reactor_;
  std::shared_ptr<const std::vector<std::string>> command_;
  Duration drain_quiet_;
  os::Orders orders_;
};

}  // namespace

std::unique_ptr<Workers> make_command_workers(const Place& place) {
  return std::make_unique<Commands>(place);
}

}  // namespace koine::detail
