// The verbs. Each adds itself to the tool; each is in the file of its name.
#pragma once

#include "cli/tool.h"

namespace koine::cli {

void add_serve(Tool& tool);
void add_send(Tool& tool);
void add_trace(Tool& tool);
void add_call(Tool& tool);
void add_bench(Tool& tool);
void add_doctor(Tool& tool);
void add_demo(Tool& tool);

}  // namespace koine::cli
