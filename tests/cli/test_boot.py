"""perfwrap boot: real machines, their phases, verdicts and exit codes."""

import signal
import unittest
from pathlib import Path

from boottest import BootTest, ImageTest, MachineTest, release_only
from pwtest import SANITIZED, SLOWER, PerfwrapTest, marked, parse_json, schema_faults, schema_validator, wait_until

COLD_PHASES = ["vmm_start_ms", "kernel_ms", "modules_ms"]


class Boots(MachineTest):
    def test_three_boots(self):
        document = self.boot_json("--iterations", 3)
        self.assertEqual("boot", document["benchmark"])
        self.assertEqual(3, document["summary"]["count"])
        self.assertEqual(0, document["summary"]["failures"])
        self.assertEqual(["ok"] * 3, [boot["verdict"] for boot in document["iterations"]])
        durations = [boot["duration_ms"] for boot in document["iterations"]]
        self.assertEqual(min(durations), document["summary"]["min_ms"])
        self.assertEqual(max(durations), document["summary"]["max_ms"])
        self.assertAlmostEqual(sum(durations) / 3, document["summary"]["avg_ms"], delta=0.001)
        for boot in document["iterations"]:
            self.assert_phases_add_up(boot)
            for phase in COLD_PHASES + ["exec_ms"]:
                self.assertGreaterEqual(boot["phases"][phase], 0, boot)
            self.assertGreater(boot["phases"]["kernel_ms"], 1, boot)
            self.assertGreater(boot["teardown_ms"], 0, boot)

    def test_the_summary_is_like_every_other(self):
        document = self.boot_json("--iterations", 2, "--warmup", 1)
        summary = self.summary_of(document)
        self.assertEqual([], schema_faults(schema_validator("summary"), summary))
        self.assertEqual({"ok": 2}, summary["summary"]["verdicts"])
        self.assertEqual(document["machine"], summary["machine"])
        self.assertEqual(document["machine"]["backend"], summary["environment"]["accelerator"])
        self.assertIn("exec_ms", summary["summary"]["marks"])
        self.assertIn("kernel_ms", summary["summary"]["phases"])
        self.assertGreater(summary["summary"]["max_rss_mb"]["mean"], 30)

    @release_only
    def test_text_and_result_lines(self):
        run = self.run_pw()
        self.assertTrue(run.summary_path.exists())
        self.assertIn("ok", run.err)

    @release_only
    def test_failing_command(self):
        document = self.boot_json("--exec", "exit 7", expect=1)
        boot = document["iterations"][0]
        self.assertEqual((False, "guest_command_failed", 7), (boot["ok"], boot["verdict"], boot["return_code"]))
        self.assertEqual(1, document["summary"]["failures"])
        self.assertIsNone(document["summary"]["min_ms"])

    def test_ax_mode(self):
        run = self.run_pw("--mode", "ax")
        self.assertEqual(True, parse_json(run.out)["ok"])
        run = self.run_pw("--mode", "ax", "--exec", "false", expect=1)
        document = parse_json(run.out)
        self.assertEqual(False, document["ok"])
        self.assertIn("1 of 1 boots failed", document["error"]["message"])
        self.assertEqual(1, document["error"]["partial_output"]["iterations"][0]["return_code"])

    @release_only
    def test_gate(self):
        self.run_pw("--bound", "phases.kernel_ms p50 <= 60000", "--bound", "until.teardown_ms p50 <= 60000")
        run = self.run_pw("--bound", "phases.kernel_ms p50 <= 1", expect=1)
        self.assertIn("FAIL", run.err)

    def test_crowd(self):
        document = self.boot_json("--concurrency", 2, "--iterations", 1)
        self.assertEqual(["ok", "ok"], [boot["verdict"] for boot in document["iterations"]])
        self.assertEqual([1, 2], [boot["worker"] for boot in document["iterations"]])

    @release_only
    def test_more_than_there_are_cpus(self):
        document = self.boot_json("--concurrency", 4)
        self.assertEqual(["ok"] * 4, [boot["verdict"] for boot in document["iterations"]])
        for boot in document["iterations"]:
            self.assert_phases_add_up(boot)

    def test_a_mark_on_the_console(self):
        summary = self.summary_of(self.boot_json("--mark", "linux=serial:/Linux version/"))
        worker = summary["runs"][0]["worker_results"][0]
        self.assertTrue(0 < worker["marks"]["linux_ms"] < worker["marks"]["kernel_ms"], worker["marks"])


class Commands(ImageTest):
    """Each machine begins from a snapshot: the same path as a cold one from there on, in less time."""

    def boots(self, command, expect, *options):
        document = self.boot_json("--start", "snapshot", "--image", f"dir:{self.root}", "--exec", command, *options,
                                  expect=expect)
        return document["iterations"][0]

    @release_only
    def test_exit_codes(self):
        for code in (0, 1, 7, 126, 127, 128, 255):
            boot = self.boots(f"exit {code}", 0 if code == 0 else 1)
            self.assertEqual("ok" if code == 0 else "guest_command_failed", boot["verdict"])
            self.assertEqual((code, None), (boot["return_code"], boot["signal"]), boot)
            self.assert_phases_add_up(boot)

    def test_signals(self):
        for sig in (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV):
            boot = self.boots(f"kill -{int(sig)} $$", 1)
            self.assertEqual("guest_command_failed", boot["verdict"])
            self.assertEqual((128 + sig, sig), (boot["return_code"], boot["signal"]), boot)

    @release_only
    def test_not_found_and_not_executable(self):
        self.assertEqual(127, self.boots("/bin/nothing", 1)["return_code"])
        self.assertEqual(126, self.boots("/etc/hostname", 1)["return_code"])

    @release_only
    def test_the_root_is_the_image(self):
        self.assertEqual("ok", self.boots('test "$(cat /etc/hostname)" = guest-of-perfwrap', 0)["verdict"])
        boot = self.boots('echo changed >/etc/hostname; sync', 0)
        self.assertEqual("ok", boot["verdict"])
        self.assertEqual("ok", self.boots('test "$(cat /etc/hostname)" = guest-of-perfwrap', 0)["verdict"],
                         "a machine has changed the image")

    def test_environment(self):
        boot = self.boots('test "$GREETING" = "a {b} c" && test "$PERFWRAP_WORKER_ID" = 1', 0, "--env",
                          "GREETING=a {b} c")
        self.assertEqual("ok", boot["verdict"], boot)


class ColdCommands(ImageTest):
    def boot(self, command, expect, *options):
        document = self.boot_json("--image", f"dir:{self.root}", "--exec", command, *options, expect=expect)
        return document["iterations"][0]

    @release_only
    def test_codes_of_a_cold_boot(self):
        boot = self.boot("exit 200", 1)
        self.assertEqual(("guest_command_failed", 200), (boot["verdict"], boot["return_code"]))
        self.assert_phases_add_up(boot)
        self.assertGreater(boot["phases"]["rootfs_ms"], 0)

    def test_panic(self):
        boot = self.boot("echo c >/proc/sysrq-trigger; sleep 60", 1)
        self.assertEqual("guest_panic", boot["verdict"])
        self.assertIn("Kernel panic", boot["error"])

    @release_only
    def test_power_off(self):
        boot = self.boot("poweroff -f; sleep 60", 1)
        self.assertEqual("guest_panic", boot["verdict"])

    @unittest.skipIf(SANITIZED, "the time limit is of the release build")
    def test_a_command_that_hangs(self):
        boot = self.boot("sleep 600", 1, "--timeout", 6 * SLOWER)
        self.assertEqual(("timeout", 124), (boot["verdict"], boot["return_code"]))
        self.assertIn("rootfs", boot["error"])

    @release_only
    def test_a_flood_on_the_console(self):
        boot = self.boot("yes flooding the console | head -c 3000000; exit 5", 1)
        self.assertEqual(("guest_command_failed", 5), (boot["verdict"], boot["return_code"]))


class Monitors(MachineTest):
    """Monitors that fail: scripts in the place of QEMU, which is asked for its version first."""

    def script(self, text):
        path = self.dir / "monitor"
        path.write_text(f'#!/bin/sh\n[ "$1" != --version ] || {{ echo "fake monitor 1"; exit 0; }}\n{text}\n')
        path.chmod(0o755)
        return path

    def verdict(self, text):
        document = self.boot_json("--supervisor", self.script(text), expect=1)
        return document["iterations"][0]

    def test_error(self):
        boot = self.verdict("echo cannot allocate the moon >&2; exit 1")
        self.assertEqual("monitor_error", boot["verdict"])
        self.assertIn("cannot allocate the moon", boot["error"])

    def test_crash(self):
        boot = self.verdict("kill -SEGV $$")
        self.assertEqual("monitor_crashed", boot["verdict"])

    def test_end_without_an_answer(self):
        self.assertEqual("guest_panic", self.verdict("exit 0")["verdict"])

    @release_only
    def test_a_real_one_that_is_killed(self):
        boot = self.verdict('qemu-system-x86_64 "$@" & sleep 0.3; kill -KILL $!; kill -KILL $$')
        self.assertEqual("monitor_crashed", boot["verdict"])

    def test_not_there(self):
        run = self.run_pw("--supervisor", self.dir / "nothing", expect=2)
        self.assertIn("nothing", run.err)


@release_only
class Snapshots(MachineTest):
    def test_new_commands(self):
        self.boot_json("--start", "snapshot")
        for code in (3, 0):
            document = self.boot_json("--start", "snapshot", "--exec", f"exit {code}", "--iterations", 2,
                                      expect=1 if code else 0)
            self.assertEqual(False, document["machine"]["snapshot_made"])
            for boot in document["iterations"]:
                self.assertEqual(code, boot["return_code"])
                self.assertGreaterEqual(boot["phases"]["restore_ms"], 0)
                self.assert_phases_add_up(boot)


class Killed(MachineTest):
    def test_nothing_is_left(self):
        """At 20 moments of a boot."""
        moments = 4 if SANITIZED else 20
        for moment in range(moments):
            process = self.start("--concurrency", 2, "--iterations", 50)
            wait_until(lambda: [p for p in marked(self.mark) if b"-accel" in cmdline_bytes(p)], 20, "a monitor")
            wait_until(lambda: process.poll() is not None or not pause_left(moment), 20, "the moment")
            process.kill()
            process.wait()
            wait_until(lambda: not marked(self.mark), 10, "all to end")
        left = [path for path in self.out_dir.rglob("*") if "tmp" in path.name]
        self.assertEqual([], left)
        state = sorted(path.name for path in Path(self.state_dir).iterdir())
        self.assertEqual([], [name for name in state if name not in
                              ("kernels", "images", "snapshots", "initrds", "machines")])


def cmdline_bytes(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


_waited = {}


def pause_left(moment):
    """True until 60 ms * moment have passed since it was first asked for this moment."""
    import time
    began = _waited.setdefault(moment, time.monotonic())
    return time.monotonic() - began < 0.06 * moment


class Usage(BootTest):
    """Without any machine."""

    def setUp(self):
        super().setUp()
        self.state_dir = self.dir / "state"

    def refuses(self, words, *expected, status=2):
        run = self.run_pw(*words, expect=status)
        for text in expected:
            self.assertIn(text, run.err)

    def test_words(self):
        self.refuses(["--profile", "huge"], "tiny, small, medium, large")
        self.refuses(["--profile", "smal"], "small?")
        self.refuses(["--iterations", 0], "--iterations")
        self.refuses(["--timeout", 0], "--timeout")
        self.refuses(["--network", "bridge"], "isolated, user")
        self.refuses(["--keep", "../x"], "../x")
        self.refuses(["--keep", "a", "--iterations", 2], "--keep is for one machine")
        self.refuses(["--shell", "true"], "has no place in boot", "--exec")
        self.refuses(["--vmm-cmd", "x", "--start", "snapshot"], "QEMU only")

    def test_no_kernel(self):
        if not __import__("boottest").QEMU:
            self.skipTest("qemu-system-x86_64 is not installed")
        self.refuses([], "no kernel", "--fetch-kernel")
        broken = self.dir / "vmlinuz"
        broken.write_bytes(b"\x7fELF nothing")
        self.refuses(["--kernel", broken], str(broken))
        self.refuses(["--kernel", self.dir / "missing"], "missing")

    def test_no_such_machine(self):
        self.refuses(["--stop", "nobody"], "nobody")
        run = self.run_pw("--list", "--json")
        self.assertEqual({"machines": []}, parse_json(run.out))


assert PerfwrapTest

if __name__ == "__main__":
    unittest.main()
