#!/usr/bin/python3
"""The contract's baseline index as one writes it down in Python, to be compared with `perfwrap index`.

python_index.py PATTERN: prints the index of all summaries that match, as JSON.
"""
import datetime
import glob
import json
import re
import statistics
import sys

WINDOW, MIN_SAMPLES = 30, 5
METRICS = {  # name: (place under `summary`, higher is better)
    "failed_runs_total": (("failed_runs_total",), False),
    "latency_p95_ms": (("latency_ms", "p95"), False),
    "latency_mean_ms": (("latency_ms", "mean"), False),
    "throughput_mean": (("throughput_runs_per_sec", "mean"), True),
    "rss_mean_mb": (("max_rss_mb", "mean"), False),
    "peak_fds_mean": (("peak_open_fds", "mean"), False),
    "peak_children_mean": (("peak_direct_children", "mean"), False),
    "sampled_peak_tree_rss_mean_mb": (("process_tree_sampled", "peak_tree_rss_mb", "mean"), False),
    "sampled_peak_tree_cpu_p95": (("process_tree_sampled", "peak_tree_cpu_pct", "p95"), False),
    "top_peak_cpu_p95": (("top_attach", "peak_cpu_pct", "p95"), False),
    "monitor_loop_mean_ms": (("worker_step_timings_ms", "monitor_loop", "mean"), False),
    "spawn_proc_mean_ms": (("worker_step_timings_ms", "spawn_proc", "mean"), False),
    "parse_stats_mean_ms": (("worker_step_timings_ms", "parse_stats", "mean"), False),
}
KINDS = (("stream", "streaming"), ("throughput", "throughput"), ("cold", "cold"), ("startup", "cold"),
         ("exec", "exec"), ("smoke", "smoke"), ("stress", "stress"))
STAMP = re.compile(r"-\d{8}-\d{6}$")


def number_at(document, place):
    for key in place:
        document = document.get(key) if isinstance(document, dict) else None
    if isinstance(document, (int, float)) and not isinstance(document, bool):
        return float(document)
    return None


def group_of(document):
    name = (document.get("profile") or {}).get("name") or document["run_dir"].rstrip("/").split("/")[-1]
    name = STAMP.sub("", name)
    for part, kind in KINDS:
        if part in name.lower():
            return kind
    return name


def percentile(ranked, p):
    position = p * (len(ranked) - 1)
    below = int(position)
    above = min(below + 1, len(ranked) - 1)
    return ranked[below] + (ranked[above] - ranked[below]) * (position - below)


def status_of(z, count, higher_is_better):
    if count < MIN_SAMPLES or z is None:
        return "insufficient_data"
    bad = -z if higher_is_better else z
    return "red" if bad >= 3 else "yellow" if bad >= 1.5 else "green"


def judge(values, higher_is_better):
    if not values:
        return {"present": False}
    ranked, count, current = sorted(values), len(values), values[-1]
    mean, median = statistics.fmean(values), percentile(ranked, 0.5)
    mad = percentile(sorted(abs(value - median) for value in values), 0.5)
    cut = count // 10
    std = statistics.pstdev(values)
    z = (current - median) / (1.4826 * mad) if mad else None
    return {"present": True, "higher_is_better": higher_is_better, "n": count, "current": current,
            "mean": mean, "median": median,
            "trimmed_mean_10": statistics.fmean(ranked[cut:count - cut]),
            "p95": percentile(ranked, 0.95), "p99": percentile(ranked, 0.99),
            "min": ranked[0], "max": ranked[-1], "std": std,
            "cv": std / abs(mean) if mean else None, "mad": mad,
            "iqr": percentile(ranked, 0.75) - percentile(ranked, 0.25),
            "delta_pct_from_median": (current - median) / median * 100 if median else None,
            "robust_z": z, "status": status_of(z, count, higher_is_better)}


def index_of(paths):
    groups = {}
    for path in paths:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
        when = datetime.datetime.fromisoformat(document["generated_at"])
        values = {name: number_at(document["summary"], place) for name, (place, _) in METRICS.items()}
        groups.setdefault(group_of(document), []).append((when, path, values))
    profiles = {}
    for name, runs in groups.items():
        runs = sorted(runs, key=lambda run: run[0])[-WINDOW:]
        metrics = {}
        for metric, (_, higher) in METRICS.items():
            present = [values[metric] for _, _, values in runs if values[metric] is not None]
            metrics[metric] = judge(present, higher)
        profiles[name] = {"sample_count": len(runs), "latest_summary_path": runs[-1][1],
                          "metrics": metrics}
    return {"generated_at": datetime.datetime.now(datetime.timezone.utc).isoformat(),
            "window": WINDOW, "min_samples": MIN_SAMPLES, "profiles": profiles}


if __name__ == "__main__":
    json.dump(index_of(sorted(glob.glob(sys.argv[1]))), sys.stdout, indent=2)
