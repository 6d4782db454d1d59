"""Figures of the baseline index: how fast it is over ten thousand summaries, and how small."""
import json
import os
import random
import re
import subprocess
import sys

from measure import BenchError, interleave
from row import Row

PYTHON_INDEX = os.path.join(os.path.dirname(os.path.abspath(__file__)), "python_index.py")
COUNT = 10000
SHAPES = ((1, 1), (1, 2), (1, 4), (1, 6), (2, 3), (3, 3))  # workers, iterations: 18 to 46 KB
PROFILES = ("cold", "throughput", "exec", "streaming")
NUMBER = re.compile(r"(?<=[ \[])(\d+\.\d+)(?=[,\n])")
LONG_AGO = 1_700_000_000  # what changed just now is never cached
BLOCKS = 5


def templates(bench):
    """Summaries of real runs, each split into what stays and its numbers with a fraction."""
    for workers, iterations in SHAPES:
        summary = bench.run(["--concurrency", str(workers), "--iterations", str(iterations),
                             "--profile-name", "PROFILE"], ["/bin/true"])
        yield NUMBER.split(json.dumps({**summary, "generated_at": "TIME"}, indent=2) + "\n")


def make_summaries(bench):
    """COUNT summaries: copies of the templates in turn, in each of which all numbers with a fraction
    are scaled by a factor of its own (5 % noise) and again by one each (1 %), with a profile and a
    time of its own. Returns the folder and the mean size."""
    folder = os.path.join(bench.scratch, "index")
    draw, size = random.Random(4), 0
    shapes = list(templates(bench))
    for number in range(COUNT):
        parts = list(shapes[number % len(shapes)])
        factor = draw.gauss(1, 0.05)
        parts[1::2] = [f"{float(part) * factor * draw.gauss(1, 0.01):.15g}" for part in parts[1::2]]
        minute = draw.randrange(60 * 24 * 28)
        time = (f"2026-02-{minute // 1440 + 1:02}T{minute // 60 % 24:02}:{minute % 60:02}:"
                f"{number % 60:02}.{number:06}+00:00")
        text = "".join(parts).replace("TIME", time, 1).replace(
            "PROFILE", PROFILES[number % len(PROFILES)], 1)
        path = os.path.join(folder, f"run-{number:05}-20260201-000000", "summary.json")
        os.makedirs(os.path.dirname(path))
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.utime(path, (LONG_AGO, LONG_AGO))
        size += len(text)
    return folder, size / COUNT


def output_of(argv):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"{' '.join(argv)}: {done.stderr.decode(errors='replace').strip()[-500:]}")
    return json.loads(done.stdout)


def same(ours, theirs):
    """Whether all that Python's index says is in ours, within 1e-9."""
    if isinstance(theirs, dict):
        return all(key in ours and same(ours[key], theirs[key]) for key in theirs)
    if isinstance(theirs, float) and isinstance(ours, (int, float)):
        return abs(ours - theirs) <= 1e-9 * max(abs(ours), abs(theirs))
    return ours == theirs


def index(bench):
    """10,000 summaries: perfwrap index against the same rules in Python; warm; memory; perfwrap check."""
    folder, size = make_summaries(bench)
    pattern = os.path.join(folder, "*", "summary.json")
    cache = os.path.join(bench.scratch, "index-cache")
    python = [sys.executable, PYTHON_INDEX, pattern]
    cold = [bench.perfwrap, "index", pattern]
    warm = [*cold, "--cache", cache]
    check = [bench.perfwrap, "check", os.path.join(folder, "run-00003-20260201-000000", "summary.json")]
    if not same(output_of(cold)["profiles"], output_of(python)["profiles"]):
        raise BenchError("perfwrap's index is not Python's")
    output_of(warm)

    def run(argv, iterations=1):
        return [bench.run(["--iterations", str(iterations)], argv)["summary"]]

    theirs, ours, cached = interleave(BLOCKS, lambda: run(python), lambda: run(cold), lambda: run(warm))
    (checked,) = run(check, 50)
    # The least disturbed of each: what else the machine does only ever adds.
    theirs_ms, ours_ms, cached_ms = (min(one["latency_ms"]["p50"] for one in runs)
                                     for runs in (theirs, ours, cached))
    return [
        Row("index, 10,000 summaries: Python / perfwrap", theirs_ms / ours_ms, "", 20, ">=",
            f"{theirs_ms:.0f} / {ours_ms:.0f} ms, best of {BLOCKS}; mean size {size / 1000:.1f} kB"),
        Row("index, CPU time: Python / perfwrap", cpu_sec(theirs) / cpu_sec(ours), "",
            note=f"{cpu_sec(theirs):.2f} / {cpu_sec(ours):.3f} s"),
        Row("index, peak memory", max(one["max_rss_mb"]["mean"] for one in ours + cached), "MiB",
            200, "<", f"Python: {theirs[0]['max_rss_mb']['mean']:.0f} MiB"),
        Row("index, warm cache", cached_ms, "ms", 500, "<", f"best of {BLOCKS}"),
        Row("check of one summary, median", checked["latency_ms"]["p50"], "ms", 10, "<"),
    ]


def cpu_sec(runs):
    return min(one["user_cpu_sec"]["mean"] + one["system_cpu_sec"]["mean"] for one in runs)


FIGURES = {"index": index}
