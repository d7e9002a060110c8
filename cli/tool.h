// Tool: the verbs, their options, and what the manual says about them.
//
// One definition feeds the parser, --help, the manual page and the completions of three shells, so
// none of them can tell a different story. A verb is one file with one function, listed in verbs.h.
#pragma once

#include <CLI/App.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "koine/base/error.h"
#include "koine/base/time.h"
#include "koine/transport/endpoint.h"

namespace koine::cli {

/// A command line, and what it does.
struct Example {
  std::string command;
  std::string purpose;
};

/// What there is to say about a verb beside its options.
struct Page {
  std::string summary;  ///< a few words, for the list of verbs
  std::vector<std::string>
      paragraphs;  ///< each of any length; they are wrapped where they are shown
  std::vector<Example> examples;
};

/// What may be spoken at an endpoint: bytes or datagrams as they are, or messages (RSocket).
enum class Speaks { bytes, messages, either };

class Tool {
 public:
  Tool();
  Tool(const Tool&) = delete;
  Tool& operator=(const Tool&) = delete;

  /// A new verb. `run` answers the exit code; it runs once all options have their values.
  CLI::App& verb(const std::string& name, Page page, std::function<int()> run);

  // Options of a verb. `name` is "--timeout", "-o,--output", or for an argument by its place "URL".
  // The variable is the default, and has to outlive run(). What is malformed is complained about
  // with a caret under the mistake.

  CLI::Option* endpoint(CLI::App& verb, const std::string& name, Endpoint& into,
                        const std::string& purpose, Speaks speaks = Speaks::bytes);
  CLI::Option* endpoints(CLI::App& verb, const std::string& name, std::vector<Endpoint>& into,
                         const std::string& purpose, Speaks speaks = Speaks::bytes);
  /// More than zero, unless `zero` says what zero means: "0 for no limit".
  CLI::Option* duration(CLI::App& verb, const std::string& name, Duration& into,
                        const std::string& purpose, bool zero_allowed = false);
  CLI::Option* size(CLI::App& verb, const std::string& name, std::uint64_t& into,
                    std::uint64_t least, std::uint64_t most, const std::string& purpose);
  CLI::Option* count(CLI::App& verb, const std::string& name, std::uint64_t& into,
                     std::uint64_t least, std::uint64_t most, const std::string& purpose);
  CLI::Option* rate(CLI::App& verb, const std::string& name, double& into,
                    const std::string& purpose);
  CLI::Option* choice(CLI::App& verb, const std::string& name, std::string& into,
                      const std::vector<std::string>& choices, const std::string& purpose);

  /// Several of them, separated by commas; "all" is all of `choices`.
  CLI::Option* choice_list(CLI::App& verb, const std::string& name, std::vector<std::string>& into,
                           const std::vector<std::string>& choices, const std::string& purpose);
  /// Several counts, separated by commas, rising.
  CLI::Option* count_list(CLI::App& verb, const std::string& name, std::vector<std::uint64_t>& into,
                          std::uint64_t least, std::uint64_t most, const std::string& purpose);

  /// `--multiplexer` as all verbs have it.
  CLI::Option* multiplexer(CLI::App& verb, std::string& into);
  /// `--json` as all verbs have it.
  CLI::Option* json(CLI::App& verb, bool& into);

  /// Reads the command line and runs what it asks for; the exit code.
  int main(int argc, char** argv);

  // For who describes the tool.

  CLI::App& app() { return app_; }
  const CLI::App& app() const { return app_; }
  const Page& page(const CLI::App& verb) const { return pages_.at(verb.get_name()); }
  std::vector<const CLI::App*> verbs() const;
  /// The words an option may have as its value; none if any will do.
  std::vector<std::string> choices(const CLI::Option& option) const;

 private:
  template <class Value, class Read>
  CLI::Option* value(CLI::App& verb, const std::string& name, Value& into,
                     const std::string& purpose, Read read);
  int complain_about(const CLI::ParseError& error) const;
  int describe(const std::string& shell);

  CLI::App app_;
  std::map<std::string, Page> pages_;
  std::map<const CLI::Option*, std::vector<std::string>> choices_;
  std::function<int()> chosen_;
  /// Values are read after the whole line is understood, so that --help is heard first.
  std::vector<std::function<int()>> pending_;
  std::string completion_;
  bool manual_ = false;
};

}  // namespace koine::cli
