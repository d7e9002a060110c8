// A service that answers messages: what koine call and koine bench try things out with.
#pragma once

#include "koine/messages.h"

namespace koine::cli {

/// Routes echo, count, sum, slow and fail: see the page of koine serve.
Service message_service();

}  // namespace koine::cli
