// The echo server on Boost.Asio, with C++20 coroutines.
//
// Fairness: the shape of Asio's own coroutine example, tuned as its documentation allows for one
// thread (see asio_callbacks.cc). Results are tuples, so that no exception is thrown at the end of
// a connection. Coroutine frames and handlers are recycled by Asio itself.
#include <array>
#include <boost/asio.hpp>
#include <cstdio>
#include <cstdlib>

namespace asio = boost::asio;
using Tcp = asio::ip::tcp;
using Executor = asio::io_context::executor_type;
using Socket = asio::basic_stream_socket<Tcp, Executor>;
using Acceptor = asio::basic_socket_acceptor<Tcp, Executor>;
using Code = boost::system::error_code;
using Void = asio::awaitable<void, Executor>;

namespace {

constexpr auto token = asio::as_tuple(asio::use_awaitable_t<Executor>());

Void echo(Socket socket) {
  std::array<char, 16 * 1024> bytes;
  for (;;) {
    const auto [read_problem, count] = co_await socket.async_read_some(asio::buffer(bytes), token);
    if (read_problem) co_return;
    const auto [write_problem, written] =
        co_await asio::async_write(socket, asio::buffer(bytes.data(), count), token);
    if (write_problem) co_return;
  }
}

Void listen(Acceptor& acceptor) {
  for (;;) {
    auto [problem, socket] = co_await acceptor.async_accept(token);
    if (problem) continue;
    socket.set_option(Tcp::no_delay(true), problem);
    asio::co_spawn(acceptor.get_executor(), echo(std::move(socket)), asio::detached);
  }
}

}  // namespace

int main(int count, char** words) {
  if (count != 2) {
    std::fprintf(stderr, "usage: asio_coroutines PORT\n");
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
