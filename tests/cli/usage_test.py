"""The command line itself: help, versions, and everything that makes no sense."""

import re
import unittest

from koine_tool import OK, OUTPUT, USAGE, KOINE, TestCase, environment, koine

VERBS = ["serve", "send", "trace", "call", "bench", "doctor", "demo"]


class Usage(TestCase):
    def test_help_lists_every_verb(self):
        for flag in ("--help", "-h"):
            done = koine(flag)
            self.assert_exit(OK, done)
            self.assertEqual(b"", done.stderr)
            for verb in VERBS:
                self.assertRegex(done.stdout.decode(), rf"(?m)^  {verb} ")

    def test_each_verb_has_help_with_options_and_examples_that_fit_a_terminal(self):
        for verb in VERBS:
            done = koine(verb, "--help")
            self.assert_exit(OK, done)
            text = done.stdout.decode()
            self.assertIn(f"Usage: koine {verb}", text)
            self.assertIn("--help", text)
            self.assertIn("Examples:", text)
            for line in text.splitlines():
                self.assertLessEqual(len(line), 80, line)

    def test_help_is_heard_before_wrong_values_are(self):
        done = koine("send", "nonsense", "--timeout", "soon", "--help")
        self.assert_exit(OK, done)
        self.assertIn(b"Usage: koine send", done.stdout)

    def test_version_is_one_line(self):
        done = koine("--version")
        self.assert_exit(OK, done)
        self.assertRegex(done.stdout.decode(), r"\Akoine \d+\.\d+\.\d+\n\Z")

    def test_no_verb_and_an_unknown_verb_are_usage_errors(self):
        self.assert_complains(USAGE, "which verb?", koine())
        self.assert_complains(USAGE, "sned is no verb", koine("sned"))

    def test_unknown_and_incomplete_options_are_usage_errors(self):
        self.assert_complains(USAGE, "--colour", koine("send", "tcp://:1", "--colour"))
        self.assert_complains(USAGE, "--timeout", koine("send", "tcp://:1", "x", "--timeout"))
        self.assert_complains(USAGE, "URL is required", koine("send"))

    def test_a_malformed_url_is_shown_with_a_caret_under_the_mistake(self):
        done = koine("send", "tcp://127.0.0.1:99999", "x")
        self.assert_exit(USAGE, done)
        shown, caret = done.stderr.decode().splitlines()
        self.assertTrue(shown.startswith("koine: "), shown)
        self.assertEqual("99999", shown[caret.index("^"):])
        self.assertIn("65535", caret)

    def test_malformed_values_name_their_option_and_what_was_expected(self):
        for option, value, expected in (
                ("--timeout", "10", "expected a unit"),
                ("--timeout", "0s", "more than no time"),
                ("--timeout", "-1s", "not negative"),
                ("--multiplexer", "kqueue", "io_uring, epoll, poll or select")):
            done = koine("send", "tcp://127.0.0.1:1", "x", f"{option}={value}")
            self.assert_complains(USAGE, f"malformed {option} {value}", done)
            self.assertIn(expected, done.stderr.decode())
        for option, value, expected in (
                ("--shards", "many", "expected a whole number"),
                ("--shards", "1025", "0 to 1024"),
                ("--shards", "99999999999999999999", "too large"),
                ("--max-connections", "0", "1 to 10000000"),
                ("--concurrency", "fibre", "coroutine, thread or process")):
            done = koine("serve", f"{option}={value}")
            self.assert_complains(USAGE, f"malformed {option} {value}", done)
            self.assertIn(expected, done.stderr.decode())

    def test_a_protocol_the_tool_does_not_speak_is_refused(self):
        for url in ("http://127.0.0.1/", "tls://127.0.0.1:1", "rsocket+tcp://127.0.0.1:1"):
            self.assert_complains(USAGE, "expected tcp://", koine("send", url, "x"))

    def test_an_unknown_multiplexer_in_the_environment_is_a_usage_error(self):
        done = koine("send", "tcp://127.0.0.1:1", "x", env=environment(KOINE_MULTIPLEXER="kqueue"))
        self.assert_complains(USAGE, "io_uring, epoll, poll or select", done)

    def test_control_characters_in_what_was_typed_do_not_reach_the_terminal(self):
        done = koine("send", "tcp://\x1b[31mred:1", "x")
        self.assert_exit(USAGE, done)
        self.assertNotIn(b"\x1b", done.stderr)

    def test_help_that_cannot_be_written_is_an_error(self):
        with open("/dev/full", "wb") as full:
            done = koine("--help", stdout=full)
        self.assert_complains(OUTPUT, "No space left", done)

    def test_closed_standard_streams_are_neither_a_crash_nor_silence(self):
        done = koine("-c", f"exec {KOINE} --version <&- >&-", executable="/bin/sh")
        self.assert_complains(OUTPUT, "standard output", done)


if __name__ == "__main__":
    unittest.main(verbosity=2)
