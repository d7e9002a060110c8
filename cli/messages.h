// A service that answers messages: what koine call and koine bench try things out with.
#pragma once

#include "koine/koine.h"
#include "koine/messages.h"

namespace koine::cli {

/// Routes echo, count, sum, slow and fail: see the page of koine serve.
Service message_service();

/// Serves it on each connection. Who offers to follow messages is told of this end of their way.
Served message_server();

}  // namespace koine::cli
