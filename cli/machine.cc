#include "cli/machine.h"

#include <linux/io_uring.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include "koine/os/fault_of.h"
#include "koine/os/fd.h"
#include "koine/os/sockaddr.h"

namespace koine::cli {
namespace {

std::optional<std::uint64_t> kernel_number(const char* path) {
  const auto word = kernel_word(path);
  std::uint64_t number = 0;
  if (!word || std::from_chars(word->data(), word->data() + word->size(), number).ec != std::errc())
    return std::nullopt;
  return number;
}

std::optional<Range> port_range() {
  const auto words = kernel_word("/proc/sys/net/ipv4/ip_local_port_range");
  if (!words) return std::nullopt;
  std::istringstream numbers(*words);
  Range range;
  if (!(numbers >> range.first >> range.last)) return std::nullopt;
  return range;
}

/// A TCP socket that listens at `ip`, port `port`; the port it got.
Result<std::uint16_t> listen_at(const os::Fd& fd, const IpAddress& ip, std::uint16_t port,
                                bool shared) {
  const int on = 1;
  if (shared && ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0)
    return std::unexpected(os::system_error("set SO_REUSEPORT", {}, errno));
  const auto address = os::to_sockaddr(Address(ip, port));
  if (::bind(fd.get(), address->get(), address->size) != 0 || ::listen(fd.get(), 1) != 0)
    return std::unexpected(os::system_error("listen", to_string(Address(ip, port)), errno));
  return os::local_address(fd.get()).port();
}

Result<void> try_ipv6() {
  const os::Fd server(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!server) return std::unexpected(os::system_error("socket", "IPv6", errno));
  const auto port = listen_at(server, loopback_v6, 0, false);
  if (!port) return std::unexpected(port.error());
  const os::Fd client(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto address = os::to_sockaddr(Address(loopback_v6, *port));
  if (!client || ::connect(client.get(), address->get(), address->size) != 0)
    return std::unexpected(os::system_error("connect", "[::1]", errno));
  return {};
}

Result<void> try_reuseport() {
  const os::Fd first(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const os::Fd second(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!first || !second) return std::unexpected(os::system_error("socket", {}, errno));
  const auto port = listen_at(first, loopback_v4, 0, true);
  if (!port) return std::unexpected(port.error());
  const auto again = listen_at(second, loopback_v4, *port, true);
  if (!again) return std::unexpected(again.error());
  return {};
}

struct RingFeature {
  std::uint32_t bit;
  const char* name;
};

constexpr RingFeature ring_features[] = {
    {IORING_FEAT_SINGLE_MMAP, "single_mmap"},
    {IORING_FEAT_NODROP, "nodrop"},
    {IORING_FEAT_SUBMIT_STABLE, "submit_stable"},
    {IORING_FEAT_RW_CUR_POS, "rw_cur_pos"},
    {IORING_FEAT_FAST_POLL, "fast_poll"},
    {IORING_FEAT_POLL_32BITS, "poll_32bits"},
    {IORING_FEAT_EXT_ARG, "ext_arg"},
    {IORING_FEAT_NATIVE_WORKERS, "native_workers"},
    {IORING_FEAT_CQE_SKIP, "cqe_skip"},
    {IORING_FEAT_LINKED_FILE, "linked_file"},
};

os::Fd set_up_ring(io_uring_params& params) {
  return os::Fd(static_cast<int>(::syscall(SYS_io_uring_setup, 1, &params)));
}

RingFacts examine_ring() {
  RingFacts facts;
  if (const auto disabled = kernel_number("/proc/sys/kernel/io_uring_disabled"))
    facts.disabled = static_cast<int>(*disabled);
  io_uring_params params{};
  if (!set_up_ring(params)) {
    facts.why_not = to_string(os::system_error("io_uring_setup", {}, errno));
    return facts;
  }
  facts.set_up = true;
  for (const RingFeature& feature : ring_features) {
    if ((params.features & feature.bit) != 0) facts.features.emplace_back(feature.name);
  }
  params = {};
  params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
  facts.defer_taskrun = static_cast<bool>(set_up_ring(params));
  params = {};
  params.flags = 1U << 18;  // IORING_SETUP_CQE_MIXED, which Debian 12's headers do not know
  facts.cqe_mixed = static_cast<bool>(set_up_ring(params));
  return facts;
}

}  // namespace

std::optional<std::string> kernel_word(const char* path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  return line;
}

Machine examine_machine() {
  Machine machine;
  utsname name{};
  ::uname(&name);
  machine.system = name.sysname;
  machine.release = name.release;
  machine.architecture = name.machine;
  machine.cores = static_cast<std::uint64_t>(::sysconf(_SC_NPROCESSORS_ONLN));
  cpu_set_t usable;
  machine.cores_usable = ::sched_getaffinity(0, sizeof(usable), &usable) == 0
                             ? static_cast<std::uint64_t>(CPU_COUNT(&usable))
                             : machine.cores;

  machine.multiplexers = os::probe_multiplexers();
  if (const char* wish = std::getenv("KOINE_MULTIPLEXER"))  // NOLINT(concurrency-mt-unsafe)
    machine.wish = wish;
  if (auto made = os::make_multiplexer()) {
    machine.taken = std::string((*made)->name());
  } else {
    machine.taken = std::unexpected(std::move(made.error()));
  }
  machine.ring = examine_ring();

  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  machine.descriptors_soft = limit.rlim_cur;
  machine.descriptors_hard = limit.rlim_max;
  machine.somaxconn = kernel_number("/proc/sys/net/core/somaxconn");
  machine.syn_backlog = kernel_number("/proc/sys/net/ipv4/tcp_max_syn_backlog");
  machine.congestion = kernel_word("/proc/sys/net/ipv4/tcp_congestion_control").value_or("");
  machine.congestion_available =
      kernel_word("/proc/sys/net/ipv4/tcp_available_congestion_control").value_or("");
  machine.ports = port_range();
  machine.receive_buffer_max = kernel_number("/proc/sys/net/core/rmem_max");
  machine.send_buffer_max = kernel_number("/proc/sys/net/core/wmem_max");

  machine.ipv6 = try_ipv6();
  machine.reuseport = try_reuseport();
  return machine;
}

std::uint64_t raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);  // if it may not be, what there was has to do
  return before;
}

void restore_descriptor_limit(std::uint64_t soft) {
  rlimit limit{};
  if (soft == 0 || ::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = soft;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace koine::cli
