"""The files that perfwrap writes are what the data contract says: names, keys, units, arithmetic.

The lists of keys below are written by hand from the contract, not from perfwrap's own table, and all
statistics are computed anew from runs[].
"""

import copy
import datetime
import math
import os
import re
import shlex
import statistics
import unittest

from pwtest import (ACCOUNTING_AS_USED, PerfwrapTest, at, iteration_files, load_json, schema_faults, schema_validator,
                    target)

BASIC = ("mean", "p50", "p95")
PEAK = BASIC + ("max",)
RANGE = PEAK + ("min",)

# Contract section 3: path below `summary` -> (key in runs[], statistics).
STATISTICS = {
    "latency_ms": ("duration_ms", RANGE),
    "throughput_runs_per_sec": ("throughput_runs_per_sec", BASIC),
    "max_rss_mb": ("max_rss_mb", RANGE),
    "max_rss_kb": ("max_rss_kb", RANGE),
    "user_cpu_sec": ("user_cpu_sec", BASIC),
    "system_cpu_sec": ("system_cpu_sec", BASIC),
    "cpu_pct": ("cpu_pct", BASIC),
    "voluntary_ctx_switches": ("voluntary_ctx_switches", BASIC),
    "involuntary_ctx_switches": ("involuntary_ctx_switches", BASIC),
    "peak_open_fds": ("peak_open_fds", PEAK),
    "peak_direct_children": ("peak_direct_children", PEAK),
    "process_tree_sampled.peak_tree_rss_mb": ("sampled_peak_tree_rss_mb", PEAK),
    "process_tree_sampled.peak_tree_rss_kb": ("sampled_peak_tree_rss_kb", PEAK),
    "process_tree_sampled.peak_tree_cpu_pct": ("sampled_peak_tree_cpu_pct", PEAK),
    "process_tree_sampled.mean_tree_cpu_pct": ("sampled_mean_tree_cpu_pct", BASIC),
    "worker_step_timings_ms.build_cmd": ("build_cmd_ms", BASIC),
    "worker_step_timings_ms.spawn_proc": ("spawn_proc_ms", BASIC),
    "worker_step_timings_ms.monitor_loop": ("monitor_loop_ms", BASIC),
    "worker_step_timings_ms.communicate": ("communicate_ms", BASIC),
    "worker_step_timings_ms.parse_stats": ("parse_stats_ms", BASIC),
    "top_attach.sample_count": ("top_sample_count", BASIC),
    "top_attach.peak_rss_mb": ("top_peak_rss_mb", PEAK),
    "top_attach.peak_cpu_pct": ("top_peak_cpu_pct", PEAK),
    "top_attach.mean_rss_mb": ("top_mean_rss_mb", BASIC),
    "top_attach.mean_cpu_pct": ("top_mean_cpu_pct", BASIC),
    "vmmap_snapshots.start_physical_footprint_mb": ("vmmap_start_physical_footprint_mb", BASIC),
    "vmmap_snapshots.mid_physical_footprint_mb": ("vmmap_mid_physical_footprint_mb", BASIC),
    "vmmap_snapshots.end_physical_footprint_mb": ("vmmap_end_physical_footprint_mb", BASIC),
    **{f"otel_turn_action_stream.{family}_metric_points":
       (f"{family}_metric_points", BASIC + ("total",)) for family in ("turn", "action", "stream")},
    **{f"otel_turn_action_stream.{family}_metric_value_sum":
       (f"{family}_metric_value_sum", BASIC) for family in ("turn", "action", "stream")},
}
SUMS = {  # path below `summary` -> key in runs[], summed
    "otel_payloads_total": "otel_payload_count",
    "metric_datapoints_total": "metric_datapoint_count",
    "successful_runs_total": "successful_runs",
    "failed_runs_total": "failed_runs",
}
OTHERS = ("xctrace.trace_count", "xctrace.trace_paths", "xctrace.hotspots_top",
          "queue_cancel_metrics", "failed_iterations")
TOP_LEVEL = ("generated_at", "run_dir", "command", "config_path", "profile", "iterations", "summary",
             "runs", "schema_version", "perfwrap_version", "environment", "observer", "orphans",
             "warnings")
PROFILE = ("name", "phase", "concurrency", "warmup", "iterations", "probe_interval_ms", "top_attach",
           "top_interval_ms", "vmmap_snapshots")
STEPS = ("build_cmd", "spawn_proc", "monitor_loop", "communicate", "parse_stats")
BUDGET = {  # contract section 5
    "time_budget_ms": ("wall_mean_ms", "observed_worker_step_mean_ms", "unaccounted_time_mean_ms",
                       *(f"{step}_share_pct" for step in STEPS), "unaccounted_share_pct"),
    "cpu_budget": ("user_cpu_mean_sec", "system_cpu_mean_sec", "total_cpu_mean_sec",
                   "cpu_core_utilization_pct"),
    "process_budget": ("peak_open_fds_mean", "peak_direct_children_mean",
                       "sampled_peak_tree_rss_mean_kb", "sampled_peak_tree_rss_mean_mb",
                       "sampled_peak_tree_cpu_p95"),
    "stability": ("total_runs", "successful_runs_total", "failed_runs_total", "timeout_runs_total",
                  "failure_rate_pct", "timeout_rate_pct"),
}

# Contract section 4: keys of runs[], and of worker_results[], as in the reference's files.
FOLD_MAX = ("max_rss_kb", "max_rss_mb", "voluntary_ctx_switches", "involuntary_ctx_switches",
            "peak_open_fds", "peak_direct_children", "sampled_peak_tree_rss_kb",
            "sampled_peak_tree_rss_mb", "sampled_peak_tree_cpu_pct", "top_peak_rss_mb",
            "top_peak_cpu_pct", "top_sample_count")
FOLD_MEAN = ("user_cpu_sec", "system_cpu_sec", "cpu_pct", "sampled_mean_tree_cpu_pct",
             "top_mean_rss_mb", "top_mean_cpu_pct", *(f"{step}_ms" for step in STEPS),
             *(f"vmmap_{moment}_physical_footprint_mb" for moment in ("start", "mid", "end")))
RUN_ONLY = ("iteration", "throughput_runs_per_sec", "worker_count", "successful_runs", "failed_runs",
            "otel_payload_count", "metric_datapoint_count", "queue_cancel_datapoints",
            "turn_metric_points", "action_metric_points", "stream_metric_points",
            "turn_metric_value_sum", "action_metric_value_sum", "stream_metric_value_sum",
            "stderr_tail", "worker_results")
BOTH = ("duration_ms", "return_code", "xctrace_trace_path", "xctrace_hotspots", *FOLD_MAX, *FOLD_MEAN)
WORKER_ONLY = ("worker_id", "sample_count", "sampled_peak_parent_rss_kb",
               "sampled_peak_parent_cpu_pct")


def percentile(values, p):
    """Linear between closest ranks: position p * (n - 1) in the sorted sample."""
    values = sorted(values)
    position = p * (len(values) - 1)
    low = math.floor(position)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (position - low)


STATISTIC = {
    "mean": statistics.fmean,
    "p50": lambda values: percentile(values, 0.50),
    "p90": lambda values: percentile(values, 0.90),
    "p95": lambda values: percentile(values, 0.95),
    "p99": lambda values: percentile(values, 0.99),
    "min": min,
    "max": max,
    "total": sum,
    "stddev": lambda values: statistics.stdev(values) if len(values) > 1 else None,
    "mad": lambda values: statistics.median(
        [abs(value - statistics.median(values)) for value in values]),
}


def folded(workers, key, fold):
    values = [worker[key] for worker in workers if worker[key] is not None]
    return fold(values) if values else None


class ContractTest(PerfwrapTest):
    accounting = ACCOUNTING_AS_USED

    def assert_number(self, expected, value, what):
        if expected is None or value is None:
            self.assertEqual(expected, value, what)
        else:
            self.assertTrue(math.isclose(expected, value, rel_tol=1e-9, abs_tol=1e-9),
                            f"{what}: {value}, computed anew {expected}")

    def assert_keys(self, keys, document, where):
        self.assertEqual([], [key for key in keys if key not in document], f"missing in {where}")

    def check(self, run, iterations, concurrency, timeouts=0):
        """Everything that holds for every run."""
        document = self.assert_clean_run(run, iterations, concurrency)
        self.assertEqual([], schema_faults(schema_validator("summary"), document))
        self.assert_keys(TOP_LEVEL, document, "the document")
        self.assert_keys(PROFILE, document["profile"], "profile")
        self.assertEqual(str(run.run_dir), document["run_dir"])
        iteration_schema = schema_validator("iteration")
        for number, path in enumerate(iteration_files(run.run_dir), 1):
            one = load_json(path)
            self.assertEqual([], schema_faults(iteration_schema, one), path)
            self.assertEqual(document["runs"][number - 1], one)
            self.assertEqual(number, one["iteration"])
            self.check_iteration(one, concurrency)
        self.check_statistics(document)
        self.check_budget(document, timeouts)
        self.assertTrue((run.run_dir / "summary.md").read_text().strip())
        return document

    def check_iteration(self, one, concurrency):
        workers = one["worker_results"]
        self.assert_keys(BOTH + RUN_ONLY, one, "runs[]")
        for worker in workers:
            self.assert_keys(BOTH + WORKER_ONLY, worker, "worker_results[]")
        self.assertEqual(list(range(1, concurrency + 1)), [w["worker_id"] for w in workers])
        self.assertEqual(concurrency, one["worker_count"])
        for key in FOLD_MAX:
            self.assert_number(folded(workers, key, max), one[key], key)
        for key in FOLD_MEAN:
            self.assert_number(folded(workers, key, statistics.fmean), one[key], key)
        good = sum(worker["return_code"] == 0 for worker in workers)
        self.assertEqual(good, one["successful_runs"])
        self.assertEqual(concurrency - good, one["failed_runs"])
        self.assertEqual(int(good < concurrency), one["return_code"])
        self.assert_number(good / (one["duration_ms"] / 1000), one["throughput_runs_per_sec"],
                           "throughput")
        for worker in workers + [one]:
            if worker["max_rss_kb"] is not None:
                self.assert_number(worker["max_rss_kb"] / 1024, worker["max_rss_mb"], "max_rss_mb")

    def check_statistics(self, document):
        summary, runs = document["summary"], document["runs"]
        for path, (key, names) in STATISTICS.items():
            values = [run[key] for run in runs if run[key] is not None]
            block = at(summary, path)
            self.assert_keys(names, block, path)
            for name in names:
                expected = STATISTIC[name](values) if values else None
                self.assert_number(expected, block[name], f"{path}.{name}")
        for path, key in SUMS.items():
            values = [run[key] for run in runs if run[key] is not None]
            self.assert_number(sum(values) if values else None, summary[path], path)
        for path in OTHERS:
            at(summary, path)
        self.assertEqual([run["iteration"] for run in runs if run["return_code"] != 0],
                         summary["failed_iterations"])
        pool = [worker["duration_ms"] for run in runs for worker in run["worker_results"]
                if worker["return_code"] == 0]
        for name in ("mean", "p50", "p90", "p95", "p99", "min", "max", "stddev", "mad"):
            expected = STATISTIC[name](pool) if pool else None
            self.assert_number(expected, summary["worker_latency_ms"][name], f"worker latency {name}")
        low = summary["worker_latency_ms"]["p50_ci95_low"]
        high = summary["worker_latency_ms"]["p50_ci95_high"]
        if len(pool) > 1:
            self.assertTrue(min(pool) <= low <= high <= max(pool), "interval of the median")

    def check_budget(self, document, timeouts):
        summary = document["summary"]
        budget = summary["resource_budget"]
        for block, keys in BUDGET.items():
            self.assert_keys(keys, budget[block], block)
        time, cpu = budget["time_budget_ms"], budget["cpu_budget"]
        wall = summary["latency_ms"]["mean"]
        steps = {step: summary["worker_step_timings_ms"][step]["mean"] for step in STEPS}
        known = None not in steps.values()  # unknown is not zero, also in a sum
        observed = sum(steps.values()) if known else None
        rest = wall - observed if known else None
        self.assert_number(wall, time["wall_mean_ms"], "wall")
        self.assert_number(observed, time["observed_worker_step_mean_ms"], "steps")
        self.assert_number(rest, time["unaccounted_time_mean_ms"], "unaccounted")
        for step, value in [*steps.items(), ("unaccounted", rest)]:
            self.assert_number(value / wall * 100 if value is not None else None,
                               time[f"{step}_share_pct"], f"{step}_share_pct")
        user, system = summary["user_cpu_sec"]["mean"], summary["system_cpu_sec"]["mean"]
        self.assert_number(user, cpu["user_cpu_mean_sec"], "user")
        self.assert_number(system, cpu["system_cpu_mean_sec"], "system")
        self.assert_number(user + system, cpu["total_cpu_mean_sec"], "total CPU")
        self.assert_number((user + system) / (wall / 1000) * 100, cpu["cpu_core_utilization_pct"],
                           "utilization")
        sampled = summary["process_tree_sampled"]
        for key, expected in {
                "peak_open_fds_mean": summary["peak_open_fds"]["mean"],
                "peak_direct_children_mean": summary["peak_direct_children"]["mean"],
                "sampled_peak_tree_rss_mean_kb": sampled["peak_tree_rss_kb"]["mean"],
                "sampled_peak_tree_rss_mean_mb": sampled["peak_tree_rss_mb"]["mean"],
                "sampled_peak_tree_cpu_p95": sampled["peak_tree_cpu_pct"]["p95"]}.items():
            self.assert_number(expected, budget["process_budget"][key], key)
        good, bad = summary["successful_runs_total"], summary["failed_runs_total"]
        for key, expected in {
                "total_runs": good + bad, "successful_runs_total": good, "failed_runs_total": bad,
                "timeout_runs_total": timeouts, "failure_rate_pct": bad / (good + bad) * 100,
                "timeout_rate_pct": timeouts / (good + bad) * 100}.items():
            self.assert_number(expected, budget["stability"][key], key)


class Documents(ContractTest):
    def test_one_worker(self):
        run = self.run_pw("-n", 4, "-w", 1, cmd=["/bin/sleep", "0.03"])
        document = self.check(run, 4, 1)
        profile = document["profile"]
        self.assertEqual(
            {"name": None, "phase": "measure", "concurrency": 1, "warmup": 1, "iterations": 4},
            {key: profile[key] for key in ("name", "phase", "concurrency", "warmup", "iterations")})

    def test_defaults(self):
        document = self.check(self.run_pw(cmd=["/bin/true"]), 5, 1)
        self.assertEqual(1, document["profile"]["warmup"])
        self.assertEqual(20, document["profile"]["probe_interval_ms"])

    def test_four_workers(self):
        script = "sleep 0.0$((PERFWRAP_WORKER_ID * 2))"
        run = self.run_pw("-n", 3, "-w", 1, "-c", 4, "--top-attach", "--vmmap-snapshots", "--pss",
                          cmd=["/bin/sh", "-c", script])
        self.check(run, 3, 4)

    def test_some_workers_fail(self):
        script = '[ "$PERFWRAP_WORKER_ID" != 2 ] || [ "$PERFWRAP_ITERATION" != 3 ] || exit 9'
        run = self.run_pw("-n", 4, "-w", 0, "-c", 3, cmd=["/bin/sh", "-c", script], expect=1)
        document = self.check(run, 4, 3)
        self.assertEqual([3], document["summary"]["failed_iterations"])
        self.assertEqual([0, 9, 0], [w["return_code"] for w in document["runs"][2]["worker_results"]])
        self.assertEqual({"exited"}, {w["termination"] for w in run.workers()})

    def test_all_workers_fail(self):
        run = self.run_pw("-n", 3, "-w", 0, cmd=["/bin/false"], expect=1)
        document = self.check(run, 3, 1)
        self.assertIsNone(document["summary"]["worker_latency_ms"]["mean"])
        self.assertEqual(0, document["summary"]["throughput_runs_per_sec"]["mean"])

    def test_timeouts(self):
        script = '[ "$PERFWRAP_WORKER_ID" = 1 ] || exec sleep 60'
        run = self.run_pw("-n", 2, "-w", 0, "-c", 2, "--timeout-sec", "0.2",
                          cmd=["/bin/sh", "-c", script], expect=1)
        self.check(run, 2, 2, timeouts=2)
        late = [worker for worker in run.workers() if worker["worker_id"] == 2]
        self.assertEqual([(124, "timeout")] * 2,
                         [(worker["return_code"], worker["termination"]) for worker in late])
        for worker in late:
            self.assertGreaterEqual(worker["duration_ms"], 200)

    def test_a_command_that_returns_124_is_no_timeout(self):
        run = self.run_pw("-n", 1, "-w", 0, cmd=["/bin/sh", "-c", "exit 124"], expect=1)
        self.check(run, 1, 1, timeouts=0)
        self.assertEqual((124, "exited"), (run.workers()[0]["return_code"],
                                           run.workers()[0]["termination"]))

    def test_signals(self):
        for number in (9, 11, 15, 34):
            with self.subTest(signal=number):
                run = self.run_pw("-n", 1, "-w", 0, cmd=["/bin/sh", "-c", f"kill -{number} $$"],
                                  expect=1)
                self.check(run, 1, 1)
                worker, = run.workers()
                self.assertEqual((128 + number, "signaled"),
                                 (worker["return_code"], worker["termination"]))

    def test_ignored_failures(self):
        fail = ["/bin/sh", "-c", "exit 7"]
        self.run_pw("-n", 1, "-w", 0, "--ignore-failure", cmd=fail)
        self.run_pw("-n", 1, "-w", 0, "--ignore-failure=3,7", cmd=fail)
        run = self.run_pw("-n", 1, "-w", 0, "--ignore-failure=3,8", cmd=fail, expect=1)
        self.assertEqual([7], [worker["return_code"] for worker in run.workers()])

    def test_unknown_is_null(self):
        """What was not asked for is there, and null: neither 0 nor missing."""
        run = self.run_pw("-n", 1, "-w", 0, "--probe-budget-pct", 0, cmd=["/bin/true"])
        document = self.check(run, 1, 1)
        for path in ("process_tree_sampled.peak_tree_rss_mb.mean", "peak_open_fds.mean",
                     "top_attach.peak_rss_mb.mean", "vmmap_snapshots.mid_physical_footprint_mb.p95"):
            self.assertIsNone(at(document["summary"], path), path)


class Places(ContractTest):
    def test_the_last_two_lines(self):
        run = self.run_pw("-n", 1, "-w", 0, cmd=["/bin/true"])
        lines = run.out.splitlines()
        self.assertEqual([f"summary_json={run.run_dir}/summary.json",
                          f"summary_md={run.run_dir}/summary.md"], lines[-2:])
        self.assertTrue(os.path.isabs(run.run_dir))

    def test_the_name_of_the_folder(self):
        run = self.run_pw("-n", 1, "-w", 0, "--profile-name", "my name", "--profile-phase", "soak",
                          cmd=["/bin/true"])
        document = self.check(run, 1, 1)
        self.assertRegex(run.run_dir.name, r"^my.name-\d{8}-\d{6}$")
        self.assertEqual(("my name", "soak"),
                         (document["profile"]["name"], document["profile"]["phase"]))
        run = self.run_pw("-n", 1, "-w", 0, cmd=["/bin/true"])
        self.assertRegex(run.run_dir.name, r"^[\w.-]+-\d{8}-\d{6}$")

    def test_a_name_cannot_lead_out_of_the_folder(self):
        for name in ("../../evil", "/tmp/evil", "..", ".", "a/b", ""):
            with self.subTest(name=name):
                run = self.run_pw("-n", 1, "-w", 0, "--profile-name", name, cmd=["/bin/true"],
                                  expect=None)
                if run.status != 2:
                    self.assertEqual(0, run.status, str(run))
                    self.assertEqual(self.out_dir.resolve(), run.run_dir.resolve().parent)

    def test_runs_of_the_same_second_share_no_folder(self):
        started = [self.start("-n", 2, "-w", 0, "--profile-name", "same", cmd=["/bin/sleep", "0.2"])
                   for _ in range(5)]
        runs = [self.finish(process) for process in started]
        self.assertEqual([0] * 5, [run.status for run in runs], "\n".join(map(str, runs)))
        self.assertEqual(5, len({run.run_dir for run in runs}))
        for run in runs:
            self.check(run, 2, 1)

    def test_the_command_can_be_pasted_into_a_shell(self):
        words = ["/bin/true", "a b", "it's", '"', "$HOME", "", "*", "\\", "\n", "ü", "-x", "~", "#", "!"]
        document = self.run_pw("-n", 1, "-w", 0, cmd=words).summary
        self.assertEqual(words, shlex.split(document["command"]))

    def test_generated_at(self):
        before = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=1)
        text = self.run_pw("-n", 1, "-w", 0, cmd=["/bin/true"]).summary["generated_at"]
        self.assertRegex(text, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)$")
        when = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
        self.assertTrue(before <= when <= datetime.datetime.now(datetime.timezone.utc), text)

    def test_environment(self):
        environment = self.run_pw("-n", 1, "-w", 0, cmd=["/bin/true"]).summary["environment"]
        self.assertEqual(os.uname().release, environment["kernel"])
        self.assertEqual(os.cpu_count(), environment["cpu_count"])
        self.assertEqual(len(os.sched_getaffinity(0)), environment["cpu_allowed"])
        self.assertAlmostEqual(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**20,
                               environment["memory_total_mb"], delta=64)

    def test_no_secret_is_written(self):
        secrets = [f"s3cret-{self.mark}-{n}" for n in range(3)]
        script = 'test -n "$API_TOKEN"; exit 4'
        run = self.run_pw("-n", 1, "-w", 1, expect=1, cmd=["/bin/sh", "-c", script], env=self.env(
            API_TOKEN=secrets[0], AWS_SECRET_ACCESS_KEY=secrets[1], SOME_PASSWORD=secrets[2]))
        files = [path for path in self.dir.rglob("*") if path.is_file()]
        self.assertIn(run.summary_path, files)
        for text in [path.read_text(errors="replace") for path in files] + [run.out, run.err]:
            self.assertNotIn(f"s3cret-{self.mark}", text)

    def test_stderr_tail_is_the_last_five_lines(self):
        script = "for i in 1 2 3 4 5 6 7; do echo line $i >&2; done"
        one, = self.run_pw("-n", 1, "-w", 0, cmd=["/bin/sh", "-c", script]).summary["runs"]
        self.assertEqual([f"line {n}" for n in range(3, 8)], one["stderr_tail"].strip().split("\n"))

    def test_stderr_of_any_bytes_gives_json(self):
        script = r"printf 'a\000b\377\376c\033[31m\nlast \303\274\n' >&2"
        run = self.run_pw("-n", 1, "-w", 0, cmd=["/bin/sh", "-c", script])
        document = self.check(run, 1, 1)
        self.assertTrue(document["runs"][0]["stderr_tail"].rstrip().endswith("last ü"))


class Schemas(ContractTest):
    """The schemas refuse what breaks the contract: else validating against them would say nothing."""

    @staticmethod
    def without(document, path):
        broken = copy.deepcopy(document)
        *parents, key = path.split(".")
        place = broken
        for parent in parents:
            place = place[int(parent)] if parent.isdigit() else place[parent]
        del place[key]
        return broken

    @staticmethod
    def with_value(document, path, value):
        broken = copy.deepcopy(document)
        *parents, key = path.split(".")
        place = broken
        for parent in parents:
            place = place[int(parent)] if parent.isdigit() else place[parent]
        place[key] = value
        return broken

    def test_each_key_is_required(self):
        run = self.run_pw("-n", 2, "-w", 0, cmd=["/bin/true"])
        summary, one = run.summary, load_json(run.run_dir / "iteration-001.json")
        paths = [key for key in TOP_LEVEL]
        paths += [f"summary.{path}.{name}" for path, (_, names) in STATISTICS.items() for name in names]
        paths += [f"summary.{path}" for path in (*SUMS, *OTHERS)]
        paths += [f"summary.resource_budget.{block}.{key}" for block, keys in BUDGET.items()
                  for key in keys]
        paths += [f"profile.{key}" for key in ("name", "phase", "concurrency", "warmup", "iterations")]
        validator = schema_validator("summary")
        self.assertEqual([], schema_faults(validator, summary))
        self.assertEqual([], [path for path in paths
                              if validator.is_valid(self.without(summary, path))])
        validator = schema_validator("iteration")
        paths = [*BOTH, *RUN_ONLY] + [f"worker_results.0.{key}" for key in BOTH + WORKER_ONLY]
        self.assertEqual([], schema_faults(validator, one))
        self.assertEqual([], [path for path in paths if validator.is_valid(self.without(one, path))])

    def test_wrong_values_are_refused(self):
        run = self.run_pw("-n", 1, "-w", 0, cmd=["/bin/true"])
        validator = schema_validator("summary")
        for path, value in {
                "summary.latency_ms.p50": "12", "summary.max_rss_kb.mean": True, "iterations": -1,
                "summary.failed_runs_total": 1.5, "summary.failed_iterations": [0.5], "runs": {},
                "profile.concurrency": -1, "command": None, "generated_at": 5,
                "runs.0.worker_results": None, "runs.0.return_code": None}.items():
            with self.subTest(path=path):
                self.assertFalse(validator.is_valid(self.with_value(run.summary, path, value)))


class Counts(ContractTest):
    """How many iterations there are, and why it stopped."""

    def test_a_time_budget(self):
        run = self.run_pw("-w", 0, "--max-time-sec", "0.5", cmd=["/bin/sleep", "0.05"])
        document = run.summary
        self.assertTrue(1 <= document["iterations"] <= 11, document["iterations"])
        self.check(run, document["iterations"], 1)

    def test_until_the_interval_is_tight(self):
        run = self.run_pw("-w", 0, "-n", 3, "--until-ci", 50, "--max-iterations", 40,
                          cmd=["/bin/sleep", "0.02"])
        document = run.summary
        self.assertTrue(3 <= document["iterations"] <= 40)
        self.check(run, document["iterations"], 1)

    def test_until_the_most(self):
        run = self.run_pw("-w", 0, "-n", 2, "--until-ci", "0.01", "--max-iterations", 6,
                          cmd=["/bin/true"])
        self.check(run, 6, 1)

    def test_numbers_of_iterations_and_workers_reach_the_worker(self):
        log = self.dir / "log"
        script = f'echo "$PERFWRAP_ITERATION $PERFWRAP_WORKER_ID" >> {log}'
        self.check(self.run_pw("-n", 2, "-w", 1, "-c", 2, cmd=["/bin/sh", "-c", script]), 2, 2)
        self.assertEqual(["0 1", "0 2", "1 1", "1 2", "2 1", "2 2"],
                         sorted(log.read_text().splitlines()))

    def test_no_samples_are_lost_where_a_worker_has_none(self):
        run = self.run_pw("-n", 2, "-w", 0, "-c", 2, cmd=[target("close_pipes"), 0])
        self.check(run, 2, 2)

    def test_three_digits_and_more(self):
        run = self.run_pw("-n", 12, "-w", 0, cmd=["/bin/true"])
        self.assertEqual([f"iteration-{n:03}.json" for n in range(1, 13)],
                         [path.name for path in iteration_files(run.run_dir)])
        self.assertTrue(all(re.fullmatch(r"iteration-\d{3}\.json", path.name)
                            for path in iteration_files(run.run_dir)))


if __name__ == "__main__":
    unittest.main()
