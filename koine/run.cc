#include <cstdio>
#include <cstdlib>

#include "koine/koine.h"
#include "koine/os/network.h"
#include "koine/os/reactor.h"

namespace koine {
namespace {

int failed(const Error& error) {
  std::fprintf(stderr, "koine: %s\n", to_string(error).c_str());
  return EXIT_FAILURE;
}

}  // namespace

int run(Function<Io<void>(Network&)> story) {
  auto reactor = os::Reactor::make();
  if (!reactor) return failed(reactor.error());
  os::Network network(**reactor);
  const auto ended = (*reactor)->run(story(network));
  (*reactor)->linger_out();
  return ended ? EXIT_SUCCESS : failed(ended.error());
}

}  // namespace koine
