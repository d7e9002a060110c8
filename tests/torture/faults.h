// Faults: makes the system calls of koine/os fail, as koine/os/system.h lets a test build do.
//
// Only koine_os_faults, the library's sources built with KOINE_FAULTS, asks here. One thread at a
// time.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <vector>

#include "koine/os/system.h"

namespace koine::os::faults {

inline constexpr std::size_t calls = static_cast<std::size_t>(Call::count_);

/// What a run has to suffer.
struct Plan {
  Call call = Call::count_;
  int number = 0;  ///< the first such call is 1; 0 fails none
  int error = 0;   ///< errno
  bool byte_by_byte = false;
  int times = 1;  ///< so many such calls in a row fail
};

/// From now on, calls are counted from 1 and suffer `plan`.
void begin(const Plan& plan);

/// Back to normal: how many there were of each.
std::array<int, calls> end();

/// True if the call that was to fail was made.
bool was_hit();

/// For people: "epoll_ctl".
std::string_view to_string(Call call);

/// The ways in which a call can fail, from its manual page. What only a bug of ours could cause
/// (EFAULT, EBADF of a descriptor that is ours) is left out, unless it has to end the loop. So is
/// EAGAIN where it is the kernel's promise that news will follow: told by somebody else it is no
/// such promise, and waiting for ever would be right.
const std::vector<int>& errors_of(Call call);

}  // namespace koine::os::faults
