"""perfwrap index: the contract's expected indexes, what is added to them, bad input, the cache."""

import json
import os
import subprocess
import unittest
from pathlib import Path

from pwtest import PERFWRAP, PerfwrapTest, load_json, schema_faults, schema_validator, target

REFERENCE = os.environ.get("PW_REFERENCE_DIR")
LONG_AGO = 1_700_000_000  # a file changed just now is never cached


def summary(mean, day, profile=None, run_dir="out/nightly-20260101-000000", **more):
    return {"generated_at": f"2026-01-{day:02}T00:00:00+00:00", "run_dir": run_dir,
            "profile": {"name": profile}, "runs": [],
            "summary": {"latency_ms": {"mean": mean, "p95": mean * 1.2, "p50": mean},
                        "throughput_runs_per_sec": {"mean": 1000 / mean},
                        "peak_open_fds": {"mean": 5}, "failed_runs_total": 0}, **more}


class IndexTest(PerfwrapTest):
    def index(self, *args, expect=0, cwd=None, **popen):
        """Runs perfwrap index; it must end with `expect`."""
        done = subprocess.run([PERFWRAP, "index", *map(str, args)], cwd=cwd or self.dir, env=self.env(),
                              stdin=subprocess.DEVNULL, stdout=popen.pop("stdout", subprocess.PIPE),
                              stderr=subprocess.PIPE, text=True, check=False, timeout=60, **popen)
        self.assertEqual(expect, done.returncode, f"{args}\n{done.stdout}\n{done.stderr}")
        return done

    def write(self, name, document):
        path = self.dir / name / "summary.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(document if isinstance(document, str) else json.dumps(document, indent=2))
        os.utime(path, (LONG_AGO, LONG_AGO))
        return path

    def write_series(self, values, **more):
        return [self.write(f"run-{day:02}", summary(value, day, **more))
                for day, value in enumerate(values, 1)]

    def assert_valid(self, document):
        self.assertEqual([], schema_faults(schema_validator("baseline-index"), document))


class Reference(IndexTest):
    """The answers of the tool that perfwrap replaces."""

    def setUp(self):
        super().setUp()
        if not REFERENCE:
            self.skipTest("PW_REFERENCE_DIR is not set")

    def assert_metric(self, expected, found, place):
        for key, value in expected.items():
            self.assertIn(key, found, place)
            if isinstance(value, float):
                self.assertIsNotNone(found[key], f"{place}.{key}")
                self.assertLessEqual(abs(found[key] - value), 1e-9 * max(abs(value), abs(found[key])),
                                     f"{place}.{key}: {found[key]} for {value}")
            else:
                self.assertEqual(value, found[key], f"{place}.{key}")

    def check(self, name, *options):
        expected = load_json(Path(REFERENCE) / "expected" / f"baseline-index-{name}.json")
        done = self.index("--glob", "summaries/*/summary.json", *options, cwd=REFERENCE)
        found = json.loads(done.stdout)
        self.assert_valid(found)
        self.assertEqual([], found["skipped"])
        self.assertEqual(list(expected["profiles"]), list(found["profiles"]))
        for key in ("window", "min_samples"):
            self.assertEqual(expected[key], found[key])
        for name, profile in expected["profiles"].items():
            for key in ("sample_count", "latest_summary_path"):
                self.assertEqual(profile[key], found["profiles"][name][key], name)
            metrics = found["profiles"][name]["metrics"]
            self.assertEqual(list(profile["metrics"]) + ["spawn_proc_mean_ms", "parse_stats_mean_ms"],
                             list(metrics))
            for key, metric in profile["metrics"].items():
                self.assert_metric(metric, metrics[key], f"{name}.{key}")

    def test_heuristic(self):
        self.check("heuristic")

    def test_exact(self):
        self.check("exact", "--group", "exact")

    def test_small_window(self):
        self.check("heuristic-w3-m2", "--window=3", "--min-samples=2")

    def test_with_a_cache(self):
        cache = self.dir / "cache"
        self.check("heuristic", "--cache", cache)
        self.check("heuristic", "--cache", cache)


class Index(IndexTest):
    def test_a_regression_is_seen_and_named(self):
        paths = self.write_series([100, 101, 99, 100, 102, 98, 100, 101, 130, 131, 129, 130, 131, 130])
        found = json.loads(self.index(".").stdout)
        self.assert_valid(found)
        metric = found["profiles"]["nightly"]["metrics"]["latency_mean_ms"]
        self.assertEqual(1, len(metric["change_points"]))
        point = metric["change_points"][0]
        self.assertEqual(8, point["index"])
        self.assertEqual(os.path.realpath(paths[8]), os.path.realpath(self.dir / point["path"]))
        self.assertEqual("2026-01-09T00:00:00+00:00", point["generated_at"])
        self.assertTrue(point["worse"])
        self.assertAlmostEqual(30, point["change_pct"], delta=1)
        self.assertLessEqual(point["p"], 0.01)
        throughput = found["profiles"]["nightly"]["metrics"]["throughput_mean"]
        self.assertTrue(throughput["change_points"][0]["worse"])
        self.assertLess(throughput["change_points"][0]["after"], throughput["change_points"][0]["before"])
        self.assertGreater(metric["trend"]["slope_per_run"], 0)
        text = self.index(".", "--format", "text").stdout
        self.assertRegex(text, r"nightly: latency_mean_ms went from 100 to 130 \(\+30\.0 %\)")
        self.assertIn(point["path"], text)
        markdown = self.index(".", "--format=markdown").stdout
        self.assertIn("| nightly | latency_mean_ms | ", markdown)

    def test_no_spread_is_no_blindness(self):
        self.write_series([50, 50, 50, 50, 50, 500])
        metric = json.loads(self.index(".").stdout)["profiles"]["nightly"]["metrics"]["latency_mean_ms"]
        self.assertEqual("insufficient_data", metric["status"])
        self.assertEqual("red", metric["status_strict"])
        self.assertEqual("red", metric["baseline"]["status"])
        self.assertAlmostEqual(450 / (1.2533 * 75), metric["robust_z_fallback"], places=9)

    def test_the_current_run_is_not_its_own_baseline(self):
        self.write_series([100, 102, 98, 101, 130])
        metric = json.loads(self.index(".").stdout)["profiles"]["nightly"]["metrics"]["latency_mean_ms"]
        self.assertEqual(4, metric["baseline"]["n"])
        self.assertEqual(100.5, metric["baseline"]["median"])
        self.assertEqual(0.1, metric["baseline"]["noise_floor"])
        self.assertAlmostEqual(29.5 / (1.4826 * 1), metric["baseline"]["robust_z"], places=9)

    def test_machines_are_not_mixed(self):
        machine = {"cpu_model": "A", "cpu_count": 2, "kernel": "6.1.0", "arch": "x86_64", "kvm": None}
        self.write("a", summary(1, 1, environment=machine))
        self.write("b", summary(2, 2, environment={**machine, "kernel": "6.2.0"}))
        self.write("c", summary(3, 3, environment=machine))
        profile = json.loads(self.index(".").stdout)["profiles"]["nightly"]
        self.assertEqual((2, 1), (profile["sample_count"], profile["excluded_other_environment"]))
        self.assertEqual("6.1.0", profile["environment"]["kernel"])
        self.assertIsNone(profile["environment"]["accelerator"])
        profile = json.loads(self.index(".", "--mix").stdout)["profiles"]["nightly"]
        self.assertEqual((3, 0), (profile["sample_count"], profile["excluded_other_environment"]))

    def test_runs_of_perfwrap_itself(self):
        for _ in range(3):
            self.run_pw("--iterations=2", cmd=[target("burn_cpu"), "1"], expect=None)
        done = self.index(self.out_dir)
        found = json.loads(done.stdout)
        self.assert_valid(found)
        (profile,) = found["profiles"].values()
        self.assertEqual(3, profile["sample_count"])
        self.assertEqual(os.uname().release, profile["environment"]["kernel"])
        self.assertTrue(profile["metrics"]["latency_p95_ms"]["present"])

    def test_each_file_once_and_every_way_to_name_it(self):
        paths = self.write_series([1, 2, 3])
        done = self.index("--summary", paths[0], "--glob", "*/summary.json", ".", paths[1].parent, paths[2])
        self.assertEqual(3, json.loads(done.stdout)["profiles"]["nightly"]["sample_count"])

    def test_out(self):
        self.write_series([1, 2])
        done = self.index(".", "--out", "index.json")
        self.assertEqual("", done.stdout)
        self.assert_valid(load_json(self.dir / "index.json"))
        self.index(".", "--out", "index.json")
        self.index(".", "-o", "missing/index.json", expect=125)


class Cache(IndexTest):
    def test_only_new_files_are_read(self):
        paths = self.write_series([1, 2, 3, 4, 5])
        cold = json.loads(self.index(".", "--cache", "c").stdout)
        self.assertEqual(0o600, (self.dir / "c").stat().st_mode & 0o777)
        content = (self.dir / "c").read_bytes()
        warm = json.loads(self.index(".", "--cache", "c").stdout)
        self.assertEqual(cold["profiles"], warm["profiles"])
        self.assertEqual(content, (self.dir / "c").read_bytes())
        self.write("run-06", summary(6, 6))
        paths[0].unlink()
        found = json.loads(self.index(".", "--cache", "c").stdout)["profiles"]["nightly"]
        self.assertEqual(5, found["sample_count"])
        self.assertEqual(6, found["metrics"]["latency_mean_ms"]["current"])
        self.assertNotEqual(content, (self.dir / "c").read_bytes())
        self.assertNotIn(b"run-01", (self.dir / "c").read_bytes())

    def test_damage_is_told_once(self):
        self.write_series([1, 2])
        cold = json.loads(self.index(".", "--cache", "c").stdout)
        content = bytearray((self.dir / "c").read_bytes())
        content[100] ^= 0xFF
        (self.dir / "c").write_bytes(content)
        done = self.index(".", "--cache", "c")
        self.assertRegex(done.stderr, r"^perfwrap: the cache `c` is made anew: [a-z ]+\n$")
        self.assertEqual(cold["profiles"], json.loads(done.stdout)["profiles"])
        self.assertEqual("", self.index(".", "--cache", "c").stderr)

    def test_a_file_that_is_no_cache_is_left_alone(self):
        (path,) = self.write_series([1])
        before = path.read_bytes()
        done = self.index(".", "--cache", path, expect=2)
        self.assertIn("is no cache of an index", done.stderr)
        self.assertEqual(before, path.read_bytes())

    def test_the_index_is_written_also_without_its_cache(self):
        self.write_series([1])
        done = self.index(".", "--cache", "missing/c", expect=125)
        self.assertIn("missing/c", done.stderr)
        self.assert_valid(json.loads(done.stdout))


class BadInput(IndexTest):
    def test_broken_files_are_named(self):
        self.write_series([1, 2])
        for number in range(12):
            self.write(f"x-{number:02}", '{"summary": {"latency_ms": {"mean": 1')
        done = self.index(".")
        lines = done.stderr.splitlines()
        self.assertEqual(11, len(lines), done.stderr)
        self.assertRegex(lines[0], r"^perfwrap: skipped: read `.*x-00/summary.json`: line 1, column \d+: ")
        self.assertEqual("perfwrap: skipped 2 more files", lines[10])
        found = json.loads(done.stdout)
        self.assert_valid(found)
        self.assertEqual(12, len(found["skipped"]))
        self.assertEqual(2, found["profiles"]["nightly"]["sample_count"])
        strict = self.index(".", "--strict", expect=3)
        self.assertEqual(found["profiles"], json.loads(strict.stdout)["profiles"])

    def test_an_index_as_input(self):
        path = self.write("x", {"generated_at": "", "window": 30, "min_samples": 5, "profiles": {}})
        done = self.index(path, expect=2)
        self.assertEqual(1, len(done.stderr.splitlines()), done.stderr)
        self.assertIn("is a baseline index, not a summary", done.stderr)
        self.write_series([1])
        self.assertIn("is a baseline index", self.index(".").stderr)

    def test_all_broken(self):
        self.write("a", "")
        self.write("b", "[]")
        done = self.index(".", "--out", "index.json", expect=2)
        self.assertIn("none of 2 files is a summary", done.stderr)
        self.assertFalse((self.dir / "index.json").exists())

    def test_nothing_there(self):
        for args, said in ((("x*/summary.json",), "matches no summary"), (("missing",), "No such file"),
                           ((".",), "holds no summary.json"), ((), "no summaries given")):
            done = self.index(*args, expect=2)
            self.assertEqual("", done.stdout)
            self.assertIn(said, done.stderr)

    def test_numbers_as_text_are_absent(self):
        document = summary(1, 1)
        document["summary"]["latency_ms"]["mean"] = "1.5"
        document["summary"]["failed_runs_total"] = True
        self.write("a", document)
        metrics = json.loads(self.index(".").stdout)["profiles"]["nightly"]["metrics"]
        self.assertEqual({"present": False}, metrics["latency_mean_ms"])
        self.assertEqual({"present": False}, metrics["failed_runs_total"])
        self.assertTrue(metrics["latency_p95_ms"]["present"])

    def test_infinity_is_no_json(self):
        self.write("a", json.dumps(summary(float("inf"), 1)))
        self.write("b", json.dumps(summary(1, 1)).replace("1.2", "1e999"))
        self.write("c", summary(1, 1))
        self.assertEqual(2, len(json.loads(self.index(".").stdout)["skipped"]))

    def test_options(self):
        self.write_series([1])
        for option in ("--window=0", "--window=1001", "--min-samples=0", "--group=some", "--format=xml",
                       "--cache=", "--windw=3"):
            self.assertEqual("", self.index(".", option, expect=2).stdout, option)

    def test_full_disk(self):
        self.write_series([1])
        with open("/dev/full", "w", encoding="ascii") as full:
            done = self.index(".", stdout=full, expect=125)
        self.assertIn("No space left on device", done.stderr)
        self.assertIn("not a regular file", self.index(".", "--out=/dev/full", expect=125).stderr)


if __name__ == "__main__":
    unittest.main()
