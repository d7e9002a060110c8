// Sends what it is told to a server, and prints all that comes back.
//
//     client tcp://127.0.0.1:4001 hello
#include <cstdio>
#include <string>

#include "koine/koine.h"

koine::Io<void> ask(koine::Network& network, std::string server, std::string question) {
  auto dialing = dial(network, std::move(server));
  const auto stream = co_await attempt(std::move(dialing));
  co_await attempt(write_all(*stream, question, "\n"));
  co_await attempt(stream->finish());
  while (const koine::Buffer answer = co_await attempt(receive(*stream))) {
    const koine::Bytes bytes = answer;
    std::fwrite(bytes.data(), 1, bytes.size(), stdout);
  }
  co_return {};
}

int main(int count, char** words) {
  const std::string server = count > 1 ? words[1] : "tcp://127.0.0.1:4001";
  const std::string question = count > 2 ? words[2] : "hello";
  return koine::run([&](koine::Network& network) { return ask(network, server, question); });
}
