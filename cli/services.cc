#include "cli/services.h"

#include <algorithm>

#include "cli/messages.h"
#include "koine/base/bytes.h"
#include "koine/datagrams.h"

namespace koine::cli {
namespace {

std::time_t now() { return std::time(nullptr); }

/// Whole lines, and the whole pattern several times over, so that it is sent without being copied.
const std::string& chargen_text() {
  static const std::string text = [] {
    constexpr std::size_t lines = std::size_t{95} * 9;
    std::string all;
    for (std::size_t number = 0; number < lines; ++number) all += chargen_line(number);
    return all;
  }();
  return text;
}

Io<void> echo(std::unique_ptr<Stream> client) {
  while (const Buffer bytes = co_await attempt(receive(*client)))
    co_await attempt(write_all(*client, bytes));
  co_return Result<void>();
}

Io<void> read_away(Stream& client) {
  for (;;) {
    const Buffer bytes = co_await attempt(receive(client));
    if (!bytes) co_return Result<void>();
  }
}

Io<void> discard(std::unique_ptr<Stream> client) {
  auto reading = read_away(*client);
  co_return co_await reading;
}

/// RFC 864: "This continues until the calling user terminates the connection", so a broken
/// connection is how it should end; one that is only finished wants to go on reading.
Io<void> chargen(std::unique_ptr<Stream> client) {
  Scope reader;
  reader.spawn(read_away(*client));
  for (;;) {
    auto written = co_await write_all(*client, chargen_text());
    if (written) continue;
    if (written.error() == Fault::reset) co_return Result<void>();
    co_return written;
  }
}

Io<void> daytime(std::unique_ptr<Stream> client) {
  const std::string line = daytime_line(now());
  co_await attempt(write_all(*client, line));
  co_return client->finish();
}

Io<void> time_of_day(std::unique_ptr<Stream> client) {
  const auto word = time_word(now());
  co_await attempt(write_all(*client, Bytes(word)));
  co_return client->finish();
}

using Answer = std::string (*)(Bytes question);

/// RFC 864: up to 512 characters, a random number of them.
std::string some_characters(Bytes) {
  return chargen_text().substr(0, Loop::current().chance().below(513));
}

Io<void> answer(Answer answer, bool is_public, const DatagramRequest& request) {
  if (!may_answer(request.from, is_public)) co_return Result<void>();
  const std::string text = answer(request.bytes);
  co_await attempt(send_to(request.socket, as_bytes(text), request.from));
  co_return Result<void>();
}

DatagramHandler answering(Answer how, bool is_public) {
  return
      [how, is_public](const DatagramRequest& request) { return answer(how, is_public, request); };
}

Io<void> no_answer(const DatagramRequest&) { co_return Result<void>(); }

}  // namespace

const std::vector<std::string>& service_names() {
  static const std::vector<std::string> names{"echo",    "discard", "chargen",
                                              "daytime", "time",    "messages"};
  return names;
}

Served service_named(std::string_view name, bool is_public) {
  if (name == "messages") return message_server();
  if (name == "discard") return {Handler(discard), DatagramHandler(no_answer)};
  if (name == "chargen") return {Handler(chargen), answering(some_characters, is_public)};
  if (name == "daytime") {
    return {Handler(daytime), answering([](Bytes) { return daytime_line(now()); }, is_public)};
  }
  if (name == "time") {
    return {Handler(time_of_day),
            answering([](Bytes) { return std::string(as_text(time_word(now()))); }, is_public)};
  }
  return {Handler(echo),
          answering([](Bytes question) { return std::string(as_text(question)); }, is_public)};
}

std::string chargen_line(std::size_t number) {
  constexpr std::size_t characters = 95;  // from the blank to the tilde
  std::string line;
  for (std::size_t i = 0; i < 72; ++i)
    line += static_cast<char>(' ' + static_cast<char>((number + i) % characters));
  return line + "\r\n";
}

std::string daytime_line(std::time_t now) {
  std::tm local{};
  ::localtime_r(&now, &local);
  char text[128];
  const std::size_t size =
      std::strftime(text, sizeof(text), "%A, %B %d, %Y %H:%M:%S-%Z\r\n", &local);
  return {text, size};
}

std::array<std::byte, 4> time_word(std::time_t now) {
  constexpr std::uint64_t unix_epoch = 2'208'988'800;  // 1970-01-01 in seconds since 1900
  std::array<std::byte, 4> word{};
  store_be32(word.data(), static_cast<std::uint32_t>(static_cast<std::uint64_t>(now) + unix_epoch));
  return word;
}

bool may_answer(const Address& from, bool is_public) {
  if (from.is_unix()) return true;
  if (!from.is_ip()) return false;  // nobody's name: no answer could find them
  constexpr std::uint16_t small_services[] = {7, 13, 17, 19, 37};
  if (std::find(std::begin(small_services), std::end(small_services), from.port()) !=
      std::end(small_services))
    return false;
  return is_public || from.ip().is_loopback();
}

}  // namespace koine::cli
