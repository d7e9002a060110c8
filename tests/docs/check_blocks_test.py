#!/usr/bin/env python3
"""check_blocks.py compiles what it should and points at what does not compile.

    check_blocks_test.py COMPILER [FLAG...]
"""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

CHECK = Path(__file__).with_name("check_blocks.py")
COMPILER = sys.argv[1:]


def check(text):
    """The script's exit status and output for a Markdown file with `text`."""
    with tempfile.TemporaryDirectory() as folder:
        # A front door just wide enough for these tests.
        (Path(folder) / "koine").mkdir()
        (Path(folder) / "koine/koine.h").write_text(
            "#include <coroutine>\n"
            "namespace koine {\n"
            "struct Network { int port = 0; };\n"
            "struct Nothing {};\n"
            "template <class T> struct Io { struct promise_type {\n"
            "  Io get_return_object() { return {}; }\n"
            "  std::suspend_never initial_suspend() { return {}; }\n"
            "  std::suspend_never final_suspend() noexcept { return {}; }\n"
            "  void return_value(Nothing) {}\n"
            "  void unhandled_exception() {} }; };\n"
            "}\n")
        page = Path(folder) / "page.md"
        page.write_text(text)
        ran = subprocess.run([sys.executable, CHECK, page, "--", *COMPILER, "-I", folder], text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        return ran.returncode, ran.stdout


class CheckBlocks(unittest.TestCase):
    def accepts(self, text, compiled):
        status, output = check(text)
        self.assertEqual(status, 0, output)
        self.assertIn(f" {compiled} compiled", output)

    def refuses(self, text, *words):
        status, output = check(text)
        self.assertEqual(status, 1, output)
        for word in words:
            self.assertIn(word, output)

    def test_a_page_without_cpp_is_fine(self):
        self.accepts("# Title\n```sh\nint x = ;\n```\n```\nnone\n```\n", 0)

    def test_a_whole_program_compiles(self):
        self.accepts("```cpp\n#include <cstdio>\nint main() { std::puts(\"x\"); }\n```\n", 1)

    def test_a_function_alone_sees_the_front_door(self):
        self.accepts("```cpp\nint port(Network& network) { return network.port; }\n```\n", 1)

    def test_statements_stand_in_a_coroutine(self):
        self.accepts("```cpp body\nnetwork.port = 7;\n```\n", 1)

    def test_more_goes_on_from_the_block_before(self):
        self.accepts("```cpp\nint a() { return 1; }\n```\nand\n```cpp more\nint b = a();\n```\n", 1)

    def test_a_sketch_is_left_alone(self):
        self.accepts("```cpp sketch\nnot C++ at all\n```\n", 0)

    def test_an_indented_block_in_a_list_is_found(self):
        self.refuses("- item\n\n  ```cpp\n  int x = ;\n  ```\n", "page.md:4")

    def test_an_error_points_at_the_line_of_the_page(self):
        self.refuses("\n\n```cpp\n\nint x = \"a\";\n```\n", "page.md:5:", "page.md:4: this block")

    def test_an_error_in_more_points_there(self):
        self.refuses("```cpp\nint a;\n```\n```cpp more\nint b = c;\n```\n", "page.md:5:")

    def test_a_word_nobody_knows_is_an_error(self):
        self.refuses("```cpp skecth\nint x = ;\n```\n", "page.md:1:", "cpp sketch")

    def test_another_name_of_the_language_is_an_error(self):
        self.refuses("```c++\nint x;\n```\n", "page.md:1:")

    def test_a_block_without_end_is_an_error(self):
        self.refuses("text\n```cpp\nint x;\n", "page.md:2:", "no end")

    def test_more_of_nothing_is_an_error(self):
        self.refuses("```cpp more\nint x;\n```\n", "page.md:1:")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
