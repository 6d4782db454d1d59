"""perfwrap check: the gate. Reports and exit statuses against the contract, byte for byte; every bound with an input
that must fail; bad input, which is never a pass."""

import json
import os
import random
import shutil
import subprocess
import unittest
import xml.etree.ElementTree as xml
from pathlib import Path

import sla_reference as reference
from pwtest import PERFWRAP, SANITIZED, SOURCE_DIR, PerfwrapTest, parse_json

REFERENCE_DIR = os.environ.get("PW_REFERENCE_DIR")
SCHEMA = SOURCE_DIR / "tests/data/junit/jenkins-junit.xsd"
XMLLINT = shutil.which("xmllint")


class CheckTest(PerfwrapTest):
    def call(self, *args, expect=0, cwd=None, **env):
        return self.run_sh('exec "$@"', PERFWRAP, "check", *map(str, args), expect=expect, cwd=cwd or self.dir,
                           env=self.env(**{"GITHUB_STEP_SUMMARY": "", **env}))

    def refused(self, *args, **kwargs):
        """Exit 2, nothing on standard output, one line (and perhaps a hint) on standard error: that line."""
        run = self.call(*args, expect=2, **kwargs)
        self.assertEqual("", run.out)
        self.assertRegex(run.err, r"\Aperfwrap: [^\n]+\n(  hint: [^\n]+\n)?\Z")
        return run.err

    def put(self, document, name="summary.json"):
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
        return path

    def summary(self, name="summary.json", **numbers):
        return self.put(reference.summary_with(**numbers), name)

    def sampled(self, latencies, name="sampled.json"):
        document = reference.summary_with()
        document["runs"] = [{"iteration": i, "return_code": 0, "duration_ms": ms}
                            for i, ms in enumerate(latencies, 1)]
        document["iterations"] = len(latencies)
        ordered = sorted(latencies)
        at = 0.95 * (len(ordered) - 1)
        below = int(at)
        above = min(below + 1, len(ordered) - 1)
        document["summary"]["latency_ms"] = {
            "mean": sum(ordered) / len(ordered),
            "p95": ordered[below] + (at - below) * (ordered[above] - ordered[below])}
        return self.put(document, name)


class Contract(CheckTest):
    @unittest.skipUnless(REFERENCE_DIR, "PW_REFERENCE_DIR is not set: no reference data")
    def test_the_reference_reports(self):
        expected = sorted(Path(REFERENCE_DIR, "expected/sla").glob("*.txt"))
        self.assertEqual(104, len(expected))
        for path in expected:
            profile, name = path.stem.split("--", 1)
            summary = f"summaries/{name}/summary.json"
            with self.subTest(path.stem):
                run = self.call("--profile", profile, "--summary", summary, expect=None, cwd=REFERENCE_DIR)
                self.assertEqual(path.read_text(encoding="utf-8"), f"{run.out}exit={run.status}\n")
                self.assertEqual("", run.err)
                document = json.loads(Path(REFERENCE_DIR, summary).read_text(encoding="utf-8"))
                self.assertEqual(reference.report(document, summary, profile), (run.out, run.status))

    def test_generated_reports(self):
        """Summaries made by chance, each profile and none, with and without further flags."""
        rng = random.Random(20261121)
        statuses = set()
        for i in range(10 if SANITIZED else 60):
            document = reference.random_summary(rng)
            self.put(document, "s.json")
            for profile in (None, *reference.PROFILES):
                extra = reference.random_extra(rng) if rng.random() < 0.5 else {}
                args = ["--summary", "s.json"] + (["--profile", profile] if profile else [])
                args += ["--extra"] * bool(extra and profile)
                args += [word for flag, limit in extra.items() for word in (f"--{flag}", repr(limit))]
                with self.subTest(i=i, args=args, document=document):
                    run = self.call(*args, expect=None)
                    self.assertEqual(reference.report(document, "s.json", profile, extra), (run.out, run.status))
                    statuses.add(run.status)
        self.assertEqual({0, 1}, statuses)

    def test_every_flag_passes_and_fails(self):
        for flag, name, _, upper in reference.FLAGS:
            with self.subTest(flag):
                self.summary(**{name: 5})
                kept, broken = (6, 4) if upper else (4, 6)
                op = "<=" if upper else ">="
                out = self.call("summary.json", f"--{flag}", kept, "--max-failed-runs=9", f"--{flag}={kept}").out
                self.assertIn(f"PASS: {name}=5 {op} {kept}\n", out)
                self.assertIn(f"PASS: {name}=5 {op} 5\n",
                              self.call("summary.json", "--max-failed-runs=9", f"--{flag}=5").out)
                out = self.call("summary.json", "--max-failed-runs=9", f"--{flag}={broken}", expect=1).out
                self.assertIn(f"FAIL: {name}=5 {op} {broken}\n", out)
                self.summary(**{name: None})
                out = self.call("summary.json", "--max-failed-runs=9", f"--{flag}={kept}", expect=1).out
                self.assertIn(f"FAIL: {name} unavailable; limit={kept}.0\n", out)

    def test_failed_runs_are_always_checked(self):
        self.summary(failed_runs_total=1)
        self.assertEqual("[perf] summary=summary.json\nFAIL: failed_runs_total=1 <= 0\n",
                         self.call("summary.json", expect=1).out)
        self.call("summary.json", "--bound=latency_ms mean<=99", expect=1)
        profile = self.put({"name": "mine", "thresholds": ["latency_ms mean <= 99"]}, "mine.json")
        self.assertIn("FAIL: failed_runs_total=1 <= 0\n", self.call("summary.json", "-p", profile, expect=1).out)
        self.call("summary.json", "--max-failed-runs", 1)
        self.call("summary.json", "--bound=failed_runs_total<=1")

    def test_labels(self):
        self.summary()
        for args, label in ((), "perf"), (("-p", "exec"), "exec"), (("-p", "exec", "--label", "x y"), "x y"):
            run = self.call("summary.json", *args, expect=None)
            self.assertTrue(run.out.startswith(f"[{label}] summary=summary.json\n"), run.out)

    def test_extra(self):
        self.summary(latency_p95_ms=950, peak_fds_mean=5.5)
        self.call("-p", "cold", "--summary", "summary.json")
        run = self.call("-p", "cold", "--summary", "summary.json", "--extra", "--max-latency-p95-ms", 900,
                        "--max-peak-fds-mean", 5, expect=1)
        self.assertEqual("[cold] summary=summary.json\nPASS: failed_runs_total=0 <= 0\n"
                         "PASS: throughput_mean=20 >= 2\nFAIL: latency_p95_ms=950 <= 900\n"
                         "FAIL: peak_fds_mean=5.5 <= 5\n", run.out)
        self.call("-p", "cold", "summary.json", "--max-latency-p95-ms", 900, expect=1)

    def test_all(self):
        args = []
        for name in reference.PROFILES:
            self.summary(f"{name}/summary.json", peak_fds_mean=5, peak_children_mean=1, turn_metric_points_mean=2)
            args += [f"--{name}-summary", name if name == "exec" else f"{name}/summary.json"]
        out = self.call("--profile", "all", *args).out
        heads = [line for line in out.splitlines() if line.startswith("[")]
        self.assertEqual([f"[{name}] summary={name}/summary.json" for name in reference.PROFILES], heads)
        self.assertTrue(out.endswith("\n\nprofile matrix:\n- cold: PASS\n- throughput: PASS\n- exec: PASS\n"
                                     "- streaming: PASS\n"), out)
        self.summary("exec/summary.json", peak_children_mean=2, turn_metric_points_mean=2)
        out = self.call("--profile", "all", *args, expect=1).out
        self.assertTrue(out.endswith("\n- exec: FAIL\n- streaming: PASS\n"), out)
        self.call("--profile", "all", *args, "--extra", "--max-peak-children-mean", 2)
        out = self.call("--profile", "all", *args, "--extra", "--max-peak-fds-mean", 4, expect=1).out
        self.assertTrue(out.endswith("- cold: FAIL\n- throughput: FAIL\n- exec: FAIL\n- streaming: FAIL\n"), out)
        self.assertIn("--profile all needs --streaming-summary", self.refused("--profile=all", *args[:-2]))
        self.assertIn("--summary cannot stand beside", self.refused("--profile=all", *args, "--summary", "exec"))
        self.assertIn("a summary cannot stand beside", self.refused("--profile=all", *args, "exec"))
        self.assertIn("--label cannot stand beside", self.refused("--profile=all", *args, "--label", "x"))
        self.assertIn("--cold-summary: `.` stands for 4 summaries",
                      self.refused("--profile=all", *args, "--cold-summary", "."))
        self.assertIn("--exec-summary is for --profile all", self.refused("-p", "exec", *args[4:6]))

    def test_several_summaries(self):
        for i in range(3):
            self.summary(f"out/run-{i}/summary.json", latency_p95_ms=10 * i + 1)
        self.call("out", "--max-latency-p95-ms", 25)
        for words in (["out"], ["out/run-*"], ["out/**/summary.json"], ["-s", "out/run-0", "--summary=out/run-1",
                                                                         "out/run-2/summary.json", "out"]):
            out = self.call(*words, "--max-latency-p95-ms", 15, expect=1).out
            self.assertEqual([f"[perf] summary=out/run-{i}/summary.json" for i in range(3)],
                             [line for line in out.splitlines() if line.startswith("[")])
            self.assertEqual(1, out.count("FAIL"))

    def test_print_profile(self):
        for name in reference.PROFILES:
            text = self.call("--print-profile", name).out
            self.assertEqual(name, parse_json(text)["name"])
            self.put(text, "copy.json")
            rng = random.Random(5)
            for _ in range(5):
                document = reference.random_summary(rng)
                self.put(document)
                run = self.call("-p", "./copy.json", "summary.json", expect=None)
                self.assertEqual(reference.report(document, "summary.json", name), (run.out, run.status))
        self.assertIn("no profile `cald`", self.refused("--print-profile", "cald"))


class Own(CheckTest):
    """Expressions, baselines, intervals."""

    def test_expressions(self):
        self.summary(rss_mean_mb=512)
        self.assertEqual("[perf] summary=summary.json\nPASS: failed_runs_total=0 <= 0\n"
                         "PASS: latency_ms p(95)=12.5 <= 1500 ms\nPASS: max_rss_mb mean=512 <= 512 MiB\n",
                         self.call("summary.json", "-b", "latency_ms p(95)<=1.5s", "-b",
                                   "max_rss_mb mean <= 0.5GiB").out)
        out = self.call("summary.json", "-b", "latency_ms p(95)<=1.5s", "-b", "latency_ms mean within 1% of 11",
                        "-b", "latency_ms mean > 0.01s", expect=1).out
        self.assertIn("FAIL: latency_ms mean=10 within 0.11 of 11 ms\n", out)
        self.assertIn("FAIL: latency_ms mean=10 > 10 ms\n", out)

    def test_both_a_flag_and_an_expression_hold(self):
        self.summary(latency_p95_ms=50)
        self.call("summary.json", "--max-latency-p95-ms=60", "-b", "latency_ms p(95)<=40", expect=1)
        self.call("summary.json", "--max-latency-p95-ms=40", "-b", "latency_ms p(95)<=60", expect=1)
        self.call("summary.json", "-b", "latency_ms p(95)<=40", "-b", "latency_ms p(95)<=60", expect=1)
        self.summary(latency_p95_ms=1500, peak_fds_mean=1)
        self.call("summary.json", "-p", "cold", "-b", "latency_ms p(95)<=2s")

    def test_numbers_that_are_not_there(self):
        self.summary()
        out = self.call("summary.json", "-b", "otel.codex.turn p(50)<1500ms", "-b", "span.x count>=1", expect=1).out
        self.assertIn("FAIL: otel.codex.turn p(50) unavailable; limit=1500.0 ms (", out)
        self.assertIn("FAIL: span.x count unavailable; limit=1.0 (", out)
        self.call("summary.json", "-b", "otel.codex.turn p(50)<1500ms", "--tell-apart", expect=3)
        self.summary(failed_runs_total=1)
        self.call("summary.json", "-b", "otel.codex.turn p(50)<1500ms", "--tell-apart", expect=1)

    def test_baseline(self):
        self.summary("old/summary.json", latency_p95_ms=10)
        self.summary(latency_p95_ms=11)
        out = self.call("summary.json", "--baseline", "old", "-b", "latency_ms p(95)<=baseline*1.1").out
        self.assertIn("PASS: latency_ms p(95)=11 <= 11 ms (baseline*1.1)\n", out)
        self.call("summary.json", "--baseline=old/summary.json", "-b", "latency_ms p(95)<=baseline*1.05", expect=1)
        self.call("summary.json", "--baseline=old", "-b", "latency_ms p(95)<=baseline+1")
        self.call("summary.json", "--baseline=old", "-b", "latency_ms p(95)<=baseline+900us", expect=1)
        self.assertIn("needs a baseline", self.refused("summary.json", "-b", "latency_ms p(95)<=baseline"))
        self.assertIn("--baseline: `none`: No such file", self.refused("summary.json", "--baseline", "none"))
        self.summary("two/a/summary.json")
        self.summary("two/b/summary.json")
        self.assertIn("stands for 2 summaries", self.refused("summary.json", "--baseline", "two"))
        self.summary("old/summary.json", peak_fds_mean=5)
        self.call("summary.json", "--baseline=old", "-b", "peak_open_fds mean<=baseline", expect=1)

    def test_decided_by_intervals(self):
        rng = random.Random(1)
        self.sampled([100 + rng.gauss(0, 5) for _ in range(300)])
        for bound, status in (("latency_ms mean<=110", 0), ("latency_ms mean<=100.5", 3), ("latency_ms mean<=90", 1),
                              ("latency_ms p(95)<=120", 0), ("latency_ms p(95)<=108", 3),
                              ("latency_ms p(95)<=100", 1)):
            with self.subTest(bound):
                out = self.call("sampled.json", "--decide", "ci", "-b", bound, expect=status).out
                word = {0: "PASS", 1: "FAIL", 3: "INCONCLUSIVE"}[status]
                self.assertRegex(out, word + r": latency_ms \S+=[0-9.]+ \[[0-9.]+, [0-9.]+\] <= ")
                self.assertNotIn("[1", self.call("sampled.json", "-b", bound, expect=None).out)
        self.sampled([10, 11, 12, 13, 14])
        out = self.call("sampled.json", "--decide=ci", "-b", "latency_ms p(95)<=1s", expect=3).out
        self.assertRegex(out, r"INCONCLUSIVE: latency_ms p\(95\)=13.8 \[\d+, inf\] <= 1000 ms \(5 samples do not")
        self.call("sampled.json", "-b", "latency_ms p(95)<=1s")

    def test_profile_files(self):
        self.sampled([10, 11, 12, 13, 14])
        def check(status, *args, **threshold):
            threshold = {"bound": "latency_ms mean <= 20", **threshold}
            self.put({"name": "mine", "thresholds": [threshold]}, "mine.json")
            return self.call("sampled.json", "-p", "./mine.json", *args, expect=status).out
        self.assertTrue(check(0).startswith("[mine] summary=sampled.json\n"))
        check(0, min_samples=5)
        self.assertIn("INCONCLUSIVE: latency_mean_ms=12 <= 20 (5 samples; the bound asks for 6)\n",
                      check(1, min_samples=6))
        check(3, "--tell-apart", min_samples=6)
        self.assertIn("WARN: latency_mean_ms=12 <= 11\n", check(0, bound="latency_ms mean <= 11", severity="warning"))
        check(1, bound="latency_ms mean <= 11")
        self.assertNotIn("fds", check(0, bound="peak_open_fds mean <= 3", missing="skip"))
        check(1, bound="peak_open_fds mean <= 3")
        self.assertNotIn("latency", check(0, bound="latency_ms mean <= 1", when=["top_attach"]))
        self.assertIn("latency", check(1, bound="latency_ms mean <= 1", when=["latency_ms"]))
        noisy = {"bound": "latency_ms mean <= 12.1"}
        check(3, "--decide=ci", **noisy)
        self.assertIn("; taken for pass)", check(0, "--decide=ci", on_noise="pass", **noisy))
        self.assertIn("; taken for fail)", check(1, "--decide=ci", on_noise="fail", **noisy))


class Reports(CheckTest):
    def setUp(self):
        super().setUp()
        self.summary(latency_p95_ms=2000, peak_fds_mean=3)

    def test_json(self):
        document = parse_json(self.call("summary.json", "-p", "cold", "--format=json", expect=1).out)
        self.assertEqual(("fail", 1), (document["verdict"], document["exit_status"]))
        report, = document["reports"]
        self.assertEqual(("cold", "summary.json", "fail"), (report["label"], report["summary"], report["verdict"]))
        rows = {row["name"]: row for row in report["bounds"]}
        self.assertEqual("latency_ms p(95) <= 1000", rows["latency_p95_ms"]["expression"])
        self.assertEqual((2000, 1000, "ms", "fail"), tuple(rows["latency_p95_ms"][key] for key in
                                                           ("value", "limit", "unit", "verdict")))
        self.assertEqual("skipped", rows["xctrace_trace_count"]["verdict"])
        self.assertEqual(len(report["bounds"]), sum(report["counts"].values()))

    def test_markdown(self):
        out = self.call("summary.json", "-p", "cold", "-f", "markdown", expect=1).out
        self.assertIn("### cold: FAIL\n\n- Summary: `summary.json`\n\n| Verdict | Number |", out)
        self.assertIn("\n| FAIL | latency_p95_ms |  | 2000 |  | &lt;= 1000 |\n", out)
        self.assertLess(out.index("| FAIL |"), out.index("| PASS |"))

    def test_github(self):
        table = self.dir / "step.md"
        table.write_text("before\n")
        for _ in range(2):
            run = self.call("summary.json", "-p", "cold", "-f", "github", "--label", "a,b:50%", expect=1,
                            GITHUB_STEP_SUMMARY=table)
        commands = [line for line in run.out.splitlines() if line.startswith("::")]
        self.assertEqual(["::error title=perfwrap a%2Cb%3A50%25%3A FAIL::latency_p95_ms=2000 <= 1000%0Ain "
                          "summary.json"], commands)
        self.assertTrue(run.out.startswith("[a,b:50%] summary=summary.json\nPASS: "), run.out)
        text = table.read_text()
        self.assertTrue(text.startswith("before\n### a,b:50%: FAIL\n"), text)
        self.assertEqual(2, text.count("| FAIL | latency_p95_ms |"))
        self.assertNotIn("::", self.call("summary.json", "-f", "github", GITHUB_STEP_SUMMARY=table).out)
        run = self.call("summary.json", "-f", "github", GITHUB_STEP_SUMMARY=self.dir / "no/such", expect=125)
        self.assertIn("append to `", run.err)

    def test_out(self):
        run = self.call("summary.json", "-p", "cold", "-f", "junit", "--out", "report.xml", expect=1)
        self.assertTrue(run.out.startswith("[cold] summary=summary.json\n"))
        self.assertEqual("testsuites", xml.fromstring((self.dir / "report.xml").read_bytes()).tag)
        self.call("summary.json", "--out", "no/such/file", expect=125)

    def junit(self, *args, expect):
        run = self.call(*args, "--format", "junit", expect=expect)
        path = self.put(run.out, "junit.xml")
        if XMLLINT:
            lint = subprocess.run([XMLLINT, "--nonet", "--noout", "--schema", SCHEMA, path], capture_output=True,
                                  text=True, check=False)
            self.assertEqual((0, f"{path} validates\n"), (lint.returncode, lint.stderr))
        return xml.fromstring(run.out.encode())

    def test_junit(self):
        suites = self.junit("summary.json", "-p", "cold", "-b", "otel.x mean<=5ms", expect=1)
        suite, = suites
        self.assertEqual({"name": "cold", "tests": str(len(suite.findall("testcase"))), "failures": "1",
                          "errors": "1", "skipped": str(len(suite.findall("testcase/skipped")))}, suite.attrib)
        cases = {case.get("name"): case for case in suite.iter("testcase")}
        self.assertEqual("latency_p95_ms=2000 <= 1000", cases["latency_p95_ms"].find("failure").get("message"))
        self.assertEqual("no_data", cases["otel.x mean"].find("error").get("type"))
        self.assertEqual(0, len(cases["failed_runs_total"]))
        self.assertIsNotNone(cases["xctrace_trace_count"].find("skipped"))
        self.assertEqual("summary.json", suite.find("properties/property[@name='summary']").get("value"))

    def test_junit_of_hostile_texts(self):
        name = "a<&\"'>\x01\x1b\n]]>.json"
        shutil.copy(self.dir / "summary.json", self.dir / name)
        suites = self.junit(name, "--label", name, "--max-latency-p95-ms=1", expect=1)
        self.assertEqual(name.replace("\x01", "\ufffd").replace("\x1b", "\ufffd"), suites[0].get("name"))
        raw = os.fsencode(self.dir) + b"/\xff\xfe.json"
        shutil.copy(self.dir / "summary.json", raw)
        out = subprocess.run([PERFWRAP, "check", raw, "-f", "junit"], capture_output=True, check=True).stdout
        self.assertIn("/\ufffd\ufffd.json", out.decode())

    @unittest.skipUnless(XMLLINT, "xmllint is not there")
    def test_the_schema_refuses(self):
        self.junit("summary.json", expect=0)
        good = (self.dir / "junit.xml").read_text()
        for old, new in (('name="perf" ', ""), ("<testcase ", "<case "), ('failures="0" errors="0" skipped',
                                                                          'errors="0" skipped'),
                         ('tests="1"', 'tests="many"'), ("</testsuites>", "<x/></testsuites>")):
            self.assertIn(old, good)
            bad = self.put(good.replace(old, new), "bad.xml")
            lint = subprocess.run([XMLLINT, "--nonet", "--noout", "--schema", SCHEMA, bad], capture_output=True,
                                  text=True, check=False)
            self.assertNotEqual(0, lint.returncode, old)


class BadInput(CheckTest):
    INDEX = {"generated_at": "x", "window": 30, "min_samples": 5, "profiles": {}}

    def test_no_summary(self):
        self.assertIn("no summary given", self.refused())
        self.assertIn("no summary given", self.refused("-p", "cold"))
        self.assertIn("`none.json`: No such file", self.refused("none.json"))
        self.assertIn("`run-*` matches no summary", self.refused("--summary", "run-*"))
        (self.dir / "empty").mkdir()
        self.assertIn("folder `empty` holds no summary.json", self.refused("empty"))
        self.assertIn("option --summary: the value is empty", self.refused("--summary="))

    def test_files_that_are_no_summary(self):
        good = json.dumps(reference.summary_with())
        for text, words in (("", "bad.json"), (good[:len(good) // 2], "bad.json"), ("[]", "not a JSON object"),
                            ('{"results": [{"mean": 1}]}', "is no summary"), ("\x00\x01", "bad.json"),
                            ('{"summary": {"latency_ms": {}}}', "is no summary"),
                            (json.dumps(self.INDEX), "is a baseline index, not a summary"),
                            (good.replace('"summary": {', '"summary": {"failed_runs_total": 0, '), "bad.json"),
                            (good.replace("12.5", "NaN"), "bad.json"), (good.replace("12.5", "1e999"), "bad.json"),
                            (good.replace("12.5", '"12.5"'), "latency_ms.p95 is a string, not a number"),
                            (good.replace('"failed_runs_total": 0', '"failed_runs_total": "0"'), "is a string"),
                            (good.replace('"failed_runs_total": 0', '"failed_runs_total": []'), "is a list")):
            with self.subTest(text[:80]):
                self.assertNotEqual(good, text)
                self.put(text, "bad.json")
                self.assertIn(words, self.refused("bad.json"))
                self.summary()
                self.assertIn(words, self.refused("summary.json", "bad.json"))
                self.assertIn(words, self.refused("summary.json", "--baseline", "bad.json"))

    def test_nothing_measured(self):
        document = reference.summary_with()
        document.update(runs=[], iterations=0)
        self.put(document)
        self.call("summary.json", expect=1)
        self.call("summary.json", "--tell-apart", expect=3)

    def test_bad_flags(self):
        self.summary()
        for flag, *_ in reference.FLAGS:
            for value in ("nan", "inf", "-1", "", "x", "1e99999", "0x10", "5ms"):
                self.assertIn(f"option --{flag}: ", self.refused("summary.json", f"--{flag}={value}"))
        self.assertIn("is not a whole number", self.refused("summary.json", "--max-failed-runs=0.5"))
        self.assertIn("did you mean --max-latency-p95-ms?", self.refused("summary.json", "--max-latency-p96-ms=5"))
        self.assertIn("none of value, ci", self.refused("summary.json", "--decide=maybe"))
        self.assertIn("none of text|json|markdown|junit|github", self.refused("summary.json", "--format=yaml"))

    def test_bad_bounds(self):
        self.summary()
        for text in ("latency_ms", "latency_ms mean", "latency_ms mean <= 5 and max <= 6", "latency_ms p(101)<=5",
                     "latency_ms mean <= 5MiB", "latency_mss mean <= 5", "latency_ms mean <= nan", "<= 5"):
            with self.subTest(text):
                self.assertIn("--bound", self.refused("summary.json", "-b", text))

    def test_bounds_that_cannot_both_hold(self):
        self.summary()
        self.refused("summary.json", "-b", "latency_ms mean<=5", "-b", "latency_ms mean>=6")
        self.refused("summary.json", "--max-latency-mean-ms=5", "-b", "latency_ms mean>=6")
        self.refused("summary.json", "-p", "cold", "-b", "latency_ms p(95) > 2s")
        self.refused("summary.json", "-p", "cold", "-b", "throughput_runs_per_sec mean < 1")
        self.call("summary.json", "-b", "latency_ms mean<=10", "-b", "latency_ms mean>=10")

    def test_bad_profiles(self):
        self.summary()
        self.assertRegex(self.refused("summary.json", "-p", "cald"), "cold")
        self.refused("summary.json", "-p", "./none.json")
        for text in ("{", "[]", '{"name": "x"}', '{"name": "x", "thresholds": [], "more": 1}',
                     '{"name": "x", "name": "y", "thresholds": []}',
                     '{"name": "x", "thresholds": ["latency_ms p(101) <= 5"]}',
                     '{"name": "x", "thresholds": ["latency_mss mean <= 5"]}',
                     '{"name": "x", "thresholds": ["latency_ms mean <= 5", "latency_ms mean >= 6"]}'):
            with self.subTest(text):
                self.put(text, "bad.json")
                self.assertIn("bad.json", self.refused("summary.json", "-p", "./bad.json"))

    @unittest.skipUnless(REFERENCE_DIR, "PW_REFERENCE_DIR is not set: no reference data")
    def test_reference_indexes_are_no_summaries(self):
        for path in Path(REFERENCE_DIR, "expected").glob("baseline-index-*.json"):
            self.assertIn("is a baseline index, not a summary", self.refused(path))


if __name__ == "__main__":
    unittest.main()
