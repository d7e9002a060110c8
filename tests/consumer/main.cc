// A program of somebody else's, built with an installed koine.
#include <cstdio>

#include <koine/base/error.h>

int main() {
  const koine::Error error(koine::Fault::refused, "connect", "tcp://10.0.0.7:80");
  std::puts(koine::to_string(error).c_str());
}
