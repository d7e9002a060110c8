// One way in bulk on Boost.Asio: see raw_bulk.c for what is done and how it is timed.
//
// Fairness: coroutines, tuned as asio_coroutines.cc. SIZE bytes a read, and one async_write of SIZE
// bytes after the other.
#include <boost/asio.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace asio = boost::asio;
using Tcp = asio::ip::tcp;
using Executor = asio::io_context::executor_type;
using Socket = asio::basic_stream_socket<Tcp, Executor>;
using Acceptor = asio::basic_socket_acceptor<Tcp, Executor>;
using Void = asio::awaitable<void, Executor>;
using Clock = std::chrono::steady_clock;

namespace {

constexpr auto token = asio::as_tuple(asio::use_awaitable_t<Executor>());

Void receive(Acceptor& acceptor, std::size_t size) {
  std::vector<char> bytes(size);
  for (;;) {
    auto [problem, socket] = co_await acceptor.async_accept(token);
    while (!problem) {
      const auto [read_problem, count] =
          co_await socket.async_read_some(asio::buffer(bytes), token);
      problem = read_problem;
    }
  }
}

Void send(Socket& socket, std::size_t size, std::size_t total, int& status) {
  const std::vector<char> bytes(size, 'k');
  const auto begun = Clock::now();
  for (std::size_t sent = 0; sent < total;) {
    const auto [problem, count] = co_await asio::async_write(
        socket, asio::buffer(bytes.data(), std::min(size, total - sent)), token);
    if (problem) co_return;
    sent += count;
  }
  char end = 0;
  socket.shutdown(Tcp::socket::shutdown_send);
  const auto [problem, count] = co_await socket.async_read_some(asio::buffer(&end, 1), token);
  if (problem != asio::error::eof) co_return;
  std::printf("{\"bytes\": %zu, \"seconds\": %.6f}\n", total,
              std::chrono::duration<double>(Clock::now() - begun).count());
  status = 0;
}

}  // namespace

int main(int count, char** words) {
  const std::string what = count > 3 ? words[1] : "";
  asio::io_context context(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE);
  if (what == "receive" && count == 4) {
    const auto port = static_cast<unsigned short>(std::atoi(words[2]));
    Acceptor acceptor(context, Tcp::endpoint(asio::ip::address_v4::loopback(), port));
    std::printf("listening on tcp://127.0.0.1:%u\n", acceptor.local_endpoint().port());
    std::fflush(stdout);
    asio::co_spawn(context.get_executor(), receive(acceptor, std::stoull(words[3])),
                   asio::detached);
    context.run();
  }
  if (what != "send" || count != 5) {
    std::fprintf(stderr, "usage: asio_bulk receive PORT SIZE, or asio_bulk send URL SIZE BYTES\n");
    return 2;
  }
  const std::string url = words[2];
  const auto port = static_cast<unsigned short>(std::stoul(url.substr(url.rfind(':') + 1)));
  Socket socket(context);
  socket.connect(Tcp::endpoint(asio::ip::address_v4::loopback(), port));
  int status = 1;
  asio::co_spawn(context.get_executor(),
                 send(socket, std::stoull(words[3]), std::stoull(words[4]), status),
                 asio::detached);
  context.run();
  return status;
}
