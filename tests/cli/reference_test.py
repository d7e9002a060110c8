"""The manual page and the completions: whole, well-formed, and of one mind with --help."""

import os
import re
import shutil
import subprocess
import unittest

from koine_tool import OK, USAGE, TestCase, koine

VERBS = ["serve", "send", "trace", "call", "bench", "doctor", "demo"]


def options_of(verb):
    """The long options that --help lists for a verb."""
    return re.findall(r"(?m)^  (?:-\w, )?(--[\w-]+)", koine(verb, "--help").stdout.decode())


class Reference(TestCase):
    def manual(self):
        done = koine("--man")
        self.assert_exit(OK, done)
        return done.stdout.decode()

    def completion(self, shell):
        done = koine("--completion", shell)
        self.assert_exit(OK, done)
        return done.stdout.decode()

    def test_every_verb_and_option_of_the_help_is_in_the_manual_and_the_completions(self):
        manual = self.manual()
        bash, zsh, fish = (self.completion(shell) for shell in ("bash", "zsh", "fish"))
        for verb in VERBS:
            options = options_of(verb)
            self.assertIn("--help", options)
            section = manual.split(f'.SS "koine {verb}"\n')[1].split("\n.S")[0]
            in_bash = re.search(rf"(?m)^    {verb}\) words='(.*)' ;;$", bash).group(1).split()
            in_zsh = re.search(rf"(?ms)^        {verb}\) _arguments(.*?) ;;$", zsh).group(1)
            in_fish = [line for line in fish.splitlines()
                       if f"'__fish_seen_subcommand_from {verb}'" in line]
            for option in options:
                with self.subTest(f"{verb} {option}"):
                    self.assertIn("\\fB" + option.replace("-", "\\-") + "\\fR", section)
                    self.assertIn(option, in_bash)
                    self.assertIn(f"'{option}[", in_zsh.replace("'*--", "'--"))
                    self.assertTrue(any(f" -l {option[2:]} " in line for line in in_fish))

    def test_the_manual_has_the_sections_of_one_and_every_exit_status(self):
        manual = self.manual()
        self.assertEqual(["NAME", "SYNOPSIS", "DESCRIPTION", "VERBS", '"EXIT STATUS"',
                          "ENVIRONMENT", "EXAMPLES"], re.findall(r"(?m)^\.SH (.*)$", manual))
        for code in re.findall(r"(?m)^  (\d+) ", koine("--help").stdout.decode()):
            self.assertIn(f".TP\n.B {code}\n", manual)

    @unittest.skipUnless(shutil.which("groff"), "needs groff")
    def test_the_manual_lints_clean_and_says_what_was_meant(self):
        done = subprocess.run(["groff", "-man", "-ww", "-Tutf8", "-P-cbou"], capture_output=True,
                              input=self.manual().encode())
        self.assertEqual(b"", done.stderr)
        self.assertEqual(0, done.returncode)
        shown = " ".join(done.stdout.decode().split())
        self.assertIn("koine bench tcp://127.0.0.1:7000 --rate 10k --duration 1m", shown)
        self.assertIn("koine send --no-reply unixgram:/dev/log '<13>hello'", shown)

    def test_the_completions_are_scripts_of_their_shells(self):
        for shell in ("bash", "zsh", "fish"):
            if shutil.which(shell) is None:
                continue
            path = os.path.join(self.scratch(), shell)
            with open(path, "w") as file:
                file.write(self.completion(shell))
            done = subprocess.run([shell, "-n", path], capture_output=True)
            self.assertEqual((0, b""), (done.returncode, done.stderr), shell)

    def test_bash_completes_verbs_options_and_their_words(self):
        script = self.completion("bash")
        for line, expected in ((("koine", "s"), "serve send"),
                               (("koine", "bench", "--pipe"), "--pipeline"),
                               (("koine", "bench", "--multiplexer", ""),
                                "select poll epoll io_uring all"),
                               (("koine", "serve", "ch"), "chargen"),
                               (("koine", "bench", "--rate", ""), "")):
            words = " ".join(f"'{word}'" for word in line)
            done = subprocess.run(
                ["bash", "-c", f"{script}\nCOMP_WORDS=({words}); COMP_CWORD={len(line) - 1}; "
                               "_koine; echo \"${COMPREPLY[@]}\""], capture_output=True)
            self.assertEqual(expected, done.stdout.decode().rstrip("\n"), done.stderr)

    def test_an_unknown_shell_is_a_usage_error(self):
        self.assert_complains(USAGE, "expected bash, zsh or fish", koine("--completion", "tcsh"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
