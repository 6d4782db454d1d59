"""What the tests of the OTLP collector share: clients, and what their numbers must come to.

Environment besides that of pwtest.py, set by CMake: PW_NPM_DIR, where bootstrap installs the npm packages;
PW_TOOLS_DIR, the folder with the mock of an agent's model, where there is one.
"""

import http.server
import math
import os
import shutil
import sys
import threading
from pathlib import Path

from pwtest import SOURCE_DIR, PerfwrapTest, parse_json

NPM_DIR = Path(os.environ.get("PW_NPM_DIR", SOURCE_DIR / "build" / "npm"))
TOOLS_DIR = Path(os.environ["PW_TOOLS_DIR"]) if "PW_TOOLS_DIR" in os.environ else None
AGENTS = SOURCE_DIR / "tests" / "agents"
NODE = shutil.which("node")
PYTHON = sys.executable
GROUPS = ("refused", "dropped", "strays")  # of losses, in `telemetry`; strays belong to no worker


def agent(name, *args):
    """The command that runs a program of tests/agents."""
    return [PYTHON, "-B", str(AGENTS / f"{name}.py"), *map(str, args)]


def why_no_npm(name):
    """Why the npm packages of tests/npm/NAME cannot be used, or None."""
    if NODE is None:
        return "node is not installed"
    if not (NPM_DIR / name / "node_modules").is_dir():
        return f"the npm packages of tests/npm/{name} are not in {NPM_DIR / name}: see ./bootstrap test"
    return None


def losses(telemetry):
    """What is not zero among the losses of a `telemetry` block, by name."""
    flat = {key: value for key, value in telemetry.items() if isinstance(value, int)}
    flat.pop("joined_spans", None)
    for group in GROUPS:
        flat.update(telemetry.get(group, {}))
    return {key: value for key, value in flat.items() if value != 0}


def received(telemetry):
    """`received` without `bytes`, which only the sender's library knows."""
    return {key: value for key, value in telemetry["received"].items() if key != "bytes"}


def sum_of(blocks):
    """Adds flat objects of numbers, key by key."""
    total = {}
    for block in blocks:
        for key, value in block.items():
            total[key] = total.get(key, 0) + value
    return total


def by_name(entries):
    return {entry["name"]: entry for entry in entries}


def ranked(values, q):
    """The value at rank q * n, which is what a histogram's quantile estimates."""
    return sorted(values)[max(math.ceil(q * len(values)) - 1, 0)]


def bucket_of(value, bounds):
    """The explicit bucket (low, high] that holds the value."""
    lows = [bound for bound in bounds if bound < value]
    highs = [bound for bound in bounds if bound >= value]
    return (max(lows, default=-math.inf), min(highs, default=math.inf))


# What fake_agent.py is told to do, and what that comes to.
TURNS, TOOLS, FAILURES = 3, 4, 5
WORK = ("--turns", TURNS, "--tools", TOOLS, "--failures", FAILURES)


class Truth:
    """What `workers` agents with the same numbers report, by the head of fake_agent.py."""

    def __init__(self, workers, turns=TURNS, tools=TOOLS, failures=FAILURES):
        self.workers, self.turns = workers, turns
        self.calls = [(n, (turn - 1) * tools + n > failures)
                      for turn in range(1, turns + 1) for n in range(1, tools + 1)]
        self.points = {"turn": turns, "stream": turns, "queue": turns, "action": 0}
        for turn in range(turns):
            kinds = {(n % 2, ok) for n, ok in self.calls[turn * tools:(turn + 1) * tools]}
            self.points["action"] += 2 * len(kinds)
        self.sums = {"turn": sum(100 * turn for turn in range(1, turns + 1)),
                     "stream": sum(5 * turn for turn in range(1, turns + 1)),
                     "action": sum(1 + 10 * n for n, _ in self.calls)}
        self.received = {"payloads": turns + 2, "metrics": turns, "traces": 1, "logs": 1,
                         "datapoints": sum(self.points.values()),
                         "spans": 1 + turns + len(self.calls), "log_records": 2 * len(self.calls)}

    def action(self, odd):
        """Durations and failures of exec_command (odd calls) or apply_patch."""
        mine = [(10 * n, ok) for n, ok in self.calls if n % 2 == odd]
        return sorted(ms for ms, _ in mine) * self.workers, sum(not ok for _, ok in mine) * self.workers


class Listener:
    """Another collector, which keeps what it is sent: (path, headers, body) each. Use with `with`."""

    def __init__(self):
        self.requests = requests = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format, *args):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                requests.append((self.path, dict(self.headers), body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class OtlpTest(PerfwrapTest):
    def run_json(self, *options, cmd, expect=0, **kwargs):
        """Runs perfwrap --json without warm-up; its document."""
        run = self.run_pw("--json", "-w", 0, *options, cmd=cmd, expect=expect, **kwargs)
        return parse_json(run.out)

    def assert_nothing_lost(self, document):
        """Nothing was lost, by the counts of the run, of each iteration and of each worker."""
        self.assertEqual({}, losses(document["summary"]["telemetry"]))
        for run in document["runs"]:
            self.assertEqual({}, losses(run["telemetry"]))
            for worker in run["worker_results"]:
                self.assertEqual({}, worker["telemetry"]["lost"])

    def assert_adds_up(self, document):
        """Workers add up to their iteration, iterations to the run; each worker has a trace of its own."""
        total = received(document["summary"]["telemetry"])
        self.assertEqual(total, sum_of(received(run["telemetry"]) for run in document["runs"]))
        workers = [worker for run in document["runs"] for worker in run["worker_results"]]
        for run in document["runs"]:
            self.assertEqual(received(run["telemetry"]), sum_of(
                received(worker["telemetry"]) for worker in run["worker_results"]))
        summary = document["summary"]
        self.assertEqual(total["payloads"], summary["otel_payloads_total"])
        self.assertEqual(total["datapoints"], summary["metric_datapoints_total"])
        for worker in workers:
            self.assertRegex(worker["trace_id"], "^[0-9a-f]{32}$")
        self.assertEqual(len(workers), len({worker["trace_id"] for worker in workers}))

    def assert_close(self, expected, actual, message=None):
        self.assertIsNotNone(actual, message)
        self.assertTrue(math.isclose(expected, actual, rel_tol=1e-9, abs_tol=1e-9),
                        f"{message}: expected {expected!r}, got {actual!r}")
