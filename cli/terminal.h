// What is at the other end of a descriptor: a person, or a program.
//
// A person gets colours, and one line that tells how far long work has come; a program gets
// neither.
#pragma once

#include <string>
#include <string_view>

namespace koine::cli {

/// True if `fd` is a terminal.
bool is_terminal(int fd);

/// Columns of the terminal at `fd`; 80 if it is none, or does not say.
int columns_of(int fd);

/// Text in colour for a terminal that has any (and if NO_COLOR is not set, see no-color.org);
/// elsewhere the text as it is.
class Colours {
 public:
  explicit Colours(int fd);
  explicit Colours(bool on) : on_(on) {}

  std::string bold(std::string_view text) const { return in("1", text); }
  std::string dim(std::string_view text) const { return in("2", text); }
  std::string red(std::string_view text) const { return in("31", text); }
  std::string green(std::string_view text) const { return in("32", text); }
  std::string yellow(std::string_view text) const { return in("33", text); }
  std::string cyan(std::string_view text) const { return in("36", text); }

 private:
  std::string in(std::string_view code, std::string_view text) const;

  bool on_;
};

/// One line on standard error that is replaced again and again; nothing at all in a pipe.
class Progress {
 public:
  Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() { clear(); }

  bool wanted() const { return wanted_; }
  void show(std::string_view line);
  void clear();

 private:
  bool wanted_;
  bool shown_ = false;
};

}  // namespace koine::cli
