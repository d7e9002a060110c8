// One way in bulk on koine: see peers/raw_bulk.c for what is done and how it is timed.
//
//     koine_bulk receive PORT SIZE
//     koine_bulk send URL SIZE BYTES
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "koine/koine.h"

namespace {

using Clock = std::chrono::steady_clock;

koine::Io<void> receive(std::unique_ptr<koine::Stream> client, std::size_t size) {
  std::vector<std::byte> bytes(size);
  while (co_await attempt(read_some(*client, bytes)) > 0) continue;
  co_return {};
}

koine::Io<void> send(koine::Network& network, std::string url, std::size_t size,
                     std::size_t total) {
  auto dialing = dial(network, std::move(url));
  const auto stream = co_await attempt(std::move(dialing));
  const std::vector<std::byte> bytes(size, std::byte{'k'});
  const auto begun = Clock::now();
  for (std::size_t sent = 0; sent < total;) {
    const std::size_t count = std::min(size, total - sent);
    co_await attempt(write_all(*stream, koine::Bytes(bytes).first(count)));
    sent += count;
  }
  std::byte end{};
  co_await attempt(stream->finish());
  if (co_await attempt(read_some(*stream, koine::MutableBytes(&end, 1))) != 0)
    co_return koine::fail(koine::Fault::malformed, "read", "expected the end");
  std::printf("{\"bytes\": %zu, \"seconds\": %.6f}\n", total,
              std::chrono::duration<double>(Clock::now() - begun).count());
  co_return {};
}

}  // namespace

int main(int count, char** words) {
  const std::string what = count > 3 ? words[1] : "";
  if (what == "receive" && count == 4) {
    const std::size_t size = std::stoull(words[3]);
    const auto handler = [size](std::unique_ptr<koine::Stream> client) {
      return receive(std::move(client), size);
    };
    return koine::serve("tcp://127.0.0.1:" + std::string(words[2]), koine::Handler(handler));
  }
  if (what == "send" && count == 5) {
    const std::size_t size = std::stoull(words[3]);
    const std::size_t total = std::stoull(words[4]);
    return koine::run(
        [&](koine::Network& network) { return send(network, words[2], size, total); });
  }
  std::fprintf(stderr, "usage: koine_bulk receive PORT SIZE, or koine_bulk send URL SIZE BYTES\n");
  return 2;
}
