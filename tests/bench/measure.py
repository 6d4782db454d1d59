"""What the figures are made of: running perfwrap and its references, and reading /proc.

Only the standard library. Times are milliseconds unless the name says otherwise.
"""
import json
import os
import subprocess
import tempfile
import time


class BenchError(Exception):
    """A figure could not be measured."""


def percentile(values, p):
    """The p-th percentile, linear between closest ranks, as perfwrap's own."""
    ranked = sorted(values)
    position = p / 100 * (len(ranked) - 1)
    below = int(position)
    above = min(below + 1, len(ranked) - 1)
    return ranked[below] + (ranked[above] - ranked[below]) * (position - below)


def mean(values):
    return sum(values) / len(values)


def worker_results(summary):
    return [(run, worker) for run in summary["runs"] for worker in run["worker_results"]]


def durations_ms(summary):
    return [worker["duration_ms"] for _, worker in worker_results(summary)]


def interleave(blocks, *measures):
    """Calls each measure `blocks` times, in turn and with the order reversed every other time, so
    that drift of the machine falls on all alike. Each returns a list; gives the joined ones."""
    joined = [[] for _ in measures]
    for block in range(blocks):
        order = range(len(measures))
        for i in order if block % 2 == 0 else reversed(order):
            joined[i] += measures[i]()
    return joined


class Bench:
    """The binaries under test, and a folder for what they write."""

    def __init__(self, perfwrap, programs):
        self.perfwrap = os.path.realpath(perfwrap)
        self.programs = programs
        # In memory where possible: the targets write there too, and a busy disk would delay them.
        shm = "/dev/shm"
        self._scratch = tempfile.TemporaryDirectory(
            prefix="perfwrap-bench-", dir=shm if os.access(shm, os.W_OK | os.X_OK) else None)
        self.scratch = self._scratch.name

    def close(self):
        self._scratch.cleanup()

    def program(self, name):
        path = os.path.join(self.programs, name)
        if not os.access(path, os.X_OK):
            raise BenchError(f"{path} is not there: build it, or name its folder with --programs")
        return path

    def perfwrap_argv(self, options, command):
        return [self.perfwrap, *options, "--quiet", "--out-dir", self.scratch, "--", *command]

    def run(self, options, command):
        """Runs perfwrap to its end; its summary."""
        return self.finish(self.start(options, command))

    def start(self, options, command):
        """Starts perfwrap; for finish()."""
        return subprocess.Popen(self.perfwrap_argv(["--json", *options], command),
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)

    def finish(self, process):
        out, err = process.communicate()
        if process.returncode != 0:
            raise BenchError(f"{' '.join(process.args)}: exit status {process.returncode}: "
                             f"{err.decode(errors='replace').strip()[-500:]}")
        return json.loads(out)

    def bare(self, runs, command, warmup=1):
        """The bare spawn-and-wait loop: its result object."""
        return run_json([self.program("bench_spawn"), str(runs), str(warmup), *command])

    def hyperfine_ms(self, runs, command, warmup=5):
        """The times of `hyperfine -N`."""
        path = os.path.join(self.scratch, "hyperfine.json")
        argv = ["hyperfine", "-N", "--warmup", str(warmup), "--runs", str(runs), "--style", "none",
                "--export-json", path, " ".join(command)]
        try:
            subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        except (OSError, subprocess.CalledProcessError) as error:
            raise BenchError(f"hyperfine: {error}") from error
        with open(path, encoding="utf-8") as file:
            return [seconds * 1000 for seconds in json.load(file)["results"][0]["times"]]

    def own_processes(self, root):
        """perfwrap's own processes from `root` down: those that run its binary, or the wardens'
        that it starts from memory. Its workers have executed another one."""
        own = []
        for pid in descendants(root):
            try:
                program = os.readlink(f"/proc/{pid}/exe")
            except OSError:
                continue  # gone, or a zombie
            if program == self.perfwrap or program.startswith("/memfd:perfwrap-warden"):
                own.append(pid)
        return own


def run_json(argv):
    """Runs a program that prints one JSON document."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"{' '.join(argv)}: exit status {done.returncode}: "
                         f"{done.stderr.decode(errors='replace').strip()[-500:]}")
    return json.loads(done.stdout)


def descendants(root):
    """The process ids of `root` and all below it, from field 4 of /proc/PID/stat (proc(5))."""
    children = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                parent = int(file.read().rpartition(b")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def cpu_ns(pids):
    """CPU time of all threads there now, to the nanosecond: field 1 of /proc/PID/task/TID/schedstat
    (the ticks of /proc/PID/stat are too coarse for a per mille of a core)."""
    total = 0
    for pid in pids:
        try:
            threads = os.listdir(f"/proc/{pid}/task")
        except OSError:
            continue
        for tid in threads:
            try:
                with open(f"/proc/{pid}/task/{tid}/schedstat", "rb") as file:
                    total += int(file.read().split()[0])
            except ProcessLookupError:
                continue
            except FileNotFoundError as error:
                if os.path.exists(f"/proc/{pid}/task/{tid}"):
                    raise BenchError("the kernel has no /proc/PID/schedstat") from error
    return total


def pss_kb(pid):
    """Proportional set size: shared pages divided among their users; 0 if the process is gone."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1])
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0


def busy_pct(seconds=1.0):
    """How busy all CPUs together are just now, in percent: the first line of /proc/stat, where the
    fourth and fifth number are idle time."""
    def read():
        with open("/proc/stat", encoding="ascii") as file:
            ticks = [int(word) for word in file.readline().split()[1:9]]
        return sum(ticks), ticks[3] + ticks[4]
    total, idle = read()
    time.sleep(seconds)
    total_after, idle_after = read()
    return 100 * (1 - (idle_after - idle) / max(total_after - total, 1))


def wait_for_file(path, process, timeout_sec):
    """Waits until `path` is there; an error if `process` ends before, or after `timeout_sec`."""
    deadline = time.monotonic() + timeout_sec
    while not os.path.exists(path):
        if process.poll() is not None or time.monotonic() > deadline:
            raise BenchError(f"{' '.join(process.args)}: ended or timed out before it was ready")
        time.sleep(0.01)
