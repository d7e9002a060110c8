// errno in the vocabulary of koine's errors, addresses as they name them, and time in the system's.
#pragma once

#include <ctime>
#include <string_view>

#include "koine/base/error.h"
#include "koine/transport/endpoint.h"

namespace koine::os {

/// What has no word of its own stays Fault::system.
Fault fault_of(int error);

inline Error system_error(const char* operation, std::string_view peer, int error) {
  return Error(fault_of(error), operation, peer, error);
}

/// `tcp://10.0.0.7:80`
std::string name_of(const Address& address, Transport transport);

inline timespec timespec_of(Duration duration) {
  return {static_cast<time_t>(duration.count() / 1'000'000'000),
          static_cast<long>(duration.count() % 1'000'000'000)};
}

/// CLOCK_MONOTONIC.
Instant monotonic_now();

}  // namespace koine::os
