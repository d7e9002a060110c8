// Hops: what a simulated world knows of a journey between the stamps of its two ends.
#pragma once

#include <string>
#include <vector>

#include "koine/journey/spans.h"

namespace koine::journey {

/// The hops that make up the queue of the device, or the network: they add up to the step. Of a
/// message that was lost and sent again: where it was lost. None in a real network.
std::vector<Hop> hops_of(const Journey& journey, Step step);

/// Where the leg's message was lost, if it never arrived; otherwise null.
const Hop* end_of(const Leg& leg);

/// "r1 > s: queue", for a line of a picture.
std::string label_of(const Hop& hop);

/// "waited 6.40 ms in the queue of r1 towards s"
std::string words_of(const Hop& hop);

}  // namespace koine::journey
