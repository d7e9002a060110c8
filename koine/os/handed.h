// A connection on its way from one loop to another, or to another program.
#pragma once

#include <memory>

#include "koine/os/fd.h"
#include "koine/transport/stream.h"

namespace koine::os {

/// The descriptor, and what it is.
struct Handed {
  Fd fd;
  Transport transport = Transport::tcp;
  Address peer;
};

/// The socket of a stream that is one of the kernel's.
Result<Handed> take_socket(std::unique_ptr<Stream> stream);

}  // namespace koine::os
