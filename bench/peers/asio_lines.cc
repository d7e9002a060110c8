// A server on Boost.Asio whose handler answers each line by itself: read a line, write it back.
//
// Fairness: as the documentation of read_until shows it, with Asio's coroutines, tuned as
// asio_coroutines.cc. The handler knows one line at a time, which is what is compared here: whether
// what a handler writes while more of its input waits is collected is the framework's matter.
#include <boost/asio.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace asio = boost::asio;
using Tcp = asio::ip::tcp;
using Executor = asio::io_context::executor_type;
using Socket = asio::basic_stream_socket<Tcp, Executor>;
using Acceptor = asio::basic_socket_acceptor<Tcp, Executor>;
using Void = asio::awaitable<void, Executor>;

namespace {

constexpr auto token = asio::as_tuple(asio::use_awaitable_t<Executor>());
constexpr std::size_t line_bytes_max = 64 * 1024;

Void answer(Socket socket) {
  std::string received;
  for (;;) {
    const auto [read_problem, count] = co_await asio::async_read_until(
        socket, asio::dynamic_buffer(received, line_bytes_max), '\n', token);
    if (read_problem) co_return;
    const auto [write_problem, written] =
        co_await asio::async_write(socket, asio::buffer(received.data(), count), token);
    if (write_problem) co_return;
    received.erase(0, count);
  }
}

Void listen(Acceptor& acceptor) {
  for (;;) {
    auto [problem, socket] = co_await acceptor.async_accept(token);
    if (problem) continue;
    socket.set_option(Tcp::no_delay(true), problem);
    asio::co_spawn(acceptor.get_executor(), answer(std::move(socket)), asio::detached);
  }
}

}  // namespace

int main(int count, char** words) {
  if (count != 2) {
    std::fprintf(stderr, "usage: asio_lines PORT\n");
    return 2;
  }
  asio::io_context context(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE);
  const auto port = static_cast<unsigned short>(std::atoi(words[1]));
  Acceptor acceptor(context, Tcp::endpoint(asio::ip::address_v4::loopback(), port));
  std::printf("listening on tcp://127.0.0.1:%u\n", acceptor.local_endpoint().port());
  std::fflush(stdout);
  asio::co_spawn(context.get_executor(), listen(acceptor), asio::detached);
  context.run();
}
