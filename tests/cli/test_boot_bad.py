"""Bad input of perfwrap boot: what is missing, refused, full or taken; guests that flood or never answer. Each has one
clear error, its remedy and its exit status, in --mode ax one document, and leaves nothing."""

import os
import re
import shutil
import socket
import subprocess
import threading
import unittest

from boottest import (BUSYBOX, BootTest, ImageTest, MachineTest, PlayedTest, QEMU, kernel_problem, make_root,
                      release_only)
from pwtest import SANITIZED, SOURCE_DIR, is_alive, marked, parse_json, proc_status, wait_until
from test_boot_interrupted import played_distribution

MODULES = ("virtio/virtio", "virtio/virtio_ring", "virtio/virtio_mmio", "block/virtio_blk")
MIB = 1 << 20


def can_mount():
    """Whether a file system can be mounted in a mount namespace of one's own."""
    return bool(shutil.which("unshare")) and subprocess.run(
        ["unshare", "-m", "sh", "-c", "mount -t tmpfs none /mnt"], capture_output=True).returncode == 0


def without_times(text):
    """A time is another one as often as it is measured, and a loop may have ended in it or not."""
    return re.sub("took N ms, over N|was not through after N ms", "took long", re.sub(r"\d[\d.]*", "N", text))


class Refused(MachineTest):
    """Before the first boot."""

    def setUp(self):
        super().setUp()
        self.use_own_state()
        self.bin = self.dir / "bin"
        self.bin.mkdir()

    def refuses(self, words, *expected, status=2, kind=None, env=None):
        """In plain words, and in ax mode."""
        run = self.run_pw("--json", *words, expect=status, env=env)
        self.assertEqual("", run.out)
        self.assertEqual(1, run.err.count("hint:"), str(run))
        error = self.ax_error(*words, env=env)
        for text in expected:
            self.assertIn(text, run.err)
            self.assertIn(text, error["message"] + error["remediation"])
        if kind:
            self.assertEqual(kind, error["kind"], error)
        self.assertFalse(self.out_dir.exists() and list(self.out_dir.iterdir()), "the folder of a run")
        self.assert_state_is_whole()

    def test_programs(self):
        missing = self.env(PATH=self.bin)
        self.refuses([], "qemu-system-x86_64", "apt-get install qemu-system-x86", kind="not_found", env=missing)
        (self.bin / "qemu-system-x86_64").symlink_to(QEMU)
        self.refuses(["--image", "docker://127.0.0.1:1/x:v1"], "skopeo", "apt-get install skopeo", kind="not_found",
                     env=missing)
        self.refuses(["--fetch-kernel"], "apt-get", "--kernel FILE", kind="not_found", env=missing)
        plain = self.dir / "plain"
        plain.write_text("no program")
        run = self.run_pw("--supervisor", plain, expect=2)
        self.assertIn("Permission denied", run.err)

    @unittest.skipUnless(shutil.which("skopeo"), "skopeo is not installed")
    def test_registry_that_does_not_answer(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        self.refuses(["--image", f"docker://127.0.0.1:{port}/some/thing:v1"], "cannot be reached",
                     "Name an image that is here", status=125)

    def test_kernel_without_modules(self):
        root = self.dir / "root"
        root.mkdir()
        (root / "file").write_text("x")
        release = next((self.state_dir / "kernels").iterdir())
        name = (release / "release").read_text()
        image = self.dir / "kernel" / "boot" / "vmlinux"
        image.parent.mkdir(parents=True)
        image.symlink_to(release / "vmlinux")
        shutil.copy(release / "vmlinux", self.dir / "kernel" / "boot" / "copy")
        modules = self.dir / "kernel" / "lib" / "modules" / name
        modules.mkdir(parents=True)
        words = ["--kernel", image.parent / "copy", "--image", f"dir:{root}"]
        self.refuses(words, "virtio_", f"lib/modules/{name}")
        (modules / "modules.builtin").write_text("".join(f"kernel/drivers/{path}.ko\n" for path in MODULES[:3]))
        self.refuses(words, "virtio_blk", "modules.builtin")

    def test_kvm_that_cannot_be_used(self):
        machine = self.boot_json()["machine"]
        if machine["kvm"] == "usable":
            self.skipTest("KVM is usable here")
        shutil.rmtree(self.out_dir)
        self.refuses(["--accel", "kvm"], "KVM cannot be used: ", "--accel tcg")
        told = self.run_pw("--accel", "kvm", expect=2).err
        self.assertIn(without_times(machine["accel_reason"]), without_times(told))
        self.assertEqual("tcg", machine["accel"])

    def test_kvm_that_is_absent(self):
        """Without its device: refused if asked for, and done without if not."""
        if not can_mount():
            self.skipTest("no file system can be mounted here")
        run = self.run_sh('exec unshare -m sh -c "$@"', """
            dev=$1; shift; mkdir "$dev" && mount -t tmpfs none "$dev" || exit 99
            mknod -m 666 "$dev/null" c 1 3 && mknod -m 666 "$dev/urandom" c 1 9 && ln -s /proc/self/fd "$dev/fd" &&
                mount --move "$dev" /dev || exit 99
            "$@" --mode ax --accel kvm; echo; echo end; exec "$@" --json
            """, "sh", self.dir / "dev", *self.args())
        refused, chosen = (parse_json(text) for text in run.out.split("\nend\n"))
        self.assertIn("/dev/kvm", refused["error"]["message"])
        self.assertIn("--accel tcg", refused["error"]["remediation"])
        self.assertEqual(("absent", "tcg"), (chosen["machine"]["kvm"], chosen["machine"]["accel"]))

    def test_kvm_that_is_denied(self):
        nobody = self.as_nobody()
        device = os.stat("/dev/kvm") if os.path.exists("/dev/kvm") else None
        if not device or device.st_mode & 0o006 == 0o006:
            self.skipTest("/dev/kvm is not there, or for everybody")
        self.state_dir = nobody["out_dir"] / "state"
        run = self.run_pw("--accel", "kvm", expect=2, **nobody)
        self.assertIn("Permission denied", run.err)
        self.assertIn("group kvm", run.err)

    def test_memory(self):
        self.refuses(["--profile", "large", "--hold", 1000], "MiB available", "--hold", status=125,
                     kind="resource_exhausted")
        self.refuses(["--profile", "large", "--concurrency", 1000], "MiB available", status=125,
                     kind="resource_exhausted")

    def test_names(self):
        self.refuses(["--stop", "nobody"], "nobody", "--list", kind="not_found")
        taken = self.dir / "state" / "machines"
        self.run_pw("--keep", "box")
        shutil.rmtree(self.out_dir)
        self.refuses(["--keep", "box"], "box", "another name", kind="conflict")
        self.run_pw("--stop", "box")
        self.assertEqual([], [path.name for path in taken.iterdir() if path.name != ".lock"])

    def test_words_in_ax_mode(self):
        for words in (["--bogus"], ["--profile", "huge"], ["--image", "dir:/nothing/at/all"], ["--vmm-cmd", "'"],
                      ["--bound", "nonsense !!"], ["--kernel", "/nothing/at/all"]):
            self.ax_error(*words)
        self.assert_state_is_whole()
        self.assertFalse(self.out_dir.exists() and list(self.out_dir.iterdir()))


@release_only
class Full(PlayedTest):
    """The state folder is on a small file system: what does not fit is not kept, and is made when there is room."""

    def setUp(self):
        super().setUp()
        if not can_mount():
            self.skipTest("no file system can be mounted here")

    def fills(self, first_mib, then_mib, *words, env=None):
        """Calls perfwrap twice, with more room the second time; returns what it left."""
        self.state_dir.mkdir()
        ax = self.args(*words, "--mode", "ax")
        run = self.run_sh('exec unshare -m sh -c "$@"', """
            state=$1 first=$2 then=$3; shift 3
            mount -t tmpfs -o size=${first}m,mode=700 none "$state" || exit 99
            "$@" >"$state.first"; echo first=$?
            (cd "$state" && find . -mindepth 2 -not -path './machines/*') | sed 's/^/left=/'
            mount -o remount,size=${then}m,mode=700 "$state" && "$@" >"$state.then"; echo then=$?
            (cd "$state" && find . -name '.*.tmp' -o -name '.*.lock') | sed 's/^/left=/'
            """, "sh", self.state_dir, first_mib, then_mib, *ax, env=env)
        told = [line for line in run.out.splitlines() if line]
        first, then = (parse_json(self.state_dir.with_suffix(end).read_text()) for end in (".first", ".then"))
        self.assertIs(False, first["ok"], first)
        self.assertIs(True, then["ok"], then)
        self.assertEqual("resource_exhausted", first["error"]["kind"], first)
        self.assertIn("No space left", first["error"]["message"])
        self.assertIn("--state-dir", first["error"]["remediation"])
        return told

    @unittest.skipUnless(BUSYBOX, "busybox is not installed")
    def test_image(self):
        root = make_root(self.dir / "root")
        (root / "file").write_bytes(os.urandom(24 * MIB))
        told = self.fills(8, 200, "--image", f"dir:{root}", "--kernel", kernel_image(self))
        self.assertEqual(["first=1", "then=0"], told)

    def test_kernel(self):
        env = self.env(PATH=f"{played_distribution(self)}:{os.environ['PATH']}")
        told = self.fills(4, 100, "--fetch-kernel", env=env)
        self.assertEqual(["first=1", "then=0"], told)

    def test_snapshot(self):
        told = self.fills(16, 300, "--start", "snapshot", "--kernel", kernel_image(self))
        self.assertEqual(["first=1", "then=0"], [line for line in told if not line.startswith("left=./initrds")])


def kernel_image(test):
    """Of the shared state folder, whose modules are beside it."""
    problem = kernel_problem()
    if not QEMU or problem:
        test.skipTest(problem or "qemu-system-x86_64 is not installed")
    return next((BootTest.state_dir / "kernels").iterdir()) / "vmlinux"


class Floods(PlayedTest):
    """For ever, until the time is over: perfwrap's memory stays what it is."""

    LIMIT_KIB = 64 * 1024 * (8 if SANITIZED else 1)

    def flood(self, text):
        process = self.start("--json", "--timeout", 2, *self.monitor(text))
        most = 0
        while process.poll() is None:
            most = max(most, proc_status(process.pid, "VmHWM") or 0)
            threading.Event().wait(0.05)
        run = self.finish(process)
        self.assertEqual(1, run.status, str(run)[-2000:])
        self.assertTrue(0 < most < self.LIMIT_KIB, most)
        boot = parse_json(run.out)["iterations"][0]
        self.assertEqual("timeout", boot["verdict"], boot)
        size = sum(path.stat().st_size for path in self.out_dir.rglob("*") if path.is_file())
        self.assertLess(size, 2 * MIB)
        self.assert_runs_are_whole()
        return boot

    def test_console(self):
        boot = self.flood("echo Linux; mark kernel; exec yes from the console")
        self.assertIn("kernel", boot["error"])

    def test_a_line_without_an_end(self):
        self.flood("mark kernel; exec tr '\\000' x </dev/zero")

    def test_errors(self):
        self.flood("exec yes error >&2")

    def test_marks(self):
        self.flood("exec yes PW kernel >&3")
        self.flood("exec yes garbage >&3")


class Session(PlayedTest):
    """Failures behind the preparation: one document, too."""

    def test_folder_of_results(self):
        blocked = self.dir / "file"
        blocked.write_text("no folder")
        error = self.ax_error(*self.monitor("exit 0"), out_dir=blocked)
        self.assertIn(str(blocked), error["message"])
        self.assert_state_is_whole()

    def test_no_room_for_results(self):
        if not can_mount():
            self.skipTest("no file system can be mounted here")
        self.out_dir.mkdir()
        words = self.args("--mode", "ax", "--iterations", 50, *self.monitor(
            "echo Linux; mark kernel; mark modules; mark exec code=0 signal=0"))
        run = self.run_sh('exec unshare -m sh -c "$@"', """
            out=$1; shift; mount -t tmpfs -o size=64k none "$out" || exit 99
            exec "$@"
            """, "sh", self.out_dir, *words, expect=1)
        error = parse_json(run.out)["error"]
        self.assertEqual("resource_exhausted", error["kind"], error)
        self.assertIn("No space left", error["message"])


class NoAnswer(PlayedTest):
    def boot(self, text, *options):
        return self.boot_json("--timeout", 1, *options, *self.monitor(text), expect=1)["iterations"][0]

    def test_silence(self):
        boot = self.boot("exec sleep 600")
        self.assertEqual(("timeout", 124), (boot["verdict"], boot["return_code"]))
        self.assertTrue(boot["error"])

    def test_streams_that_are_closed(self):
        boot = self.boot("echo Linux; mark kernel; exec sleep 600 >&- 2>&- 3>&-")
        self.assertEqual("timeout", boot["verdict"])
        self.assertIn("kernel", boot["error"])

    def test_answers_that_are_none(self):
        for answer in ("exec", "exec code=", "exec code=x signal=0", "exec code=99999999999999999999 signal=0",
                       "exec code=-1 signal=0", "exec code=0 signal=999"):
            boot = self.boot(f"mark kernel; mark modules; mark '{answer}'")
            self.assertFalse(boot["ok"], (answer, boot))
            self.assertNotEqual("ok", boot["verdict"], answer)

    def test_one_of_several(self):
        """A failure is in no minimum, mean or maximum, and the report is whole."""
        count = f"n=$(($(cat {self.dir}/n 2>/dev/null || echo 0) + 1)); echo $n >{self.dir}/n"
        document = self.boot_json("--iterations", 3, *self.monitor(
            f"{count}; echo Linux; mark kernel; mark modules; [ $n != 2 ] || exit 0; mark exec code=0 signal=0"),
            expect=1)
        self.assertEqual(["ok", "guest_panic", "ok"], [boot["verdict"] for boot in document["iterations"]])
        summary, boots = document["summary"], document["iterations"]
        self.assertEqual((3, 1), (summary["count"], summary["failures"]))
        good = [boots[0]["duration_ms"], boots[2]["duration_ms"]]
        self.assertEqual((min(good), max(good)), (summary["min_ms"], summary["max_ms"]))
        self.assertAlmostEqual(sum(good) / 2, summary["avg_ms"], places=6)


@release_only
class RealFlood(ImageTest):
    def test_without_end(self):
        process = self.start("--json", "--image", f"dir:{self.root}", "--exec", "exec yes flooding", "--timeout", 5)
        most = 0
        while process.poll() is None:
            most = max(most, proc_status(process.pid, "VmHWM") or 0)
            threading.Event().wait(0.05)
        boot = parse_json(self.finish(process).out)["iterations"][0]
        self.assertEqual("timeout", boot["verdict"])
        self.assertIn("rootfs", boot["error"])
        self.assertTrue(0 < most < Floods.LIMIT_KIB, most)


class Keeper(MachineTest):
    def test_a_keeper_that_is_killed(self):
        """Its machine does not outlive it, and the name is free again."""
        self.use_own_state()
        self.run_pw("--keep", "box")
        machine = parse_json(self.run_pw("--list", "--json").out)["machines"][0]["pid"]
        keepers = [pid for pid in marked(self.mark) if pid != machine]
        self.assertTrue(keepers)
        for pid in keepers:
            os.kill(pid, 9)
        wait_until(lambda: not is_alive(machine), 10, "the machine to end")
        self.assertEqual([], parse_json(self.run_pw("--list", "--json").out)["machines"])
        self.assertEqual("not_found", self.ax_error("--stop", "box")["kind"])


class Bootstrap(unittest.TestCase):
    """What ./bootstrap run takes for a boot, and which state folder it prepares."""

    def judge(self, *words, then='echo "boot $state_dir"'):
        done = subprocess.run(["sh", "-euc", 'eval "$(sed -n "/^is_boot() {/,/^}/p" "$0")"\n'
                               f'if is_boot "$@"; then {then}; else echo no; fi',
                               SOURCE_DIR / "bootstrap", *words], capture_output=True, text=True)
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        return done.stdout.strip()

    def test_words(self):
        for words in (["boot"], ["--json", "boot"], ["--mode", "ax", "boot"], ["--mode=ax", "--json", "boot"]):
            self.assertEqual("boot", self.judge(*words))
            self.assertEqual("boot /a b", self.judge(*words, "--state-dir", "/a b", "--iterations", "3"))
            self.assertEqual("boot /a b", self.judge(*words, "--json", "--state-dir=/a b"))
        for words in ([], ["--json"], ["--mode"], ["--mode", "ax"], ["--", "boot"], ["-n", "3", "--", "boot"],
                      ["footprint", "boot"], ["--state-dir", "boot"]):
            self.assertEqual("no", self.judge(*words))
        self.assertEqual("boot", self.judge("boot", "--state-dir"))

    def test_a_kernel_is_fetched_only_for_a_boot_that_needs_it(self):
        for words, needs in (([], "yes"), (["--iterations", "3"], "yes"), (["--kernel", "x"], "no"),
                             (["--kernel=x"], "no"), (["--list"], "no"), (["--stop", "x"], "no"), (["--help"], "no")):
            self.assertEqual(needs, self.judge("boot", *words, then='[ -n "$kernel_given" ] && echo no || echo yes'))


if __name__ == "__main__":
    unittest.main()
