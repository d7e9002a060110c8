"""koine demo: a message there and back, told step by step."""

import os
import re
import shutil
import subprocess
import unittest

from koine_tool import DEADLINE, KOINE, OK, USAGE, TestCase, environment, koine


class Demo(TestCase):
    def test_tells_the_five_steps_of_a_message_on_every_multiplexer(self):
        for multiplexer in ("io_uring", "epoll", "poll", "select"):
            done = koine("demo", "good morning", env=environment(KOINE_MULTIPLEXER=multiplexer))
            self.assert_exit(OK, done)
            told = done.stdout.decode()
            self.assertIn('"good morning", 12 bytes', told)
            self.assertEqual(["1", "2", "3", "4", "5"], re.findall(r"(?m)^(\d) [A-Z]", told))
            self.assertIn(f"it waited in {multiplexer}", told)
            self.assertRegex(told, r"(?m)^message 1   [\d.]+ [um]?s$")
            self.assertIn("14 of 14 stamps: the kernel's stamps of both ends, and the frames", told)
            self.assertIn("both ends read one clock", " ".join(told.split()))
            steps = [r" 1 +copy \+ TCP/IP", r" 3 +network there", r" 5 +wake-up", r" - +program",
                     r" 1' +copy", r" 3' +network back", r" 5' +wake-up"]
            self.assertRegex(told, "(?ms)" + ".*".join(f"^{step}" for step in steps))
            layers = re.findall(r"(?m)^ ([1-5]) (\w+)[ I]* +([\d+]+)  ", told)
            self.assertEqual([("5", "program", "12"), ("4", "TCP", "32+12"), ("3", "IPv4", "20+44"),
                              ("2", "Ethernet", "14+64"), ("1", "wire", "78")], layers)
            self.assertIn("66 of 78 bytes are wrapping (84 %)", told)
            server, client = re.findall(r"process (\d+), tcp://127.0.0.1:\d+", told)
            self.assertNotEqual(server, client)
            for line in told.splitlines():
                self.assertLessEqual(len(line), 80, line)

    def test_needs_no_rights_at_all(self):
        if os.getuid() != 0 or not shutil.which("setpriv"):
            self.skipTest("only root can give its rights away")
        drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all",
                "--inh-caps=-all", "--no-new-privs"]
        # Nobody may not enter everybody's folders: the program is what standard input is.
        with open(KOINE, "rb") as program:
            done = subprocess.run([*drop, "/proc/self/fd/0", "demo", "good morning"], stdin=program,
                                  capture_output=True, timeout=DEADLINE)
        if b"ermission denied" in done.stderr:
            self.skipTest(done.stderr.decode())
        self.assert_exit(OK, done)
        self.assertIn(b"14 of 14 stamps: the kernel's stamps of both ends, and the frames", done.stdout)

    def test_an_empty_message_is_a_mistake_of_the_command_line(self):
        done = koine("demo", "")
        self.assert_exit(USAGE, done)
        self.assertIn(b"expected 1 to 65536", done.stderr)


if __name__ == "__main__":
    unittest.main()
