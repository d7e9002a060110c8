"""koine doctor: what this machine offers."""

import json
import unittest

from koine_tool import FAILED, OK, OUTPUT, TestCase, environment, koine

NAMES = ["io_uring", "epoll", "poll", "select"]


class Doctor(TestCase):
    def facts(self, **changes):
        done = koine("doctor", "--json", env=environment(**changes))
        self.assertEqual(1, done.stdout.count(b"\n"))
        return json.loads(done.stdout), done

    def test_names_every_multiplexer_and_the_one_that_would_be_taken(self):
        facts, done = self.facts(KOINE_MULTIPLEXER=None)
        self.assert_exit(OK, done)
        self.assertEqual(NAMES, [one["name"] for one in facts["multiplexers"]])
        usable = [one["name"] for one in facts["multiplexers"] if one["usable"]]
        self.assertEqual(usable[0], facts["multiplexer"])
        for one in facts["multiplexers"]:
            if not one["usable"]:
                self.assertTrue(one["reason"])

    def test_heeds_the_wish_of_the_environment(self):
        for name in ("epoll", "poll", "select"):
            facts, done = self.facts(KOINE_MULTIPLEXER=name)
            self.assert_exit(OK, done)
            self.assertEqual((name, name), (facts["multiplexer"], facts["koine_multiplexer"]))

    def test_a_wish_that_cannot_be_had_is_a_failure_with_advice(self):
        facts, done = self.facts(KOINE_MULTIPLEXER="kqueue")
        self.assert_exit(FAILED, done)
        self.assertIsNone(facts["multiplexer"])
        self.assertIn("unset it", " ".join(facts["advice"]))

    def test_tells_the_limits_that_the_kernel_has_for_us(self):
        facts, _ = self.facts()
        with open("/proc/sys/net/core/somaxconn") as file:
            self.assertEqual(int(file.read()), facts["somaxconn"])
        with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
            self.assertEqual([int(word) for word in file.read().split()], facts["port_range"])

    def test_as_text_it_says_the_same(self):
        facts, _ = self.facts(KOINE_MULTIPLEXER=None)
        done = koine("doctor", env=environment(KOINE_MULTIPLEXER=None))
        self.assert_exit(OK, done)
        text = done.stdout.decode()
        self.assertNotIn("\x1b", text)  # it is no terminal
        for name in NAMES:
            self.assertIn(name, text)
        self.assertRegex(text, rf"(?m){facts['multiplexer']} .*<- would be taken")

    def test_output_that_cannot_be_written_is_an_error(self):
        with open("/dev/full", "wb") as full:
            self.assert_complains(OUTPUT, "No space left", koine("doctor", stdout=full))


if __name__ == "__main__":
    unittest.main(verbosity=2)
