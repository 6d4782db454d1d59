"""Figures of the kernel's account and the CPU profile: what they cost who is measured."""
import json
import os
import statistics
import subprocess

from measure import BenchError, interleave
from row import Row

LOOP = "i=0; while [ $i -lt 400 ]; do /bin/true; i=$((i+1)); done"
FUNCTIONS = 300
PROC = ("--accounting", "proc")


def run(bench, options, command):
    """The worker's duration in ms, and the summary."""
    done = subprocess.run([bench.perfwrap, "--json", "--quiet", "-n", "1", "-w", "0", "--otlp", "off",
                           "--out-dir", bench.scratch, *options, "--", *command],
                          stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"perfwrap {' '.join(options)}: {done.stderr.decode(errors='replace').strip()[-500:]}")
    summary = json.loads(done.stdout)
    return summary["runs"][0]["duration_ms"], summary


def slowdown(bench, pairs, more, less):
    """By how many percent `more` takes longer than `less`, options and a command each: the median of pairs, in turns."""
    run(bench, *less)
    times = interleave(pairs, lambda: [run(bench, *more)[0]], lambda: [run(bench, *less)[0]])
    ratios = [long / short for long, short in zip(*times)]
    middle = sorted(ratios)[len(ratios) // 4: -(len(ratios) // 4)]
    note = f"middle half {min(middle) * 100 - 100:+.1f} to {max(middle) * 100 - 100:+.1f} %, {pairs} pairs"
    return (statistics.median(ratios) - 1) * 100, note


def large_source(bench):
    path = os.path.join(bench.scratch, "large.c")
    with open(path, "w", encoding="utf-8") as file:
        for i in range(FUNCTIONS):
            file.write(f"int f{i}(int a, int *b) {{ for (int k = 0; k < a; k++) b[k] += a * {i} + (a >> {i % 31}); "
                       f"return b[a];\n}}\n")
    return path


def setup_ms(bench):
    """The longest of ten attachments."""
    longest = 0
    for _ in range(10):
        _, summary = run(bench, ("--accounting", "ebpf"), ["/bin/true"])
        rung = summary["accounting"]["rungs"][0]
        if rung["state"] != "used":
            raise BenchError(f"no eBPF here: {rung['why']}")
        longest = max(longest, rung["setup_ms"])
    return longest


def accounting(bench):
    """What eBPF, cgroups and the CPU profile cost, side by side with --accounting proc"""
    loop = ["/bin/sh", "-c", LOOP]
    source = large_source(bench)
    compile_it = ["gcc", "-O2", "-c", source, "-o", source + ".o"]
    cases = (("a loop of 400 forks", 40, loop, 5), ("a compilation", 16, compile_it, 1))
    rows = [Row("attaching, longest of 10", setup_ms(bench), "ms", 100)]
    for what, pairs, command, bar in cases:
        value, note = slowdown(bench, pairs, (("--accounting", "ebpf"), command), (PROC, command))
        rows.append(Row(f"eBPF and cgroup slow {what}", value, "%", bar, note=note))
    sleeps = [run(bench, ("--accounting", "ebpf"), ["/bin/sleep", "0.1"])[0] for _ in range(20)]
    rows.append(Row("sleep 0.1 with eBPF, median of 20", statistics.median(sleeps), "ms", 102))
    for what, pairs, command, _ in cases:
        value, note = slowdown(bench, pairs, ((*PROC, "--cpu-profile"), command), (PROC, command))
        rows.append(Row(f"--cpu-profile slows {what}", value, "%", 2, note=note))
        timer = [bench.program("bench_timer")]
        value, note = slowdown(bench, pairs, (PROC, timer + ["997"] + command), (PROC, timer + ["0"] + command))
        rows.append(Row(f"997 interrupts a second slow {what}", value, "%", note=note))
    return rows


FIGURES = {"accounting": accounting}
