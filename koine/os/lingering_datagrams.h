// Lingering of datagrams: what happens to those that were accepted, and that the kernel had no room
// for when their socket was closed.
//
// The owner is gone; the reactor sends them as soon as there is room, within the bounds of
// lingering.h. The port stays taken as long, and what arrives there is not heard.
#pragma once

#include <vector>

#include "koine/os/fd.h"
#include "koine/os/reactor.h"
#include "koine/os/train.h"

namespace koine::os {

/// What is left when the time is up is dropped, and so is what the kernel refuses: there is nobody
/// left to tell.
void linger(Reactor& reactor, Fd fd, std::vector<Train> trains);

}  // namespace koine::os
