"""What the tests of `perfwrap boot` share: what they need, a root file system, and calling it.

The guest's kernel is got once into the build folder, as a user gets it. Where the monitor, the kernel or a tool is
missing, the tests that need it say so and are skipped.
"""

import os
import shutil
import struct
import subprocess
import unittest
from pathlib import Path

from pwtest import BUILD_DIR, PATIENCE_SEC, PERFWRAP, SANITIZED, SOURCE_DIR, PerfwrapTest, marked, parse_json

QEMU = shutil.which("qemu-system-x86_64")
BUSYBOX = shutil.which("busybox")
MKE2FS = shutil.which("mke2fs") or next(
    (path for path in ("/usr/sbin/mke2fs", "/sbin/mke2fs") if os.access(path, os.X_OK)), None)
STATE_DIR = SOURCE_DIR / "build" / "boot-state"
APPLETS = ("sh", "cat", "echo", "ls", "sleep", "kill", "yes", "true", "false", "id", "env", "pwd", "wget", "reboot",
           "poweroff", "dd", "mkdir", "touch", "test", "head", "ps", "printf", "sync", "mount", "date")
BOOT_SEC = 120  # what perfwrap gives a boot unless told: only then is it known that a guest hangs
_kernel = None

# A machine takes its time whatever perfwrap was built with: with sanitizers some of each kind do.
release_only = unittest.skipIf(SANITIZED, "the release build's test")


def kernel_problem():
    """None if there is a guest's kernel in STATE_DIR; else why not. It is looked for, and got, once."""
    global _kernel
    if _kernel is None:
        STATE_DIR.mkdir(parents=True, exist_ok=True)
        got = subprocess.run([PERFWRAP, "boot", "--fetch-kernel", "--state-dir", STATE_DIR], text=True,
                             stdin=subprocess.DEVNULL, capture_output=True, timeout=240)
        _kernel = (got.returncode, got.stderr.strip())
    return None if _kernel[0] == 0 else f"no kernel for guests: {_kernel[1]}"


def busybox_is_static():
    return bool(BUSYBOX) and b"statically linked" in subprocess.run(
        ["file", "-L", BUSYBOX], capture_output=True).stdout if shutil.which("file") else bool(BUSYBOX)


def make_root(folder):
    """A root file system: busybox under its names, and some files to find again."""
    for name in ("bin", "dev", "proc", "sys", "etc", "tmp", "srv", "root"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    shutil.copy(BUSYBOX, folder / "bin" / "busybox")
    for name in APPLETS:
        (folder / "bin" / name).symlink_to("busybox")
    (folder / "etc" / "hostname").write_text("guest-of-perfwrap\n")
    (folder / "etc" / "passwd").write_text("root:x:0:0::/root:/bin/sh\nworker:x:1234:1234::/srv:/bin/sh\n")
    (folder / "etc" / "group").write_text("root:x:0:\nworker:x:1234:\n")
    return folder


def fake_kernel():
    """An ELF image for x86-64 with nothing but the note of a PVH entry and a kernel's banner."""
    note = struct.pack("<III", 4, 4, 18) + b"Xen\0" + struct.pack("<I", 0x1000000)
    banner = b"Linux version 6.1.0-play (nobody@nowhere) #1\n\0"
    body = note + banner
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, 0x1000000, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    start = 64 + 2 * 56
    headers = struct.pack("<IIQQQQQQ", 4, 4, start, 0, 0, len(note), len(note), 4)
    headers += struct.pack("<IIQQQQQQ", 1, 5, start, 0x1000000, 0x1000000, len(body), len(body), 4096)
    return header + headers + body


class BootTest(PerfwrapTest):
    """Options begin behind `boot`."""

    state_dir = STATE_DIR

    def args(self, *options, cmd=(), program=None, out_dir=None):
        return [program or PERFWRAP, "boot", "--out-dir", str(out_dir or self.out_dir),
                "--state-dir", str(self.state_dir), *map(str, options)]

    def use_own_state(self):
        """A state folder of the test's own, in which the shared kernel is and nothing else."""
        shared, self.state_dir = self.state_dir, self.dir / "state"
        self.state_dir.mkdir(mode=0o700)
        (self.state_dir / "kernels").symlink_to(Path(shared) / "kernels")

    def assert_state_is_whole(self):
        """Nothing but entries of the cache, each of them whole."""
        left = [str(path.relative_to(self.state_dir)) for path in Path(self.state_dir).rglob("*")
                if path.name.startswith(".") and str(path.relative_to(self.state_dir)) != "machines/.lock"]
        self.assertEqual([], left)
        kinds = {path.name for path in Path(self.state_dir).iterdir()}
        self.assertLessEqual(kinds, {"kernels", "images", "snapshots", "initrds", "machines"})

    def assert_runs_are_whole(self):
        """No folder of a run without its summary, and nothing in one but documents."""
        for folder in self.out_dir.iterdir() if self.out_dir.exists() else ():
            names = sorted(path.name for path in folder.iterdir())
            self.assertIn("summary.json", names, folder)
            self.assertEqual([], [name for name in names if not name.endswith((".json", ".md"))])

    def ax_error(self, *options, **kwargs):
        """Fails in --mode ax: one document on standard output; returns its error."""
        run = self.run_pw("--mode", "ax", *options, expect=1, **kwargs)
        document = parse_json(run.out)
        self.assertEqual({"ok", "error"}, set(document), str(run))
        self.assertIs(False, document["ok"])
        self.assertTrue(document["error"]["message"], str(run))
        return document["error"]

    def boot_json(self, *options, expect=0, **kwargs):
        """Boots, and returns the one document that --json prints."""
        run = self.run_pw("--json", *options, expect=expect, **kwargs)
        return parse_json(run.out)

    def summary_of(self, document):
        return parse_json(Path(document["summary_json"]).read_text())

    def assert_phases_add_up(self, boot):
        phases = [value for value in boot["phases"].values() if value is not None]
        self.assertAlmostEqual(boot["duration_ms"], sum(phases), delta=1)
        self.assertTrue(all(value >= 0 for value in phases), boot)


class PlayedTest(BootTest):
    """Monitors that are played by a shell script: needs no real one, and no kernel that boots."""

    def setUp(self):
        super().setUp()
        self.state_dir = self.dir / "state"
        self.kernel = self.dir / "vmlinux"
        self.kernel.write_bytes(fake_kernel())

    def script(self, name, text):
        path = self.dir / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path

    def monitor(self, text):
        """Options for a monitor that does `text`, in which `mark NAME...` is a guest's mark."""
        path = self.script("monitor", '[ "$1" != --version ] || { echo "played 1"; exit 0; }\n'
                           'mark() { echo "PW $*" >&3; }\n' + text)
        return ["--kernel", self.kernel, "--accel", "tcg", "--vmm-cmd", f"{path} {{worker_dir}}"]


def is_hung_in_kernel(path):
    """Whether a guest of this iteration was ended by its time limit, and its kernel had begun but never got to init."""
    return any(worker["verdict"] == "timeout" and worker["phases"]["vmm_start_ms"] is not None
               and worker["phases"]["kernel_ms"] is None for worker in parse_json(path.read_text())["worker_results"])


class Recorded(unittest.TestResult):
    """What one run of a test came to, to be told to another result, or to nobody."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def tell(self, result):
        for name, args in self.calls:
            getattr(result, name)(*args)


def recorder(name):
    def record(self, *args):
        self.calls.append((name, args))
        getattr(unittest.TestResult, name)(self, *args)
    return record


for _name in ("startTest", "stopTest", "addSuccess", "addError", "addFailure", "addSkip", "addSubTest",
              "addExpectedFailure", "addUnexpectedSuccess"):
    setattr(Recorded, _name, recorder(_name))


@unittest.skipUnless(QEMU, "qemu-system-x86_64 is not installed")
class MachineTest(BootTest):
    """Boots real machines.

    An emulated guest's kernel calibrates its only timer in a tenth of a second at its start. If the host stands still
    just then, it finds "APIC frequency too slow", goes on without any timer, and hangs for ever (docs/boot.md). That is
    neither perfwrap's fault nor the test's: a test that fails with such a guest is run once more, and says so.
    """

    has_hung_guest = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        problem = kernel_problem()
        if problem:
            raise unittest.SkipTest(problem)

    def run(self, result=None):
        trial = Recorded()
        super().run(trial)
        if self.has_hung_guest and not trial.wasSuccessful():
            print(f"{self.id()}: a guest hung in its kernel, before its first own mark: once more", flush=True)
            trial = Recorded()
            unittest.TestCase.run(type(self)(self._testMethodName), trial)
        trial.tell(result)
        return result

    def finish(self, process, timeout=BOOT_SEC + PATIENCE_SEC):
        return super().finish(process, timeout)

    def tearDown(self):
        self.has_hung_guest = any(map(is_hung_in_kernel, self.out_dir.glob("*/iteration-*.json")))
        super().tearDown()


@unittest.skipUnless(BUSYBOX and MKE2FS, "busybox or mke2fs is not installed")
class ImageTest(MachineTest):
    """Boots real machines with a root file system."""

    def setUp(self):
        super().setUp()
        self.root = make_root(self.dir / "rootfs")


__all__ = ["BUILD_DIR", "BootTest", "ImageTest", "MachineTest", "PlayedTest", "QEMU", "fake_kernel", "make_root",
           "marked", "release_only"]
