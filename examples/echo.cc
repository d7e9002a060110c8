// Sends everything back: RFC 862 over TCP.
#include "koine/koine.h"

koine::Io<void> echo(std::unique_ptr<koine::Stream> client) {
  while (koine::Buffer bytes = co_await attempt(receive(*client)))
    co_await attempt(write_all(*client, bytes));
  co_return {};
}

int main() { return koine::serve("tcp://127.0.0.1:4001", echo); }
