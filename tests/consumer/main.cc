// A program of somebody else's, built with an installed koine: a server and a client on a port of
// the kernel's choice, one line there and back.
#include <cstdio>
#include <string>

#include <koine/koine.h>

koine::Io<void> echo(std::unique_ptr<koine::Stream> client) {
  while (koine::Buffer bytes = co_await attempt(receive(*client)))
    co_await attempt(write_all(*client, bytes));
  co_return {};
}

koine::Io<void> serve(koine::Server& server) {
  co_await server.run();
  co_return {};
}

koine::Io<void> converse(koine::Network& network) {
  koine::Server server(network, echo);
  const koine::Endpoint place = co_await attempt(server.listen("tcp://127.0.0.1:0"));
  koine::Scope scope;
  scope.spawn(serve, std::ref(server));

  auto dialling = koine::dial(network, place);
  const auto stream = co_await attempt(std::move(dialling));
  co_await attempt(write_all(*stream, "from far away"));
  co_await attempt(stream->finish());
  auto reading = koine::read_to_end(*stream);
  const std::string answer = co_await attempt(std::move(reading));
  std::puts(answer.c_str());
  server.drain();
  co_return co_await scope.join();
}

int main() { return koine::run(converse); }
