"""`perfwrap run --sla` and its kin: measuring and gating in one go."""

import json
import unittest

from pwtest import PerfwrapTest


class GateTest(PerfwrapTest):
    def profile(self, text):
        path = self.dir / "own.json"
        path.write_text(text if isinstance(text, str) else json.dumps(text))
        return path


class Verdicts(GateTest):
    def test_kept_and_not_kept(self):
        run = self.run_pw("-n", 3, "--bound", "latency_ms p(95) <= 60s", cmd=["true"])
        self.assertRegex(run.err, r"\[perf\] summary=.*/summary.json\nPASS: latency_ms p\(95\)=")
        self.assertEqual(["summary_json", "summary_md"],
                         [line.split("=")[0] for line in run.out.splitlines()[-2:]])
        run = self.run_pw("-n", 3, "--bound", "latency_ms p(95) <= 1ms", cmd=["sleep", "0.01"],
                          expect=1)
        self.assertIn("FAIL: latency_ms p(95)=", run.err)
        self.assert_clean_run(run, 3)

    def test_quiet_tells_only_of_failures(self):
        run = self.run_pw("-q", "-n", 2, "--bound", "latency_ms mean <= 60s", cmd=["true"])
        self.assertEqual("", run.err)
        run = self.run_pw("-q", "-n", 2, "--bound", "latency_ms mean <= 0.01ms", cmd=["true"], expect=1)
        self.assertIn("FAIL", run.err)

    def test_json_stays_alone_on_standard_output(self):
        run = self.run_pw("--json", "-n", 2, "--bound", "latency_ms mean <= 0.01ms", cmd=["true"],
                          expect=1)
        self.assertEqual(2, json.loads(run.out)["iterations"])
        self.assertIn("FAIL", run.err)

    def test_named_profile(self):
        run = self.run_pw("-n", 3, "--sla", "cold", cmd=["sleep", "0.1"])  # long enough to be sampled
        self.assertIn("[cold] summary=", run.err)
        self.assertIsNone(run.summary["profile"]["name"])
        self.assertIn("PASS: latency_p95_ms=", run.err)
        run = self.run_pw("-n", 2, "--sla", "cold", "--profile-name", "job",
                          "--bound", "latency_ms p(95) <= 0.001", cmd=["true"], expect=1)
        self.assertIn("[job] summary=", run.err)
        self.assertEqual(1, run.err.count("latency_ms p(95)") + run.err.count("latency_p95_ms"))

    def test_own_profile_and_missing_data(self):
        path = self.profile({"name": "own", "thresholds": ["otel.no.such mean <= 5"]})
        run = self.run_pw("-n", 2, "--sla", path, cmd=["true"], expect=1)
        self.assertIn("unavailable", run.err)
        self.run_pw("-n", 2, "--sla", path, "--tell-apart", cmd=["true"], expect=3)

    def test_workers_that_fail(self):
        self.run_pw("-n", 2, "--bound", "latency_ms mean <= 60s", cmd=["false"], expect=1)
        self.run_pw("-n", 2, "--bound", "latency_ms mean <= 60s", "--ignore-failure", cmd=["false"])
        self.run_pw("-n", 2, "--bound", "failed_runs_total <= 0", "--ignore-failure", cmd=["false"],
                    expect=1)

    def test_baseline(self):
        base = self.run_pw("-n", 2, cmd=["sleep", "0.05"]).run_dir
        bound = "latency_ms p(50) <= baseline*0.5"
        self.run_pw("-n", 2, "--baseline", base, "--bound", bound, cmd=["true"])
        self.run_pw("-n", 2, "--baseline", base, "--bound", bound, cmd=["sleep", "0.05"], expect=1)


class Extension(GateTest):
    def test_goes_on_until_decided(self):
        """Of a percentile 3 values say nothing from above, however far below the limit they are."""
        run = self.run_pw("-n", 3, "--extend-to", 50, "--tell-apart",
                          "--bound", "latency_ms p(50) <= 60s", cmd=["true"])
        summary = run.summary
        self.assertEqual("sla_decided", summary["stop_reason"])
        self.assertEqual(50, summary["profile"]["extend_to"])
        self.assertIn("could be decided after", summary["stop_detail"])
        self.assertEqual(6, summary["iterations"])  # the least n with a 95 % interval of the median
        self.assert_clean_run(run, 6)

    def test_ends_undecided(self):
        run = self.run_pw("-n", 2, "--extend-to", 7, "--bound", "latency_ms p(99) <= 60s",
                          cmd=["true"], expect=1)
        self.assertEqual("sla_undecided", run.summary["stop_reason"])
        self.assertEqual(7, run.summary["iterations"])
        self.assertIn("INCONCLUSIVE", run.err)
        self.run_pw("-n", 2, "--extend-to", 7, "--bound", "latency_ms p(99) <= 60s", "--tell-apart",
                    cmd=["true"], expect=3)

    def test_a_failure_is_a_decision(self):
        run = self.run_pw("-n", 3, "--extend-to", 50, "--bound", "latency_ms p(99) <= 60s",
                          "--bound", "failed_runs_total >= 1", cmd=["true"], expect=1)
        self.assertEqual(["iterations", 3], [run.summary["stop_reason"], run.summary["iterations"]])

    def test_time_budget_goes_before(self):
        run = self.run_pw("--max-time-sec", 0.2, "--extend-to", 100000, "--bound",
                          "latency_ms p(99.99) <= 60s", cmd=["true"], expect=1)
        self.assertEqual("time_budget", run.summary["stop_reason"])

    def test_without_it_values_decide(self):
        self.run_pw("-n", 2, "--bound", "latency_ms p(50) <= 60s", cmd=["true"])
        self.run_pw("-n", 2, "--bound", "latency_ms p(50) <= 60s", "--decide", "ci", "--tell-apart",
                    cmd=["true"], expect=3)


class BeforeAnythingRuns(GateTest):
    def test_bad_input(self):
        duplicate = self.profile('{"name": "x", "name": "y", "thresholds": ["failed_runs_total<=0"]}')
        ran = self.dir / "ran"
        for words, part in ((("--bound", "latencyms mean <= 5"), "latency_ms"),
                            (("--bound", "latency_ms p(101) <= 5"), "column"),
                            (("--bound", "latency_ms mean <= 5MB"), "MB"),
                            (("--bound", "latency_ms mean<=5", "--bound", "latency_ms mean>=6"), "mean"),
                            (("--bound", "latency_ms mean <= baseline*2"), "baseline"),
                            (("--bound", "latency_ms mean <= 5", "--baseline", self.dir / "no"), "no"),
                            (("--sla", "nosuch"), "nosuch"), (("--sla", duplicate), "line 1"),
                            (("--decide", "ci"), "--sla"), (("--extend-to", 9), "--sla"),
                            (("--tell-apart",), "--sla"), (("--baseline", "x"), "--sla"),
                            (("--sla", "cold", "--extend-to", 5), "--iterations"),
                            (("--sla", "cold", "--extend-to", 9, "--decide", "value"), "ci"),
                            (("--sla", "cold", "--decide", "maybe"), "maybe")):
            with self.subTest(words=words):
                run = self.run_pw(*words, cmd=["touch", str(ran)], expect=2)
                self.assertIn(part, run.err)
                self.assertEqual("", run.out)
                self.assertFalse(ran.exists())
                self.assertFalse(self.out_dir.exists())

    def test_a_run_that_is_not_whole_is_not_judged(self):
        run = self.run_pw("-n", 5, "--bound", "latency_ms mean <= 60s", "--prepare",
                          "test $PERFWRAP_ITERATION -lt 3", cmd=["true"], expect=125)
        self.assertIn("the bounds are not judged", run.err)
        self.assertNotIn("PASS", run.err)


if __name__ == "__main__":
    unittest.main()
