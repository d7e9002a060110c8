// The echo server on Boost.Asio, with callbacks.
//
// Fairness: the shape of Asio's own echo example, tuned as its documentation allows for one thread:
// a concurrency hint that removes all locks, and the context's own executor type instead of the
// type-erased one. Handlers' memory is recycled by Asio itself. TCP_NODELAY is set, as everywhere.
// Errors arrive as codes, so that no exception is thrown at the end of a connection. The buffer of
// 16 KiB belongs to the connection, as in the example (there 1 KiB): it holds the largest request
// of the workloads, and no more, because it is what an idle connection costs.
#include <array>
#include <boost/asio.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>

namespace asio = boost::asio;
using Tcp = asio::ip::tcp;
using Executor = asio::io_context::executor_type;
using Socket = asio::basic_stream_socket<Tcp, Executor>;
using Acceptor = asio::basic_socket_acceptor<Tcp, Executor>;
using Code = boost::system::error_code;

namespace {

class Session : public std::enable_shared_from_this<Session> {
 public:
  explicit Session(Socket socket) : socket_(std::move(socket)) {}

  void read() {
    socket_.async_read_some(asio::buffer(bytes_),
                            [self = shared_from_this()](Code problem, std::size_t count) {
                              if (!problem) self->write(count);
                            });
  }

 private:
  void write(std::size_t count) {
    asio::async_write(socket_, asio::buffer(bytes_.data(), count),
                      [self = shared_from_this()](Code problem, std::size_t) {
                        if (!problem) self->read();
                      });
  }

  Socket socket_;
  std::array<char, 16 * 1024> bytes_;
};

void accept(Acceptor& acceptor) {
  acceptor.async_accept([&acceptor](Code problem, Socket socket) {
    if (!problem) {
      socket.set_option(Tcp::no_delay(true), problem);
      std::make_shared<Session>(std::move(socket))->read();
    }
    accept(acceptor);
  });
}

}  // namespace

int main(int count, char** words) {
  if (count != 2) {
    std::fprintf(stderr, "usage: asio_callbacks PORT\n");
    return 2;
  }
  asio::io_context context(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE);
  const auto port = static_cast<unsigned short>(std::atoi(words[1]));
  Acceptor acceptor(context, Tcp::endpoint(asio::ip::address_v4::loopback(), port));
  std::printf("listening on tcp://127.0.0.1:%u\n", acceptor.local_endpoint().port());
  std::fflush(stdout);
  accept(acceptor);
  context.run();
}
