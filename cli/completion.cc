// Completions for bash, zsh and fish: verbs, options, and the words that an option may have.
#include <algorithm>

#include "cli/reference.h"

namespace koine::cli {
namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) line += (line.empty() ? "" : " ") + word;
  return line;
}

std::vector<std::string> names_of(const OptionText& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.short_names) names.push_back("-" + name);
  for (const std::string& name : option.long_names) names.push_back("--" + name);
  return names;
}

/// Options and, of arguments by place, the words they may be.
std::string words_of(const Tool& tool, const CLI::App& verb) {
  std::vector<std::string> words;
  for (const OptionText& option : options_of(tool, verb)) {
    std::ranges::copy(names_of(option), std::back_inserter(words));
    if (!option.place.empty()) std::ranges::copy(option.choices, std::back_inserter(words));
  }
  return joined(words);
}

/// In single quotes, for all three shells: '\'' ends them, adds one, and begins again.
std::string in_quotes(const std::string& text) {
  std::string safe = "'";
  for (const char c : text) safe += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return safe + "'";
}

/// What follows an option: its words, a file, or something only the user knows.
std::string bash_value(const OptionText& option) {
  if (!option.choices.empty())
    return "COMPREPLY=($(compgen -W '" + joined(option.choices) + "' -- \"$word\"))";
  if (option.value == "FILE") return "COMPREPLY=($(compgen -f -- \"$word\"))";
  return "COMPREPLY=()";
}

std::string bash(const Tool& tool) {
  std::string text =
      "# bash completion for koine\n"
      "_koine() {\n"
      "  local word=\"${COMP_WORDS[COMP_CWORD]}\" before=\"${COMP_WORDS[COMP_CWORD-1]}\" verb= i\n"
      "  for ((i = 1; i < COMP_CWORD; ++i)); do\n"
      "    if [[ ${COMP_WORDS[i]} != -* ]]; then verb=${COMP_WORDS[i]}; break; fi\n"
      "  done\n"
      "  case \"$verb:$before\" in\n";
  std::vector<std::string> verbs;
  std::string words;
  for (const CLI::App* verb : tool.verbs()) {
    verbs.push_back(verb->get_name());
    for (const OptionText& option : options_of(tool, *verb)) {
      if (option.value.empty() || !option.place.empty()) continue;
      for (const std::string& name : names_of(option))
        text +=
            "    " + verb->get_name() + ":" + name + ") " + bash_value(option) + "; return ;;\n";
    }
    words += "    " + verb->get_name() + ") words='" + words_of(tool, *verb) + "' ;;\n";
  }
  text += "  esac\n  local words\n  case \"$verb\" in\n    '') words='" + joined(verbs) + " " +
          words_of(tool, tool.app()) + "' ;;\n" + words + "  esac\n";
  return text +
         "  COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
         "}\n"
         "complete -F _koine koine\n";
}

/// A part of an _arguments specification, in which ':' and brackets mean something.
std::string zsh_text(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    if (c == ':' || c == '[' || c == ']' || c == '\\') safe += '\\';
    safe += c;
  }
  return safe;
}

std::string zsh_action(const OptionText& option) {
  if (!option.choices.empty()) return "(" + joined(option.choices) + ")";
  return option.value == "FILE" ? "_files" : "";
}

std::string zsh_arguments(const Tool& tool, const CLI::App& app, const std::string& indent) {
  std::string text;
  for (const OptionText& option : options_of(tool, app)) {
    const std::string what = zsh_text(option.value.empty() ? option.place : option.value);
    if (!option.place.empty()) {
      const std::string place = option.repeated ? "*:" : option.required ? ":" : "::";
      text += " \\\n" + indent + in_quotes(place + what + ":" + zsh_action(option));
    }
    for (const std::string& name : names_of(option)) {
      std::string spec = (option.repeated ? "*" : "") + name + "[" + zsh_text(option.purpose) + "]";
      if (!option.value.empty()) spec += ":" + what + ":" + zsh_action(option);
      text += " \\\n" + indent + in_quotes(spec);
    }
  }
  return text;
}

std::string zsh(const Tool& tool) {
  std::string text =
      "#compdef koine\n"
      "_koine() {\n"
      "  local line state\n"
      "  _arguments -C" +
      zsh_arguments(tool, tool.app(), "    ") +
      " \\\n    '1: :->verb' '*:: :->rest'\n"
      "  case $state in\n"
      "    verb)\n"
      "      local -a verbs=(\n";
  for (const CLI::App* verb : tool.verbs())
    text += "        " + in_quotes(verb->get_name() + ":" + tool.page(*verb).summary) + "\n";
  text += "      )\n      _describe verb verbs ;;\n    rest)\n      case $line[1] in\n";
  for (const CLI::App* verb : tool.verbs()) {
    text += "        " + verb->get_name() + ") _arguments" +
            zsh_arguments(tool, *verb, "          ") + " ;;\n";
  }
  return text + "      esac ;;\n  esac\n}\n_koine \"$@\"\n";
}

std::string fish_option(const OptionText& option, const std::string& condition) {
  std::string text = "complete -c koine -n " + in_quotes(condition);
  for (const std::string& name : option.short_names) text += " -s " + name;
  for (const std::string& name : option.long_names) text += " -l " + name;
  if (!option.value.empty() && option.place.empty())
    text += option.value == "FILE" ? " -rF" : " -x";
  if (!option.choices.empty()) text += " -a " + in_quotes(joined(option.choices));
  return text + " -d " + in_quotes(option.purpose) + "\n";
}

std::string fish(const Tool& tool) {
  std::string text = "# fish completion for koine\ncomplete -c koine -f\n";
  for (const OptionText& option : options_of(tool, tool.app()))
    text += fish_option(option, "__fish_use_subcommand");
  for (const CLI::App* verb : tool.verbs()) {
    text += "complete -c koine -n __fish_use_subcommand -a " + verb->get_name() + " -d " +
            in_quotes(tool.page(*verb).summary) + "\n";
    for (const OptionText& option : options_of(tool, *verb)) {
      if (!option.place.empty() && option.choices.empty()) continue;
      text += fish_option(option, "__fish_seen_subcommand_from " + verb->get_name());
    }
  }
  return text;
}

}  // namespace

std::string completion_of(const Tool& tool, const std::string& shell) {
  if (shell == "bash") return bash(tool);
  if (shell == "zsh") return zsh(tool);
  if (shell == "fish") return fish(tool);
  return {};
}

}  // namespace koine::cli
