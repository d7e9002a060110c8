// Programs as they would be written for the kernel's network, for tests that run them in worlds.
#pragma once

#include <string>

#include "koine/app/server.h"
#include "koine/async/scope.h"
#include "koine/base/random.h"
#include "koine/sim/host.h"
#include "koine/transport/network.h"
#include "koine/transport/reader.h"

namespace koine::sim {

/// How it failed, to be printed; or that it did not.
template <class T>
std::string why(const Result<T>& result) {
  return result ? std::string("no error") : to_string(result.error());
}

/// The same of a host's programs; what they still wait for, if that is all there is to say.
inline std::string why(Host& host) {
  const auto error = host.error();
  return error ? to_string(*error) : host.dump();
}

inline Io<void> greet(std::unique_ptr<Stream> guest) {
  Reader lines(*guest);
  while (auto line = co_await attempt(lines.line()))
    co_await attempt(write_all(*guest, "hello, ", *line, "\n"));
  co_return {};
}

inline Io<void> serve_at_4000(Network& network, Handler handler) {
  Server server(network, std::move(handler));
  auto listening = server.listen("tcp://:4000");
  co_await attempt(std::move(listening));
  co_await server.run();
  co_return {};
}

inline Io<void> greet_server(Network& network) { return serve_at_4000(network, greet); }

/// Asks the host "server" for three greetings.
inline Io<void> greet_client(Network& network) {
  auto dialing = dial(network, "tcp://server:4000");
  auto stream = co_await attempt(std::move(dialing));
  Reader lines(*stream);
  for (const std::string name : {"ann", "bob", "cleo"}) {
    co_await attempt(write_all(*stream, name, "\n"));
    const auto line = co_await attempt(lines.line());
    if (line != "hello, " + name) co_return fail(Fault::malformed, "greet", name);
  }
  co_return stream->finish();
}

inline Io<void> echo(std::unique_ptr<Stream> guest) {
  auto copying = copy(*guest, *guest);
  co_await attempt(std::move(copying));
  co_return guest->finish();
}

inline Io<void> echo_server(Network& network) { return serve_at_4000(network, echo); }

/// Bytes in which every shift, gap and repetition shows.
inline std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  Prng chance(1);
  for (char& letter : text) letter = static_cast<char>(chance());
  return text;
}

inline Io<void> say(Stream& stream, const std::string& text) {
  co_await attempt(write_all(stream, text));
  co_return stream.finish();
}

/// Says 300 000 bytes to the host "server" and wants to hear the same.
inline Io<void> echo_client(Network& network) {
  auto dialing = dial(network, "tcp://server:4000");
  auto stream = co_await attempt(std::move(dialing));
  const std::string text = pattern(300'000);
  Scope saying;
  saying.spawn(say(*stream, text));
  auto hearing = read_to_end(*stream);
  const std::string heard = co_await attempt(std::move(hearing));
  if (heard != text) co_return fail(Fault::malformed, "compare", "the echo");
  co_return co_await saying.join();
}

}  // namespace koine::sim
