"""The contract's SLA check a second time, in Python, from the words of the contract alone; and summaries to try it on.

Two programs that agree on every byte for hundreds of summaries, made by chance and real ones, are not wrong in the
same way by accident. As a script: `sla_reference.py OUT_DIR SUMMARY...` writes OUT_DIR/PROFILE--RUN.txt for each
profile and summary, with the exit status in the last line, as the folder of expected reports has them.
"""

import json
import sys
from pathlib import Path

# Flag, what it prints, number under `summary`, whether it is an upper bound.
FLAGS = [
    ("max-failed-runs", "failed_runs_total", "failed_runs_total", True),
    ("max-latency-p95-ms", "latency_p95_ms", "latency_ms.p95", True),
    ("max-latency-mean-ms", "latency_mean_ms", "latency_ms.mean", True),
    ("min-throughput-mean", "throughput_mean", "throughput_runs_per_sec.mean", False),
    ("max-rss-mean-mb", "rss_mean_mb", "max_rss_mb.mean", True),
    ("max-peak-fds-mean", "peak_fds_mean", "peak_open_fds.mean", True),
    ("max-peak-children-mean", "peak_children_mean", "peak_direct_children.mean", True),
    *[(f"min-{f}-metric-points-mean", f"{f}_metric_points_mean",
       f"otel_turn_action_stream.{f}_metric_points.mean", False) for f in ("turn", "action", "stream")],
    *[(f"max-{f}-metric-value-sum-mean", f"{f}_metric_value_sum_mean",
       f"otel_turn_action_stream.{f}_metric_value_sum.mean", True) for f in ("turn", "action", "stream")],
    ("max-sampled-peak-tree-rss-mean-mb", "sampled_peak_tree_rss_mean_mb",
     "process_tree_sampled.peak_tree_rss_mb.mean", True),
    ("max-sampled-peak-tree-cpu-p95", "sampled_peak_tree_cpu_p95", "process_tree_sampled.peak_tree_cpu_pct.p95", True),
    *[(f"max-{s.replace('_', '-')}-mean-ms", f"{s}_mean_ms", f"worker_step_timings_ms.{s}.mean", True)
      for s in ("build_cmd", "spawn_proc", "monitor_loop", "communicate", "parse_stats")],
    ("min-top-sample-count-mean", "top_sample_count_mean", "top_attach.sample_count.mean", False),
    ("max-top-peak-rss-mean-mb", "top_peak_rss_mean_mb", "top_attach.peak_rss_mb.mean", True),
    ("max-top-peak-cpu-p95", "top_peak_cpu_p95", "top_attach.peak_cpu_pct.p95", True),
    ("max-top-mean-cpu-mean", "top_mean_cpu_mean", "top_attach.mean_cpu_pct.mean", True),
    *[(f"max-vmmap-{w}-physical-mean-mb", f"vmmap_{w}_physical_mean_mb",
       f"vmmap_snapshots.{w}_physical_footprint_mb.mean", True) for w in ("start", "mid", "end")],
    ("min-xctrace-trace-count", "xctrace_trace_count", "xctrace.trace_count", False),
]
NAMES = {flag[0]: flag for flag in FLAGS}

STEPS = ("max-build-cmd-mean-ms", "max-spawn-proc-mean-ms", "max-monitor-loop-mean-ms",
         "max-communicate-mean-ms", "max-parse-stats-mean-ms")


def base(p95, throughput, **more):
    return {"max-failed-runs": 0, "max-latency-p95-ms": p95, "min-throughput-mean": throughput,
            **{key.replace("_", "-"): value for key, value in more.items()}}


def top(cpu):
    return {"min-top-sample-count-mean": 1, "max-top-peak-cpu-p95": cpu}


# Profile: its layers base, steps, top, trace.
PROFILES = {
    "cold": (base(1000, 2.0, max_peak_fds_mean=6), dict(zip(STEPS, (25, 250, 2500, 600, 300))), top(120),
             {"min-xctrace-trace-count": 1}),
    "throughput": (base(1200, 8.0, max_peak_fds_mean=6), dict(zip(STEPS, (25, 250, 3000, 700, 300))), top(220), {}),
    "exec": (base(8000, 0.14, max_peak_children_mean=1.5),
             {"min-turn-metric-points-mean": 1, **dict(zip(STEPS, (30, 300, 7000, 1000, 400)))}, top(260),
             {"min-xctrace-trace-count": 1}),
    "streaming": (base(25000, 0.03, min_turn_metric_points_mean=1),
                  {"max-monitor-loop-mean-ms": 30000, "max-parse-stats-mean-ms": 500,
                   "max-sampled-peak-tree-rss-mean-mb": 8}, top(260), {}),
}


def lookup(document, path):
    for key in path.split("."):
        document = document.get(key) if isinstance(document, dict) else None
    return document


def is_there(document, block):
    value = document["summary"].get(block)
    if "perfwrap_version" in document:  # always all blocks: "there" means that it holds a number
        return holds_number(value)
    return value is not None


def holds_number(value):
    if isinstance(value, dict):
        return any(holds_number(one) for one in value.values())
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def limits_of(document, profile):
    """The limits of a profile that apply to a summary, by flag; without a profile, those that always do."""
    if profile is None:
        return {"max-failed-runs": 0}
    always, steps, over_time, trace = PROFILES[profile]
    limits = dict(always)
    if is_there(document, "worker_step_timings_ms"):
        limits.update(steps)
    if is_there(document, "top_attach"):
        limits.update(over_time)
    if is_there(document, "vmmap_snapshots") and (lookup(document, "summary.xctrace.trace_count") or 0) > 0:
        limits.update(trace)
    return limits


def failed_runs(document):
    """Of older summaries, which have no sum, from their iterations."""
    if "failed_runs_total" in document["summary"]:
        return document["summary"]["failed_runs_total"]
    return sum(run["return_code"] != 0 for run in document["runs"])


def report(document, path, profile=None, extra=None, label=None):
    """The report and the exit status. `extra`: limits by flag."""
    limits = {**limits_of(document, profile), **(extra or {})}
    passes, failures = [], []
    for flag, name, place, upper in FLAGS:
        if flag not in limits:
            continue
        limit = limits[flag]
        value = failed_runs(document) if name == "failed_runs_total" else lookup(document["summary"], place)
        if value is None:
            failures.append(f"FAIL: {name} unavailable; limit={float(limit)!r}")
            continue
        kept = value <= limit if upper else value >= limit
        shown = f"{int(value)}" if name == "failed_runs_total" else f"{value:.6g}"
        line = f"{name}={shown} {'<=' if upper else '>='} {limit:.6g}"
        (passes if kept else failures).append(f"{'PASS' if kept else 'FAIL'}: {line}")
    head = f"[{label or profile or 'perf'}] summary={path}"
    return "\n".join([head, *passes, *failures]) + "\n", 1 if failures else 0


def put(document, path, value):
    *folders, key = path.split(".")
    for folder in folders:
        document = document.setdefault(folder, {})
    document[key] = value


def summary_with(**numbers):
    """A summary with these numbers under the names that checks print; latency and throughput are always there."""
    document = {"generated_at": "2026-01-02T03:04:05+00:00", "run_dir": "x", "command": "true", "iterations": 5,
                "profile": {"name": None}, "runs": [{"iteration": i, "return_code": 0} for i in range(1, 6)],
                "summary": {"latency_ms": {"mean": 10.0, "p95": 12.5}, "failed_runs_total": 0,
                            "throughput_runs_per_sec": {"mean": 20.0}}}
    places = {name: place for _, name, place, _ in FLAGS}
    for name, value in numbers.items():
        put(document["summary"], places[name], value)
    return document


def random_summary(rng):
    """A summary as harnesses of several ages write it: blocks missing, numbers null, values near the limits."""
    limits = [value for layers in PROFILES.values() for layer in layers for value in layer.values()]
    numbers = {"failed_runs_total": rng.choice([0, 0, 0, 1, 7])}
    blocks = {"worker_step_timings_ms": rng.random() < 0.7, "top_attach": rng.random() < 0.7,
              "vmmap_snapshots": rng.random() < 0.6, "xctrace": rng.random() < 0.6,
              "otel_turn_action_stream": rng.random() < 0.7, "process_tree_sampled": rng.random() < 0.7,
              "peak_open_fds": rng.random() < 0.8, "peak_direct_children": rng.random() < 0.8}
    for _, name, place, _ in FLAGS[1:]:
        if not blocks.get(place.split(".")[0], True):
            continue
        near = rng.choice(limits) * rng.choice([1, 1, 0.5, 2, 1 + 1e-9, 1 - 1e-9])
        value = rng.choice([near, near, rng.lognormvariate(2, 4), 0, None])
        numbers[name] = value
    if isinstance(numbers.get("xctrace_trace_count"), float):
        numbers["xctrace_trace_count"] = int(numbers["xctrace_trace_count"] % 3)
    document = summary_with(**numbers)
    if rng.random() < 0.4:
        document["perfwrap_version"] = "0.1.0"
    if rng.random() < 0.1:
        del document["summary"]["failed_runs_total"]
        document["runs"][rng.randrange(5)]["return_code"] = rng.choice([0, 1])
    return document


def random_extra(rng):
    return {flag: (rng.randrange(3) if flag == "max-failed-runs" else
                   rng.choice([rng.randrange(100), round(rng.lognormvariate(2, 3), 3), 1e-5, 1e15]))
            for flag, *_ in rng.sample(FLAGS, rng.randrange(6))}


def main():
    out_dir = Path(sys.argv[1])
    for path in map(Path, sys.argv[2:]):
        document = json.loads(path.read_text(encoding="utf-8"))
        for profile in PROFILES:
            text, status = report(document, path, profile)
            (out_dir / f"{profile}--{path.parent.name}.txt").write_text(f"{text}exit={status}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
