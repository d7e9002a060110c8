// A server on koine whose handler answers each line by itself: read a line, write it back.
//
// Fairness: the handler of asio_lines.cc in koine's words. It knows one line at a time and flushes
// nothing: that its answers leave together is koine's doing.
#include <cstdio>

#include "koine/koine.h"

namespace {

koine::Io<void> answer(std::unique_ptr<koine::Stream> client) {
  koine::Reader reader(*client);
  while (auto line = co_await attempt(reader.line()))
    co_await attempt(write_all(*client, *line, "\n"));
  co_return {};
}

}  // namespace

int main(int count, char** words) {
  if (count != 2 && count != 3) {
    std::fprintf(stderr, "usage: koine_lines PORT [MULTIPLEXER]\n");
    return 2;
  }
  koine::ServeOptions options;
  options.limits.connections = 20'000;
  options.limits.connections_per_address = 20'000;
  if (count == 3) options.multiplexer = words[2];
  return koine::serve(std::string("tcp://127.0.0.1:") + words[1], answer, std::move(options));
}
