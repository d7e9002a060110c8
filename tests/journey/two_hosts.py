"""A client at 10.77.0.1 and fd77::1, a server at 10.78.0.1 and fd78::1, and a router between them.

Network namespaces with cables between them, made and removed here, so root is needed; and nft and tc to break
things. What is missing is said, and the tests are skipped. Nothing outside them is touched.

A busy machine injects faults of its own, so that client and server run before whatever else there is, on a CPU each.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

from koine_tool import DEADLINE, KOINE

MS = 1_000_000  # ns
CPUS = sorted(os.sched_getaffinity(0))
OUR_CPU, THEIR_CPU = str(CPUS[0]), str(CPUS[-1])


def run(*command, check=True):
    return subprocess.run(command, check=check, capture_output=True, text=True, timeout=DEADLINE)


def before_others(cpu):
    """What makes a command run on that CPU as soon as it can, if that is allowed here."""
    command = ("taskset", "-c", cpu, "chrt", "-f", "10")
    return command if run(*command, "true", check=False).returncode == 0 else ()


def missing():
    if os.getuid() != 0:
        return "root is needed for network namespaces"
    for tool in ("ip", "nft", "sysctl", "tc", "taskset", "chrt"):
        if shutil.which(tool) is None:
            return f"{tool} is missing"
    probe = f"koine-probe-{os.getpid()}"
    if run("ip", "netns", "add", probe, check=False).returncode != 0:
        return "network namespaces are not allowed here"
    run("ip", "netns", "del", probe)
    return None


class TwoHosts(unittest.TestCase):

    def setUp(self):
        if reason := missing():
            print(f"\n*** {reason}: {self.id()} NOT RUN. ***\n", file=sys.stderr)
            self.skipTest(reason)
        self.client, self.router, self.server = (f"koine-{host}-{os.getpid()}"
                                                 for host in ("client", "router", "server"))
        for space in (self.client, self.router, self.server):
            run("ip", "netns", "add", space)
            self.addCleanup(run, "ip", "netns", "del", space)
            self.at(space, "ip", "link", "set", "lo", "up")
        for host, number, device in ((self.client, "77", "back"), (self.server, "78", "there")):
            run("ip", "link", "add", "wire", "netns", host, "type", "veth", "peer", "name", device,
                "netns", self.router)
            for space, end, name in ((host, "1", "wire"), (self.router, "2", device)):
                self.at(space, "ip", "address", "add", f"10.{number}.0.{end}/24", "dev", name)
                self.at(space, "ip", "address", "add", f"fd{number}::{end}/64", "dev", name, "nodad")
                self.at(space, "ip", "link", "set", name, "up")
            self.at(host, "ip", "route", "add", "default", "via", f"10.{number}.0.2")
            self.at(host, "ip", "route", "add", "default", "via", f"fd{number}::2")
        self.at(self.router, "sysctl", "-q", "-w", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")

    def at(self, space, *command, check=True):
        return run("ip", "netns", "exec", space, *command, check=check)

    def serve(self, what, on, env=None):
        """`koine serve` at the server until the test ends: its URL."""
        errors = tempfile.TemporaryFile()
        self.addCleanup(errors.close)
        serving = subprocess.Popen(
            ["ip", "netns", "exec", self.server, *before_others(THEIR_CPU), "env",
             *(f"{name}={value}" for name, value in (env or {}).items()), KOINE, "serve", what, "--on", on,
             "--public"],
            stdout=subprocess.PIPE, stderr=errors, text=True)
        self.addCleanup(serving.stdout.close)
        self.addCleanup(serving.wait)
        self.addCleanup(serving.kill)
        line = serving.stdout.readline()
        self.assertTrue(line.startswith("listening on "), line)
        return line.removeprefix("listening on ").strip()

    def trace(self, *arguments):
        done = self.at(self.client, *before_others(OUR_CPU), KOINE, "trace", *map(str, arguments), "--json",
                       "--timeout", "30s", check=False)
        self.assertEqual(0, done.returncode, done.stderr)
        journeys = [json.loads(line) for line in done.stdout.splitlines()]
        for journey in journeys:
            self.assertEqual(journey["total_ns"], sum(span["ns"] for span in journey["spans"]))
        return journeys
