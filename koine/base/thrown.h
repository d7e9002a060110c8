// An exception as an Error: for those who run other people's code and outlive it.
#pragma once

#include <exception>

#include "koine/base/error.h"

namespace koine {

/// The exception that is being handled: called inside `catch (...)`.
inline Error thrown_error(const char* operation) {
  Error error(Fault::system, operation);
  try {
    throw;
  } catch (const std::exception& thrown) {
    return std::move(error).with_note(thrown.what());
  } catch (...) {
    return std::move(error).with_note("an exception");
  }
}

}  // namespace koine
