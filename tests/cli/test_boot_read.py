"""What reads summaries reads those of boots as well: compare, index, suggest, check. Machines of another kind are never
put together unasked."""

import unittest

from boottest import MachineTest, PlayedTest, release_only
from pwtest import PERFWRAP, parse_json

ANSWER = ("echo Linux; sleep 0.05; mark kernel; mark modules; sleep 0.05; mark exec code={code} signal=0; "
          "sleep 0.05")


class ReadTest:
    def call(self, *words, expect=0):
        return self.run_sh('exec "$@"', PERFWRAP, *words, expect=expect)

    def json_of(self, *words, expect=0):
        return parse_json(self.call(*words, "--format", "json", expect=expect).out)


class Played(ReadTest, PlayedTest):
    def boots(self, *options, code=0, version=1):
        """The folder of a run."""
        words = self.monitor(ANSWER.format(code=code))
        path = self.dir / "monitor"
        path.write_text(path.read_text().replace("played 1", f"played {version}"))
        return self.run_pw("-q", "--iterations", 5, *words, *options, expect=1 if code else 0).run_dir

    def test_compare(self):
        found = self.json_of("compare", self.boots(), self.boots())
        rows = {row["metric"]: row for row in found["metrics"]}
        for name in ("latency_ms", "marks.exec_ms", "phases.kernel_ms", "until.teardown_ms"):
            self.assertGreater(rows[name]["median_a"], 0)

    def test_other_machines_are_refused(self):
        a, b = self.boots(), self.boots(version=2)
        run = self.call("compare", a, b, expect=2)
        self.assertIn("played 1", run.err)
        self.assertIn("--across", run.err)
        self.call("compare", "--across", a, b)

    def test_index(self):
        self.boots()
        self.boots(version=2)
        for _ in range(2):
            self.boots()
        group = self.json_of("index", self.out_dir)["profiles"]["boot"]
        self.assertEqual((3, 1), (group["sample_count"], group["excluded_other_environment"]))
        self.assertIn("phases.kernel_ms.p50", group["metrics"])
        self.assertEqual("played 1", group["environment"]["monitor"])
        mixed = self.json_of("index", "--mix", self.out_dir)["profiles"]["boot"]
        self.assertEqual(4, mixed["sample_count"])

    def test_suggest(self):
        for code, is_told in ((3, True), (0, False)):
            found = self.json_of("suggest", self.boots(code=code) / "summary.json")["findings"]
            self.assertEqual(is_told, "boots_failed" in [finding["signal"] for finding in found], found)

    def test_check(self):
        good, bad = self.boots(), self.boots(code=3)
        kept = ["--bound", "phases.kernel_ms p50 <= 60000", "--bound", "until.teardown_ms max <= 60000"]
        self.call("check", *kept, "--bound", "failed_runs_total <= 0", good)
        self.call("check", *kept, "--bound", "failed_runs_total <= 0", bad, expect=1)
        self.call("check", "--bound", "phases.exec_ms p95 <= 0.000001", good, expect=1)
        self.call("check", "--bound", "phases.bios_ms p95 <= 1", good, expect=1)


@release_only
class ColdAndSnapshot(ReadTest, MachineTest):
    def test_they_are_never_put_together(self):
        cold, again, restored = (self.run_pw("-q", "--iterations", 2, "--start", start).run_dir
                                 for start in ("cold", "cold", "snapshot"))
        rows = self.json_of("compare", cold, again)["metrics"]
        self.assertIn("phases.kernel_ms", [row["metric"] for row in rows])
        run = self.call("compare", cold, restored, expect=2)
        for text in ("boot_start", "cold", "snapshot", "--across"):
            self.assertIn(text, run.err)
        rows = self.json_of("compare", "--across", cold, restored)["metrics"]
        self.assertLess(next(row["median_b"] for row in rows if row["metric"] == "latency_ms"),
                        next(row["median_a"] for row in rows if row["metric"] == "latency_ms"))
        group = self.json_of("index", self.out_dir)["profiles"]["boot"]
        self.assertEqual((1, 2), (group["sample_count"], group["excluded_other_environment"]))
        self.assertEqual(3, self.json_of("index", "--mix", self.out_dir)["profiles"]["boot"]["sample_count"])
        self.call("check", "--bound", "phases.kernel_ms p50 <= 60000", "--bound", "until.teardown_ms p50 <= 60000",
                  "--bound", "failed_runs_total <= 0", cold)


if __name__ == "__main__":
    unittest.main()
