"""koine bench --multiplexer: koine's own servers, compared."""

import json
import os
import signal
import subprocess
import unittest
import xml.etree.ElementTree as xml

from koine_tool import DEADLINE, KOINE, OK, OUTPUT, USAGE, TestCase, koine

# The servers of a comparison are real; these are only short. A figure may be missing where a busy
# machine answered nothing in one of its rounds of 40 ms in all.
BRIEFLY = ("--duration", "200ms", "--timeout", "50s")


def compare(*arguments):
    done = koine("bench", *BRIEFLY, "--json", *arguments)
    return [json.loads(line) for line in done.stdout.splitlines()], done


class Compare(TestCase):
    def test_each_multiplexer_has_a_figure_for_each_number_of_connections(self):
        cells, done = compare("--multiplexer", "epoll,poll,select", "--connections", "2,5")
        self.assert_exit(OK, done)
        self.assertEqual([("epoll", 2), ("epoll", 5), ("poll", 2), ("poll", 5), ("select", 2),
                          ("select", 5)],
                         [(cell["multiplexer"], cell["connections"]) for cell in cells])
        for cell in cells:
            self.assertIsNone(cell["refused"])
            self.assertFalse(cell["interrupted"])
            self.assertLessEqual(cell["rounds"], 5)
            if cell["rounds"]:
                self.assertGreater(cell["requests_per_second"], 0)
                self.assertGreater(cell["server_cpu_ns_per_request"], 0)

    def test_select_is_refused_where_its_descriptors_end_and_says_so(self):
        cells, done = compare("--multiplexer", "select", "--connections", "8,1030")
        self.assert_exit(OK, done)
        self.assertIsNone(cells[0]["refused"])
        self.assertIn("select cannot watch descriptor 1024", cells[1]["refused"])
        self.assertIsNone(cells[1]["requests_per_second"])

    def test_tables_and_plots_keep_to_80_columns_and_the_picture_is_whole(self):
        path = os.path.join(self.scratch(), "chart.svg")
        done = koine("bench", *BRIEFLY, "--multiplexer", "all", "--connections", "2,8,1030",
                     "-o", path)
        self.assert_exit(OK, done)
        text = done.stdout.decode()
        for line in text.splitlines():
            self.assertLessEqual(len(line), 80, line)
        self.assertEqual(2, text.count("\nconnections           2          8      1,030\n"))
        self.assertRegex(text, r"(?m)^select .* refused$")
        self.assertIn("select cannot watch descriptor 1024", " ".join(text.split()))
        self.assertTrue(any("\u2800" < letter <= "\u28ff" for letter in text))
        picture = xml.parse(path).getroot()
        self.assertEqual("{http://www.w3.org/2000/svg}svg", picture.tag)
        words = [element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")]
        for word in ("select", "poll", "epoll", "io_uring", "connections", "1,030"):
            self.assertIn(word, words)
        lines = list(picture.iter("{http://www.w3.org/2000/svg}polyline"))
        self.assertEqual(2 * 4, len(lines))

    def test_interrupting_it_prints_what_there_is_and_leaves_no_server_behind(self):
        with subprocess.Popen([KOINE, "bench", "--multiplexer", "epoll,poll", "--connections", "2",
                               "--duration", "1h", "--json"], stdout=subprocess.PIPE) as process:
            children = f"/proc/{process.pid}/task/{process.pid}/children"
            servers = []
            while len(servers) < 2 and process.poll() is None:
                with open(children) as file:
                    servers = file.read().split()
            process.send_signal(signal.SIGINT)
            cells = [json.loads(line) for line in process.stdout]
            self.assertEqual(OK, process.wait(DEADLINE))
        self.assertEqual([True, True], [cell["interrupted"] for cell in cells])
        for server in servers:
            self.assertFalse(os.path.exists(f"/proc/{server}"))

    def test_what_makes_no_sense_is_a_usage_error(self):
        url = "tcp://127.0.0.1:1"
        for arguments, words in (
                (("--multiplexer", "kqueue"), "select, poll, epoll, io_uring or all"),
                (("--multiplexer", "epoll,epoll"), "expected each once"),
                (("--multiplexer", "epoll,"), "malformed --multiplexer"),
                (("--multiplexer", "all", "--connections", "64,16"), "larger than the one before"),
                (("--multiplexer", "all", "--connections", "64,"), "malformed --connections"),
                (("--multiplexer", "all", "--connections", "0"), "1 to 1000000"),
                ((url, "--multiplexer", "all"), "without a URL"),
                ((url, "--connections", "1,2"), "without a URL"),
                ((url, "-o", "x.svg"), "without a URL")):
            with self.subTest(arguments):
                self.assert_complains(USAGE, words, koine("bench", *arguments))

    def test_a_picture_that_cannot_be_written_is_an_error_before_anything_is_measured(self):
        done = koine("bench", "--multiplexer", "all", "--duration", "1h", "-o", "/nonexistent/x.svg")
        self.assert_complains(OUTPUT, "/nonexistent/x.svg", done)


if __name__ == "__main__":
    unittest.main(verbosity=2)
