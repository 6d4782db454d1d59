"""`perfwrap suggest`: what it says of indexes and of runs, and what it refuses."""

import json
import os
import subprocess
import unittest
from pathlib import Path

from pwtest import PERFWRAP, SOURCE_DIR, PerfwrapTest, parse_json, target

REFERENCE = os.environ.get("PW_REFERENCE_DIR")


class SuggestTest(PerfwrapTest):
    def suggest(self, *words, expect=0, cwd=None):
        process = subprocess.run([PERFWRAP, "suggest", *map(str, words)], capture_output=True,
                                 text=True, env=self.env(), cwd=cwd, timeout=120, check=False)
        self.assertNotIn("Sanitizer", process.stderr)
        self.assertEqual(expect, process.returncode, process.stdout + process.stderr)
        return process

    def document(self, *words, **kwargs):
        return parse_json(self.suggest("--format", "json", *words, **kwargs).stdout)

    def refuse(self, *words, says):
        process = self.suggest(*words, expect=2)
        self.assertEqual("", process.stdout)
        lines = [line for line in process.stderr.splitlines() if not line.startswith("  hint: ")]
        self.assertEqual(1, len(lines), process.stderr)
        self.assertIn(says, lines[0])

    def write(self, name, value):
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value if isinstance(value, str) else json.dumps(value))
        return path

    def summary(self, name="run/summary.json", **over):
        return self.write(name, {"generated_at": "2026-01-01T00:00:00Z", "run_dir": "/x/fleet-20260101-000000",
                                 "command": "sleep 1", "runs": [], "summary": {"latency_ms": {"mean": 100}},
                                 **over})

    def index(self, metrics, latest=None, name="index.json", profile="p"):
        return self.write(name, {
            "generated_at": "2026-01-01T00:00:00Z", "window": 30, "min_samples": 5,
            "profiles": {profile: {"sample_count": 9, "latest_summary_path": latest or "nowhere.json",
                                   "metrics": metrics}}})


RED = {"peak_fds_mean": {"present": True, "higher_is_better": False, "n": 9, "current": 9, "median": 3,
                         "delta_pct_from_median": 200, "robust_z": 8, "status": "red"}}


def signals(document, part="findings"):
    return [entry["signal"] for entry in document[part]]


class OfAnIndex(SuggestTest):
    @unittest.skipUnless(REFERENCE, "PW_REFERENCE_DIR is not set")
    def test_the_contract(self):
        for mode in ("exact", "heuristic", "heuristic-w3-m2"):
            path = f"expected/baseline-index-{mode}.json"
            expected = json.loads(Path(REFERENCE, f"expected/suggestions-{mode}.json").read_text())
            ours = self.document("--no-summaries", path, cwd=REFERENCE)
            self.assertEqual(expected["generated_from"], ours["generated_from"])
            triples = [[(w["profile"], w["severity"], w["signal"]) for w in document["warnings"]]
                       for document in (expected, ours)]
            self.assertEqual(*triples)
            for warning in ours["warnings"]:
                self.assertRegex(warning["message"], r"\d")
                self.assertEqual({"metric", "baseline", "baseline_is", "current", "change_pct", "samples",
                                  "confidence", "next_command"}, set(warning["evidence"]))

    @unittest.skipUnless(REFERENCE, "PW_REFERENCE_DIR is not set")
    def test_the_newest_summaries_are_looked_at(self):
        document = self.document("expected/baseline-index-heuristic.json", cwd=REFERENCE)
        self.assertEqual([], document["notes"])
        self.assertIn("failure_returned", signals(document))

    def test_a_summary_beside_the_index_or_in_the_working_folder(self):
        run = self.summary("far/run/summary.json", runs=[{"return_code": 3}])
        beside = self.index(RED, "run/summary.json", "far/index.json")
        here = self.index(RED, "far/run/summary.json", "index.json")
        absolute = self.index(RED, str(run), "absolute.json")
        for index in (beside, here, absolute):
            document = self.document(index)
            self.assertEqual(["peak_fds_mean"], signals(document, "warnings"))
            self.assertEqual(["failure_returned"], signals(document))
            self.assertEqual([], document["notes"])
        document = self.document("index.json", cwd=self.dir)
        self.assertEqual(["failure_returned"], signals(document))
        self.assertEqual([], signals(self.document("--no-summaries", beside)))

    def test_a_newest_summary_that_is_gone_or_broken_is_a_note(self):
        self.write("broken.json", "{")
        for latest in ("gone.json", "broken.json"):
            document = self.document(self.index(RED, latest))
            self.assertEqual(1, len(document["notes"]))
            self.assertIn(latest, document["notes"][0])
            self.assertEqual(["peak_fds_mean"], signals(document, "warnings"))
            self.assertEqual([], self.document("--no-summaries", self.index(RED, latest))["notes"])

    def test_the_old_tools_options(self):
        out = self.dir / "out.json"
        index = self.index(RED)
        process = self.suggest("--index", index, "--out", out)
        self.assertIn("peak_fds_mean is 9", process.stdout)
        self.assertEqual(self.document(index), parse_json(out.read_text()))
        self.assertEqual(str(index), parse_json(out.read_text())["generated_from"])

    def test_an_index_that_perfwrap_made(self):
        for i in range(8):
            self.summary(f"runs/r{i}/summary.json", generated_at=f"2026-01-01T00:00:0{i}Z",
                         run_dir=f"/x/fleet-20260101-00000{i}",
                         summary={"latency_ms": {"mean": 100 + i % 2, "p95": 110 + (900 if i == 7 else i % 3)},
                                  "throughput_runs_per_sec": {"mean": 1 if i == 7 else 9 + i % 2},
                                  "failed_runs_total": 0})
        index = self.dir / "made.json"
        subprocess.run([PERFWRAP, "index", "--out", index, self.dir / "runs"], check=True, env=self.env(),
                       capture_output=True, timeout=120)
        document = self.document(index)
        self.assertEqual([("fleet", "red", "latency_p95_ms+throughput_mean")],
                         [(w["profile"], w["severity"], w["signal"]) for w in document["warnings"]])

    def test_hostile_names(self):
        name = "\x1b[2J|<script>\n# x"
        index = self.index(RED, profile=name)
        self.assertEqual(name, self.document(index)["warnings"][0]["profile"])
        for form in ("text", "markdown"):
            out = self.suggest("--no-summaries", "--format", form, index).stdout
            self.assertNotIn("\x1b", out)
            self.assertNotIn("\n# x", out)
        self.assertNotIn("<script>", out)


class OfRuns(SuggestTest):
    def findings(self, *options, cmd, expect=0):
        run = self.run_pw(*options, cmd=cmd, expect=expect)
        document = self.document(run.run_dir)
        return {entry["signal"]: entry for entry in document["findings"]}, run

    def test_killed_and_failed_workers_are_told_apart(self):
        script = "[ $PERFWRAP_ITERATION = 1 ] && kill -9 $$; [ $PERFWRAP_ITERATION = 2 ] && exit 7; exit 0"
        found, run = self.findings("-n", 4, "-w", 0, cmd=["/bin/sh", "-c", script], expect=1)
        self.assertIn("1 of 4 runs were killed: return code 137 (SIGKILL)", found["failure_killed"]["message"])
        self.assertIn("return code 7", found["failure_returned"]["message"])
        self.assertEqual("red", found["failure_killed"]["severity"])
        self.assertEqual("high", found["failure_killed"]["evidence"]["confidence"])
        self.assertEqual(str(run.summary_path), self.document(run.summary_path)["generated_from"])

    def test_a_timeout_and_orphans(self):
        found, _ = self.findings("-n", 1, "-w", 0, "--timeout-sec", 0.3, "--kill-grace-ms", 100,
                                 cmd=["/bin/sleep", 30], expect=1)
        self.assertIn("failure_timeout", found)
        found, _ = self.findings("-n", 1, "-w", 0, cmd=["/bin/sh", "-c", "setsid sleep 30 & exit 0"])
        self.assertIn("orphans", found)

    def test_sleeping_is_waiting(self):
        found, _ = self.findings("-n", 3, "-w", 0, cmd=["/bin/sleep", 0.3])
        self.assertIn("mostly_waiting", found)
        self.assertIn("-- /bin/sleep 0.3", found["mostly_waiting"]["evidence"]["next_command"])
        self.assertNotIn("cpu_bound", found)

    def test_memory_that_grows_from_iteration_to_iteration(self):
        program = target("hold_memory")
        grows = f"exec {program} $((8 + 2 * PERFWRAP_ITERATION)) 1"
        found, _ = self.findings("-n", 12, "-w", 0, cmd=["/bin/sh", "-c", grows])
        self.assertIn("memory_growth", found)
        evidence = found["memory_growth"]["evidence"]
        self.assertAlmostEqual(22, evidence["current"] - evidence["baseline"], delta=4)
        found, _ = self.findings("-n", 12, "-w", 0, cmd=["/bin/sh", "-c", f"exec {program} 16 40"])
        self.assertNotIn("memory_growth", found)

    def test_starting_is_a_share_of_a_program_that_does_nothing(self):
        found, run = self.findings("-n", 20, cmd=["/bin/true"])
        summary = run.summary["summary"]
        start = summary["worker_step_timings_ms"]["spawn_proc"]["mean"]
        [limit] = [t["value"] for t in self.document("--rules")["thresholds"] if t["name"] == "spawn_pct"]
        fires = 100 * start / summary["worker_latency_ms"]["mean"] >= limit
        self.assertEqual(fires, "spawn_cost" in found)
        if fires:
            self.assertAlmostEqual(start, found["spawn_cost"]["evidence"]["current"], places=6)

    def test_several_at_once(self):
        one = self.summary("a/summary.json", runs=[{"return_code": 1}])
        self.summary("b/summary.json", runs=[{"return_code": 127}])
        document = self.document(one, self.dir / "b")
        self.assertEqual(["failure_returned", "failure_not_run"], signals(document))
        self.assertEqual(f"{one}, {self.dir}/b/summary.json", document["generated_from"])

    def test_nothing_to_say(self):
        self.assertIn("Nothing stands out.", self.suggest(self.summary()).stdout)

    def test_fail_on(self):
        red = self.summary("red.json", runs=[{"return_code": 1}])
        yellow = self.summary("yellow.json", warnings=[{"kind": "high_load", "message": "x"}])
        info = self.summary("info.json", warnings=[{"kind": "slow_first_run", "message": "x"}])
        for path, on_yellow, on_red in ((red, 1, 1), (yellow, 1, 0), (info, 0, 0)):
            self.suggest(path)
            self.suggest("--fail-on", "yellow", path, expect=on_yellow)
            self.suggest("--fail-on", "red", path, expect=on_red)


class Refused(SuggestTest):
    def test_bad_input(self):
        self.refuse(says="no index and no summary")
        self.refuse(self.dir / "none.json", says="none.json")
        self.refuse(self.dir, says=str(self.dir))
        self.refuse(f"{self.dir}/*.json", says="*.json")
        self.refuse(self.write("cut.json", '{"summary": {'), says="cut.json")
        self.refuse(self.write("list.json", "[]"), says="list.json")
        self.refuse(self.write("other.json", {"results": []}), says="other.json")
        self.refuse("--index", self.summary(), says="summary.json")
        self.refuse("--index", self.write("odd.json", {"profiles": {"p": 5}}), says="odd.json")
        self.refuse("--fail-on", "blue", self.summary(), says="blue")
        self.refuse("--format", "xml", self.summary(), says="xml")

    def test_one_bad_file_among_others(self):
        self.refuse(self.summary(), self.write("cut.json", "{"), says="cut.json")

    def test_an_out_that_cannot_be_written(self):
        process = self.suggest("--out", self.dir / "no/such/out.json", self.summary(), expect=125)
        self.assertIn("no/such/out.json", process.stderr)


class Rules(SuggestTest):
    def test_the_page_is_what_perfwrap_prints(self):
        page = (SOURCE_DIR / "docs/suggestions.md").read_text(encoding="utf-8")
        self.assertEqual(page, self.suggest("--rules", "--format", "markdown").stdout)

    def test_the_tables_as_json_and_text(self):
        rules = self.document("--rules")
        self.assertEqual({"contract", "summary"}, {rule["table"] for rule in rules["rules"]})
        names = [rule["signal"] for rule in rules["rules"]]
        self.assertEqual(len(names), len(set(names)))
        self.assertGreater(len(rules["thresholds"]), 20)
        self.assertIn("run_queue_wait", self.suggest("--rules").stdout)


if __name__ == "__main__":
    unittest.main()
