#include "koine/transport/stream.h"

#include "koine/base/joined.h"

namespace koine {

template class Trying<ReadSome, std::size_t>;
template class Trying<Receive, Buffer>;
template class Trying<WriteAll<1>, void>;
template class Trying<Flush, void>;

Result<void> Stream::attach(journey::Recorder* recorder) {
  if (recorder == nullptr) return {};
  return fail(Fault::unsupported, "follow", name());
}

namespace {

/// Out of line, so that clang does not keep a Result in registers while nothing has failed.
[[gnu::noinline]] Result<void> failed(Error& error) { return std::unexpected(std::move(error)); }

}  // namespace

Result<void> detail::write_pieces(Stream& stream, Bytes* pieces, std::size_t count,
                                  std::uint8_t& next) {
  for (; next < count; ++next) {
    Bytes& rest = pieces[next];
    while (!rest.empty()) {
      auto taken = stream.write_now(rest);
      if (!taken) return failed(taken.error());
      rest = rest.subspan(*taken);
    }
  }
  return {};
}

Io<std::string> read_to_end(Stream& from, std::size_t bytes_max) {
  std::string text;
  for (;;) {
    const Buffer bytes = co_await attempt(receive(from));
    if (!bytes) co_return text;
    if (bytes.size() > bytes_max - text.size()) {
      co_return std::unexpected(Error(Fault::over_limit, "read", from.name())
                                    .with_note(joined({"more than ", bytes_max, " bytes"})));
    }
    text += bytes.text();
  }
}

Io<std::uint64_t> copy(Stream& from, Stream& to) {
  std::uint64_t copied = 0;
  for (;;) {
    const Buffer bytes = co_await attempt(receive(from));
    if (!bytes) co_return copied;
    co_await attempt(write_all(to, bytes));
    copied += bytes.size();
  }
}

}  // namespace koine
