// A frame for people: every field by its name, with its bits, its value in words and the section
// of the standard that defines it.
//
// No input is too broken. What breaks a rule is said at the field where it breaks, what follows is
// shown as bytes, and nothing is left out: the layers cover the frame from its first byte to its
// last, and the fields of a layer cover the layer from its first bit to its last, in order and
// without gaps.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "koine/base/bytes.h"
#include "koine/wire/protocol.h"

namespace koine::wire {

/// Where something belongs among the five layers of the internet, and among OSI's seven.
struct Place {
  int internet = 1;  ///< 1 to 5
  int osi = 1;       ///< 1 to 7

  friend constexpr bool operator==(Place, Place) = default;
};

inline constexpr Place place_physical{1, 1};
inline constexpr Place place_link{2, 2};
inline constexpr Place place_network{3, 3};
inline constexpr Place place_transport{4, 4};
inline constexpr Place place_application{5, 7};

/// "physical", "data link", "network", "transport", "application"
std::string_view internet_layer_name(int layer);

/// As above, and "session", "presentation" before "application".
std::string_view osi_layer_name(int layer);

struct Field {
  std::string name;            ///< as its standard calls it
  std::string group;           ///< the option or entry that it is part of; empty in a fixed header
  std::size_t bit_offset = 0;  ///< from the beginning of the layer
  std::size_t bit_count = 0;   ///< 0 for a field that should be there and is not
  std::string value;           ///< in words
  std::string_view source{};   ///< "RFC 9293 3.1"
  std::string problem;         ///< in words; empty if there is none
};

/// One header, or what no header explains: data, padding.
struct Layer {
  std::string name;  ///< "TCP"
  Place place{};
  std::size_t offset = 0;  ///< bytes from the beginning of the frame
  std::size_t length = 0;  ///< bytes
  bool header = true;      ///< false for data and padding
  bool quoted = false;     ///< part of a packet that an ICMP error speaks about
  std::string summary;     ///< one line: "55236 > 7801, ACK PSH, seq 1417369055, ..."
  std::vector<Field> fields;
};

struct Dissection {
  std::vector<Layer> layers;  ///< in the order of their bytes

  /// True if any field has a problem.
  bool has_problem() const;
};

struct DissectOptions {
  /// How long the frame was on the wire, if more than what was captured of it.
  std::size_t wire_length = 0;

  /// Off for frames that were taken before the device filled in their checksums.
  bool verify_checksums = true;
};

/// Works for any bytes. Time and memory are proportional to the frame's size.
Dissection dissect(Bytes frame, LinkType link = LinkType::ethernet, DissectOptions options = {});

}  // namespace koine::wire
