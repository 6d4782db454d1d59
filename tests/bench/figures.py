"""The figures. Each function measures one group on one machine in one run and returns its rows."""
import os
import struct
import subprocess
import time

from measure import (BenchError, cpu_ns, durations_ms, interleave, mean, percentile, pss_kb,
                     wait_for_file, worker_results)
from row import Row


def sleep_100ms(bench):
    """A command of known length, alone and six at once, against the bare loop."""
    command = ["sleep", "0.1"]
    throughput = lambda: [run["throughput_runs_per_sec"]
                          for run in bench.run(["-n", "10", "-w", "1", "-c", "6"], command)["runs"]]
    alone, six, bare = interleave(
        3,
        lambda: durations_ms(bench.run(["-n", "10", "-w", "1"], command)),
        throughput,
        lambda: bench.bare(10, command)["durations_ms"])
    ideal = 6 / (mean(bare) / 1000)
    return [
        Row("sleep 0.1, worker p50", percentile(alone, 50), "ms", 102, "<",
            f"bare loop p50 {percentile(bare, 50):.3f} ms"),
        Row("sleep 0.1, 6 at once, throughput / ideal", mean(six) / ideal, "", 0.97, ">=",
            f"{mean(six):.2f} of {ideal:.2f} runs/s"),
    ]


def true_p50(bench):
    """/bin/true: what perfwrap adds to the shortest command, against bare loop and hyperfine -N."""
    command = ["/bin/true"]
    ours, bare, hyperfine = interleave(
        10,
        lambda: durations_ms(bench.run(["-n", "30", "-w", "5"], command)),
        lambda: bench.bare(30, command, warmup=5)["durations_ms"],
        lambda: bench.hyperfine_ms(30, command, warmup=5))
    p50 = percentile(ours, 50)
    return [
        Row("/bin/true, p50 / bare p50", p50 / percentile(bare, 50), "", 1.10, "<=",
            f"{p50:.4f} / {percentile(bare, 50):.4f} ms"),
        Row("/bin/true, p50 / hyperfine -N mean", p50 / mean(hyperfine), "", 1.00, "<=",
            f"hyperfine mean {mean(hyperfine):.4f}, p50 {percentile(hyperfine, 50):.4f} ms"),
    ]


def read_stamps(run_dir, iteration, worker):
    """When the target's main() began and when it was about to end, CLOCK_MONOTONIC in ns."""
    path = os.path.join(run_dir, f"stamp-{iteration}-{worker}")
    with open(path, "rb") as file:
        start_ns, end_ns = struct.unpack("=qq", file.read())
    if not 0 < start_ns < end_ns:
        raise BenchError(f"{path}: the target did not finish its stamps")
    return start_ns, end_ns


def workers_64(bench):
    """64 workers that time themselves: how far is perfwrap's duration from theirs?"""
    summary = bench.run(["-n", "10", "-w", "1", "-c", "64"],
                        [bench.program("bench_stamp_target"), "300"])
    off, before, after = [], [], []
    for run, worker in worker_results(summary):
        start_ns, end_ns = read_stamps(summary["run_dir"], run["iteration"], worker["worker_id"])
        off.append(abs(worker["duration_ms"] - (end_ns - start_ns) / 1e6))
        before.append(worker["spawn_proc_ms"])
        after.append(off[-1] - worker["spawn_proc_ms"])
    return [
        Row("64 at once, off by, p50", percentile(off, 50), "ms"),
        Row("64 at once, off by, p95", percentile(off, 95), "ms", 1.0),
        Row("64 at once, off by, max", max(off), "ms", note=f"of {len(off)} workers"),
        Row("  of it clone until exec, p50", percentile(before, 50), "ms",
            note=f"p95 {percentile(before, 95):.3f}, max {max(before):.3f} ms"),
        Row("  of it exec until main and exit, p50", percentile(after, 50), "ms",
            note=f"p95 {percentile(after, 95):.3f}, max {max(after):.3f} ms"),
    ]


def own_cpu(bench, processes, bar, seconds=10):
    """CPU of perfwrap's own processes while a tree of `processes` sleeps."""
    ready = os.path.join(bench.scratch, f"ready-{processes}")
    tree = [bench.program("bench_sleep_tree"), str(processes), str(seconds + 2), ready]
    process = bench.start(["-n", "1", "-w", "0"], tree)
    wait_for_file(ready, process, 60)
    own = bench.own_processes(process.pid)
    start_ns, start_cpu_ns = time.monotonic_ns(), cpu_ns(own)
    time.sleep(seconds)
    wall_ns, used_ns = time.monotonic_ns() - start_ns, cpu_ns(own) - start_cpu_ns
    if len(own) < 2 or bench.own_processes(process.pid) != own:
        raise BenchError(f"perfwrap and its warden were not seen, or have changed: {own}")
    worker = bench.finish(process)["runs"][0]["worker_results"][0]
    if worker["sampled_peak_processes"] != processes:
        raise BenchError(f"sampled {worker['sampled_peak_processes']} of {processes} processes")
    return Row(f"CPU of perfwrap, {processes} sleeping", used_ns / wall_ns * 100, "% of a core",
               bar,
               note=f"in {wall_ns / 1e9:.1f} s; {worker['sample_count']} samples in all, "
                    f"{len(own)} own processes")


def cpu(bench):
    """perfwrap's own CPU with default sampling."""
    return [own_cpu(bench, 10, 1.0), own_cpu(bench, 1000, 5.0)]


def memory_of(bench, label, options, command, bar=12.0):
    """Peaks of perfwrap's memory during a run. A small C program starts it and reads ru_maxrss at
    its end (perfwrap, its wardens or a worker: the largest, so perfwrap is at or below it). The sum
    of the PSS of all processes of its own is sampled meanwhile."""
    launcher = subprocess.Popen(
        [bench.program("bench_spawn"), "1", "0", *bench.perfwrap_argv(options, command)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    peak_kb, most = 0, 0
    while launcher.poll() is None:
        own = bench.own_processes(launcher.pid)
        peak_kb = max(peak_kb, sum(pss_kb(pid) for pid in own))
        most = max(most, len(own))
        time.sleep(0.05)
    rss_kb = bench.finish(launcher)["max_rss_kb"]
    if most < 2:
        raise BenchError("perfwrap and its wardens were not seen")
    return [
        Row(f"memory, {label}: peak RSS", rss_kb / 1024, "MiB", bar, "<"),
        Row(f"memory, {label}: PSS of all own", peak_kb / 1024, "MiB", bar, "<",
            note=f"{most} own processes"),
    ]


PRINTED_BYTES = 5_000_000_000
PRINT_ZEROS = f"head -c {PRINTED_BYTES} /dev/zero"
PRINT_LINES = f"yes 'a line of some length, as programs print them' | head -c {PRINTED_BYTES}"


def wall_ms(argv):
    start_ns = time.monotonic_ns()
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return [(time.monotonic_ns() - start_ns) / 1e6]


def memory(bench):
    """perfwrap's memory with six workers, also while one prints 5 GB, and how long that takes."""
    one_prints = lambda what: ["sh", "-c", f'[ "$PERFWRAP_WORKER_ID" = 1 ] || exec sleep 2; {what}']
    without = ["--accounting", "proc"]
    rows = memory_of(bench, "6 workers", [*without, "-n", "2", "-w", "0", "-c", "6"], ["sleep", "1"])
    # A process that loads the eBPF programs needs more for a moment, before the first worker.
    rows += memory_of(bench, "6 workers, with eBPF", ["-n", "2", "-w", "0", "-c", "6"], ["sleep", "1"], bar=None)
    for label, what in (("one prints 5 GB", PRINT_ZEROS),
                        ("one prints 5 GB of lines", PRINT_LINES)):
        rows += memory_of(bench, label, [*without, "-n", "1", "-w", "0", "-c", "6"], one_prints(what))
    ours, pipe = interleave(
        5,
        lambda: durations_ms(bench.run(["-n", "1", "-w", "0"], ["sh", "-c", PRINT_ZEROS])),
        lambda: wall_ms(["sh", "-c", f"{PRINT_ZEROS} | cat > /dev/null"]))
    return rows + [Row("printing 5 GB / the same through `| cat`",
                       percentile(ours, 50) / percentile(pipe, 50), "",
                       note=f"{percentile(ours, 50):.0f} / {percentile(pipe, 50):.0f} ms")]


def observer(bench):
    """What being sampled costs the target."""
    targets = {
        "500 forks": "i=0; while [ $i -lt 500 ]; do /bin/true; i=$((i+1)); done",
        "CPU-bound loop": "i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done",
    }
    rows = []
    for label, script in targets.items():

        def sample(*options, script=script):
            summary = bench.run(["-n", "3", "-w", "1", *options], ["sh", "-c", script])
            if any(bool(worker["sample_count"]) != (not options)
                   for _, worker in worker_results(summary)):
                raise BenchError(f"sampled or not, against what was asked: {options}")
            return durations_ms(summary)

        on, off = interleave(8, sample, lambda: sample("--probe-budget-pct", "0"))
        rows.append(Row(f"{label}, sampled / not sampled, p50",
                        percentile(on, 50) / percentile(off, 50), "",
                        note=f"{percentile(on, 50):.1f} / {percentile(off, 50):.1f} ms"))
    return rows


FIGURES = {"sleep": sleep_100ms, "true": true_p50, "workers": workers_64, "cpu": cpu,
           "memory": memory, "observer": observer}
