// What is tortured: small programs that use everything koine/os has.
//
// A story that comes to its end has checked every byte. One that cannot says why; what must never
// happen is Fault::malformed, which here means that bytes were lost, doubled or changed and nobody
// was told.
#pragma once

#include <span>
#include <string>

#include "koine/os/network.h"

namespace koine::os::torture {

/// Where a story takes place.
struct Ground {
  Network& network;
  std::string folder;  ///< for Unix sockets, empty at the beginning
  std::size_t volume;  ///< bytes that large transfers move
};

struct Story {
  const char* name;
  Io<void> (*tell)(Ground& ground);
};

std::span<const Story> stories();

}  // namespace koine::os::torture
