"""`perfwrap ab`: two commands in turn, their run folders, and the comparison."""

import signal
import unittest
from pathlib import Path

from pwtest import PERFWRAP, PerfwrapTest, iteration_files, load_json, parse_json, target, wait_until


class AbTest(PerfwrapTest):
    def args(self, *options, **kwargs):
        first, *rest = super().args(*options, **kwargs)
        return [first, "ab", *rest]

    def paths(self, run):
        """The last three lines of standard output: both summaries and the comparison."""
        lines = [line.split("=", 1) for line in run.out.splitlines()[-3:]]
        self.assertEqual(["summary_json_a", "summary_json_b", "comparison_json"],
                         [key for key, _ in lines], str(run))
        return [Path(path) for _, path in lines]

    def latency(self, comparison):
        return next(row for row in comparison["metrics"] if row["metric"] == "latency_ms")


class Truth(AbTest):
    def test_slower(self):
        run = self.run_pw("-n", 8, "--a", "sleep 0.02", "--b", "sleep 0.04", "--fail-on", "slower",
                          expect=1)
        a, b, comparison = self.paths(run)
        found = load_json(comparison)
        self.assertEqual("slower", self.latency(found)["verdict"])
        self.assertEqual([8, 8], [self.latency(found)["n_a"], self.latency(found)["n_b"]])
        self.assertEqual(["sleep 0.02", "sleep 0.04"],
                         [found[side]["command"] for side in ("a", "b")])
        for path, command in ((a, "sleep 0.02"), (b, "sleep 0.04")):
            summary = load_json(path)
            self.assertEqual([command, 8], [summary["command"], summary["iterations"]])
            self.assertEqual("iterations", summary["stop_reason"])
            self.assertEqual(8, len(iteration_files(path.parent)))
            self.assertTrue((path.parent / "summary.md").exists())
        self.assertIn("latency_ms", run.out)
        self.assertTrue(a.parent.name.startswith("ab-a-") and b.parent.name.startswith("ab-b-"))
        self.assertEqual(b.parent, comparison.parent)

    def test_memory(self):
        run = self.run_pw("-q", "-n", 6, "--a", f"{target('hold_memory')} 64 1",
                          "--b", f"{target('hold_memory')} 80 1")
        rows = load_json(self.paths(run)[2])["metrics"]
        row = next(row for row in rows if row["metric"] == "max_rss_mb")
        self.assertEqual("slower", row["verdict"])
        self.assertAlmostEqual(16, row["shift"], delta=1)
        self.assertNotIn("max_rss_mb", run.out)  # --quiet: the result lines only


class Order(AbTest):
    def log(self, name):
        return f"sh -c 'echo {name}$PERFWRAP_ITERATION >>{self.dir}/log'"

    def read(self):
        return (self.dir / "log").read_text().split()

    def test_abba(self):
        self.run_pw("-q", "-n", 5, "-w", 2, "--a", self.log("a"), "--b", self.log("b"))
        self.assertEqual("a0 a0 b0 b0 a1 b1 b2 a2 a3 b3 b4 a4 a5 b5".split(), self.read())

    def test_shell_and_hooks(self):
        self.run_pw("-q", "-n", 1, "-w", 0, "--shell", "--a", f"echo a >>{self.dir}/log",
                    "--b", f"echo b >>{self.dir}/log", "--prepare", f"echo p >>{self.dir}/log",
                    "--setup", f"echo s >>{self.dir}/log", "--cleanup", f"echo c >>{self.dir}/log")
        self.assertEqual("s s p a p b c c".split(), self.read())

    def test_time_budget(self):
        run = self.run_pw("-q", "--max-time-sec", 0.3, "--a", "sleep 0.01", "--b", "sleep 0.01")
        a, b, _ = (load_json(path) for path in self.paths(run))
        self.assertEqual(a["iterations"], b["iterations"])
        self.assertGreater(a["iterations"], 1)
        self.assertEqual("time_budget", b["stop_reason"])

    def test_default_count_and_name(self):
        run = self.run_pw("-q", "--profile-name", "job", "--a", "true", "--b", "true")
        a, b, comparison = self.paths(run)
        self.assertEqual(20, load_json(a)["iterations"])
        self.assertEqual(20, load_json(b)["iterations"])
        self.assertEqual(["job-a", "job-b"],
                         [load_json(comparison)[side]["name"] for side in ("a", "b")])

    def test_json(self):
        run = self.run_pw("-n", 2, "--format", "json", "--a", "true", "--b", "true")
        self.assertEqual(2, self.latency(parse_json(run.out))["n_b"])


class Failures(AbTest):
    def test_interrupted_run_compares_what_there_is(self):
        process = self.start("-n", 10000, "-w", 0, "--a", "sleep 0.01", "--b", "sleep 0.02")
        wait_until(lambda: len(list(self.out_dir.glob("ab-b-*/iteration-00[4-9].json"))) > 0,
                   what="some iterations of both")
        process.send_signal(signal.SIGINT)
        run = self.finish(process)
        self.assertEqual(128 + signal.SIGINT, run.status, str(run))
        self.assertEqual(1, run.err.count("interrupted by signal"), str(run))
        a, b, comparison = (load_json(path) for path in self.paths(run))
        for summary in (a, b):
            self.assertTrue(summary["interrupted"])
            self.assertGreaterEqual(summary["iterations"], 3)
        self.assertLessEqual(abs(a["iterations"] - b["iterations"]), 1)
        self.assertEqual(a["iterations"], self.latency(comparison)["n_a"])
        self.assertTrue(any("interrupted" in text for text in comparison["warnings"]))

    def test_interrupted_before_anything_was_measured(self):
        process = self.start("-n", 10, "--a", "sleep 60", "--b", "sleep 60")
        wait_until(lambda: list(self.out_dir.glob("ab-b-*")), what="the run folders")
        process.send_signal(signal.SIGTERM)
        run = self.finish(process)
        self.assertEqual(128 + signal.SIGTERM, run.status, str(run))
        self.assertIn("no measured iteration", run.err)
        self.assertNotIn("comparison_json", run.out)

    def test_failing_command(self):
        run = self.run_pw("-n", 4, "--a", "true", "--b", "sh -c 'echo why >&2; exit 3'", expect=1)
        self.assertIn("B, iteration 1, worker 1: return code 3", run.err)
        self.assertIn("why", run.err)
        comparison = load_json(self.paths(run)[2])
        self.assertEqual([0, 4], [comparison[side]["failed"] for side in ("a", "b")])
        run = self.run_pw("-q", "-n", 4, "--ignore-failure", "--a", "true", "--b", "false")
        self.paths(run)
        self.run_pw("-q", "-n", 4, "--ignore-failure", "--fail-on", "slower", "--a", "true",
                    "--b", "false", expect=1)

    def test_missing_command(self):
        run = self.run_pw("--a", "true", "--b", "/no/such/program", expect=127)
        self.assertIn("side B", run.err)
        self.assertEqual("", run.out)
        self.assertEqual([], list(self.out_dir.iterdir()))

    def test_failing_hook_keeps_what_was_measured(self):
        run = self.run_pw("-q", "-n", 9, "--a", "true", "--b", "true",
                          "--prepare", "test $PERFWRAP_ITERATION -lt 3", expect=125)
        a, b, _ = (load_json(path) for path in self.paths(run))
        self.assertEqual([2, 2], [a["iterations"], b["iterations"]])
        self.assertEqual(["error", "error"], [a["stop_reason"], b["stop_reason"]])
        self.assertIn("side A failed", b["stop_detail"])  # the fifth pair begins with A

    def test_bad_usage(self):
        two = ("--a", "true", "--b", "true")
        for words, part in (((), "two commands"), (("--a", "true"), "two commands"),
                            ((*two, "--cmd", "true"), "--cmd"), ((*two, "--json"), "--json"),
                            ((*two, "--sla", "cold"), "--sla"), ((*two, "more"), "unexpected word"),
                            ((*two, "--iteration", "4"), "--iterations"),
                            ((*two, "-n", "0"), "iterations"), ((*two, "--floor", "x"), "floor"),
                            (("--a", "'", "--b", "true"), "side A")):
            with self.subTest(words=words):
                run = self.run_pw(*words, expect=2)
                self.assertIn(part, run.err)
                self.assertEqual("", run.out)
                self.assertFalse(self.out_dir.exists())

    def test_help(self):
        run = self.run_sh('exec "$@"', PERFWRAP, "ab", "--help")
        self.assertIn("--fail-on", run.out)
        self.assertIn("All options of run", " ".join(run.out.split()))


if __name__ == "__main__":
    unittest.main()
