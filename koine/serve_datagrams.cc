// Serving datagrams: what a Served with a handler for them is linked with.
#include "koine/app/datagram_server.h"
#include "koine/async/combine.h"
#include "koine/serving.h"

namespace koine::detail {
namespace {

template <class Handler>
class Datagrams final : public DatagramService {
 public:
  Datagrams(const Place& place, Handler handler)
      : server_(place.shard.network, std::move(handler), place.options()) {}

  Result<Endpoint> listen(const Endpoint& at) override { return server_.listen(at); }
  Task<ServerCounts> run_beside(Task<ServerCounts> connections) override {
    auto both = all(std::move(connections), server_.run());
    auto counts = co_await both;
    std::get<0>(*counts) += std::get<1>(*counts);
    co_return std::get<0>(*counts);
  }
  void drain() override { server_.drain(); }
  void cut() override { server_.cut(); }

 private:
  DatagramServer server_;
};

}  // namespace

std::unique_ptr<DatagramService> make_datagram_service(const Place& place) {
  if (place.job->served.on_conversation()) {
    ConversationHandler handler = [job = place.job](std::unique_ptr<Conversation> peer) {
      return job->served.on_conversation()(std::move(peer));
    };
    return std::make_unique<Datagrams<ConversationHandler>>(place, std::move(handler));
  }
  DatagramHandler handler = [job = place.job](const DatagramRequest& request) {
    return job->served.on_datagram()(request);
  };
  return std::make_unique<Datagrams<DatagramHandler>>(place, std::move(handler));
}

}  // namespace koine::detail
