#!/usr/bin/env python3
"""report.py compares only what may be compared, and says how sure it is."""

import unittest

import report


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


class Pages(unittest.TestCase):
    def run_with(self, samples: dict) -> str:
        from servers import WORKLOADS

        run = {"about": {"rerun": "script/bench"}, "load": {"64x64": samples}, "idle": {}, "compile": [],
               "troubles": ["64x64, own: died"]}
        return report.markdown(run, WORKLOADS, "raw")

    def test_what_was_left_out_and_what_did_not_work_is_told(self):
        page = self.run_with({"raw": [sample(0, 100), sample(1, 1, "mixed"), sample(2, 1, "disturbed")]})
        self.assertIn("Samples left out: 1 in which the cores' distance changed, 1 in which", page)
        self.assertIn("- 64x64, own: died", page)

    def test_a_busy_machine_is_told(self):
        noisy = sample(0, 100) | {"others_share": 0.2}
        self.assertIn("**not a quiet machine**", self.run_with({"raw": [noisy]}))
        self.assertNotIn("**not a quiet machine**", self.run_with({"raw": [sample(0, 100)]}))


if __name__ == "__main__":
    unittest.main()
