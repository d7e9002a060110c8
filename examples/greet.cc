// Greets each line: the first program of the README.
#include "koine/koine.h"

koine::Io<void> greet(std::unique_ptr<koine::Stream> client) {
  koine::Reader lines(*client);
  while (auto line = co_await attempt(lines.line()))
    co_await attempt(write_all(*client, "hello, ", *line, "\n"));
  co_return {};
}

int main() { return koine::serve("tcp://127.0.0.1:4000", greet); }
