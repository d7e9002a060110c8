"""koine demo: a message there and back, told step by step."""

import re
import unittest

from koine_tool import OK, USAGE, TestCase, environment, koine


class Demo(TestCase):
    def test_tells_the_five_steps_of_a_message_on_every_multiplexer(self):
        for multiplexer in ("epoll", "poll", "select"):
            done = koine("demo", "good morning", env=environment(KOINE_MULTIPLEXER=multiplexer))
            self.assert_exit(OK, done)
            told = done.stdout.decode()
            self.assertIn('"good morning", 12 bytes', told)
            self.assertEqual(["1", "2", "3", "4", "5"], re.findall(r"(?m)^(\d) ", told))
            self.assertIn(f"it waited in {multiplexer}", told)
            server, client = re.findall(r"process (\d+), tcp://127.0.0.1:\d+", told)
            self.assertNotEqual(server, client)
            for line in told.splitlines():
                self.assertLessEqual(len(line), 80, line)

    def test_an_empty_message_is_a_mistake_of_the_command_line(self):
        done = koine("demo", "")
        self.assert_exit(USAGE, done)
        self.assertIn(b"expected 1 to 65536", done.stderr)


if __name__ == "__main__":
    unittest.main()
