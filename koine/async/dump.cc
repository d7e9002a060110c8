// Loop::dump(): the tree of tasks, each with the chain of what it waits for.
//
//     task 1, spawned at main.cc:12
//       in serve at server.cc:30
//       waits: join
//         task 2
//           in greet at server.cc:44
//           waits: all
//           - in ask at server.cc:51
//             waits: read tcp://10.0.0.7:80
//           - waits: sleep
//
// A scope's children stand below the task that waits in join() for them; while nobody does they
// stand at the left. Nothing is kept at run time for this but what Awaited, the list of roots and
// the place of each co_await say anyway.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "koine/async/loop.h"
#include "koine/base/joined.h"

namespace koine {
namespace {

void erase_all(std::string& text, std::string_view what) {
  for (auto at = text.find(what); at != text.npos; at = text.find(what, at)) {
    text.erase(at, what.size());
  }
}

/// Where the bracket is that the one at `close` closes.
std::size_t opening(std::string_view text, std::size_t close) {
  int depth = 0;
  for (std::size_t at = close + 1; at-- > 0;) {
    if (text[at] == ')' || text[at] == '>') ++depth;
    if ((text[at] == '(' || text[at] == '<') && --depth == 0) return at;
  }
  return 0;
}

/// What a person calls "Io<void> koine::(anonymous namespace)::echo(std::unique_ptr<Stream>)":
/// koine::echo. Clang and GCC spell functions differently; a coroutine of GCC's shows the function
/// that resumes it.
std::string short_name(std::string name) {
  for (const char* noise : {"(anonymous namespace)::", "{anonymous}::", "(anonymous class)"})
    erase_all(name, noise);
  for (auto at = name.find("<lambda("); at != name.npos; at = name.find("<lambda(")) {
    const auto end = name.find(")>", at);
    if (end == name.npos) break;
    name.erase(at, end + 2 - at);
  }
  if (name.ends_with(']')) name.erase(name.rfind(" ["));  // [T = int]
  if (const auto end = name.rfind(')'); end != name.npos) name.erase(opening(name, end));
  // What the return type leaves behind: everything up to the last space outside of brackets.
  for (std::size_t at = name.size(); at-- > 0;) {
    if (name[at] == ')' || name[at] == '>') {
      at = opening(name, at);
    } else if (name[at] == ' ') {
      name.erase(0, at + 1);
      break;
    }
  }
  if (constexpr std::string_view call = "::::operator()"; name.ends_with(call)) {
    name.erase(name.size() - call.size());
    name += "::lambda";
  }
  return name;
}

std::string in_words(const std::source_location& where) {
  std::string_view file = where.file_name();
  if (const auto slash = file.rfind('/'); slash != file.npos) file.remove_prefix(slash + 1);
  return joined({file, ":", where.line()});
}

/// What a link of the chain says about itself; empty if it has nothing to say.
std::string in_words(const Awaited& link) {
  if (const std::source_location where = link.where(); where.line() != 0)
    return joined({"in ", short_name(where.function_name()), " at ", in_words(where)});
  const Activity activity = link.activity();
  if (*activity.operation == '\0') return {};
  return joined({"waits: ", activity.operation, activity.peer.empty() ? "" : " ", activity.peer});
}

/// What a link waits for.
class Inner final : public AwaitedVisitor {
 public:
  explicit Inner(const Awaited& link) { link.visit_inner(*this); }
  void visit(const Awaited& inner) override { links.push_back(&inner); }
  void visit_task(const Root& task) override { tasks.push_back(&task); }

  std::vector<const Awaited*> links;
  std::vector<const Root*> tasks;
};

class Tree {
 public:
  explicit Tree(const List<Root, InDump>& roots) {
    roots.for_each([&](const Root& root) { find_joined(root.awaited()); });
    roots.for_each([&](const Root& root) {
      if (!std::ranges::binary_search(joined_, &root)) print(root, 0);
    });
    roots.for_each([&](const Root& root) { print(root, 0); });  // those that wait in a circle
  }

  std::string text;

 private:
  /// False if it is there already.
  static bool insert(std::vector<const Root*>& sorted, const Root& task) {
    const auto place = std::ranges::lower_bound(sorted, &task);
    if (place != sorted.end() && *place == &task) return false;
    sorted.insert(place, &task);
    return true;
  }

  void find_joined(const Awaited* link) {
    while (link != nullptr) {
      const Inner inner(*link);
      for (const Root* task : inner.tasks) insert(joined_, *task);
      if (inner.links.size() > 1) {
        for (const Awaited* branch : inner.links) find_joined(branch);
        return;
      }
      link = inner.links.empty() ? nullptr : inner.links.front();
    }
  }

  void print(const Root& root, std::size_t indent) {
    if (!insert(printed_, root)) return;
    const std::string margin(indent + 2, ' ');
    const auto where = root.spawned_at();
    const bool is_known = where.line() != 0;
    text += joined({std::string_view(margin).substr(2), "task ", printed_.size(),
                    is_known ? ", spawned at " : "", is_known ? in_words(where) : "", "\n"});
    print(root.awaited(), margin, margin);
  }

  /// The chain from `link` on; its first line begins with `first`, the others with `margin`.
  void print(const Awaited* link, std::string_view first, std::string_view margin) {
    while (link != nullptr) {
      if (const std::string line = in_words(*link); !line.empty()) {
        text += joined({first, line, "\n"});
        first = margin;
      }
      const Inner inner(*link);
      for (const Root* task : inner.tasks) print(*task, margin.size() + 2);
      if (inner.links.size() > 1) {
        for (const Awaited* branch : inner.links)
          print(branch, joined({margin, "- "}), joined({margin, "  "}));
        return;
      }
      link = inner.links.empty() ? nullptr : inner.links.front();
    }
  }

  // Sorted, asked for, never gone through: an address is no order.
  std::vector<const Root*> joined_;
  std::vector<const Root*> printed_;
};

}  // namespace

std::string Loop::dump() const {
  Tree tree(roots_);
  return tree.text.empty() ? "no tasks\n" : std::move(tree.text);
}

}  // namespace koine
