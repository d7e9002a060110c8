// Captures read by tshark: a fixture for tests, and the capture that it reads.
//
// Without tshark the tests are skipped, and say so; where the environment says CI=true that is a
// failure.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "koine/wire/pcapng.h"

namespace koine::wire {

struct Answer {
  int status = -1;
  std::string output;
};

inline Answer run(const std::string& command) {
  Answer answer;
  std::FILE* const pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return answer;
  char buffer[65'536];
  for (std::size_t size; (size = std::fread(buffer, 1, sizeof(buffer), pipe)) > 0;)
    answer.output.append(buffer, size);
  const int status = pclose(pipe);
  answer.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return answer;
}

inline std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts{""};
  for (const char letter : text) {
    if (letter == separator) {
      parts.emplace_back();
    } else {
      parts.back() += letter;
    }
  }
  return parts;
}

/// A capture in a file of its own that goes when the test does.
class Capture {
 public:
  Capture()
      : path_(testing::TempDir() + "koine_tshark_" + std::to_string(getpid()) + "_" +
              std::to_string(++made_) + ".pcapng"),
        writer_(bytes_) {}
  ~Capture() { std::filesystem::remove(path_); }

  PcapngWriter& writer() { return writer_; }

  /// For another writer than its own.
  std::string& bytes() { return bytes_; }

  void save() const {
    std::ofstream file(path_, std::ios::binary);
    file.write(bytes_.data(), static_cast<std::streamsize>(bytes_.size()));
    ASSERT_TRUE(file.good()) << path_;
  }

  /// The lines that tshark prints with these arguments, all checksums verified.
  std::vector<std::string> tshark(const std::string& arguments) const {
    const std::string complaints = path_ + ".stderr";
    const Answer answer =
        run("tshark -n -r '" + path_ +
            "' -o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE -o udp.check_checksum:TRUE"
            " -o tcp.relative_sequence_numbers:FALSE -o ip.defragment:FALSE"
            " -o ipv6.defragment:FALSE " +
            arguments + " 2>'" + complaints + "'");
    EXPECT_EQ(answer.status, 0) << std::ifstream(complaints).rdbuf();
    std::filesystem::remove(complaints);
    std::vector<std::string> lines = split(answer.output, '\n');
    lines.pop_back();  // behind the last line feed
    return lines;
  }

  /// One row for each frame with the values of these fields.
  std::vector<std::vector<std::string>> fields(const std::vector<std::string>& names) const {
    std::string arguments = "-T fields -E separator='|' -E occurrence=a -E aggregator=,";
    for (const std::string& name : names) arguments += " -e " + name;
    std::vector<std::vector<std::string>> rows;
    for (const std::string& line : tshark(arguments)) rows.push_back(split(line, '|'));
    return rows;
  }

  /// Nothing is malformed and no checksum is wrong.
  void expect_sound() const {
    const std::vector<std::string> bad = tshark(
        "-Y '_ws.malformed || _ws.short || eth.fcs.status == 0 || ip.checksum.status == 0"
        " || tcp.checksum.status == 0 || udp.checksum.status == 0 || icmp.checksum.status == 0"
        " || icmpv6.checksum.status == 0 || tcp.option.len.invalid || ip.opt.len.invalid'");
    for (const std::string& line : bad) ADD_FAILURE() << line;
  }

 private:
  static inline int made_ = 0;

  std::string path_;
  std::string bytes_;
  PcapngWriter writer_;
};

class Tshark : public testing::Test {
 protected:
  void SetUp() override {
    if (run("tshark --version 2>/dev/null").status == 0) return;
    const char* const ci = std::getenv("CI");  // NOLINT(concurrency-mt-unsafe): one thread
    if (ci != nullptr && std::string_view(ci) == "true")
      FAIL() << "tshark is missing, and CI=true: install the package tshark";
    std::fprintf(stderr,
                 "\n*** tshark is missing: NOTHING IS COMPARED WITH IT. "
                 "Install the package tshark. ***\n\n");
    GTEST_SKIP() << "tshark is missing";
  }
};

}  // namespace koine::wire
