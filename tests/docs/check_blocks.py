#!/usr/bin/env python3
"""Do the C++ blocks of a Markdown file compile?

    check_blocks.py FILE.md -- COMPILER [FLAG...]

The word after the fence says what a block is; GitHub colours all of them as C++:

    ```cpp          a whole file. Without an #include of its own it gets <koine/koine.h> and
                    `using namespace koine`, so a function alone will do.
    ```cpp more     goes on where the block before it ended.
    ```cpp body     statements inside a coroutine that has `Network& network` and answers Io<void>.
    ```cpp sketch   not code anybody could compile: names that do not exist (yet).

The compiler's messages point at the line in the Markdown file.
"""

import re
import subprocess
import sys
from pathlib import Path

FENCE = re.compile(r"^(?P<indent> *)(?P<fence>```+|~~~+) *(?P<info>[^`]*)$")
KINDS = ("", "more", "body", "sketch")


class Block:
    def __init__(self, line, kind, code):
        self.line = line  # of its first line of code, counted from 1
        self.kind = kind
        self.code = code


def blocks(text):
    """The C++ blocks of a Markdown text, and complaints about what is none."""
    found, complaints = [], []
    inside = None
    for number, line in enumerate(text.splitlines(), 1):
        match = FENCE.match(line)
        if inside is None:
            if match:
                inside = (number, match["fence"], match["info"].split(), len(match["indent"]), [])
        elif match and match["fence"].startswith(inside[1]) and not match["info"].strip():
            start, _, info, _, code = inside
            inside = None
            if not info or info[0] not in ("cpp", "c++", "C++", "cc"):
                continue
            kind = " ".join(info[1:])
            if info[0] != "cpp" or kind not in KINDS:
                complaints.append(f"{start}: '{' '.join(info)}' is not one of: "
                                  + ", ".join(f"cpp {kind}".strip() for kind in KINDS))
            elif kind == "more" and not any(block.kind != "sketch" for block in found):
                complaints.append(f"{start}: more of what? No block stands before it")
            else:
                found.append(Block(start + 1, kind, "\n".join(code) + "\n"))
        else:
            inside[4].append(line[inside[3]:] if line[:inside[3]].isspace() else line)
    if inside is not None:
        complaints.append(f"{inside[0]}: this block has no end")
    return found, complaints


def units(found, path):
    """What to hand to the compiler: (line, text) for each block but sketches."""
    made = []
    for block in found:
        if block.kind == "sketch":
            continue
        code = f'#line {block.line} "{path}"\n{block.code}'
        if block.kind == "more":
            made[-1] = (block.line, made[-1][1] + code)
            continue
        opening = ""
        if not re.search(r"^\s*#\s*include", block.code, re.MULTILINE):
            opening = "#include <koine/koine.h>\nusing namespace koine;\n"
        if block.kind == "body":
            code = f"Io<void> body(Network& network) {{\n{code}co_return {{}};\n}}\n"
        made.append((block.line, opening + code))
    return made


def main(arguments):
    if len(arguments) < 3 or arguments[1] != "--":
        print(__doc__, file=sys.stderr)
        return 2
    path, compiler = Path(arguments[0]), arguments[2:]
    found, complaints = blocks(path.read_text(encoding="utf-8"))
    failures = len(complaints)
    for complaint in complaints:
        print(f"{path}:{complaint}")
    compiled = units(found, path) if not complaints else []
    for line, text in compiled:
        ran = subprocess.run([*compiler, "-fsyntax-only", "-x", "c++", "-"], input=text, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if ran.returncode != 0:
            failures += 1
            print(f"{path}:{line}: this block does not compile:\n{ran.stdout}")
    print(f"{path}: {len(found)} C++ blocks, {len(compiled)} compiled, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
