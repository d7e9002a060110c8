// The numbers of pcapng that reader and writer share.
#pragma once

#include <cstddef>
#include <cstdint>

namespace koine::wire::pcapng {

inline constexpr std::uint32_t block_section = 0x0a0d'0d0a;
inline constexpr std::uint32_t block_interface = 1;
inline constexpr std::uint32_t block_simple_packet = 3;
inline constexpr std::uint32_t block_enhanced_packet = 6;
inline constexpr std::uint32_t block_secrets = 10;

inline constexpr std::uint32_t byte_order_magic = 0x1a2b'3c4d;
inline constexpr std::uint32_t secrets_tls_keys = 0x544c'534b;  // "TLSK"

inline constexpr std::uint16_t option_end = 0;
inline constexpr std::uint16_t option_comment = 1;
inline constexpr std::uint16_t option_section_application = 4;
inline constexpr std::uint16_t option_interface_name = 2;
inline constexpr std::uint16_t option_interface_description = 3;
inline constexpr std::uint16_t option_interface_mac = 6;
inline constexpr std::uint16_t option_interface_resolution = 9;
inline constexpr std::uint16_t option_interface_offset = 14;
inline constexpr std::uint16_t option_frame_flags = 2;
inline constexpr std::uint16_t option_frame_id = 5;

/// Blocks and options are filled up with zeros to a multiple of four.
constexpr std::size_t padded(std::size_t size) { return (size + 3) / 4 * 4; }

/// Type and length before a block's body, the length again after it.
inline constexpr std::size_t block_size_min = 12;

}  // namespace koine::wire::pcapng
