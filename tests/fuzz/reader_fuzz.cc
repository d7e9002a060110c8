// Any bytes through a Reader, read as any mixture of lines, delimited, prefixed and exact messages.
//
// However the bytes are cut, and however often reading is called off in the middle, the same
// messages come out; none is longer than the limit, and all memory is given back.
//
// Input: one byte each for the limit, the size of a chunk and the number of operations; a byte for
// each operation, which are repeated to the end; then the bytes.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "koine/transport/memory_test.h"
#include "koine/transport/reader.h"
#include "tests/fuzz/check.h"

namespace {

using namespace koine;

constexpr unsigned kinds = 12;

struct Input {
  std::size_t bytes_max;
  std::vector<unsigned> operations;
  Bytes bytes;
};

/// The stream of a test: chunks arrive when it is their turn.
struct Arrivals {
  Arrivals(Loop& loop, Bytes all, std::size_t size)
      : rest(all),
        chunk_bytes(size),
        in(std::make_shared<memory::Pipe>(loop, 0)),
        stream(blocks, in, in, Address(), Address()) {}

  void next() {
    const Bytes chunk = rest.first(std::min(chunk_bytes, rest.size()));
    rest = rest.subspan(chunk.size());
    if (chunk.empty()) {
      in->finish();
    } else {
      in->put(chunk);
    }
  }

  Bytes rest;
  std::size_t chunk_bytes;
  memory::Blocks blocks;
  std::shared_ptr<memory::Pipe> in;
  memory::MemoryStream stream;
};

void note(std::string& story, std::size_t bytes_max, Bytes message) {
  KOINE_CHECK(message.size() <= bytes_max);
  story += "[" + std::string(as_text(message)) + "]";
}
void note(std::string& story, std::size_t bytes_max, std::string_view line) {
  KOINE_CHECK(line.find('\n') == line.npos);
  note(story, bytes_max, as_bytes(line));
}
template <class T>
void note(std::string& story, std::size_t bytes_max, const std::optional<T>& found) {
  if (found) note(story, bytes_max, *found);
}

/// True if there may be more to read.
template <class Read>
bool read_one(Arrivals& arrivals, bool call_off, const Input& input, Read make,
              std::string& story) {
  auto op = make();
  auto answer = op.attempt_once();
  while (!answer && answer.error() == Fault::would_block) {
    arrivals.next();
    if (call_off) {
      auto another = make();  // the first is called off, and its answer with it
      answer = another.attempt_once();
    } else {
      answer = op.attempt_once();
    }
  }
  if (!answer) {
    story += to_string(answer.error());
    return false;
  }
  note(story, input.bytes_max, *answer);
  if constexpr (requires { answer->has_value(); }) {
    return answer->has_value();
  } else {
    return true;
  }
}

bool read_one(Reader& reader, Arrivals& arrivals, bool call_off, const Input& input,
              unsigned operation, std::string& story) {
  const auto read = [&](auto make) { return read_one(arrivals, call_off, input, make, story); };
  switch (operation % kinds) {
    case 0: return read([&] { return reader.line(); });
    case 1: return read([&] { return reader.until(as_bytes("aa")); });
    case 2: return read([&] { return reader.exactly(1 + operation / kinds); });
    default: {
      const auto prefix = static_cast<LengthPrefix>(operation % kinds - 3);
      return read([&] { return reader.prefixed(prefix); });
    }
  }
}

std::string read_all(const Input& input, std::size_t chunk_bytes, bool call_off) {
  Loop loop(Instant(), 1);
  const Loop::Entered entered(loop);
  Arrivals arrivals(loop, input.bytes, chunk_bytes);
  std::string story;
  {
    Reader reader(arrivals.stream,
                  {.message_bytes_max = input.bytes_max, .bytes_per_second_min = 0});
    std::size_t next = 0;
    while (read_one(reader, arrivals, call_off, input,
                    input.operations[next++ % input.operations.size()], story)) {
    }
  }
  KOINE_CHECK(arrivals.blocks.lent == 0);
  return story;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t head_bytes = 3;
  if (size < head_bytes) return 0;
  const std::size_t count = 1 + data[2] % 8;
  if (size < head_bytes + count) return 0;
  Input input{.bytes_max = data[0], .operations = {}, .bytes = {}};
  for (std::size_t i = 0; i < count; ++i) input.operations.push_back(data[head_bytes + i]);
  input.bytes = std::as_bytes(std::span(data, size)).subspan(head_bytes + count);

  const std::string whole = read_all(input, input.bytes.size() + 1, false);
  KOINE_CHECK(read_all(input, 1 + data[1] % 16, false) == whole);
  KOINE_CHECK(read_all(input, 1 + data[1] % 16, true) == whole);
  KOINE_CHECK(read_all(input, 1, true) == whole);
  return 0;
}
