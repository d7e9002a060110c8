// The small services that every host once had, and inetd still has; and one that answers messages.
#pragma once

#include <array>
#include <cstddef>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

#include "koine/koine.h"

namespace koine::cli {

/// "echo", "discard", "chargen", "daytime", "time", "messages".
const std::vector<std::string>& service_names();

/// The one with that name. Datagrams are answered to loopback peers only, unless `is_public`: two
/// echoes that face each other never stop, and chargen sends more than it was sent, to whoever is
/// named as the sender.
Served service_named(std::string_view name, bool is_public);

/// RFC 864, "ASCII characters": line `number` of the pattern, 72 characters, CR and LF.
std::string chargen_line(std::size_t number);

/// RFC 867 leaves the form open; this is its first example's: "Tuesday, February 22, 1982
/// 17:37:43-PST", CR and LF, in the time zone of this machine.
std::string daytime_line(std::time_t now);

/// RFC 868: seconds since 1900-01-01 00:00 UTC, the most significant byte first. It begins again at
/// 0 on 2036-02-07.
std::array<std::byte, 4> time_word(std::time_t now);

/// Whether a datagram from there may be answered. Never to a port at which such services live: it
/// may be one that answers our answer.
bool may_answer(const Address& from, bool is_public);

}  // namespace koine::cli
