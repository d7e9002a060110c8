// koine(1), in the man(7) macros.
#include "cli/reference.h"

namespace koine::cli {
namespace {

/// Text that roff takes literally. A hyphen would become a dash that no shell understands, and a
/// line that begins with a dot or a quote would be a command.
std::string escaped(const std::string& text) {
  std::string safe;
  if (!text.empty() && (text[0] == '.' || text[0] == '\'')) safe = "\\&";
  for (const char c : text) {
    switch (c) {
      case '\\': safe += "\\e"; break;
      case '-': safe += "\\-"; break;
      case '\'': safe += "\\(aq"; break;
      case '`': safe += "\\(ga"; break;
      case '^': safe += "\\(ha"; break;
      case '~': safe += "\\(ti"; break;
      default: safe += c;
    }
  }
  return safe;
}

/// An argument of a macro, in quotes.
std::string in_quotes(const std::string& text) {
  std::string safe = "\"";
  for (const char c : escaped(text)) safe += c == '"' ? std::string("\\(dq") : std::string(1, c);
  return safe + "\"";
}

/// "\fB--timeout\fR \fIDURATION\fR"
std::string heading_of(const OptionText& option) {
  if (!option.place.empty()) return "\\fI" + escaped(option.heading()) + "\\fR";
  std::string text;
  const auto add = [&](const std::string& name) {
    text += (text.empty() ? "\\fB" : ", \\fB") + escaped(name) + "\\fR";
  };
  for (const std::string& name : option.short_names) add("-" + name);
  for (const std::string& name : option.long_names) add("--" + name);
  return option.value.empty() ? text : text + " \\fI" + escaped(option.value) + "\\fR";
}

std::string entry(const OptionText& option) {
  return ".TP\n" + heading_of(option) + "\n" + escaped(meaning_of(option)) + "\n";
}

std::string synopsis(const Tool& tool, const CLI::App& verb) {
  std::string text = ".B koine " + escaped(verb.get_name()) + "\n[\\fIOPTION\\fR...]";
  for (const OptionText& option : options_of(tool, verb)) {
    if (option.place.empty()) continue;
    const std::string place = "\\fI" + escaped(option.heading()) + "\\fR";
    text += option.required ? " " + place : " [" + place + "]";
  }
  return text + "\n";
}

std::string section_of(const Tool& tool, const CLI::App& verb) {
  const Page& page = tool.page(verb);
  std::string text = ".SS " + in_quotes("koine " + verb.get_name()) + "\n" + synopsis(tool, verb);
  for (const std::string& paragraph : page.paragraphs) text += ".PP\n" + escaped(paragraph) + "\n";
  for (const OptionText& option : options_of(tool, verb)) text += entry(option);
  return text;
}

std::string examples_of(const Tool& tool) {
  std::string text;
  for (const CLI::App* verb : tool.verbs()) {
    for (const Example& example : tool.page(*verb).examples) {
      text += ".TP\n.B " + escaped(example.command) + "\n" + escaped(example.purpose) + "\n";
    }
  }
  return text;
}

}  // namespace

std::string manual_of(const Tool& tool) {
  std::string text =
      ".\\\" Made by koine --man from the definition of its command line.\n"
      ".TH KOINE 1 \"\" " +
      in_quotes("koine " KOINE_VERSION) + " \"User Commands\"\n.nh\n.ad l\n";
  text += ".SH NAME\nkoine \\- start, call, measure and examine servers\n.SH SYNOPSIS\n";
  for (const CLI::App* verb : tool.verbs()) {
    if (verb != tool.verbs().front()) text += ".br\n";
    text += synopsis(tool, *verb);
  }
  text += ".SH DESCRIPTION\n" + escaped(tool.app().get_description()) + "\n";
  for (const OptionText& option : options_of(tool, tool.app())) text += entry(option);
  text += ".SH VERBS\n";
  for (const CLI::App* verb : tool.verbs()) text += section_of(tool, *verb);
  text += ".SH \"EXIT STATUS\"\n";
  for (const ExitText& exit : exit_codes())
    text += ".TP\n.B " + std::to_string(exit.code) + "\n" + escaped(exit.meaning) + "\n";
  text += ".SH ENVIRONMENT\n";
  for (const auto& [name, meaning] : environment_of_tool())
    text += ".TP\n.B " + escaped(name) + "\n" + escaped(meaning) + "\n";
  return text + ".SH EXAMPLES\n" + examples_of(tool);
}

}  // namespace koine::cli
