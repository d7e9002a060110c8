// The reference: what the tool's definition says, as help, as a manual page and as completions.
//
// All of it is read from the definition that also parses the command line (tool.h), so a new option
// is in all of them as soon as it exists.
#pragma once

#include <string>
#include <vector>

#include "cli/tool.h"

namespace koine::cli {

/// One option, or one argument that is known by its place.
struct OptionText {
  std::vector<std::string> short_names;  ///< without their dashes
  std::vector<std::string> long_names;
  std::string place;  ///< URL, TEXT; empty for what has a name
  std::string value;  ///< DURATION; empty for what takes none
  std::string purpose;
  std::string by_default;
  std::vector<std::string> choices;
  bool required = false;
  bool repeated = false;

  /// "-o, --output FILE", or "URL".
  std::string heading() const;
};

/// What a person may write; hidden options are left out.
std::vector<OptionText> options_of(const Tool& tool, const CLI::App& verb);

/// Its purpose, the words it may have, and what it is if it is not given.
std::string meaning_of(const OptionText& option);

/// "koine send [OPTION...] URL [TEXT]"
std::string usage_of(const Tool& tool, const CLI::App& verb);

/// The codes the tool exits with and what they mean.
struct ExitText {
  int code;
  std::string meaning;
};
std::vector<ExitText> exit_codes();

/// The variables of the environment that the tool heeds.
struct EnvironmentText {
  std::string name;
  std::string meaning;
};
std::vector<EnvironmentText> environment_of_tool();

/// What --help prints; no line is longer than `columns`, except for examples.
std::string help_of(const Tool& tool, const CLI::App& verb, std::size_t columns);

/// koine(1), in the man(7) macros.
std::string manual_of(const Tool& tool);

/// A completion script for "bash", "zsh" or "fish"; empty for any other shell.
std::string completion_of(const Tool& tool, const std::string& shell);

/// `text` in lines of at most `columns` that begin with `indent` blanks.
std::string wrapped(const std::string& text, std::size_t indent, std::size_t columns);

}  // namespace koine::cli
