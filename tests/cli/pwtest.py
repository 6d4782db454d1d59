"""What the black-box tests of perfwrap share: running it, reading what it wrote, finding what it left.

Environment (set by CMake): PERFWRAP, the program; PW_TARGETS, the folder of compiled targets; PW_SOURCE_DIR,
PW_BUILD_DIR; PW_PRESET, the name of the build ("asan" and "tsan" are slower and larger).

Each test has its own folder, removed afterwards, and its own mark in the environment of everything it
starts. When a test ends, no process with its mark may be alive: what is left is killed, and the test
fails. Nothing here sleeps for a fixed time to wait for something: wait_until() polls for the event.
"""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
import uuid
from pathlib import Path

PERFWRAP = os.environ.get("PERFWRAP", "perfwrap")
TARGETS = Path(os.environ.get("PW_TARGETS", "."))
SOURCE_DIR = Path(os.environ.get("PW_SOURCE_DIR", Path(__file__).resolve().parents[2]))
BUILD_DIR = Path(os.environ.get("PW_BUILD_DIR", "."))
PRESET = os.environ.get("PW_PRESET", "release")
SANITIZED = "asan" in PRESET or "tsan" in PRESET
SLOWER = 10 if SANITIZED else 1  # for upper bounds of time
IS_ROOT = os.geteuid() == 0
MARK_NAME = "PW_TEST_MARK"
PATIENCE_SEC = 60 * (4 if SANITIZED else 1)  # longest that one run of perfwrap may take

# For tests of which the numbers or the leftovers matter: as users have it, but not with sanitizers (see below).
ACCOUNTING_AS_USED = "proc" if SANITIZED else None

# Ids that no account of a normal system uses: so their process limit counts only our own processes.
NOBODY_ID = 64321


def target(name):
    """Path of a compiled target; its header comment says what it does."""
    return str(TARGETS / name)


def wait_until(predicate, timeout_sec=20.0, what="the event"):
    """Polls until predicate() is true and returns its value; fails after timeout_sec (times SLOWER)."""
    deadline = time.monotonic() + timeout_sec * SLOWER
    pause = 0.001
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_sec * SLOWER:.0f} s in vain for {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.02)


def stale_cgroups():
    """Cgroup folders with our name that nobody holds the lock of."""
    found = []
    for path, _, _ in os.walk("/sys/fs/cgroup"):
        if "perfwrap" in os.path.basename(path):
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            except OSError:
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                found.append(path)
            except OSError:
                pass
            finally:
                os.close(descriptor)
    return found


def pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def proc_read(pid, name):
    """Bytes of /proc/PID/name; empty if the process is gone or hidden."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def proc_status(pid, key):
    """A number of /proc/PID/status, or None."""
    for line in proc_read(pid, "status").decode(errors="replace").splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1])
    return None


def cmdline(pid):
    return proc_read(pid, "cmdline").rstrip(b"\0").decode(errors="replace").split("\0")


def is_alive(pid):
    """True unless the process is gone, or dead and only not yet reaped."""
    stat = proc_read(pid, "stat")
    return bool(stat) and stat.rsplit(b")", 1)[1].split()[0] not in (b"Z", b"X")


def marked(mark):
    """Living processes that carry `mark` in their environment."""
    needle = f"{MARK_NAME}={mark}".encode()
    return [pid for pid in pids() if needle in proc_read(pid, "environ") and is_alive(pid)]


def wardens(mark):
    return [pid for pid in marked(mark) if cmdline(pid)[0].endswith("perfwrap-warden")]


class Run:
    """A finished call of perfwrap."""

    def __init__(self, args, status, out, err):
        self.args, self.status, self.out, self.err = args, status, out, err

    @property
    def summary_path(self):
        for line in self.out.splitlines():
            if line.startswith("summary_json="):
                return Path(line.split("=", 1)[1])
        raise AssertionError(f"no summary_json= line\n{self}")

    @property
    def run_dir(self):
        return self.summary_path.parent

    @property
    def summary(self):
        """The whole document of summary.json."""
        return load_json(self.summary_path)

    def workers(self):
        return [w for run in self.summary["runs"] for w in run["worker_results"]]

    def __str__(self):
        return (f"$ {' '.join(map(str, self.args))}\nstatus {self.status}\n--- stdout\n{self.out[-4000:]}"
                f"\n--- stderr\n{self.err[-4000:]}")


def no_duplicates(pairs):
    keys = [key for key, _ in pairs]
    assert len(keys) == len(set(keys)), f"a key stands twice: {keys}"
    return dict(pairs)


def refuse_constant(name):
    raise ValueError(f"{name} is no JSON")


def parse_json(text):
    """As strict as JSON is: one document, no NaN or Infinity, no duplicate key."""
    return json.loads(text, object_pairs_hook=no_duplicates, parse_constant=refuse_constant)


def load_json(path):
    return parse_json(Path(path).read_text(encoding="utf-8"))


def iteration_files(run_dir):
    return sorted(Path(run_dir).glob("iteration-*.json"))


def at(document, path):
    """The value at a dotted path."""
    for key in path.split("."):
        document = document[key]
    return document


class PerfwrapTest(unittest.TestCase):
    """Base of all black-box tests: see the head of this file."""

    maxDiff = None
    # Loading eBPF programs costs each call some 0.07 s, and there are thousands: what is not about numbers, leftovers
    # or accounting itself does without. None: the default, as users have it.
    accounting = "proc"

    def setUp(self):
        self.mark = uuid.uuid4().hex
        self.dir = Path(tempfile.mkdtemp(prefix="pwtest-"))
        self.dir.chmod(0o755)
        self.out_dir = self.dir / "out"
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.addCleanup(self.assert_nothing_left)

    def env(self, **extra):
        base = {key: value for key, value in os.environ.items() if not key.startswith("PERFWRAP_")}
        return {**base, MARK_NAME: self.mark, **{key: str(value) for key, value in extra.items()}}

    def args(self, *options, cmd=(), program=None, out_dir=None):
        args = [program or PERFWRAP, "--out-dir", str(out_dir or self.out_dir)]
        args += ["--accounting", self.accounting] if self.accounting else []
        return args + [*map(str, options)] + (["--", *map(str, cmd)] if cmd else [])

    def start(self, *options, cmd=(), program=None, out_dir=None, env=None, **popen):
        """Starts perfwrap and returns its Popen, which is killed if the test leaves it behind."""
        popen.setdefault("stdin", subprocess.DEVNULL)
        popen.setdefault("stdout", subprocess.PIPE)
        popen.setdefault("stderr", subprocess.PIPE)
        args = self.args(*options, cmd=cmd, program=program, out_dir=out_dir)
        process = subprocess.Popen(args, env=env or self.env(), text=True, errors="replace", **popen)
        self.addCleanup(self._end, process)
        return process

    def finish(self, process, timeout=PATIENCE_SEC):
        """Waits for a started perfwrap and returns its Run."""
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            self.fail(f"perfwrap did not end within {timeout} s\n"
                      f"{Run(process.args, 'killed', out or '', err or '')}")
        run = Run(process.args, process.returncode, out or "", err or "")
        self.assertNotRegex(run.err, "(Address|Leak|Thread|UndefinedBehavior)Sanitizer|runtime error:")
        return run

    def run_pw(self, *options, cmd=(), expect=0, **kwargs):
        """Runs perfwrap to its end; its exit status must be `expect` (None: any)."""
        run = self.finish(self.start(*options, cmd=cmd, **kwargs))
        if expect is not None:
            self.assertEqual(expect, run.status, str(run))
        return run

    def run_sh(self, script, *args, expect=0, env=None, **popen):
        """Runs `sh -c script` with args as $1, $2 …, for what needs a shell around perfwrap."""
        process = subprocess.Popen(["/bin/sh", "-c", script, "sh", *map(str, args)],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, errors="replace",
                                   env=env or self.env(), **popen)
        self.addCleanup(self._end, process)
        run = self.finish(process)
        if expect is not None:
            self.assertEqual(expect, run.status, str(run))
        return run

    def _end(self, process):
        if process.poll() is None:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                stream.close()

    def as_nobody(self):
        """Keyword arguments that start perfwrap without any privilege, in a folder that it may write."""
        if not IS_ROOT:
            self.skipTest("needs root to become somebody without privileges")
        program = self.dir / "perfwrap"
        if not program.exists():
            shutil.copy(PERFWRAP, program)  # the build folder may be closed to others
            program.chmod(0o755)
        out_dir = self.dir / "nobody"
        out_dir.mkdir(exist_ok=True)
        os.chown(out_dir, NOBODY_ID, NOBODY_ID)
        return {"program": str(program), "out_dir": out_dir,
                "user": NOBODY_ID, "group": NOBODY_ID, "extra_groups": []}

    def assert_nothing_left(self):
        """No process of this test is alive, shortly after; else they are killed and the test fails."""
        try:
            wait_until(lambda: not marked(self.mark), 5, "the processes of the test to end")
        except AssertionError:
            left = marked(self.mark)
            names = [f"{pid} {' '.join(cmdline(pid))}" for pid in left]
            self.kill_marked()
            self.fail(f"left alive: {names}")

    def kill_marked(self):
        """Kills what carries this test's mark, until nothing is left."""
        def kill():
            left = marked(self.mark)
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            return not left
        wait_until(kill, 20, "the killed processes to end")

    def assert_clean_run(self, run, iterations, concurrency=1):
        """All files of a run are there, whole, and nothing else."""
        names = sorted(path.name for path in run.run_dir.iterdir())
        expected = [f"iteration-{n:03}.json" for n in range(1, iterations + 1)]
        self.assertEqual(expected + ["summary.json", "summary.md"], names)
        summary = run.summary
        self.assertEqual(iterations, summary["iterations"])
        self.assertEqual(iterations, len(summary["runs"]))
        for one in summary["runs"]:
            self.assertEqual(concurrency, len(one["worker_results"]))
        return summary


def schema_validator(name):
    """Validator of schemas/NAME.schema.json (draft 2020-12), which itself must be a valid schema."""
    from jsonschema import Draft202012Validator  # here, so that tests without it need no package
    schema = load_json(SOURCE_DIR / "schemas" / f"{name}.schema.json")
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def schema_faults(validator, document):
    return [f"{'.'.join(map(str, fault.absolute_path))}: {fault.message[:200]}"
            for fault in validator.iter_errors(document)]
