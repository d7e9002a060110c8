// follow: asks for the journey of one message, in full.
#pragma once

namespace koine::journey {

/// `co_await peer.call<Sum>("add", Add{2, 3}, koine::journey::follow)`
struct Follow {
  bool frames = true;  ///< keep the headers of its frames as well
};

inline constexpr Follow follow;

}  // namespace koine::journey
