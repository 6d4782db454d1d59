"""`perfwrap compare`: two sets of runs of known truth, and what it says to bad input."""

import json
import unittest

from pwtest import PERFWRAP, PerfwrapTest, load_json, parse_json, target


class CompareTest(PerfwrapTest):
    def call(self, *words, expect=0):
        return self.run_sh('exec "$@"', PERFWRAP, *words, expect=expect)

    def measure(self, *cmd, n=8, options=(), expect=0):
        """The folder of a run."""
        return self.run_pw("-q", "-n", n, *options, cmd=cmd, expect=expect).run_dir

    def compare(self, *words, expect=0):
        return parse_json(self.call("compare", "--format", "json", *words, expect=expect).out)

    def row(self, comparison, metric):
        return next(row for row in comparison["metrics"] if row["metric"] == metric)


class Truth(CompareTest):
    def test_slower(self):
        """Half as long again: no noise of a machine hides it, nor makes it up."""
        a = self.measure("sleep", "0.02")
        b = self.measure("sleep", "0.04")
        found = self.compare(a, b)
        row = self.row(found, "latency_ms")
        self.assertEqual("slower", row["verdict"])
        self.assertTrue(row["gate"])
        self.assertGreater(row["shift"], 10)
        self.assertLess(row["shift_low"], row["shift"])
        self.assertEqual(1, row["effect"])
        self.assertEqual("faster", self.row(self.compare(b, a), "latency_ms")["verdict"])

    def test_memory(self):
        a = self.measure(target("hold_memory"), "64", "1")
        b = self.measure(target("hold_memory"), "80", "1")
        row = self.row(self.compare(a, b), "max_rss_mb")
        self.assertEqual("slower", row["verdict"])
        self.assertAlmostEqual(16, row["shift"], delta=1)
        self.assertIn("worse", self.call("compare", a, b).out)

    def test_cpu(self):
        """By the CPU clock, so a busy machine changes nothing."""
        a = self.measure(target("burn_cpu"), "40")
        b = self.measure(target("burn_cpu"), "80")
        found = self.compare(a, b)
        # a row that is 0 on both sides says nothing and is left out
        cpu = [row for row in found["metrics"] if row["metric"] in ("user_cpu_sec", "system_cpu_sec")]
        self.assertIn("slower", [row["verdict"] for row in cpu])
        self.assertAlmostEqual(0.04, sum(row["median_b"] - row["median_a"] for row in cpu), delta=0.01)

    def test_same_file_twice(self):
        a = self.measure("sleep", "0.01")
        found = self.compare(a, a, "--all")
        self.assertGreater(len(found["metrics"]), 20)
        for row in found["metrics"]:
            self.assertEqual(0, row["shift"], row)
            self.assertIn(row["verdict"], ("same", "unsure"), row)
        self.call("compare", a, a, "--fail-on", "slower,faster")

    def test_duplicates_are_left_out(self):
        found = self.compare(a := self.measure("true"), a)
        metrics = [row["metric"] for row in found["metrics"]]
        self.assertNotIn("max_rss_kb", metrics)
        self.assertNotIn("throughput_runs_per_sec", metrics)
        self.assertNotIn("worker_latency_ms", metrics)
        found = self.compare(a := self.measure("true", n=3, options=("-c", 2)), a)
        self.assertTrue(self.row(found, "throughput_runs_per_sec")["gate"])
        self.assertEqual(3, self.row(found, "worker_latency_ms")["n_a"])


class Gate(CompareTest):
    def test_fail_on(self):
        a, b = self.measure("sleep", "0.02"), self.measure("sleep", "0.04")
        self.assertIn("slower", self.call("compare", a, b, "--fail-on", "slower", expect=1).err)
        self.call("compare", b, a, "--fail-on", "slower")
        self.call("compare", b, a, "--fail-on", "slower,faster", expect=1)
        self.call("compare", a, b)  # without --fail-on it only tells
        self.call("compare", a, b, "--fail-on", "slower", "--floor", "500%")

    def test_too_few_values_are_unsure(self):
        a, b = self.measure("sleep", "0.02", n=2), self.measure("sleep", "0.04", n=2)
        found = self.call("compare", a, b, "--fail-on", "slower")
        self.assertIn("too few values", found.out)
        self.call("compare", a, b, "--fail-on", "slower,unsure", expect=1)

    def test_a_crash_is_no_speed_up(self):
        a = self.measure("sleep", "0.02")
        b = self.measure("sh", "-c", "exit 3", expect=1)
        found = self.call("compare", a, b, "--fail-on", "slower", expect=1)
        self.assertIn("larger share of B's workers failed", found.err)
        self.assertIn("workers failed: 0 of 8 of A, 8 of 8 of B", found.out)
        self.call("compare", b, b, "--fail-on", "slower")  # a command that always fails


class Input(CompareTest):
    def test_several_a_side(self):
        a1, a2, b = (self.measure("true", n=n) for n in (3, 4, 5))
        found = self.compare("--a", a1, "--a", a2 / "summary.json", "--b", b)
        self.assertEqual([2, 7], [found["a"]["summaries"], found["a"]["iterations"]])
        self.assertEqual(7, self.row(found, "latency_ms")["n_a"])
        found = self.compare(self.out_dir, f"{self.out_dir}/*")
        self.assertEqual([3, 12], [found["a"]["summaries"], found["b"]["iterations"]])

    def test_unlike_machines(self):
        a = self.measure("true")
        other = load_json(a / "summary.json")
        other["environment"]["cpu_model"] = "Abacus"
        other["environment"]["kernel"] = None
        other["profile"]["probe_interval_ms"] = 7.0
        path = self.dir / "other.json"
        path.write_text(json.dumps(other))
        found = self.compare(a, path)
        self.assertEqual(2, len(found["warnings"]), found["warnings"])
        self.assertIn('"Abacus" in B', found["warnings"][0])
        self.assertIn("probe_interval_ms is 20.0 in A and 7.0 in B", found["warnings"][1])
        self.assertIn("Abacus", self.call("compare", a, path).out)

    def test_formats(self):
        a = self.measure("true")
        self.assertIn("| latency_ms |", self.call("compare", a, a, "--format=markdown").out)
        self.assertIn("Command  true", self.call("compare", a, a).out)
        self.assertNotIn("\x1b", self.call("compare", a, a).out)

    def test_bad_input(self):
        a = self.measure("true")
        broken = self.dir / "broken.json"
        broken.write_text("{")
        empty = load_json(a / "summary.json")
        empty["runs"] = []
        nothing = self.dir / "nothing.json"
        nothing.write_text(json.dumps(empty))
        for words, part in (((a,), "two sides"), ((), "two sides"), ((a, a, a), "unexpected word"),
                            (("--a", a), "two sides"), ((a, a, "--a", a), "two sides"),
                            ((a, self.dir / "no"), "no"), ((a, broken), "broken.json"),
                            ((a, nothing), "no measured iteration"),
                            ((a, f"{self.dir}/*.xml"), "*.xml"),
                            ((a, a, "--floor", "-1"), "percentage"),
                            ((a, a, "--floor", "3%%"), "percentage"),
                            ((a, a, "--confidence", "0.95"), "from 50 to"),
                            ((a, a, "--format", "xml"), "none of"),
                            ((a, a, "--fail-on", "slow"), "no verdict"),
                            ((a, a, "--fail-on", "slower,"), "no verdict")):
            with self.subTest(words=words):
                run = self.call("compare", *words, expect=2)
                self.assertIn(part, run.err)
                self.assertEqual("", run.out)
                self.assertEqual(1, sum(line.startswith("perfwrap:") for line in run.err.splitlines()))


if __name__ == "__main__":
    unittest.main()
