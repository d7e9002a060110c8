#!/usr/bin/env python3
"""The servers koine is compared with are honest echoes, and the canary tells of the cores.

    peers_test.py FOLDER     the folder of the built programs; peers that were not built are skipped
"""

import json
import os
import socket
import subprocess
import threading
import unittest

from served import ECHOES, FOLDER, Served, is_built


class EchoPeers(unittest.TestCase):
    """What an honest echo owes, whoever wrote it."""

    def test_a_slow_reader_gets_every_byte_and_then_the_end(self):
        text = os.urandom(20_000_000)  # far more than both ends' socket buffers
        for name in ECHOES:
            if not is_built(name) or name.endswith("_lines"):
                continue
            with self.subTest(name=name), Served(name) as server, server.connect() as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)

                def write() -> None:
                    client.sendall(text)
                    client.shutdown(socket.SHUT_WR)

                writer = threading.Thread(target=write, daemon=True)
                writer.start()
                heard = bytearray()
                while data := client.recv(10_000):
                    heard += data
                writer.join()
                self.assertTrue(heard == text, f"{len(heard)} of {len(text)} bytes")

    def test_they_by_hand_wait_for_a_descriptor_and_go_on(self):
        for name in ("raw_epoll", "raw_io_uring"):
            if not is_built(name):
                continue
            with self.subTest(name=name), Served(name, descriptors_max=10) as server:
                clients = [server.connect() for _ in range(12)]  # more than it may have
                clients[0].sendall(b"served")
                self.assertEqual(clients[0].recv(6), b"served")
                clients[-1].sendall(b"waiting")
                for client in clients[:-1]:
                    client.close()
                self.assertEqual(clients[-1].recv(7), b"waiting")
                clients[-1].close()


class Canary(unittest.TestCase):
    @unittest.skipIf(len(os.sched_getaffinity(0)) < 2, "needs two cores")
    def test_it_tells_how_far_two_cores_are(self):
        first, second, *_ = sorted(os.sched_getaffinity(0))
        answer = subprocess.run([FOLDER / "canary", str(first), str(second)], capture_output=True,
                                check=False)
        if b"did not answer within" in answer.stderr:
            self.assertEqual(answer.returncode, 1)
            self.skipTest("others had one of the cores all the time")
        self.assertEqual((answer.returncode, answer.stderr), (0, b""))
        report = json.loads(answer.stdout)
        self.assertIn(report["near_far"], ("near", "far"))
        self.assertLessEqual(report["low"], report["nanoseconds"])
        self.assertLessEqual(report["nanoseconds"], report["high"])

    def test_it_refuses_what_is_no_core(self):
        answer = subprocess.run([FOLDER / "canary", "0", "x"], capture_output=True, check=False)
        self.assertEqual(answer.returncode, 2)


if __name__ == "__main__":
    unittest.main()
