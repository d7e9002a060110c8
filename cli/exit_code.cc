#include "cli/exit_code.h"

#include <cstdio>

#include "koine/transport/mistake.h"

namespace koine::cli {

ExitCode exit_code_of(const Error& error) {
  const std::string_view operation = error.operation();
  if (operation == parse_operation || operation == "choose multiplexer") return exit_usage;
  if (operation == output_operation) return exit_output;
  if (operation == verify_operation) return exit_receive;
  if (error == Fault::timed_out) return exit_timed_out;
  if (operation == "resolve") return exit_resolve;
  if (operation == "connect") return exit_connect;
  if (error == Fault::refused || error == Fault::unreachable) return exit_connect;
  if (operation == "write" || operation == "flush" || operation == "finish" ||
      operation == "send to")
    return exit_send;
  if (operation == "read" || operation == "receive at" || operation == "rsocket")
    return exit_receive;
  return exit_failed;
}

std::string complaint(const Error& error, std::string_view what) {
  std::string line = "koine: ";
  if (column_of(error) == 0) {
    if (!what.empty()) line.append(what).append(": ");
    return line + to_string(error) + "\n";
  }
  line += "malformed ";
  if (!what.empty()) line.append(what).append(" ");
  // point_at() gives two lines: the input, and the caret with the note.
  const std::string lines = point_at(error);
  const std::size_t second = lines.find('\n') + 1;
  return line + lines.substr(0, second) + std::string(line.size(), ' ') + lines.substr(second);
}

int complain(const Error& error, std::string_view what) {
  const std::string text = complaint(error, what);
  std::fwrite(text.data(), 1, text.size(), stderr);
  return exit_code_of(error);
}

}  // namespace koine::cli
