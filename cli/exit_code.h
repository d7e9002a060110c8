// What the tool exits with, and how it says what went wrong. curl's codes where they fit.
#pragma once

#include <string>
#include <string_view>

#include "koine/base/error.h"
#include "koine/koine.h"

namespace koine::cli {

enum ExitCode : int {
  exit_ok = 0,
  exit_failed = 1,        ///< anything without a code of its own
  exit_usage = 2,         ///< the command line makes no sense
  exit_cut = 3,           ///< a server had to cut connections that did not end in time
  exit_resolve = 6,       ///< the host name has no address
  exit_connect = 7,       ///< nobody could be reached
  exit_output = 23,       ///< standard output, or the file asked for, took no more
  exit_timed_out = 28,    ///< a deadline passed
  exit_empty_reply = 52,  ///< the server finished without a word
  exit_send = 55,         ///< the connection broke while sending
  exit_receive = 56,      ///< the connection broke while receiving, or what came back was wrong
  exit_cut_short = koine::exit_cut,  ///< a server had to cut connections that did not end in time
  exit_threshold = 99,               ///< a threshold that was asked for was not met
};

/// The operations of errors that the tool makes itself, so that they can be told apart.
inline constexpr const char* parse_operation = "parse";
inline constexpr const char* output_operation = "write to";
inline constexpr const char* verify_operation = "verify";

/// The code for an error: the one place that decides it.
ExitCode exit_code_of(const Error& error);

/// What standard error is told: `koine: connect tcp://127.0.0.1:9: refused`. For input with a
/// mistake at a known place, the input and a caret under the place instead. `what` names the input:
/// "--timeout"; a URL needs no name.
std::string complaint(const Error& error, std::string_view what = {});

/// Prints the complaint on standard error; answers the exit code.
int complain(const Error& error, std::string_view what = {});

}  // namespace koine::cli
