// The main() of a fuzz target where there is no libFuzzer: feeds it each file of a corpus, and
// every prefix of each, since input that ends too early is what parsers meet most.
//
// Each input lies in memory of exactly its size, so that AddressSanitizer sees the first byte read
// past it.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

constexpr std::size_t prefix_bytes_max = 4096;

void feed(const std::string& input, std::size_t size) {
  const auto exact = std::make_unique<std::uint8_t[]>(size);
  std::copy_n(input.begin(), size, exact.get());
  LLVMFuzzerTestOneInput(exact.get(), size);
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::fprintf(stderr, "usage: %s FOLDER\n", arguments[0]);
    return 2;
  }
  std::error_code failed;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(arguments[1], failed))
    files.push_back(entry.path());
  if (failed || files.empty()) {
    std::fprintf(stderr, "replay %s: no corpus: put at least one good input there\n", arguments[1]);
    return 1;
  }
  std::ranges::sort(files);

  for (const auto& file : files) {
    std::ifstream stream(file, std::ios::binary);
    const std::string input{std::istreambuf_iterator<char>(stream), {}};
    if (!stream.is_open() || stream.bad()) {
      std::fprintf(stderr, "replay %s: cannot be read\n", file.c_str());
      return 1;
    }
    // Printed first: if the target dies, the last line names the input.
    std::printf("%s: %zu bytes\n", file.filename().c_str(), input.size());
    std::fflush(stdout);
    feed(input, input.size());
    for (std::size_t size = 0; size < std::min(input.size(), prefix_bytes_max); ++size)
      feed(input, size);
  }
  std::printf("%zu files replayed\n", files.size());
}
