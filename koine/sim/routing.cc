#include "koine/sim/routing.h"

namespace koine::sim {

stack::Ip network_of(const stack::Ip& ip, int length) {
  const auto whole = static_cast<std::uint8_t>(ip.is_v4() ? length + 96 : length);
  const wire::Ipv6Address mask = wire::Ipv6Prefix{{}, whole}.mask();
  return wire::Ipv6Address{ip.bits.high & mask.high, ip.bits.low & mask.low};
}

}  // namespace koine::sim
