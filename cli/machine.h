// What this machine offers to servers and clients: found by asking the kernel and by trying.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "koine/base/error.h"
#include "koine/os/multiplexer.h"

namespace koine::cli {

struct Range {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
};

/// What the kernel says about io_uring beside whether it works.
struct RingFacts {
  bool set_up = false;  ///< io_uring_setup(2) succeeds
  std::string why_not;  ///< when it does not
  int disabled = -1;    ///< kernel.io_uring_disabled: 0 for all, 1 some, 2 nobody; -1 unknown
  bool defer_taskrun = false;  ///< IORING_SETUP_SINGLE_ISSUER with DEFER_TASKRUN (Linux 6.1)
  bool cqe_mixed = false;      ///< IORING_SETUP_CQE_MIXED (Linux 6.18), for the kernel's stamps
  std::vector<std::string> features;
};

/// Everything optional is missing where the kernel does not tell.
struct Machine {
  std::string system;   ///< "Linux"
  std::string release;  ///< "6.18.44"
  std::string architecture;
  std::uint64_t cores = 0;         ///< online
  std::uint64_t cores_usable = 0;  ///< that this process may run on

  std::vector<os::MultiplexerReport> multiplexers;
  std::string wish;                ///< KOINE_MULTIPLEXER, if set
  Result<std::string> taken = "";  ///< the multiplexer that would be taken
  RingFacts ring;

  std::uint64_t descriptors_soft = 0;
  std::uint64_t descriptors_hard = 0;
  std::optional<std::uint64_t> somaxconn;
  std::optional<std::uint64_t> syn_backlog;
  std::string congestion;  ///< net.ipv4.tcp_congestion_control
  std::string congestion_available;
  std::optional<Range> ports;                       ///< where port 0 and clients get theirs from
  std::optional<std::uint64_t> receive_buffer_max;  ///< net.core.rmem_max
  std::optional<std::uint64_t> send_buffer_max;

  Result<void> ipv6;       ///< a connection over [::1]
  Result<void> reuseport;  ///< two listeners on one port
};

/// Asks and tries; takes a few milliseconds.
Machine examine_machine();

/// A number or a word that the kernel has in a file of /proc; nothing if it has not.
std::optional<std::string> kernel_word(const char* path);

/// Allows this process as many descriptors as it may have; how many it could before. Children get
/// back what we were given by restore_descriptor_limit().
std::uint64_t raise_descriptor_limit();
void restore_descriptor_limit(std::uint64_t soft);

}  // namespace koine::cli
