// Greets a server that may not be there yet: it tries again, ever more slowly, for a minute.
//
//     retry tcp://127.0.0.1:4000
#include <cstdio>
#include <string>

#include "koine/koine.h"

using namespace std::chrono_literals;

koine::Io<void> greet(koine::Network& network, koine::Endpoint server) {
  koine::RetryOptions patient;
  patient.attempts_max = 100;
  patient.pause_first = 20ms;  // then 40, 80 ... up to one second, each shortened by chance
  patient.pause_max = 1s;
  patient.timeout = 60s;  // for all of it
  auto dialing = dial_with_retry(network, std::move(server), patient);
  const auto stream = co_await attempt(std::move(dialing));
  co_await attempt(write_all(*stream, "koine\n"));
  koine::Reader lines(*stream);
  const auto answer = co_await attempt(within(5s, lines.line()));
  std::printf("%s\n", std::string(answer.value_or("no answer")).c_str());
  co_return {};
}

int main(int count, char** words) {
  const auto server = koine::parse_endpoint(count > 1 ? words[1] : "tcp://127.0.0.1:4000");
  if (!server) return std::fprintf(stderr, "%s\n", to_string(server.error()).c_str()), 2;
  return koine::run([&](koine::Network& network) { return greet(network, *server); });
}
