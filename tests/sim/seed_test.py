#!/usr/bin/env python3
"""Does a test that fails print its seed, and a command that tells the same story again?

    seed_test.py PROGRAM      PROGRAM is seed_failing.cc
"""

import os
import re
import subprocess
import sys
import unittest

PROGRAM = sys.argv.pop()


def run(command, shell=False, **environment):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("KOINE_SEED")}
    ran = subprocess.run(command, shell=shell, env=clean | environment, text=True, check=False,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30)
    return ran.stdout, ran.returncode


def seeds(output):
    return re.findall(r"seed=(\d+)", output)


class SeedTest(unittest.TestCase):
    def fails(self, test, **environment):
        output, status = run([PROGRAM, f"--gtest_filter={test}"], **environment)
        self.assertEqual(status, 1, output)
        return output

    def replay_of(self, output):
        commands = re.findall(r"^    (KOINE_SEED=.*)$", output, re.MULTILINE)
        self.assertEqual(len(commands), 1, output)
        return commands[0]

    def test_the_printed_command_fails_in_the_same_way(self):
        output = self.fails("Failing.SaysItsSeed")
        again, status = run(self.replay_of(output), shell=True)
        self.assertEqual(status, 1, again)
        self.assertEqual(seeds(again), seeds(output))
        self.assertEqual(len(seeds(again)), 1, again)
        self.assertIn("[  FAILED  ] Failing.SaysItsSeed", again)
        self.assertNotIn("Passing", again)

    def test_a_test_has_the_same_seed_in_every_run_and_another_than_its_neighbour(self):
        first = seeds(self.fails("*HaveSeedsOfTheirOwn*"))
        self.assertEqual(first, seeds(self.fails("*HaveSeedsOfTheirOwn*")))
        self.assertEqual(len(set(first)), 2, first)

    def test_one_of_several_parameters_is_replayed_alone(self):
        output = self.fails("Two/Parameters.HaveSeedsOfTheirOwn/1")
        again, _ = run(self.replay_of(output), shell=True)
        self.assertEqual(seeds(again), seeds(output))

    def test_the_environment_decides(self):
        self.assertEqual(seeds(self.fails("Failing.SaysItsSeed", KOINE_SEED="17")), ["17"])
        most = str(2**64 - 1)
        self.assertEqual(seeds(self.fails("Failing.SaysItsSeed", KOINE_SEED=most)), [most])

    def test_what_is_no_number_is_said_to_be_none(self):
        for bad in ("", "x", "1x", "-1", str(2**64)):
            output = self.fails("Passing.SaysNothing", KOINE_SEED=bad)
            self.assertIn(f"KOINE_SEED='{bad}' is not a number", output)
        for bad in ("", "x", "0", "5-4", "1-", "-3", f"1-{2**64 - 1}"):
            output = self.fails("Many.StopAtTheFirstThatFails", KOINE_SEEDS=bad)
            self.assertIn(f"KOINE_SEEDS='{bad}' is neither", output)
            self.assertNotIn("tried", output)

    def test_who_passes_or_has_no_seed_prints_none(self):
        output, status = run([PROGRAM, "--gtest_filter=Passing.*"])
        self.assertEqual(status, 0, output)
        self.assertNotIn("to have it again", output)
        self.assertNotIn("to have it again", self.fails("*Passing.*:Failing.Without*"))

    def test_of_many_the_first_that_fails_is_the_last_and_its_command_tries_no_other(self):
        output = self.fails("Many.*")
        self.assertEqual(re.findall(r"tried (\d+)", output), ["1", "2", "3", "4"])
        again, _ = run(self.replay_of(output), shell=True)
        self.assertEqual(re.findall(r"tried (\d+)", again), ["4"])
        self.assertEqual(re.findall(r"tried (\d+)", self.fails("Many.*", KOINE_SEEDS="3-8")),
                         ["3", "4"])
        some, status = run([PROGRAM, "--gtest_filter=Many.*"], KOINE_SEEDS="3")
        self.assertEqual((re.findall(r"tried (\d+)", some), status), (["1", "2", "3"], 0))


unittest.main()
