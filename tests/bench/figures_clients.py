"""Figures of measuring programs that report: what it costs them, and what it costs their neighbours."""
import contextlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
from unittest import mock

from measure import BenchError, interleave, percentile, worker_results
from row import Row

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "agents"))
import real_codex  # noqa: E402

BODY = os.path.join(ROOT, "tests", "data", "otlp", "codex_metrics_json.json")
NPM_DIR = os.environ.get("PW_NPM_DIR") or os.path.join(ROOT, "build", "npm")
TOOLS_DIR = os.environ.get("PW_TOOLS_DIR") or os.path.join(os.path.dirname(ROOT), "shared", "tools")


def ratio_interval(values, others, draws=2000):
    """95 % interval of the ratio of the medians: bootstrap percentiles, with a fixed seed."""
    dice = random.Random(1)
    ratios = [percentile(dice.choices(values, k=len(values)), 50)
              / percentile(dice.choices(others, k=len(others)), 50) for _ in range(draws)]
    return percentile(ratios, 2.5), percentile(ratios, 97.5)


def durations(summary, first_worker=1):
    return [worker["duration_ms"] for _, worker in worker_results(summary)
            if worker["worker_id"] >= first_worker]


@contextlib.contextmanager
def another_collector(bench):
    """The URL of a collector in a process of its own."""
    process = subprocess.Popen([bench.perfwrap, "collect", "--listen", "127.0.0.1:0", "--quiet"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True)
    try:
        yield process.stderr.readline().split()[-1]
    finally:
        process.terminate()
        process.communicate()


def codex(bench):
    """codex, reporting to perfwrap, to another collector, and not at all."""
    missing = real_codex.why_not(NPM_DIR, TOOLS_DIR)
    if missing:
        raise BenchError(missing)
    command = [str(real_codex.find(NPM_DIR)), *real_codex.COMMAND]
    with (real_codex.Model(TOOLS_DIR) as model, another_collector(bench) as url,
          tempfile.TemporaryDirectory() as folder):
        home = real_codex.make_home(os.path.join(folder, "home"), TOOLS_DIR, model.port)

        def measure(*options):
            with mock.patch.dict(os.environ, CODEX_HOME=str(home), HOME=folder):
                summary = bench.run(["--agent", "codex", "-n", "5", "-w", "1", *options], command)
            if bool(summary["summary"]["otel_payloads_total"]) != (not options):
                raise BenchError(f"codex reported or did not, against what was asked: {options}")
            return durations(summary)

        auto, elsewhere, off = interleave(
            8, measure, lambda: measure("--otlp", url), lambda: measure("--otlp", "off"))
    rows = []
    for label, others in (("to another collector", elsewhere), ("not at all", off)):
        low, high = ratio_interval(auto, others)
        rows.append(Row(f"codex exec, reporting / {label}, p50",
                        percentile(auto, 50) / percentile(others, 50),
                        note=f"95 % interval {low:.3f} to {high:.3f}; {percentile(auto, 50):.1f} / "
                             f"{percentile(others, 50):.1f} ms, {len(auto)} each"))
    return rows


def neighbour(bench):
    """`sleep 0.1` six times, while a seventh worker posts 50 MB/s of OTLP."""
    own = os.path.join(bench.scratch, "bin-1")  # only worker 1 finds another `sleep` there
    os.makedirs(own, exist_ok=True)
    shutil.copy(bench.program("bench_neighbour_target"), os.path.join(own, "sleep"))
    path = f"{bench.scratch}/bin-{{worker_id}}:{os.environ['PATH']}"

    def measure(rate):
        summary = bench.run(["-n", "10", "-w", "1", "-c", "7", "--worker-env", f"PATH={path}",
                             "--worker-env", f"BENCH_BODY={BODY}",
                             "--worker-env", f"BENCH_MB_PER_SEC={rate}"], ["sleep", "0.1"])
        if bool(summary["summary"]["otel_payloads_total"]) != (rate > 0):
            raise BenchError("the neighbour posted, or not, against what was asked")
        return durations(summary, first_worker=2)

    loud, silent = interleave(4, lambda: measure(50), lambda: measure(0))
    return [Row("sleep 0.1, 6 beside 50 MB/s of OTLP, worker p50", percentile(loud, 50), "ms", 102, "<",
                f"p95 {percentile(loud, 95):.3f}; beside a silent one p50 "
                f"{percentile(silent, 50):.3f}, p95 {percentile(silent, 95):.3f} ms")]


FIGURES = {"codex": codex, "neighbour": neighbour}
