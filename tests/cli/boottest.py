"""What the tests of `perfwrap boot` share: what they need, a root file system, and calling it.

The guest's kernel is got once into the build folder, as a user gets it. Where the monitor, the kernel or a tool is
missing, the tests that need it say so and are skipped.
"""

import os
import shutil
import subprocess
import unittest
from pathlib import Path

from pwtest import BUILD_DIR, PERFWRAP, SOURCE_DIR, PerfwrapTest, marked, parse_json

QEMU = shutil.which("qemu-system-x86_64")
BUSYBOX = shutil.which("busybox")
MKE2FS = shutil.which("mke2fs") or next(
    (path for path in ("/usr/sbin/mke2fs", "/sbin/mke2fs") if os.access(path, os.X_OK)), None)
STATE_DIR = SOURCE_DIR / "build" / "boot-state"
APPLETS = ("sh", "cat", "echo", "ls", "sleep", "kill", "yes", "true", "false", "id", "env", "pwd", "wget", "reboot",
           "poweroff", "dd", "mkdir", "touch", "test", "head", "ps", "printf", "sync", "mount", "date")
_kernel = None


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


class BootTest(PerfwrapTest):
    """Options begin behind `boot`."""

    state_dir = STATE_DIR

    def args(self, *options, cmd=(), program=None, out_dir=None):
        return [program or PERFWRAP, "boot", "--out-dir", str(out_dir or self.out_dir),
                "--state-dir", str(self.state_dir), *map(str, options)]

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


@unittest.skipUnless(QEMU, "qemu-system-x86_64 is not installed")
class MachineTest(BootTest):
    """Boots real machines."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        problem = kernel_problem()
        if problem:
            raise unittest.SkipTest(problem)


@unittest.skipUnless(BUSYBOX and MKE2FS, "busybox or mke2fs is not installed")
class ImageTest(MachineTest):
    """Boots real machines with a root file system."""

    def setUp(self):
        super().setUp()
        self.root = make_root(self.dir / "rootfs")


__all__ = ["BUILD_DIR", "BootTest", "ImageTest", "MachineTest", "QEMU", "make_root", "marked"]
