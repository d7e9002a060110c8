"""koine serve: commands, shards, threads and processes, Unix sockets, signals, and want of descriptors."""

import json
import os
import re
import resource
import select
import signal
import socket
import threading
import time
import unittest

from koine_tool import CUT, DEADLINE, KOINE, OK, USAGE, Server, TestCase, connect, koine, read_all

MULTIPLEXERS = ("io_uring", "epoll", "poll", "select")


def ask(url, question):
    """Says it, finishes, and hears all of the answer."""
    with connect(url) as stream:
        stream.sendall(question)
        stream.shutdown(socket.SHUT_WR)
        return read_all(stream)


def without_shell_jobs(pid):
    """The children of a process, by /proc."""
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


class Exec(TestCase):

    def test_gives_each_client_a_command_on_every_multiplexer(self):
        for multiplexer in MULTIPLEXERS:
            for way in ((), ("--shards", "2")):
                with self.subTest((multiplexer, *way)), \
                        Server("exec", "--multiplexer", multiplexer, *way,
                               "--", "sh", "-c", "read name; echo hello, $name; cat") as server:
                    with connect(server.url) as first:  # served while others come and go
                        first.sendall(b"Grace\n")
                        self.assertEqual(b"hello, Ada\nmore", ask(server.url, b"Ada\nmore"))
                        self.assertEqual(b"hello, Grace\n", first.recv(100))
                        first.shutdown(socket.SHUT_WR)
                        self.assertEqual(b"", read_all(first))
                    self.assertEqual(OK, server.stop())
                    self.assertEqual("", server.complaints())

    def test_reports_how_a_command_failed_and_goes_on(self):
        with Server("exec", "--", "sh", "-c", "read how; eval $how; echo fine") as server:
            self.assertEqual(b"", ask(server.url, b"exit 3\n"))
            self.assertIn("exit status 3", server.complaint_with("exit status 3"))
            self.assertEqual(b"", ask(server.url, b"kill -SEGV $$\n"))
            self.assertIn("killed by signal 11", server.complaint_with("signal 11"))
            self.assertEqual(b"fine\n", ask(server.url, b"true\n"))

    def test_lets_a_command_that_waits_for_input_see_its_end_when_it_drains(self):
        with Server("exec", "--", "sh", "-c", "cat; echo bye") as server, \
                connect(server.url) as client:
            client.sendall(b"hello\n")
            self.assertEqual(b"hello\n", client.recv(100))
            server.send_signal(signal.SIGTERM)
            self.assertEqual(b"bye\n", read_all(client))
            self.assertEqual(OK, server.wait())

    def test_kills_the_whole_command_and_resets_its_client_when_the_time_is_up(self):
        with Server("exec", "--drain", "50ms", "--", "sh", "-c", "echo $$; sleep 1000 & wait") as server, \
                connect(server.url) as client:
            shell = int(client.recv(100))
            self.assertEqual([shell], without_shell_jobs(server.pid))
            server.send_signal(signal.SIGTERM)
            with self.assertRaises(ConnectionResetError):
                read_all(client)
            self.assertEqual(CUT, server.wait())
            with self.assertRaises(ProcessLookupError):
                while True:  # what init has yet to reap is a zombie, and no more
                    os.killpg(shell, 0)
                    states = [state_of(pid) for pid in group(shell)]
                    if all(state in ("Z", "X", None) for state in states):
                        raise ProcessLookupError


def state_of(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None


def group(leader):
    """The processes of a process group."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.getpgid(int(name)) == leader:
                yield int(name)
        except ProcessLookupError:
            pass


class Concurrency(TestCase):

    def test_serves_many_at_once_in_each_way(self):
        for way in (("--concurrency", "coroutine"), ("--concurrency", "thread"),
                    ("--concurrency", "process"), ("--shards", "2"),
                    ("--shards", "2", "--concurrency", "thread"),
                    ("--shards", "2", "--concurrency", "process")):
            with self.subTest(way), Server("echo", *way) as server:
                clients = [connect(server.url) for _ in range(10)]
                for number, client in enumerate(clients):
                    client.sendall(b"number %d" % number)
                for number, client in enumerate(clients):
                    self.assertEqual(b"number %d" % number, client.recv(100))
                    client.close()
                self.assertEqual(OK, server.stop(), server.complaints())

    def test_a_signal_at_once_drains_children_too(self):
        # The signal comes while the processes are being made: none is ended by it.
        with Server("echo", "--concurrency", "process") as server:
            clients = [connect(server.url) for _ in range(10)]
            for client in clients:
                client.sendall(b"served?")
            self.assertEqual(b"served?", clients[0].recv(100))
            server.send_signal(signal.SIGTERM)
            for client in clients[1:]:
                self.assertEqual(b"served?", client.recv(100))
            for client in clients:
                self.assertEqual(b"", read_all(client))
                client.close()
            self.assertEqual(OK, server.wait(), server.complaints())
            self.assertEqual("", server.complaints())


class UnixSockets(TestCase):

    def test_serves_paths_and_abstract_names(self):
        for url in (f"unix:{self.scratch()}/echo", f"unix:@koine-{os.getpid()}"):
            with self.subTest(url), Server("echo", "--on", url) as server:
                self.assertEqual(url, server.url)
                self.assertEqual(b"hello", ask(server.url, b"hello"))
                self.assertEqual(OK, server.stop())


class Signals(TestCase):

    def test_the_first_drains_and_a_second_one_cuts(self):
        with Server("echo", "--shards", "2", "--drain", "1000s") as server:
            clients = [connect(server.url) for _ in range(8)]
            feeding = threading.Event()

            def feed():  # so that no connection is quiet
                while not feeding.wait(0.05):
                    for client in clients:
                        try:
                            client.sendall(b"x")
                        except OSError:
                            return

            feeder = threading.Thread(target=feed)
            feeder.start()
            for client in clients:
                self.assertEqual(b"x", client.recv(1))
            server.send_signal(signal.SIGTERM)
            refused = False
            while not refused:  # it has heard the first
                try:
                    connect(server.url).close()
                except ConnectionRefusedError:
                    refused = True
                except ConnectionResetError:
                    pass  # it came while the listeners closed
            server.send_signal(signal.SIGTERM)
            self.assertEqual(CUT, server.wait())
            feeding.set()
            feeder.join()
            self.assertIn("cut 8 connections", server.complaints())
            for client in clients:
                client.close()

    def test_sigusr1_tells_what_every_task_waits_for(self):
        for multiplexer in MULTIPLEXERS:
            with self.subTest(multiplexer), \
                    Server("echo", "--shards", "2", "--multiplexer", multiplexer) as server, \
                    connect(server.url) as client:
                client.sendall(b"x")
                self.assertEqual(b"x", client.recv(1))
                server.send_signal(signal.SIGUSR1)
                server.complaint_with("tasks of shard 0")
                for words in ("tasks of shard 0", "tasks of shard 1", f"waits: accept {server.url}",
                              "waits: read tcp://127.0.0.1:"):
                    self.assertIn(words, server.complaint_with(words))
                self.assertEqual(OK, server.stop())


class Descriptors(TestCase):

    def wakeups(self, pid):
        """How often the process has slept, as the kernel counts it: each wait is at least once."""
        with open(f"/proc/{pid}/status") as file:
            return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", file.read(), re.M).group(1))

    def ticks(self, pid):
        """CPU time that it used, in ticks of (mostly) 10 ms."""
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    def setUp(self):
        with open(KOINE, "rb") as file:
            if b"__ubsan_handle" in file.read():
                self.skipTest("UBSan opens a pipe to look at a type; builds without it run this test")

    def test_without_descriptors_it_waits_and_goes_on_once_there_are_some(self):
        few = 24

        def limit():
            resource.setrlimit(resource.RLIMIT_NOFILE, (few, few))

        for multiplexer in MULTIPLEXERS:
            with self.subTest(multiplexer), \
                    Server("echo", "--multiplexer", multiplexer, preexec_fn=limit) as server:
                clients = [connect(server.url) for _ in range(2 * few)]
                for client in clients:
                    self.addCleanup(client.close)
                    client.sendall(b"x")
                server.complaint_with("out of resources")
                select.select(clients, [], [], DEADLINE)  # it may complain before it answers anybody
                served = [client for client in clients if served_already(client)]
                waiting = [client for client in clients if client not in served]
                self.assertTrue(served)
                self.assertTrue(waiting)

                # It looks every 50 ms: 20 wakeups a second, and no more than twice as many.
                begun, before, ticks = time.monotonic(), self.wakeups(server.pid), self.ticks(server.pid)
                threading.Event().wait(1)
                took = time.monotonic() - begun
                self.assertLessEqual(self.wakeups(server.pid) - before, 40 * took + 5)
                self.assertLessEqual(self.ticks(server.pid) - ticks, 20 * took + 2)  # a spin has 100

                self.assertEqual(1, server.complaints().count("out of resources"), "told once")

                for client in served:
                    self.assertEqual(b"x", client.recv(1))
                    client.close()
                while waiting:  # as many as fit, until all have been served
                    client = waiting.pop(0)
                    self.assertEqual(b"x", client.recv(1))
                    client.close()
                self.assertEqual(OK, server.stop())


def served_already(client):
    """Whether its echo has come."""
    return select.select([client], [], [], 0)[0] != []


class Journeys(TestCase):

    def exchange(self, url, times):
        with connect(url) as stream:
            for _ in range(times):
                stream.sendall(b"followed")
                self.assertEqual(b"followed", stream.recv(8))

    def test_follows_one_message_in_so_many_and_shows_the_slowest_at_the_end(self):
        with Server("echo", "--on", "tcp://127.0.0.1:0", "--on", "tcp://[::1]:0", "--journeys", 4,
                    "--slowest", 2, "--json") as server:
            for url in server.urls:
                self.exchange(url, 10)
            self.assertEqual(OK, server.stop())
            events = [json.loads(line) for line in server.process.stdout]
        journeys = [event["journey"] for event in events if event["event"] == "journey"]
        self.assertEqual(2, len(journeys))
        self.assertGreaterEqual(journeys[0]["total_ns"], journeys[1]["total_ns"])
        for journey in journeys:
            self.assertEqual(journey["total_ns"], sum(span["ns"] for span in journey["spans"]))
            self.assertEqual(8, journey["reply"]["bytes"])
            self.assertIn(journey["server"], [str(local) for local in server.urls])
            self.assertTrue({"recv_in", "recv_out"} <= journey["request"].keys(), journey)
            self.assertTrue({"write_in", "write_out"} <= journey["reply"].keys(), journey)
        (followed,) = (event for event in events if event["event"] == "followed")
        self.assertEqual((20, 5), (followed["messages"], followed["journeys"]))

    def test_says_in_words_how_many_it_followed(self):
        with Server("echo", "--on", "tcp://127.0.0.1:0", "--journeys", 1, "--slowest", 1) as server:
            self.exchange(server.url, 3)
            self.assertEqual(OK, server.stop())
            said = server.process.stdout.read().decode()
        self.assertRegex(said, r"(?s)^message \d.*\nverdict: .*\n3 messages, 3 followed\n$")

    def test_only_echo_in_coroutines_can(self):
        self.assert_complains(USAGE, "only echo", koine("serve", "discard", "--journeys", "1"))
        self.assert_complains(USAGE, "not in a thread",
                              koine("serve", "--journeys", "1", "--concurrency", "thread"))


class Usage(TestCase):

    def test_says_what_is_wrong(self):
        self.assert_complains(USAGE, "exec what?", koine("serve", "exec"))
        self.assert_complains(USAGE, "a command is for exec", koine("serve", "echo", "--", "date"))
        done = koine("serve", "exec", "--", "no-such-command-anywhere")
        self.assertNotEqual(OK, done.returncode)
        self.assertIn("no-such-command-anywhere", done.stderr.decode())


if __name__ == "__main__":
    unittest.main()
