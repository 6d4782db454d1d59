"""Figures of machine boots: how long real ones take, and whether one of many hangs."""
import json
import os
import statistics
import subprocess

from measure import BenchError
from row import Row

BOOTS = 50
RESTORES = 20
STATE_DIR = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
                         "build", "boot-state")
PHASES = ("vmm_start_ms", "kernel_ms", "modules_ms", "restore_ms", "exec_ms")


def perfwrap(bench, *words):
    done = subprocess.run([bench.perfwrap, "boot", "--state-dir", STATE_DIR, "--out-dir", bench.scratch, *words],
                          stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode not in (0, 1):
        raise BenchError(f"perfwrap boot: {done.stderr.decode(errors='replace').strip()[-500:]}")
    return done.stdout


def boots(bench, count, *words):
    """The median of the boots that succeeded in seconds, how many failed, and the medians of the phases."""
    document = json.loads(perfwrap(bench, "--json", "--quiet", "--iterations", str(count), *words))
    good = [boot for boot in document["iterations"] if boot["ok"]]
    if not good:
        raise BenchError(f"no boot succeeded: {document['iterations'][0]['error']}")
    phases = ", ".join(f"{name[:-3]} {statistics.median(boot['phases'][name] for boot in good):.0f}"
                       for name in PHASES if good[0]["phases"].get(name) is not None)
    median = statistics.median(boot["duration_ms"] for boot in good) / 1000
    longest = max(boot["duration_ms"] for boot in good) / 1000
    note = f"{phases} ms; longest {longest:.2f} s; {document['machine']['backend']}"
    return median, document["summary"]["failures"], note


def boot(bench):
    """Machine boots: cold and from a snapshot, median, and failures of many"""
    perfwrap(bench, "--fetch-kernel", "--quiet")
    cold, failed, note = boots(bench, BOOTS, "--timeout", "30")
    rows = [Row(f"cold boot, median of {BOOTS}", cold, "s", 1.6, note=note),
            Row(f"cold boots that failed, of {BOOTS}", failed, "", 0)]
    boots(bench, 1, "--start", "snapshot")
    restored, failed, note = boots(bench, RESTORES, "--start", "snapshot", "--timeout", "30")
    return rows + [Row(f"boot from a snapshot, median of {RESTORES}", restored, "s", 0.4, note=note),
                   Row(f"boots from a snapshot that failed, of {RESTORES}", failed, "", 0)]


FIGURES = {"boot": boot}
