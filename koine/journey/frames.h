// What the bytes of a frame begin with.
#pragma once

#include "koine/base/bytes.h"
#include "koine/wire/protocol.h"

namespace koine::journey {

/// Ethernet, or an IP packet of a device that has no link header.
wire::LinkType link_of(Bytes frame);

}  // namespace koine::journey
