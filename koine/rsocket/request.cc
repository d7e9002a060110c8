#include "koine/rsocket/request.h"

#include <algorithm>
#include <array>

#include "koine/rsocket/journey_block.h"

namespace koine::rsocket {

Result<void> append_head(ByteVector& out, std::string_view mime_type, const RequestHead& head) {
  if (mime_type == routing_mime_type) return append_tag(out, head.route);
  if (mime_type != composite_mime_type) {
    if (head.route.empty()) return {};
    return std::unexpected(Error(Fault::unsupported, "request", head.route)
                               .with_note("the connection's metadata has no routes"));
  }
  if (auto routed = append_route(out, head.route); !routed || !head.timeout) return routed;
  std::array<std::byte, 8> content{};
  store_be64(content.data(),
             static_cast<std::uint64_t>(std::max(*head.timeout, Duration::zero()).count()));
  return append_entry(out, timeout_mime_type, content);
}

Result<RequestHead> parse_head(std::string_view mime_type, Bytes metadata) {
  RequestHead head;
  if (mime_type == routing_mime_type) {
    auto tag = TagReader(metadata).next();
    if (!tag) return std::unexpected(std::move(tag.error()));
    head.route = tag->value_or(std::string_view());
    return head;
  }
  if (mime_type != composite_mime_type) {
    head.has_more = true;
    return head;
  }
  bool has_route = false;
  CompositeReader entries(metadata);
  for (;;) {
    auto entry = entries.next();
    if (!entry) return std::unexpected(std::move(entry.error()));
    if (!*entry) return head;
    if ((*entry)->mime_type == routing_mime_type && !has_route) {
      auto tag = TagReader((*entry)->content).next();
      if (!tag) return std::unexpected(std::move(tag.error()));
      head.route = tag->value_or(std::string_view());
      has_route = true;
    } else if ((*entry)->mime_type == timeout_mime_type) {
      const Bytes content = (*entry)->content;
      if (content.size() != 8) {
        return std::unexpected(
            Error(Fault::malformed, "read timeout")
                .with_note("expected 8 bytes, not " + std::to_string(content.size())));
      }
      const auto longest = static_cast<std::uint64_t>(Duration::max().count());
      head.timeout =
          Duration(static_cast<Duration::rep>(std::min(load_be64(content.data()), longest)));
    } else if ((*entry)->mime_type == journey_mime_type) {
      head.journey = (*entry)->content;
    } else {
      head.has_more = true;
    }
  }
}

}  // namespace koine::rsocket
