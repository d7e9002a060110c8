// koine: the tool.
#include <fcntl.h>

#include <cstdio>
#include <exception>

#include "cli/exit_code.h"
#include "cli/verbs.h"

namespace {

/// Who starts us may have closed standard input or output. The next descriptor that is opened would
/// take its number, and then a socket would be written to by mistake. A closed input becomes an
/// empty one; a closed output one that refuses what is written, so nothing is lost unnoticed.
void keep_standard_descriptors() {
  for (int fd = 0; fd <= 2; ++fd) {
    if (::fcntl(fd, F_GETFD) == -1) ::open("/dev/null", O_RDONLY);  // takes the lowest number
  }
}

}  // namespace

int main(int argc, char** argv) {
  keep_standard_descriptors();
  try {
    koine::cli::Tool tool;
    add_serve(tool);
    add_send(tool);
    add_trace(tool);
    add_call(tool);
    add_bench(tool);
    add_doctor(tool);
    add_demo(tool);
    return tool.main(argc, argv);
  } catch (const std::exception& thrown) {  // the standard library's; koine throws nothing
    std::fprintf(stderr, "koine: %s\n", thrown.what());
    return koine::cli::exit_failed;
  }
}
