#include "cli/tool.h"

#include <unistd.h>

// The parts of CLI11 that are to be somewhere once, and that only App's constructor uses.
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "cli/exit_code.h"
#include "cli/reference.h"
#include "cli/terminal.h"
#include "koine/os/multiplexer.h"
#include "koine/transport/units.h"

namespace koine::cli {
namespace {

/// An endpoint at which what `speaks` says is spoken, and nothing else above the transport.
Result<Endpoint> read_endpoint(const std::string& text, Speaks speaks) {
  auto endpoint = parse_endpoint(text);
  if (!endpoint) return endpoint;
  const bool bytes = endpoint->protocol().empty();
  const bool messages = endpoint->protocol() == "rsocket";
  if ((bytes && speaks != Speaks::messages) || (messages && speaks != Speaks::bytes))
    return endpoint;
  constexpr const char* expected_bytes = "tcp://, udp://, unix:, unixgram:, fd:// or systemd://";
  constexpr const char* expected_messages = "rsocket+tcp://, rsocket+unix: or rsocket+fd://";
  std::string expected = "expected ";
  if (speaks != Speaks::messages) expected += expected_bytes;
  if (speaks == Speaks::either) expected += ", or for messages ";
  if (speaks != Speaks::bytes) expected += expected_messages;
  return std::unexpected(malformed(text, {0, expected.c_str()}));
}

/// Standard output; what cannot be written there is an error like any other.
int print(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0)
    return exit_ok;
  return complain(Error(Fault::system, output_operation, "standard output", errno));
}

Result<std::uint64_t> read_count(const std::string& text) {
  std::uint64_t count = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, count);
  const auto offset = static_cast<std::size_t>(rest - text.data());
  if (error == std::errc::result_out_of_range)
    return std::unexpected(malformed(text, {0, "the number is too large"}));
  if (error != std::errc() || rest != end) {
    return std::unexpected(
        malformed(text, {offset, "expected a whole number, " + found_at(text, offset)}));
  }
  return count;
}

Error out_of_bounds(const std::string& text, const std::string& least, const std::string& most) {
  return malformed(text, {0, "expected " + least + " to " + most});
}

Result<std::uint64_t> read_count_within(const std::string& text, std::uint64_t least,
                                        std::uint64_t most) {
  auto got = read_count(text);
  if (got && (*got < least || *got > most))
    return std::unexpected(out_of_bounds(text, std::to_string(least), std::to_string(most)));
  return got;
}

Result<std::string> read_choice(const std::string& text, const std::vector<std::string>& choices) {
  if (std::find(choices.begin(), choices.end(), text) != choices.end()) return text;
  std::string expected;
  for (const std::string& choice : choices) {
    if (!expected.empty()) expected += &choice == &choices.back() ? " or " : ", ";
    expected += choice;
  }
  return std::unexpected(malformed(text, {0, "expected " + expected}));
}

/// What lies between the commas.
std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    parts.push_back(text.substr(at, comma - at));
    at = comma + 1;
  }
  return parts;
}

}  // namespace

Tool::Tool()
    : app_("Starts, calls, measures and examines servers: TCP, UDP and Unix sockets.", "koine") {
  app_.set_help_flag("-h,--help", "Print this and exit");
  app_.set_version_flag("-V,--version", "koine " KOINE_VERSION, "Print the version and exit");
  app_.require_subcommand(0, 1);
  app_.formatter_fn([this](const CLI::App* app, const std::string&, CLI::AppFormatMode) {
    const auto columns = static_cast<std::size_t>(std::clamp(columns_of(STDOUT_FILENO), 60, 100));
    return help_of(*this, *app, columns);
  });
  app_.add_flag("--man", manual_, "Print the manual page")->group("");
  app_.add_option("--completion", completion_, "Print completions for a shell")->group("");
}

CLI::App& Tool::verb(const std::string& name, Page page, std::function<int()> run) {
  CLI::App& verb = *app_.add_subcommand(name, page.summary);
  pages_.emplace(name, std::move(page));
  verb.callback([this, run = std::move(run)] { chosen_ = run; });
  return verb;
}

template <class Value, class Read>
CLI::Option* Tool::value(CLI::App& verb, const std::string& name, Value& into,
                         const std::string& purpose, Read read) {
  const std::string shown = name.substr(name.rfind(',') + 1);
  return verb.add_option_function<std::string>(
      name,
      [this, &into, shown, read](const std::string& text) {
        pending_.emplace_back([&into, shown, read, text] {
          auto got = read(text);
          if (!got) return complain(got.error(), shown);
          into = static_cast<Value>(std::move(*got));
          return static_cast<int>(exit_ok);
        });
      },
      purpose);
}

CLI::Option* Tool::endpoint(CLI::App& verb, const std::string& name, Endpoint& into,
                            const std::string& purpose, Speaks speaks) {
  const auto read = [speaks](const std::string& text) { return read_endpoint(text, speaks); };
  return value(verb, name, into, purpose, read)->type_name("URL");
}

CLI::Option* Tool::endpoints(CLI::App& verb, const std::string& name, std::vector<Endpoint>& into,
                             const std::string& purpose, Speaks speaks) {
  const auto read_all = [this, &into, name, speaks](const std::vector<std::string>& texts) {
    for (const std::string& text : texts) {
      pending_.emplace_back([&into, name, text, speaks] {
        auto got = read_endpoint(text, speaks);
        if (!got) return complain(got.error(), name);
        into.push_back(std::move(*got));
        return static_cast<int>(exit_ok);
      });
    }
  };
  return verb.add_option_function<std::vector<std::string>>(name, read_all, purpose)
      ->type_name("URL")
      ->allow_extra_args(false);
}

CLI::Option* Tool::duration(CLI::App& verb, const std::string& name, Duration& into,
                            const std::string& purpose, bool zero_allowed) {
  const auto read = [zero_allowed](const std::string& text) -> Result<Duration> {
    auto got = parse_duration(text);
    if (got && *got == Duration::zero() && !zero_allowed)
      return std::unexpected(malformed(text, {0, "expected more than no time at all"}));
    return got;
  };
  return value(verb, name, into, purpose, read)
      ->type_name("DURATION")
      ->default_str(format_duration(into));
}

CLI::Option* Tool::size(CLI::App& verb, const std::string& name, std::uint64_t& into,
                        std::uint64_t least, std::uint64_t most, const std::string& purpose) {
  const auto read = [least, most](const std::string& text) -> Result<std::uint64_t> {
    auto got = parse_size(text);
    if (got && (*got < least || *got > most))
      return std::unexpected(out_of_bounds(text, format_size(least), format_size(most)));
    return got;
  };
  return value(verb, name, into, purpose, read)->type_name("SIZE")->default_str(format_size(into));
}

CLI::Option* Tool::count(CLI::App& verb, const std::string& name, std::uint64_t& into,
                         std::uint64_t least, std::uint64_t most, const std::string& purpose) {
  const auto read = [least, most](const std::string& text) {
    return read_count_within(text, least, most);
  };
  return value(verb, name, into, purpose, read)
      ->type_name("NUMBER")
      ->default_str(std::to_string(into));
}

CLI::Option* Tool::rate(CLI::App& verb, const std::string& name, double& into,
                        const std::string& purpose) {
  return value(verb, name, into, purpose, [](const std::string& text) { return parse_rate(text); })
      ->type_name("RATE");
}

CLI::Option* Tool::choice(CLI::App& verb, const std::string& name, std::string& into,
                          const std::vector<std::string>& choices, const std::string& purpose) {
  const auto read = [choices](const std::string& text) { return read_choice(text, choices); };
  CLI::Option* option = value(verb, name, into, purpose, read)->type_name("WORD");
  if (!into.empty()) option->default_str(into);
  choices_[option] = choices;
  return option;
}

CLI::Option* Tool::choice_list(CLI::App& verb, const std::string& name,
                               std::vector<std::string>& into,
                               const std::vector<std::string>& choices,
                               const std::string& purpose) {
  std::vector<std::string> words = choices;
  words.emplace_back("all");
  const auto read = [choices, words](const std::string& text) -> Result<std::vector<std::string>> {
    if (text == "all") return choices;
    std::vector<std::string> chosen;
    for (const std::string& part : split(text)) {
      auto word = read_choice(part, words);
      if (!word) return std::unexpected(std::move(word.error()));
      if (part == "all" || std::find(chosen.begin(), chosen.end(), part) != chosen.end())
        return std::unexpected(malformed(text, {0, "expected each once"}));
      chosen.push_back(part);
    }
    return chosen;
  };
  CLI::Option* option = value(verb, name, into, purpose, read)->type_name("WORD[,WORD...]");
  choices_[option] = words;
  return option;
}

CLI::Option* Tool::count_list(CLI::App& verb, const std::string& name,
                              std::vector<std::uint64_t>& into, std::uint64_t least,
                              std::uint64_t most, const std::string& purpose) {
  const auto read = [least, most](const std::string& text) -> Result<std::vector<std::uint64_t>> {
    std::vector<std::uint64_t> counts;
    for (const std::string& part : split(text)) {
      auto got = read_count_within(part, least, most);
      if (!got) return std::unexpected(std::move(got.error()));
      if (!counts.empty() && *got <= counts.back())
        return std::unexpected(malformed(text, {0, "expected each larger than the one before"}));
      counts.push_back(*got);
    }
    return counts;
  };
  return value(verb, name, into, purpose, read)->type_name("NUMBER[,NUMBER...]");
}

CLI::Option* Tool::multiplexer(CLI::App& verb, std::string& into) {
  const auto& names = os::multiplexer_names();
  return choice(
      verb, "--multiplexer", into, {names.begin(), names.end()},
      "How the kernel is asked for news; unset, KOINE_MULTIPLEXER or the best that works");
}

CLI::Option* Tool::json(CLI::App& verb, bool& into) {
  return verb.add_flag("--json", into, "Print one JSON object a line instead of text for people");
}

std::vector<const CLI::App*> Tool::verbs() const {
  return app_.get_subcommands([](const CLI::App*) { return true; });
}

std::vector<std::string> Tool::choices(const CLI::Option& option) const {
  const auto found = choices_.find(&option);
  return found == choices_.end() ? std::vector<std::string>() : found->second;
}

int Tool::main(int argc, char** argv) {
  try {
    app_.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    const auto parsed = app_.get_subcommands();
    return print(parsed.empty() ? app_.help() : parsed.front()->help());
  } catch (const CLI::CallForVersion& version) {
    return print(std::string(version.what()) + "\n");
  } catch (const CLI::ParseError& error) {
    return complain_about(error);
  }
  if (manual_) return print(manual_of(*this));
  if (!completion_.empty()) return describe(completion_);
  if (!chosen_) {
    std::fprintf(stderr, "koine: which verb? koine --help lists them\n");
    return exit_usage;
  }
  for (const auto& read : pending_) {
    if (const int code = read(); code != exit_ok) return code;
  }
  return chosen_();
}

/// CLI11's own words, with a hint where to read on.
int Tool::complain_about(const CLI::ParseError& error) const {
  const auto parsed = app_.get_subcommands();
  std::string of;
  if (!parsed.empty()) of = " " + parsed.front()->get_name();
  std::string what = error.what();
  const auto remaining = app_.remaining();
  if (parsed.empty() && !remaining.empty() && remaining.front().front() != '-')
    what = remaining.front() + " is no verb";
  std::fprintf(stderr, "koine%s: %s (koine%s --help tells what is)\n", of.c_str(), what.c_str(),
               of.c_str());
  return exit_usage;
}

int Tool::describe(const std::string& shell) {
  const std::string script = completion_of(*this, shell);
  if (!script.empty()) return print(script);
  std::fprintf(stderr, "koine: --completion %s: expected bash, zsh or fish\n", shell.c_str());
  return exit_usage;
}

}  // namespace koine::cli
