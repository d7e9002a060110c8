#include "koine/sim/inside.h"

namespace koine::sim {

thread_local constinit const Inside* Inside::current_ = nullptr;

}  // namespace koine::sim
