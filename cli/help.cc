// --help: what fits on a terminal.
#include <algorithm>

#include "cli/exit_code.h"
#include "cli/reference.h"

namespace koine::cli {
namespace {

constexpr std::size_t headings_columns_max = 26;

std::string joined(const std::vector<std::string>& words, const std::string& between) {
  std::string line;
  for (const std::string& word : words) {
    if (!line.empty()) line += between;
    line += word;
  }
  return line;
}

/// A heading and, beside it or below it, what it means.
std::string entry(const std::string& heading, const std::string& meaning, std::size_t column,
                  std::size_t columns) {
  std::string lines = "  " + heading;
  const std::string text = wrapped(meaning, column, columns);
  if (lines.size() + 2 > column) return lines + "\n" + text;
  return lines + text.substr(std::min(lines.size(), text.size()));
}

std::string entries(const std::string& title, const std::vector<OptionText>& options,
                    std::size_t columns) {
  if (options.empty()) return {};
  std::size_t longest = 0;
  for (const OptionText& option : options) longest = std::max(longest, option.heading().size());
  const std::size_t column = std::min(longest, headings_columns_max) + 4;
  std::string text = "\n" + title + ":\n";
  for (const OptionText& option : options)
    text += entry(option.heading(), meaning_of(option), column, columns);
  return text;
}

std::string help_of_tool(const Tool& tool, std::size_t columns) {
  std::string text = usage_of(tool, tool.app()) + "\n\n";
  text += wrapped(tool.app().get_description(), 0, columns);
  text += "\nVerbs:\n";
  for (const CLI::App* verb : tool.verbs())
    text += entry(verb->get_name(), tool.page(*verb).summary, 10, columns);
  text += entries("Options", options_of(tool, tool.app()), columns);
  text += "\nExit codes:\n";
  for (const ExitText& exit : exit_codes())
    text += entry(std::to_string(exit.code), exit.meaning, 6, columns);
  return text + "\nkoine VERB --help tells more about a verb, man koine everything.\n";
}

}  // namespace

std::string wrapped(const std::string& text, std::size_t indent, std::size_t columns) {
  std::string lines;
  std::string line(indent, ' ');
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    const std::string word = text.substr(at, end - at);
    at = end + 1;
    if (word.empty()) continue;
    const bool begins = line.size() == indent;
    if (!begins && line.size() + 1 + word.size() > columns) {
      lines += line + "\n";
      line.assign(indent, ' ');
      line += word;
    } else {
      if (!begins) line += ' ';
      line += word;
    }
  }
  return lines + line + "\n";
}

std::string meaning_of(const OptionText& option) {
  std::string meaning = option.purpose;
  if (!option.choices.empty()) meaning += ": " + joined(option.choices, ", ");
  if (!option.by_default.empty()) meaning += " (default: " + option.by_default + ")";
  if (option.repeated && option.place.empty()) meaning += "; may be given more than once";
  return meaning;
}

std::string OptionText::heading() const {
  if (!place.empty()) return place + (repeated ? "..." : "");
  std::vector<std::string> names;
  names.reserve(short_names.size() + long_names.size());
  for (const std::string& name : short_names) names.push_back("-" + name);
  for (const std::string& name : long_names) names.push_back("--" + name);
  return joined(names, ", ") + (value.empty() ? "" : " " + value);
}

std::vector<OptionText> options_of(const Tool& tool, const CLI::App& verb) {
  std::vector<OptionText> options;
  for (const CLI::Option* option : verb.get_options()) {
    if (option->get_group().empty()) continue;  // hidden
    OptionText text;
    text.short_names = option->get_snames();
    text.long_names = option->get_lnames();
    if (option->get_positional()) text.place = option->get_name(true);
    if (option->get_items_expected_max() > 0) text.value = option->get_type_name();
    text.purpose = option->get_description();
    text.by_default = option->get_default_str();
    text.choices = tool.choices(*option);
    text.required = option->get_required();
    text.repeated = option->get_items_expected_max() > 1;
    options.push_back(std::move(text));
  }
  return options;
}

std::string usage_of(const Tool& tool, const CLI::App& verb) {
  if (&verb == &tool.app()) return "Usage: koine VERB [OPTION...]";
  std::string usage = "Usage: koine " + verb.get_name() + " [OPTION...]";
  for (const OptionText& option : options_of(tool, verb)) {
    if (option.place.empty()) continue;
    usage += option.required ? " " + option.heading() : " [" + option.heading() + "]";
  }
  return usage;
}

std::vector<ExitText> exit_codes() {
  return {
      {exit_ok, "all went well"},
      {exit_failed, "something failed that has no code of its own"},
      {exit_usage, "the command line makes no sense"},
      {exit_resolve, "the host name has no address"},
      {exit_connect, "nobody could be reached"},
      {exit_output, "the output could not be written"},
      {exit_timed_out, "a deadline passed"},
      {exit_empty_reply, "the server finished without a word"},
      {exit_send, "the connection broke while sending"},
      {exit_receive, "the connection broke while receiving, or what came back was wrong"},
      {exit_cut_short, "a server was stopped and had to cut connections that did not end in time"},
      {exit_threshold, "a threshold that was asked for was not met"},
  };
}

std::vector<EnvironmentText> environment_of_tool() {
  return {{"KOINE_MULTIPLEXER",
           "The multiplexer to use where none is chosen: io_uring, epoll, poll or select"},
          {"NO_COLOR", "If set and not empty, nothing is printed in colour"}};
}

std::string help_of(const Tool& tool, const CLI::App& verb, std::size_t columns) {
  if (&verb == &tool.app()) return help_of_tool(tool, columns);
  std::string text = usage_of(tool, verb) + "\n";
  const Page& page = tool.page(verb);
  for (const std::string& paragraph : page.paragraphs)
    text += "\n" + wrapped(paragraph, 0, columns);

  std::vector<OptionText> arguments = options_of(tool, verb);
  std::vector<OptionText> options;
  std::erase_if(arguments, [&](const OptionText& option) {
    if (option.place.empty()) options.push_back(option);
    return option.place.empty();
  });
  text += entries("Arguments", arguments, columns);
  text += entries("Options", options, columns);
  if (!page.examples.empty()) text += "\nExamples:\n";
  for (const Example& example : page.examples)
    text += "  " + example.command + "\n" + wrapped(example.purpose, 6, columns);
  return text;
}

}  // namespace koine::cli
