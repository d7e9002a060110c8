// The UDP echo server on Boost.Asio, with callbacks.
//
// Fairness: the shape of Asio's own example, tuned as asio_callbacks.cc. What was received is sent
// back at once where the kernel takes it, which on a socket that was readable it does, and saves a
// trip through the reactor. Asio has neither UDP_GRO nor UDP_SEGMENT.
#include <array>
#include <boost/asio.hpp>
#include <cstdio>
#include <cstdlib>

namespace asio = boost::asio;
using Udp = asio::ip::udp;
using Executor = asio::io_context::executor_type;
using Socket = asio::basic_datagram_socket<Udp, Executor>;
using Code = boost::system::error_code;

namespace {

class Echo {
 public:
  explicit Echo(Socket& socket) : socket_(socket) {}

  void receive() {
    socket_.async_receive_from(
        asio::buffer(bytes_), from_, [this](Code problem, std::size_t count) {
          // What cannot be sent now is lost, as datagrams may be.
          if (!problem) socket_.send_to(asio::buffer(bytes_.data(), count), from_, 0, problem);
          receive();
        });
  }

 private:
  Socket& socket_;
  Udp::endpoint from_;
  std::array<char, 64 * 1024> bytes_{};
};

}  // namespace

int main(int count, char** words) {
  if (count != 2) {
    std::fprintf(stderr, "usage: asio_udp PORT\n");
    return 2;
  }
  asio::io_context context(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE);
  const auto port = static_cast<unsigned short>(std::atoi(words[1]));
  Socket socket(context, Udp::endpoint(asio::ip::address_v4::loopback(), port));
  socket.non_blocking(true);
  Code ignored;
  socket.set_option(asio::socket_base::receive_buffer_size(1 << 22), ignored);
  std::printf("listening on udp://127.0.0.1:%u\n", socket.local_endpoint().port());
  std::fflush(stdout);
  Echo echo(socket);
  echo.receive();
  context.run();
}
