#!/usr/bin/env python3
"""report.py compares only what may be compared, and says how sure it is."""

import json
import unittest
import xml.etree.ElementTree

import bulk
import measure
import micro
import page
import plots
import report
import servers
import turns


def sample(round_number: int, cpu: float, label: str = "near") -> dict:
    return {"round": round_number, "label": label, "cpu_ns_per_request": cpu,
            "requests_per_second": 1e9 / cpu, "others_share": 0.0, "waited_share": 0.0,
            "load": {"busy": 0.5, "silent_connections": 0, "latency_us": {"p50": 1.0, "p99": 2.0, "p99.9": 3.0}}}


class Ratios(unittest.TestCase):
    def test_a_ratio_is_median_over_median(self):
        anchor = [sample(turn, cpu) for turn, cpu in enumerate([100, 200, 900])]
        server = [sample(turn, cpu) for turn, cpu in enumerate([110, 220, 300])]
        self.assertAlmostEqual(report.ratio(server, anchor, "cpu_ns_per_request")[0], 1.1)

    def test_its_interval_is_of_the_ratios_within_a_round(self):
        # Conditions change fivefold between rounds, but within each the server costs 1.1 times.
        costs = [100, 500, 100, 500, 100, 500, 100, 500, 100, 500]
        anchor = [sample(turn, cpu) for turn, cpu in enumerate(costs)]
        server = [sample(turn, cpu * 1.1) for turn, cpu in enumerate(costs)]
        _, low, high = report.ratio(server, anchor, "cpu_ns_per_request")
        self.assertAlmostEqual(low, 1.1)
        self.assertAlmostEqual(high, 1.1)

    def test_rounds_that_the_anchor_lacks_have_no_part_in_the_interval(self):
        anchor = [sample(0, 100), sample(2, 100)]
        server = [sample(0, 120), sample(1, 900), sample(2, 130)]
        _, low, high = report.ratio(server, anchor, "cpu_ns_per_request")
        self.assertAlmostEqual(low, 1.2)
        self.assertAlmostEqual(high, 1.3)

    def test_few_values_have_all_of_them_as_interval(self):
        self.assertEqual(report.interval_of_median([3, 1, 2]), (1, 3))
        self.assertEqual(report.interval_of_median([7]), (7, 7))

    def test_many_values_have_a_narrower_one(self):
        # n = 100: ranks 50 - 9.8 and 50 + 9.8.
        self.assertEqual(report.interval_of_median(list(range(100))), (40, 60))


class Labels(unittest.TestCase):
    def test_the_best_label_is_the_one_in_which_every_server_has_samples(self):
        samples = {"a": [sample(0, 1), sample(1, 1), sample(2, 1, "far")],
                   "b": [sample(1, 1, "far"), sample(2, 1, "far")]}
        self.assertEqual(report.best_label(samples), "far")

    def test_near_is_not_compared_with_far_and_mixed_with_nothing(self):
        samples = {"raw": [sample(0, 100), sample(1, 300, "far"), sample(2, 5000, "mixed")],
                   "own": [sample(0, 110), sample(1, 600, "far"), sample(2, 1, "mixed")]}
        near = "\n".join(report.load_table(samples, "near", "raw"))
        far = "\n".join(report.load_table(samples, "far", "raw"))
        self.assertIn("| own | 1 | 110 (110–110) | **1.10** (1.10–1.10) |", near)
        self.assertIn("| own | 1 | 600 (600–600) | **2.00** (2.00–2.00) |", far)

    def test_a_server_without_an_anchor_beside_it_has_no_ratio(self):
        samples = {"raw": [sample(0, 100, "far")], "own": [sample(0, 110)]}
        self.assertIn("| own | 1 | 110 (110–110) | – |",
                      "\n".join(report.load_table(samples, "near", "raw")))


def page_of(workload: str, samples: dict, **more) -> str:
    run = {"about": {"rerun": "script/bench"}, "chosen": [workload], "left": [],
           "load": {workload: samples}, "idle": {}, "idle_steps": [2000], "compile": [], "micro": {},
           "messages": {}, "simulator": {}, "generators": [], "troubles": [f"64x64, own:\n{page.ROOT}/bench/x died"]} | more
    return page.markdown(run, {})


class Pages(unittest.TestCase):
    def test_what_was_left_out_and_what_did_not_work_is_told(self):
        text = page_of("64x64", {"raw_epoll": [sample(0, 100), sample(1, 1, "mixed"),
                                               sample(2, 1, "disturbed")]}, left=["churn"])
        self.assertIn("Samples left out: 1 in which the cores' distance changed, 1 in which", text)
        self.assertIn("- 64x64, own: bench/x died", text)
        self.assertIn("**Not complete: churn did not come to its turn.**", text)

    def test_a_busy_machine_is_told(self):
        noisy = sample(0, 100) | {"others_share": 0.2}
        self.assertIn("**not a quiet machine**", page_of("64x64", {"raw_epoll": [noisy]}))
        self.assertNotIn("**not a quiet machine**", page_of("64x64", {"raw_epoll": [sample(0, 100)]}))

    def test_the_best_framework_is_what_others_are_compared_with_too(self):
        text = page_of("64x64", {"raw_epoll": [sample(0, 100)], "libuv": [sample(0, 110)],
                                 "go": [sample(0, 220)]})
        self.assertIn("| libuv | 1 | 110 (110–110) | **1.10** (1.10–1.10) | 1.00 |", text)
        self.assertIn("| go | 1 | 220 (220–220) | **2.20** (2.20–2.20) | 2.00 |", text)

    def test_lost_datagrams_are_told(self):
        lossy = sample(0, 100)
        lossy["load"] = lossy["load"] | {"lost": 1234}
        self.assertIn("Datagrams lost in a sample: raw_udp up to 1,234.",
                      page_of("udp", {"raw_udp": [lossy]}))

    def test_what_was_not_measured_has_no_section(self):
        text = page_of("64x64", {"raw_epoll": [sample(0, 100)]}, chosen=["64x64", "idle", "messages"])
        self.assertNotIn("## idle", text)
        self.assertNotIn("## messages", text)


class Gates(unittest.TestCase):
    def rows(self, workload: str, samples: dict, **more) -> list[str]:
        return [line for line in page_of(workload, samples, **more).splitlines()
                if line.startswith(f"| {workload} |") and "×" in line or "ns |" in line]

    def samples(self, **costs: float) -> dict:
        """Twenty rounds in which each costs what it costs, in conditions that change."""
        return {name.replace("__", "-"): [sample(turn, cost * (1 + turn % 3)) for turn in range(20)]
                for name, cost in costs.items()}

    def test_each_multiplexer_has_its_verdict(self):
        cpu, best = self.rows("64x64", self.samples(raw_epoll=100, koine__epoll=104, koine__io_uring=107,
                                                    libuv=105, go=140))
        self.assertEqual(cpu, "| 64x64 | CPU per request ≤ 1.05 × raw_epoll | **1.04** | **1.07** | "
                              "epoll: met; io_uring: **not met** |")
        self.assertEqual(best, "| 64x64 | CPU per request ≤ 1.00 × the best framework | **0.99** libuv | "
                               "**1.02** libuv | epoll: met; io_uring: **not met** |")

    def test_an_interval_that_reaches_across_the_bound_is_told(self):
        samples = self.samples(raw_epoll=100, koine__epoll=100)
        for turn, one in enumerate(samples["koine-epoll"]):  # from 0.9 to 1.09 times
            one["cpu_ns_per_request"] *= 0.95 + 0.01 * turn
        row, *_ = self.rows("64x64", samples)
        self.assertIn("met, with the bound in the interval; io_uring: not measured", row)

    def test_at_least_is_not_at_most(self):
        trains, = self.rows("udp-trains", self.samples(raw_udp=6000, koine__epoll=200, koine__io_uring=700))
        self.assertIn("| **30.00** | **8.57** | epoll: met; io_uring: **not met** |", trains)

    def test_nothing_measured_is_no_gate_met(self):
        for row in self.rows("64x64", {}):
            self.assertTrue(row.endswith("| – | – | not measured |"), row)

    def test_near_is_not_compared_with_far_here_either(self):
        samples = {"raw_epoll": [sample(turn, 100, "near") for turn in range(5)],
                   "koine-epoll": [sample(turn, 100, "far") for turn in range(5)]}
        row, *_ = self.rows("64x64", samples)
        self.assertIn("| – | – | not measured |", row)

    def test_micro_costs_and_messages_have_theirs(self):
        text = page_of("micro", {}, micro={"koine_async_bench": {"SpawnAndFinish": [20.0, 22.0, 80.0]},
                                           "asio_bench": {"ScheduleAndRun": [1.0]}})
        self.assertIn("| micro | spawn ≤ 50 ns | **22.0** (20.0–80.0) |  | met, with the bound", text)
        self.assertIn("| micro | post ≤ 15 ns | – |  | not measured |", text)
        text = page_of("micro", {}, micro={"koine_async_bench": {"SpawnAndFinish": [20.0], "Other": [1.5]},
                                           "asio_bench": {"SpawnAndFinish": [500.0]}})
        self.assertIn("| SpawnAndFinish (`koine_async_bench`) | 20 (20–20) | 500 (500–500) | **25.0** |", text)
        self.assertIn("| Other (`koine_async_bench`) | 1.5 (1.5–1.5) |  |  |", text)
        one = {"per_second": 1.0, "server_us": 2.0, "runs": [(1.0, 2.0)]}
        other = {"per_second": 1.0, "server_us": 30.0, "runs": [(1.0, 30.0)]}
        text = page_of("messages", {}, messages={"64 outstanding": {"koine": one, "gRPC": other}})
        self.assertIn("gRPC takes ≥ 5 × the CPU | **15.0** |  | met |", text)


class Parsing(unittest.TestCase):
    def test_google_benchmarks_answer(self):
        text = json.dumps({"benchmarks": [
            {"name": "Counted", "run_type": "iteration", "cpu_time": 7e3, "real_time": 7e3,
             "time_unit": "ns", "items_per_second": 2e8},
            {"name": "Plain", "run_type": "iteration", "cpu_time": 2.5, "real_time": 9, "time_unit": "us"},
            {"name": "Clock/real_time", "run_type": "iteration", "cpu_time": 1, "real_time": 9,
             "time_unit": "ns"},
            {"name": "Plain_mean", "run_type": "aggregate", "cpu_time": 1, "time_unit": "ns"}]})
        self.assertEqual(micro.parse(text), {"Counted": 5.0, "Plain": 2500.0, "Clock/real_time": 9})

    def test_what_a_sender_in_bulk_says(self):
        self.assertEqual(bulk.outcome('{"bytes": 1000, "seconds": 0.5}'), (1000, 0.5))
        self.assertEqual(bulk.outcome(json.dumps({"end": {
            "sum_sent": {"bytes": 9, "seconds": 9}, "sum_received": {"bytes": 1000, "seconds": 0.25}}})),
            (1000, 0.25))

    def test_that_a_server_is_ready(self):
        for text, url in (("listening on tcp://127.0.0.1:7\n", "tcp://127.0.0.1:7"),
                          ("hello\nlistening on udp://127.0.0.1:7\n", "udp://127.0.0.1:7"),
                          ("----\nServer listening on 5201 (test #1)\n", None)):
            self.assertEqual(measure.READY.search(text)[1], url)
        self.assertIsNone(measure.READY.search("not listening on tcp://127.0.0.1:7\n"))

    def test_how_many_messages_a_server_followed(self):
        measure.check_followed("listening on ...\n12,345 messages, 123 followed\n", 100, 12_000)
        for text in ("", "12,345 messages, 12 followed\n", "11,999 messages, 119 followed\n"):
            with self.assertRaises(measure.Trouble, msg=text):
                measure.check_followed(text, 100, 12_000)

    def test_every_server_takes_part_in_workloads_that_exist(self):
        for server in servers.SERVERS:
            self.assertLessEqual(set(server.workloads), set(servers.WORKLOADS), server.name)
        for workload in servers.WORKLOADS.values():
            if workload.kind in turns.CONTESTANTS:
                self.assertTrue(any(server.name == workload.anchor and workload.name in server.workloads
                                    for server in servers.SERVERS), workload.name)


class Pictures(unittest.TestCase):
    def run_of(self, **loads: dict) -> dict:
        return {"load": {name.replace("_", "-"): of for name, of in loads.items()}, "idle": {}}

    def test_they_are_xml_and_have_a_dot_for_each_server(self):
        samples = {"raw_epoll": [sample(0, 100)], "koine-epoll": [sample(0, 120)],
                   "slow & <odd>": [sample(0, 900)]}
        picture = plots.cpu({"load": {"64x64": samples}, "idle": {}}, servers.WORKLOADS)
        root = xml.etree.ElementTree.fromstring(picture)
        tags = [element.tag.rpartition("}")[2] for element in root.iter()]
        self.assertEqual(tags.count("circle"), 2)
        self.assertEqual(tags.count("path"), 1)  # 9 times raw_epoll is beyond the axis
        texts = [element.text for element in root.iter() if element.tag.endswith("text")]
        self.assertIn("slow & <odd>", texts)
        self.assertIn("9", texts)

    def test_a_value_stands_where_its_axis_says(self):
        linear = plots.Panel("", [], [0.8, 1.0, 1.2])
        self.assertAlmostEqual(linear.place(1.0), 0.5)
        self.assertEqual((linear.place(0.1), linear.place(7)), (0, 1))
        powers = plots.Panel("", [], [10, 100, 1000], is_log=True)
        self.assertAlmostEqual(powers.place(100), 0.5)
        self.assertEqual(powers.place(0), 0)

    def test_there_is_none_where_there_is_nothing_to_show(self):
        self.assertEqual(plots.all_of({"load": {}, "idle": {}}, servers.WORKLOADS), {})

    def test_an_axis_of_powers_holds_all_its_values(self):
        self.assertEqual(plots.marks_of_ten([264, 33_000], 10), [100, 1000, 10_000, 100_000])
        self.assertEqual(plots.marks_of_ten([0, 0], 10), [10, 100])


if __name__ == "__main__":
    unittest.main()
