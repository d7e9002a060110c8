"""koine and rsocket-js: all interactions, both ways, whoever connects."""

import os
import sys
import unittest

from koine_tool import TestCase
from programs import Started, needed, run

OURS = os.environ["RSOCKET_PEER"]
THEIRS = os.path.join(os.path.dirname(__file__), "rsocket", "peer.js")
MODULES = os.environ["RSOCKET_MODULES"]

CONVERSATION = """echo: hello
fail: APPLICATION_ERROR: {why}
count: 0 1 2 3 4
sum: 1 3 6 10 15
noted: one
meanwhile
cancelled: 1
taken: 0 1 2
cancelled: 2
large: the same
"""
WE_FAIL = CONVERSATION.format(why="answer: permission denied")
THEY_FAIL = CONVERSATION.format(why="no good")


class RsocketJs(TestCase):

    def setUp(self):
        super().setUp()
        self.node = needed(self, "node")
        if not os.path.isdir(os.path.join(MODULES, "rsocket-core")):
            if os.environ.get("CI") == "true":
                self.fail(f"{MODULES} has no rsocket-core: script/test installs it")
            print(f"\n*** {self.id()} NOT RUN: script/test installs rsocket-js ***",
                  file=sys.stderr)
            self.skipTest("rsocket-js is not installed")
        os.environ["NODE_PATH"] = MODULES

    def port_of(self, server):
        words = b""
        while not words.endswith(b"\n"):
            words += server.hear(1) or self.fail(f"no port, only {words}")
        return words.split()[1].decode()

    def test_their_client(self):
        with Started(OURS, "serve") as server:
            told = run(self.node, THEIRS, "ask", self.port_of(server)).decode()
        self.assertEqual(WE_FAIL + "the other way round\n" + THEY_FAIL + "kept alive\n", told)

    def test_their_client_with_leases(self):
        with Started(OURS, "serve") as server:
            told = run(self.node, THEIRS, "ask", self.port_of(server), "lease").decode()
        self.assertEqual(WE_FAIL + "the other way round\n" + THEY_FAIL + "kept alive\n", told)

    def test_their_client_comes_back(self):
        with Started(OURS, "serve") as server:
            told = run(self.node, THEIRS, "resume", self.port_of(server)).decode()
        items = "".join(f" {item}" for item in range(40))
        self.assertEqual(f"3 connections\n{items}\nasked while it is cut\n"
                         "noted meanwhile noted meanwhile \n", told)

    def test_their_server(self):
        with Started(self.node, THEIRS, "serve") as server:
            told = run(OURS, "ask", self.port_of(server)).decode()
        self.assertEqual(THEY_FAIL + "the other way round\n" + WE_FAIL + "kept alive\n", told)


if __name__ == "__main__":
    unittest.main()
