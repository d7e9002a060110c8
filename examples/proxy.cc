// Passes each connection on to another server, both ways at once, until both sides have finished.
//
//     proxy tcp://127.0.0.1:4003 tcp://127.0.0.1:4001
#include <cstdio>
#include <string>

#include "koine/koine.h"

/// One way: what one side has finished, the other hears as finished.
koine::Io<void> pass(koine::Stream& from, koine::Stream& to) {
  auto copying = copy(from, to);
  co_await attempt(std::move(copying));
  co_return to.finish();
}

koine::Io<void> connect_through(std::unique_ptr<koine::Stream> client, std::string server,
                                koine::Network& network) {
  auto dialing = dial(network, std::move(server));
  const auto upstream = co_await attempt(std::move(dialing));
  auto both = all(pass(*client, *upstream), pass(*upstream, *client));
  co_await attempt(std::move(both));
  co_return {};
}

koine::Io<void> proxy(koine::Network& network, std::string at, std::string server) {
  koine::Server proxies(network, [&](std::unique_ptr<koine::Stream> client) {
    return connect_through(std::move(client), server, network);
  });
  auto listening = proxies.listen(std::move(at));
  const koine::Endpoint real = co_await attempt(std::move(listening));
  std::printf("listening on %s\n", to_string(real).c_str());
  std::fflush(stdout);
  co_await proxies.run();
  co_return {};
}

int main(int count, char** words) {
  const std::string at = count > 1 ? words[1] : "tcp://127.0.0.1:4003";
  const std::string server = count > 2 ? words[2] : "tcp://127.0.0.1:4001";
  return koine::run([&](koine::Network& network) { return proxy(network, at, server); });
}
