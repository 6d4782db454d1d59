"""--mark and --until: moments of workers against times that the worker itself took."""

import signal
import socket
import statistics
import sys
import time
import unittest

from pwtest import SLOWER, PerfwrapTest, target, wait_until

NEAR_MS = 1.0 * SLOWER  # of a median, see below
OPEN_MS = 20 * SLOWER  # what is asked stays there so long at least


def free_port_base(count):
    """A number such that the ports with one more digit behind it, 1 to count, are free."""
    for base in range(2000, 3000):
        sockets = []
        try:
            for digit in range(1, count + 1):
                one = socket.socket()
                sockets.append(one)
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                one.bind(("127.0.0.1", int(f"{base}{digit}")))
            return base
        except OSError:
            continue
        finally:
            for one in sockets:
                one.close()
    raise AssertionError("no ports are free")


class MarksTest(PerfwrapTest):
    def stages(self, *steps):
        return [target("stages"), self.dir / "record-%i-%w", *steps]

    def truth(self, iteration=1, worker=1):
        """What the worker recorded: name to milliseconds of CLOCK_MONOTONIC."""
        path = self.dir / f"record-{iteration}-{worker}"
        return {name: int(ns) / 1e6 for name, ns in
                (line.split() for line in path.read_text(encoding="ascii").splitlines())}

    def measured(self, run):
        """(iteration, worker, worker_results entry) of all workers."""
        return [(one["iteration"], worker["worker_id"], worker)
                for one in run.summary["runs"] for worker in one["worker_results"]]

    def assert_true_times(self, run, names):
        """Each moment is where the worker says it was. A machine that is busy may delay one or the other,
        so it is the median over the workers that must be near. The origin, the spawn, lies before main(), by
        what exec and the dynamic loader take."""
        starts = []
        for name in names:
            errors = []
            for iteration, number, worker in self.measured(run):
                truth = self.truth(iteration, number)
                at_ms = worker["marks"][f"{name}_ms"]
                self.assertIsNotNone(at_ms, f"{name}: {worker}")
                # Anchored at the first mark, which is made as soon as main() begins.
                first = names[0]
                errors.append((at_ms - worker["marks"][f"{first}_ms"]) - (truth[name] - truth[first]))
                if name == first:
                    starts.append(at_ms - (truth[first] - truth["start"]))
            self.assertLess(abs(statistics.median(errors)), NEAR_MS, f"{name}: {errors}")
        self.assertGreater(min(starts), 0)
        self.assertLess(min(starts), 20 * SLOWER, f"from the spawn to main(): {starts}")

    def measure_near(self, names, measure):
        """Noise of a machine only makes moments later, so the nearest of three runs counts. Returns it."""
        for attempts_left in (2, 1, 0):
            run = measure()
            try:
                self.assert_true_times(run, names)
                return run
            except AssertionError:
                if not attempts_left:
                    raise
            self.dir = self.dir / "again"  # with files of its own
            self.dir.mkdir()
        return None

    def assert_adds_up(self, run):
        for _, _, worker in self.measured(run):
            total = sum(value for value in worker["phases"].values() if value is not None)
            self.assertAlmostEqual(worker["duration_ms"], total, delta=0.001)


class Truth(MarksTest):
    def test_lines_of_output_and_descriptor_3(self):
        run = self.measure_near(["zero", "err", "told", "out"], lambda: self.run_pw(
            "-n", 15, "-w", 1, "--mark", "zero=stdout:/^stage zero$/",
            "--mark", "err=stderr:/stage e/", "--mark", "told=fd3",
            "--mark", "out=stdout:/one/",
            cmd=self.stages("out:zero", 10, "err:err", 15, "fd3:told", 5, "out:out", "out:one", 20)))
        self.assert_adds_up(run)
        for _, _, worker in self.measured(run):
            self.assertEqual("exited", worker["termination"])

    def test_files_and_sockets(self):
        base = free_port_base(1)
        run = self.measure_near(["zero", "file", "tcp", "unix"], lambda: self.run_pw(
            "-n", 15, "-w", 0, "--mark", "zero=stdout:/zero/",
            "--mark", f"file=file:{self.dir}/file-{{iteration}}-{{worker_id}}",
            "--mark", f"tcp=tcp:{base}{{worker_id}}",
            "--mark", "unix=unix:{worker_dir}/socket",
            cmd=["/bin/sh", "-c", 'exec "$0" "$@" '
                 f'"unix:unix=$PERFWRAP_WORKER_DIR/socket" {OPEN_MS}',
                 *self.stages("out:zero", 20, f"file:file={self.dir}/file-%i-%w", 20,
                              f"tcp:tcp={base}%w", OPEN_MS)]))
        self.assert_adds_up(run)

    def test_workers_at_once_have_their_own(self):
        base = free_port_base(3)
        run = self.measure_near(["zero", "file", "tcp", "told"], lambda: self.run_pw(
            "-n", 8, "-w", 0, "-c", 3, "--mark", "zero=stdout:/zero/",
            "--mark", f"file=file:{self.dir}/file-{{iteration}}-{{worker_id}}",
            "--mark", f"tcp=tcp:{base}{{worker_id}}", "--mark", "told=fd3",
            cmd=["/bin/sh", "-c",  # each has times of its own
                 'pause=$((PERFWRAP_WORKER_ID * 20)); exec "$0" "$1" out:zero $pause '
                 f'file:file={self.dir}/file-%i-%w $pause tcp:tcp={base}%w 10 fd3:told {OPEN_MS}',
                 *self.stages()]))
        for _, number, worker in self.measured(run):
            self.assertGreaterEqual(worker["marks"]["file_ms"], 20 * number)
            self.assertLess(worker["marks"]["file_ms"], worker["marks"]["tcp_ms"])

    def test_what_comes_just_before_the_end(self):
        """Whatever perfwrap saw first, the line or the exit: both happened, in this order."""
        run = self.run_pw("-n", 40, "-w", 0, "--mark", "out=stdout:/done/", "--mark", "told=fd3",
                          "--mark", f"file=file:{self.dir}/file-{{iteration}}",
                          cmd=self.stages("out:done", "fd3:told", f"file:file={self.dir}/file-%i"))
        for _, _, worker in self.measured(run):
            for name in ("out", "told", "file"):
                self.assertIsNotNone(worker["marks"][f"{name}_ms"], worker)
                self.assertLessEqual(worker["marks"][f"{name}_ms"], worker["duration_ms"])
        self.assert_adds_up(run)

    def test_what_orphans_do_later_is_not_the_workers(self):
        run = self.run_pw("-n", 3, "-w", 0, "--kill-grace-ms", 300, "--mark", "late=stdout:/late/",
                          "--mark", "told=fd3",
                          cmd=["/bin/sh", "-c", "(trap 'echo late; echo PW told >&3; exit' TERM; "
                               "while :; do sleep 0.01; done) & sleep 0.1"])
        for _, _, worker in self.measured(run):
            self.assertEqual({"late_ms": None, "told_ms": None}, worker["marks"])
            self.assertEqual("exited", worker["termination"])

    def test_no_mark_no_descriptor(self):
        script = 'test -z "$PERFWRAP_MARK_FD" && ! test -e /proc/self/fd/3'
        self.run_pw("-n", 1, "-w", 0, cmd=["/bin/sh", "-c", script], env=self.env(PERFWRAP_MARK_FD="7"))
        script = 'test "$PERFWRAP_MARK_FD" = 3 && test -p /proc/$$/fd/3 && ! test -e /proc/$$/fd/4'
        self.run_pw("-n", 1, "-w", 0, "--mark", "x=fd3", cmd=["/bin/sh", "-c", script])

    def test_descriptor_3_whatever_perfwrap_was_started_with(self):
        self.run_sh('exec 3<&- 4</dev/null 5<&-; exec "$@"', *self.args(
            "-n", 2, "-w", 0, "-q", "--mark", "x=fd3", "--until", "x",
            cmd=["/bin/sh", "-c", "echo PW x >&3; sleep 60"]))
        self.run_sh('exec 3</dev/null; exec "$@"', *self.args(
            "-n", 2, "-w", 0, "-q", "--inherit-fds", "--mark", "x=fd3", "--until", "x",
            cmd=["/bin/sh", "-c", "echo PW x >&3; sleep 60"]))


# A worker that reports a span, later a log record, and then answers HTTP: first 503, then 200.
REPORTER = """
import http.server, json, os, sys, time, urllib.request
def send(signal, body):
    request = urllib.request.Request(os.environ["OTEL_EXPORTER_OTLP_" + signal + "_ENDPOINT"],
                                     json.dumps(body).encode(), {"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request) as reply:
        assert reply.status == 200
times = {"start": time.monotonic_ns()}
time.sleep(0.02)
times["span"] = time.monotonic_ns()
now = str(time.time_ns())
send("TRACES", {"resourceSpans": [{"scopeSpans": [{"spans": [
    {"traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331", "name": "other"},
    {"traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203332", "name": "first token",
     "startTimeUnixNano": now, "endTimeUnixNano": now}]}]}]})
time.sleep(0.02)
times["log"] = time.monotonic_ns()
send("LOGS", {"resourceLogs": [{"scopeLogs": [{"logRecords": [
    {"timeUnixNano": now, "body": {"stringValue": "agent is up now"}}]}]}]})
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if "http" not in times and time.monotonic_ns() > times["log"] + 40000000:
            times["http"] = time.monotonic_ns()
            with open(sys.argv[2], "w") as file:
                file.write("".join(f"{name} {at}\\n" for name, at in times.items()))
        self.send_response(200 if "http" in times and self.path == "/health?x" else 503)
        self.end_headers()
    def log_message(self, *words):
        pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


class Told(MarksTest):
    def test_telemetry_and_http(self):
        port = int(f"{free_port_base(1)}1")
        run = self.run_pw("-n", 7, "-w", 0, "--mark", "span=otlp:span:first token", "--mark", "log=otlp:log:/is up/",
                          "--mark", "none=otlp:span:first", "--mark", f"http=http://127.0.0.1:{port}/health?x",
                          "--until", "http",
                          cmd=["/bin/sh", "-c", 'exec "$0" "$@" "$RECORD"', sys.executable, "-c", REPORTER, port],
                          env=self.env(PYTHONDONTWRITEBYTECODE=1, RECORD=self.dir / "record"))
        for _, _, worker in self.measured(run):
            self.assertEqual("until", worker["termination"])
            self.assertIsNone(worker["marks"]["none_ms"])
        truth = {name: int(ns) / 1e6 for name, ns in  # of the last worker
                 (line.split() for line in (self.dir / "record").read_text(encoding="ascii").splitlines())}
        marks = run.workers()[-1]["marks"]
        for name in ("log", "http"):
            error = (marks[f"{name}_ms"] - marks["span_ms"]) - (truth[name] - truth["span"])
            self.assertLess(abs(error), 100 * SLOWER, f"{name}: {marks} {truth}")  # of one run: not tight
        self.assert_adds_up(run)


class Until(MarksTest):
    def test_a_server_is_measured_until_it_is_ready(self):
        base = free_port_base(1)
        run = self.measure_near(["zero", "ready"], lambda: self.run_pw(
            "-n", 10, "-w", 1, "--mark", "zero=stdout:/zero/",
            "--mark", f"ready=tcp:{base}1", "--mark", "never=fd3", "--until", "ready",
            cmd=self.stages("out:zero", 30, "child", f"tcp:ready={base}1", "hang")))
        self.assert_adds_up(run)
        for _, _, worker in self.measured(run):
            self.assertEqual(("until", 0), (worker["termination"], worker["return_code"]))
            self.assertEqual(worker["duration_ms"], worker["marks"]["ready_ms"])
            self.assertIsNone(worker["marks"]["never_ms"])
        self.assertEqual(["zero=stdout:/zero/", f"ready=tcp:{base}1", "never=fd3"],
                         run.summary["profile"]["marks"])
        self.assertEqual("ready", run.summary["profile"]["until"])

    def test_what_is_deaf_is_killed(self):
        began = time.monotonic()
        run = self.run_pw("-n", 2, "-w", 0, "-c", 2, "--kill-grace-ms", 100, "--mark", "up=stdout:/up/",
                          "--until", "up", cmd=self.stages("deaf", "child", 10, "out:up", "hang"))
        for _, _, worker in self.measured(run):
            self.assertEqual("until", worker["termination"])
            self.assertLess(worker["duration_ms"], 100 * SLOWER)  # the grace is not in it
        self.assertLess(time.monotonic() - began, 20 * SLOWER)

    def test_later_marks_do_not_count(self):
        run = self.run_pw("-n", 3, "-w", 0, "--mark", "up=stdout:/up/", "--mark", "down=stdout:/down/",
                          "--until", "up",
                          cmd=["/bin/sh", "-c", "trap 'echo down; exit 5' TERM; echo up; "
                               "while :; do sleep 0.01; done"])
        for _, _, worker in self.measured(run):
            self.assertEqual(("until", 0, None), (worker["termination"], worker["return_code"],
                                                  worker["marks"]["down_ms"]))

    def test_a_mark_just_before_the_end_counts(self):
        for code in (0, 3):
            run = self.run_pw("-n", 20, "-w", 0, "--mark", "up=stdout:/up/", "--until", "up",
                              cmd=["/bin/sh", "-c", f"echo up; exit {code}"])
            self.assertEqual({("until", 0)}, {(worker["termination"], worker["return_code"])
                                              for _, _, worker in self.measured(run)})

    def test_a_mark_that_is_missed_is_a_failure(self):
        for end, code in (("exit 0", 1), ("exit 7", 7), ("kill -KILL $$", 137)):
            run = self.run_pw("-n", 2, "-w", 0, "--mark", "up=stdout:/up/", "--until", "up",
                              cmd=["/bin/sh", "-c", f"echo down; {end}"], expect=1)
            for _, _, worker in self.measured(run):
                self.assertEqual(("missed", code, None), (worker["termination"], worker["return_code"],
                                                          worker["marks"]["up_ms"]))
            self.assertIn("ended before the mark of --until came", run.err)

    def test_a_timeout_stays_one(self):
        run = self.run_pw("-n", 1, "-w", 0, "--timeout-sec", 0.3, "--kill-grace-ms", 200,
                          "--mark", "up=stdout:/up/", "--until", "up",
                          cmd=["/bin/sh", "-c", "trap 'echo up; exit 0' TERM; while :; do sleep 0.01; done"],
                          expect=1)
        worker = run.workers()[0]
        self.assertEqual(("timeout", 124), (worker["termination"], worker["return_code"]))

    def test_an_interrupt_ends_all(self):
        process = self.start("-n", 5, "-w", 0, "--mark", "up=stdout:/up/", "--until", "up",
                             cmd=self.stages("hang"))
        wait_until(lambda: (self.dir / "record-1-1").exists(), 20, "the worker")
        process.send_signal(signal.SIGINT)
        self.assertEqual(128 + signal.SIGINT, self.finish(process).status)

    def test_warm_up_too(self):
        run = self.run_pw("-n", 1, "-w", 2, "--mark", "up=stdout:/up/", "--until", "up",
                          cmd=self.stages("out:up", "hang"))
        self.assertEqual(1, len(run.workers()))


class Hostile(MarksTest):
    def test_a_flood_does_not_hide_a_line(self):
        """Between 20 MiB before and behind it, in lines, with NULs, and in one line without end."""
        lines = "head -c 20000000 /dev/zero | tr '\\0' '\\n'"
        nuls = "head -c 20000000 /dev/zero"
        text = "yes some line of text | head -c 20000000"
        for flood in (lines, nuls, text):
            run = self.run_pw("-n", 1, "-w", 0, "--mark", "first=stdout:/^first$/",
                              "--mark", "last=stdout:/^last$/", "--mark", "none=stdout:/^none/",
                              cmd=["/bin/sh", "-c", f"echo first; {flood}; echo; echo last; {flood}"])
            worker = run.workers()[0]
            self.assertEqual("exited", worker["termination"])
            self.assertLess(worker["marks"]["first_ms"], worker["marks"]["last_ms"])
            self.assertLess(worker["marks"]["last_ms"], worker["duration_ms"])
            self.assertIsNone(worker["marks"]["none_ms"])

    def test_a_flood_on_descriptor_3(self):
        run = self.run_pw("-n", 1, "-w", 0, "--mark", "up=fd3",
                          cmd=["/bin/sh", "-c", "yes 'PW wrong' | head -n 300000 >&3; "
                               "head -c 5000000 /dev/zero >&3; echo >&3; echo PW up >&3; sleep 0.05"])
        self.assertIsNotNone(run.workers()[0]["marks"]["up_ms"])
        warning = [one for one in run.summary["warnings"] if one["kind"] == "unknown_marks"]
        self.assertIn("300001 lines", warning[0]["message"])

    def test_a_pattern_without_end_ends(self):
        began = time.monotonic()
        run = self.run_pw("-n", 1, "-w", 0, "--mark", "slow=stdout:/^(a+)+$/", "--mark", "up=stderr:/up/",
                          cmd=["/bin/sh", "-c", f"yes {'a' * 60}! | head -n 100000; echo up >&2; sleep 0.05"])
        self.assertLess(time.monotonic() - began, 20 * SLOWER)
        self.assertIsNone(run.workers()[0]["marks"]["slow_ms"])
        self.assertIsNotNone(run.workers()[0]["marks"]["up_ms"])
        self.assertIn("slow_mark_pattern", [one["kind"] for one in run.summary["warnings"]])

    def test_closed_descriptors(self):
        run = self.run_pw("-n", 2, "-w", 0, "--mark", "out=stdout:/x/", "--mark", "told=fd3",
                          cmd=["/bin/sh", "-c", "echo x; exec >&- 2>&- 3>&-; sleep 0.05"])
        for worker in run.workers():
            self.assertIsNotNone(worker["marks"]["out_ms"])
            self.assertEqual(0, worker["return_code"])

    def test_a_place_that_is_taken(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            run = self.run_pw("-n", 1, "-w", 0, "--mark", f"up=tcp:{port}", "--until", "up",
                              cmd=self.stages("hang"), expect=125)
        self.assertIn(str(port), run.err)
        (self.dir / "there").touch()
        run = self.run_pw("-n", 1, "-w", 0, "--mark", f"up=file:{self.dir}/there", cmd=self.stages(), expect=125)
        self.assertIn("there", run.err)


class Usage(MarksTest):
    def refused(self, *options, says):
        run = self.run_pw("-n", 1, *options, cmd=["/bin/true"], expect=2)
        for text in says:
            self.assertIn(text, run.err)
        self.assertFalse(self.out_dir.exists(), "nothing is made for a command line that is wrong")

    def test_what_is_wrong_is_told(self):
        self.refused("--mark", "ready", says=["NAME=SOURCE", "--mark"])
        self.refused("--mark", "a=stdut:/x/", says=["`stdout:`"])
        self.refused("--mark", "a=stdout:/x(/", says=["character 3"])
        self.refused("--mark", "a=fd3", "--mark", "a=fd3", says=["two marks"])
        self.refused("--mark", "end=fd3", says=["taken"])
        self.refused("--mark", "a=tcp:0", says=["port"])
        self.refused("--until", "ready", says=["--until", "no mark is named `ready`"])
        self.refused("--mark", "ready=fd3", "--until", "redy", says=["`ready`"])
        self.refused("--mark", "a=otlp:span:x", "--otlp", "off", says=["--otlp auto"])
        many = [word for i in range(33) for word in ("--mark", f"m{i}=fd3")]
        self.refused(*many, says=["more than 32"])

    def test_output_must_be_read(self):
        for output in ("inherit", "null", self.dir / "file"):
            self.refused("--output", output, "--mark", "a=stdout:/x/", says=["--output tail"])
        for output in ("inherit", self.dir / "file"):
            self.refused("--output", output, "--mark", "a=stderr:/x/", says=["--output tail or --output null"])
        run = self.run_pw("-n", 1, "-w", 0, "--output", "null", "--mark", "a=stderr:/x/",
                          cmd=["/bin/sh", "-c", "echo x >&2"])
        self.assertIsNotNone(run.workers()[0]["marks"]["a_ms"])


if __name__ == "__main__":
    unittest.main()
