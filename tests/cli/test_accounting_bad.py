"""Accounting and the CPU profile where the machine refuses them, or the worker makes it hard.

The rule: nothing optional makes a run fail; what is missing is told in a sentence with a remedy; no number that is not
exact is called so; nothing stays behind. What needs root, namespaces or eBPF is skipped where that is not to be had.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import unittest
from pathlib import Path

from pwtest import (IS_ROOT, NOBODY_ID, PERFWRAP, PRESET, SANITIZED, SLOWER, cmdline, load_json, marked, proc_status,
                    schema_faults, schema_validator, target, wait_until, wardens)
from test_accounting import Accounting

NO_BPF = "-bpf,-sys_admin"
needs_root = unittest.skipUnless(IS_ROOT, "needs root")
_ebpf = None


class Bad(Accounting):
    def need_ebpf(self):
        global _ebpf
        if _ebpf is None:
            rung = self.rung(self.measure("/bin/true", options=("--accounting", "ebpf")), "ebpf")
            _ebpf = rung["state"] == "used" or rung["why"]
        if _ebpf is not True:
            self.assertTrue(PRESET == "no-bpf" or not IS_ROOT, _ebpf)
            self.skipTest(f"no eBPF here: {_ebpf}")

    def need(self, *argv):
        """Skips the test if this command fails: the machine cannot do what the test is about."""
        if not shutil.which(argv[0]):
            self.skipTest(f"no {argv[0]} here")
        tried = subprocess.run(argv, capture_output=True, text=True, check=False)
        if tried.returncode != 0:
            self.skipTest(f"{' '.join(argv)}: {tried.stderr.strip()}")

    def around(self, *prefix, options=(), cmd=(), iterations=1, expect=0, **where):
        """A run below another command: PREFIX... perfwrap ..."""
        args = self.args("-n", iterations, "-w", 0, *options, cmd=cmd, **where)
        return self.run_sh('exec "$@"', *prefix, *args, expect=expect)

    def below(self, unshare, script, *words, **kwargs):
        """A run below a shell in namespaces of its own; the script ends with `"$@"`, and has WORDS before that."""
        self.need("unshare", *unshare, "true")
        return self.around("unshare", *unshare, "sh", "-c", script, "sh", *words, **kwargs)

    def warning(self, run, kind):
        found = [one for one in run.summary["warnings"] if one["kind"] == kind]
        self.assertEqual(1, len(found), f"warnings {kind}: {run.summary['warnings']}")
        self.assertTrue(found[0]["advice"])
        self.assertNotIn("libbpf", found[0]["message"])
        return found[0]["message"]

    def assert_refused(self, run, name, why, remedy):
        rung = self.rung(run, name)
        self.assertEqual("refused", rung["state"])
        self.assertRegex(rung["why"], why)
        self.assertRegex(rung["remedy"], remedy)
        if name == "ebpf":
            self.assertIsNone(run.summary["accounting"]["exact"])
            self.assertNotEqual("ebpf", run.summary["accounting"]["used"])
            self.assertNotIn("kernel", run.workers()[0])
        self.assertEqual([], schema_faults(schema_validator("summary"), run.summary))

    def assert_exact(self, run, processes=None):
        accounting = run.summary["accounting"]
        self.assertEqual(("ebpf", True), (accounting["used"], accounting["exact"]))
        for worker in run.workers():
            self.assert_wall_adds_up(worker)
            if processes is not None:
                self.assertEqual(processes, worker["kernel_processes"])
        return run.workers()[0]

    def frames(self, run):
        return {one["frame"] for one in run.summary["summary"]["xctrace"]["hotspots_top"]}


@needs_root
class Refused(Bad):
    def test_root_without_cap_bpf(self):
        self.need_ebpf()
        self.need("setpriv", "--bounding-set", NO_BPF, "true")
        run = self.around("setpriv", "--bounding-set", NO_BPF, cmd=[target("fork_many"), 3])
        self.assert_refused(run, "ebpf", "not permitted|denied", "CAP_BPF and CAP_PERFMON")
        self.assertNotIn("accounting_refused", [one["kind"] for one in run.summary["warnings"]])

    def test_asked_for_without_cap_bpf(self):
        self.need_ebpf()
        self.need("setpriv", "--bounding-set", NO_BPF, "true")
        run = self.around("setpriv", "--bounding-set", NO_BPF + ",-perfmon", cmd=[target("burn_cpu"), 30],
                          options=("--accounting", "ebpf", "--cpu-profile"))
        self.assert_refused(run, "ebpf", "not permitted|denied", "CAP_BPF and CAP_PERFMON")
        self.assertIn("a lower source is used", self.warning(run, "accounting_refused"))
        self.assertEqual("not_supported", run.summary["summary"]["unavailable"]["kernel.processes"])
        kinds = [one["kind"] for one in run.summary["warnings"]]
        if "no_cpu_profile" not in kinds:  # a paranoid kernel allows not even that
            self.assertEqual("inherited", run.summary["summary"]["xctrace"]["mode"])

    def with_caps_alone(self, *prefix, program, **kwargs):
        return self.around("setpriv", "--reuid", NOBODY_ID, "--regid", NOBODY_ID, "--clear-groups", *prefix,
                           cmd=["/bin/sh", "-c", "/bin/true; /bin/true"], program=program, **kwargs)

    def test_a_normal_user_with_the_two_capabilities(self):
        self.need_ebpf()
        self.need("setpriv", "--inh-caps=+bpf,+perfmon", "--ambient-caps=+bpf,+perfmon", "true")
        nobody = self.as_nobody()
        run = self.with_caps_alone("--inh-caps=+bpf,+perfmon", "--ambient-caps=+bpf,+perfmon",
                                   program=nobody["program"], out_dir=nobody["out_dir"], options=("--cpu-profile",))
        self.assert_exact(run, 3)
        self.assertEqual("whole-machine", run.summary["summary"]["xctrace"]["mode"])

    def test_the_two_capabilities_and_no_locked_memory(self):
        self.need_ebpf()
        self.need("setpriv", "--inh-caps=+bpf,+perfmon", "--ambient-caps=+bpf,+perfmon", "true")
        nobody = self.as_nobody()
        run = self.with_caps_alone("--inh-caps=+bpf,+perfmon", "--ambient-caps=+bpf,+perfmon", "prlimit", "--memlock=0",
                                   program=nobody["program"], out_dir=nobody["out_dir"], options=("--cpu-profile",))
        if self.rung(run, "ebpf")["state"] == "used":  # Linux 5.11 and newer do not count maps as locked memory
            self.assert_exact(run, 3)
        else:
            self.assert_refused(run, "ebpf", ".", "locked memory")

    @unittest.skipIf(SANITIZED, "the leak checker cannot look into a program with capabilities of its file")
    def test_capabilities_of_the_file(self):
        self.need_ebpf()
        nobody = self.as_nobody()
        self.need("setcap", "cap_bpf,cap_perfmon+ep", nobody["program"])
        run = self.with_caps_alone(program=nobody["program"], out_dir=nobody["out_dir"])
        if self.rung(run, "ebpf")["state"] == "refused" and os.statvfs(self.dir).f_flag & os.ST_NOSUID:
            self.skipTest("the folder's file system takes no capabilities")
        self.assert_exact(run, 3)

    def test_no_types_of_the_kernel(self):
        if PRESET == "no-bpf" or not os.path.isdir("/sys/kernel/btf"):
            self.skipTest("no /sys/kernel/btf to take away, or nobody who looks at it")
        empty = self.dir / "empty"
        empty.mkdir()
        run = self.below(["-m"], 'mount --bind "$1" /sys/kernel/btf; shift; exec "$@"', empty,
                         cmd=[target("fork_many"), 3], options=("--accounting", "ebpf", "--cpu-profile"))
        self.assert_refused(run, "ebpf", "/sys/kernel/btf/vmlinux", "CONFIG_DEBUG_INFO_BTF")
        self.assertIn("/sys/kernel/btf/vmlinux", self.warning(run, "accounting_refused"))

    def test_no_locked_memory(self):
        self.need_ebpf()
        run = self.around("prlimit", "--memlock=0", cmd=[target("fork_many"), 3], options=("--cpu-profile",))
        if self.rung(run, "ebpf")["state"] == "used":
            self.assert_exact(run, 4)
        else:
            self.assert_refused(run, "ebpf", ".", "locked memory")

    @unittest.skipIf(SANITIZED, "the sanitizer needs files of its own")
    def test_few_open_files_are_the_workers(self):
        for most in (26, 40, 56, 64, 72):
            with self.subTest(most=most):
                run = self.around("prlimit", f"--nofile={most}", cmd=[target("fork_many"), 3],
                                  options=("--accounting", "ebpf", "--cpu-profile"))
                if PRESET != "no-bpf" and most < 60:
                    self.assert_refused(run, "ebpf", "open files", "ulimit -n")
                    self.assertIn("open files", self.warning(run, "accounting_refused"))
        self.assert_nothing_stays()


@needs_root
class Disk(Bad):
    """The numbers come before the profile's files."""

    KEEP = 'mount -t tmpfs -o size="$1" none "$2"; full=$2; to=$3; shift 3; "$@"; status=$?; cp -r "$full" "$to"; ' \
           'exit $status'

    def on_a_disk_of(self, size, expect):
        full, kept = self.dir / "full", self.dir / "kept"
        full.mkdir()
        run = self.below(["-m"], self.KEEP, size, full, kept, cmd=[target("burn_cpu"), 20], out_dir=full,
                         options=("--cpu-profile",), iterations=3, expect=expect)
        return run, next(kept.iterdir())

    def test_little_room(self):
        _, kept = self.on_a_disk_of("2m", expect=0)
        summary = load_json(kept / "summary.json")
        self.assertEqual(3, summary["iterations"])
        xctrace = summary["summary"]["xctrace"]
        self.assertEqual([], xctrace["trace_paths"])
        self.assertTrue(xctrace["hotspots_top"])
        warnings = [one for one in summary["warnings"] if one["kind"] == "no_profile_files"]
        self.assertEqual(1, len(warnings))
        self.assertIn("MiB are free", warnings[0]["message"])
        self.assertIn("make room", warnings[0]["advice"])
        self.assertFalse((kept / "xctrace-traces").exists())

    def test_no_room_for_the_summary(self):
        run, kept = self.on_a_disk_of("64k", expect=125)
        self.assertIn("No space left on device", run.err)
        self.assertIn("kept: the 3 iteration files", run.err)
        for number in (1, 2, 3):
            self.assertEqual([], schema_faults(schema_validator("iteration"),
                                               load_json(kept / f"iteration-00{number}.json")))
        self.assert_nothing_stays()

    def test_the_folder_of_traces_cannot_be_made(self):
        run = self.measure("/bin/sh", "-c", 'rm -rf "$0"/*/xctrace-traces; for dir in "$0"/*/; do : > "$dir/xctrace-traces";'
                           " done", str(self.out_dir), options=("--cpu-profile",), iterations=3)
        self.assertEqual(3, run.summary["iterations"])
        self.assertIn("Not a directory", self.warning(run, "no_profile_files"))

    def test_results_that_are_removed_meanwhile(self):
        run = self.measure("/bin/sh", "-c", f'rm -rf "{self.out_dir}"/*/*', options=("--cpu-profile",), iterations=3)
        self.assertEqual(3, len(run.summary["runs"]))
        run = self.measure("/bin/sh", "-c", f'rm -rf "{self.out_dir}"', options=("--cpu-profile",), expect=None)
        self.assertIn(run.status, (0, 125), str(run))
        if run.status == 125:
            self.assertIn(str(self.out_dir), run.err)
        self.assert_nothing_stays()


class Storm(Bad):
    def test_a_hundred_thousand_processes(self):
        self.need_ebpf()
        count = 5000 if SANITIZED else 100000
        process = self.start("-n", 1, "-w", 0, cmd=[target("fork_many"), count, "shared"])
        largest_kb = 0
        while process.poll() is None:
            largest_kb = max(largest_kb, proc_status(process.pid, "VmHWM") or 0)
            try:
                process.wait(0.05)
            except subprocess.TimeoutExpired:
                pass
        run = self.finish(process)
        worker = self.assert_exact(run, count + 1)
        self.assertEqual(2, worker["kernel_peak_processes"])
        self.assertEqual(256, len(worker["kernel"]["processes"]))
        rusage = worker["user_cpu_sec"] + worker["system_cpu_sec"]
        self.assert_within(0.97 * rusage - 0.01, worker["kernel_cpu_sec"], 1.03 * rusage + 0.01, "CPU time")
        if not SANITIZED:
            self.assert_within(1, largest_kb / 1024, 100, "perfwrap's memory in MiB")

    def test_what_is_lost_is_counted_and_nothing_is_called_exact(self):
        self.need_ebpf()
        fifo = self.dir / "fifo"
        os.mkfifo(fifo)
        process = self.start("-n", 1, "-w", 0, cmd=["/bin/sh", "-c", f'read go < "{fifo}"; exec {target("fork_many")}'
                                                    " 40000 shared"])
        writer = wait_until(lambda: self.open_for_writing(fifo), what="the worker")
        shell = next(pid for pid in marked(self.mark) if cmdline(pid)[0] == "/bin/sh")
        os.kill(process.pid, signal.SIGSTOP)  # so that nobody empties the ring
        os.write(writer, b"go\n")
        os.close(writer)
        wait_until(lambda: not os.path.exists(f"/proc/{shell}"), 60, "the end of the storm")
        os.kill(process.pid, signal.SIGCONT)
        run = self.finish(process)
        accounting = run.summary["accounting"]
        self.assertIs(False, accounting["exact"])
        worker = run.workers()[0]
        self.assertFalse(worker["kernel"]["exact"])
        self.assertGreater(accounting["lost_events"], 1000)
        self.assertEqual(accounting["lost_events"], worker["kernel"]["lost_events"])
        self.assertIn(f"{accounting['lost_events']} events were lost", self.warning(run, "not_exact"))
        self.assertEqual(40001, worker["kernel_processes"])  # sums are kept in the kernel
        self.assert_wall_adds_up(worker)

    @staticmethod
    def open_for_writing(fifo):
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return 0

    @needs_root
    def test_pids_that_are_used_again(self):
        self.need_ebpf()
        if tuple(map(int, re.match(r"(\d+)\.(\d+)", os.uname().release).groups())) < (6, 14):
            self.skipTest("the largest pid is the whole machine's before Linux 6.14")
        run = self.below(["-pf", "--mount-proc"], 'echo 400 > /proc/sys/kernel/pid_max || exit 77; exec "$@"',
                         cmd=[target("fork_many"), 2000], expect=None)
        if run.status == 77:
            self.skipTest(run.err)
        worker = self.assert_exact(run, 2001)
        self.assertEqual(256, len(worker["kernel"]["processes"]))
        self.assertEqual(1, worker["kernel_peak_direct_children"])

    def test_sixty_four_at_once(self):
        self.need_ebpf()
        run = self.measure(target("fork_many"), 3, options=("-c", 16 if SANITIZED else 64, "--cpu-profile"))
        self.assert_exact(run, 4)

    @unittest.skipIf(SANITIZED, "costs too much there, and leaks are found otherwise")
    def test_two_hundred_iterations_keep_nothing(self):
        process = self.start("-n", 200, "-w", 0, "--cpu-profile", cmd=["/bin/true"])

        def look(number):
            wait_until(lambda: list(self.out_dir.glob(f"*/iteration-{number:03}.json")), 60, f"iteration {number}")
            return (min(len(os.listdir(f"/proc/{process.pid}/fd")) for _ in range(20)),
                    proc_status(process.pid, "VmRSS"))
        early, late = look(40), look(190)
        self.assertEqual(0, self.finish(process).status)
        self.assertLessEqual(late[0], early[0] + 8)  # those of a worker come and go
        self.assertLess(late[1], early[1] + 4096)


@needs_root
class Spaces(Bad):
    def test_perfwrap_in_a_pid_namespace(self):
        self.need_ebpf()
        run = self.below(["-pf", "--mount-proc"], '"$@"', cmd=["/bin/sh", "-c", "/bin/true; /bin/true"],
                         options=("--cpu-profile",))
        worker = self.assert_exact(run, 3)
        listed = worker["kernel"]["processes"]
        self.assertEqual(worker["pid"], listed[0]["pid"])
        self.assertLess(max(one["pid"] for one in listed), 100)  # of the namespace, which has just begun
        self.assertEqual([worker["pid"]] * 2, [one["ppid"] for one in listed[1:]])

    def test_the_worker_makes_a_pid_namespace(self):
        self.need_ebpf()
        self.need("unshare", "-pf", "--mount-proc", "true")
        run = self.measure("unshare", "-pf", "--mount-proc", "/bin/sh", "-c", "/bin/true; /bin/true")
        worker = self.assert_exact(run, 4)
        listed = worker["kernel"]["processes"]
        self.assertEqual(4, len({one["pid"] for one in listed}))
        self.assertEqual(worker["pid"], listed[1]["ppid"])
        self.assertEqual([listed[1]["pid"]] * 2, [one["ppid"] for one in listed[2:]])

    def test_a_cgroup_namespace(self):
        run = self.below(["-C"], '"$@"', cmd=["/bin/sh", "-c", "/bin/true; /bin/true"])
        self.assertIn(self.rung(run, "cgroup")["state"], ("used", "refused"))
        self.assert_nothing_stays()

    def test_a_worker_that_leaves_its_cgroup(self):
        script = ("for at in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/memory /sys/fs/cgroup/pids; do"
                  " echo $$ > $at/cgroup.procs; done 2>/dev/null; sleep 0.05 & sleep 0.05; wait")
        run = self.measure("/bin/sh", "-c", script, iterations=2)
        self.assertEqual([0, 0], [worker["return_code"] for worker in run.workers()])
        if self.rung(run, "ebpf")["state"] == "used":
            self.assert_exact(run, 3)
        self.assert_nothing_stays()

    def profile(self, script):
        """Of a shell with the program of two functions as $0, if there is a CPU profile here."""
        run = self.measure("/bin/sh", "-c", script, target("two_functions"), target("burn_cpu"), str(self.dir),
                           options=("--cpu-profile", "--xctrace-hotspots-limit", 50))
        if "no_cpu_profile" in [one["kind"] for one in run.summary["warnings"]]:
            self.skipTest("no CPU profile here")
        return self.frames(run)

    def test_a_stripped_program(self):
        self.need("strip", "--version")
        frames = self.profile('strip -o "$2/bare" "$0" && exec "$2/bare" 100')
        self.assertNotIn("heavy", frames)
        self.assertTrue([one for one in frames if one.startswith("[bare+0x")], frames)

    def test_a_program_that_is_deleted(self):
        frames = self.profile('cp "$0" "$2/gone"; "$2/gone" 150 & while ! [ -e "/proc/$!/exe" ]; do :; done;'
                              ' while ! readlink "/proc/$!/exe" | grep -q gone; do :; done; rm "$2/gone"; wait')
        self.assertTrue([one for one in frames if one.startswith("[gone+0x")], frames)

    def test_a_program_that_is_replaced_lends_nobody_its_names(self):
        frames = self.profile('cp "$0" "$2/other"; "$2/other" 150 & while ! readlink "/proc/$!/exe" | grep -q other;'
                              ' do :; done; rm "$2/other"; cp "$1" "$2/other"; wait')
        self.assertEqual(set(), {"burn"} & frames)
        self.assertTrue([one for one in frames if one.startswith("[other+0x") or one == "heavy"], frames)

    def test_a_program_in_a_mount_namespace_that_has_gone(self):
        self.need("unshare", "-m", "true")
        frames = self.profile('exec unshare -m sh -c \'mount -t tmpfs none /mnt && cp "$0" /mnt/inner && exec /mnt/inner'
                              ' 100\' "$0"')
        self.assertTrue([one for one in frames if one.startswith("[inner+0x") or one == "heavy"], frames)


class Ends(Bad):
    def test_a_worker_that_is_over_at_once(self):
        self.need_ebpf()
        run = self.measure("/bin/true", iterations=20, options=("--cpu-profile",))
        self.assert_exact(run, 1)

    def test_a_worker_that_cannot_be_executed(self):
        for command, status in (("/etc/passwd", 126), ("/nonexistent", 127)):
            with self.subTest(command=command):
                run = self.run_pw("-n", 1, "-w", 0, "--cpu-profile", cmd=[command], expect=status)
                self.assertIn("hint: ", run.err)
        self.assert_nothing_stays()

    def test_a_worker_that_is_ended_at_its_deadline(self):
        self.need_ebpf()
        run = self.measure("/bin/sh", "-c", "sleep 100 & sleep 100", expect=1,
                           options=("--timeout-sec", 0.2 * SLOWER, "--cpu-profile"))
        worker = self.assert_exact(run, 3)
        self.assertEqual(124, worker["return_code"])
        self.assertEqual(3, len(worker["kernel"]["processes"]))

    def test_a_worker_that_kills_itself(self):
        self.need_ebpf()
        run = self.measure("/bin/sh", "-c", "kill -9 $$", expect=1)
        self.assertEqual(9, self.assert_exact(run, 1)["kernel"]["processes"][0]["signal"])

    def test_a_warden_that_is_killed(self):
        self.need_ebpf()
        process = self.start("-n", 1, "-w", 0, "--cpu-profile", cmd=["/bin/sh", "-c", "sleep 60; :"])
        wait_until(lambda: len([pid for pid in marked(self.mark) if cmdline(pid)[:1] == ["sleep"]]) == 1, what="the worker")
        os.kill(wait_until(lambda: wardens(self.mark), what="the warden")[0], signal.SIGKILL)
        run = self.finish(process)
        self.assertEqual(1, run.status, str(run))
        self.assertIn("lost: what watched it was killed", run.err)
        self.assert_wall_adds_up(run.workers()[0])
        self.assert_nothing_stays()

    def test_the_wall_ends_at_the_mark(self):
        self.need_ebpf()
        for how, script in (("at once", "sleep 0.1; echo PW ready >&3; sleep 60"),
                            ("late", "trap 'sleep 0.3; exit' TERM; sleep 0.1; echo PW ready >&3; sleep 60 & wait"),
                            ("busy", "sleep 0.1; echo PW ready >&3; while :; do :; done")):
            with self.subTest(ends=how):
                run = self.measure("/bin/sh", "-c", script, options=("--mark", "ready=fd3", "--until", "ready"))
                worker = run.workers()[0]
                total = sum(worker[f"kernel_wall_{part}_ms"] for part in
                            ("spawn", "on_cpu", "runq", "io", "blocked", "exit_tail"))
                self.assertAlmostEqual(worker["duration_ms"], total, delta=0.01)
                self.assert_within(95, worker["kernel_wall_blocked_ms"], worker["duration_ms"], "blocked")
                self.assertLess(worker["kernel_wall_exit_tail_ms"], 1)

    @needs_root
    def test_nothing_stays_after_kill_9_with_everything_on(self):
        process = self.start("-n", 100000, "-w", 0, "--cpu-profile", "--account-syscalls", "-c", 2,
                             cmd=[target("fork_many"), 20])
        wait_until(lambda: list(self.out_dir.glob("*/iteration-002.json")), what="some iterations")
        process.kill()
        process.wait()
        wait_until(lambda: not self.abandoned(), what="the programs to go")
        self.measure("/bin/true")  # removes the cgroups that the killed one left
        self.assert_nothing_stays()

    @needs_root
    def test_interrupted_with_everything_on(self):
        process = self.start("-n", 100000, "-w", 0, "--cpu-profile", cmd=["/bin/sh", "-c", "sleep 0.02; sleep 0.02"])
        wait_until(lambda: list(self.out_dir.glob("*/iteration-002.json")), what="some iterations")
        process.send_signal(signal.SIGTERM)
        run = self.finish(process)
        self.assertEqual(128 + signal.SIGTERM, run.status, str(run))
        self.assertGreaterEqual(run.summary["iterations"], 2)
        if run.summary["accounting"]["used"] == "ebpf":
            self.assert_exact(run)
        self.assert_nothing_stays()


class Beside(Bad):
    def test_two_at_once(self):
        self.need_ebpf()
        both = [self.start("-n", 3, "-w", 0, "--cpu-profile", cmd=[target("fork_many"), count],
                           out_dir=self.dir / f"out-{count}") for count in (30, 50)]
        for process, count in zip(both, (30, 50)):
            run = self.finish(process)
            self.assertEqual(0, run.status, str(run))
            self.assert_exact(run, count + 1)

    def test_ab_has_a_profile_of_each_side(self):
        run = self.finish(self.start_ab())
        self.assertEqual(0, run.status, str(run))
        for side in ("a", "b"):
            path = Path(re.search(rf"(?m)^summary_json_{side}=(.*)$", run.out).group(1))
            summary = load_json(path)
            if "no_cpu_profile" in [one["kind"] for one in summary["warnings"]]:
                self.skipTest("no CPU profile here")
            for name in summary["summary"]["xctrace"]["trace_paths"]:
                self.assertTrue((path.parent / name).is_file(), name)
            self.assertEqual(2, summary["summary"]["xctrace"]["trace_count"])

    def start_ab(self):
        return self.start_args([PERFWRAP, "ab", "--out-dir", str(self.out_dir), "-n", "2", "-w", "0", "--cpu-profile",
                                "--a", "/bin/true", "--b", f"{target('burn_cpu')} 20"])

    def start_args(self, args):
        process = subprocess.Popen(args, env=self.env(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(self._end, process)
        return process

    def test_a_worker_that_uses_ebpf_and_perf_events_itself(self):
        self.need_ebpf()
        inner = self.dir / "inner"
        run = self.measure(PERFWRAP, "--out-dir", inner, "-n", 1, "-w", 0, "--cpu-profile", "--quiet", "--",
                           target("fork_many"), 5, options=("--cpu-profile",))
        self.assert_exact(run)
        summary = load_json(next(inner.glob("*/summary.json")))
        self.assertIs(True, summary["accounting"]["exact"])
        self.assertEqual(6, summary["runs"][0]["worker_results"][0]["kernel_processes"])
        outer = json.dumps(run.workers()[0]["kernel"]["processes"])
        self.assertEqual(6, outer.count('"fork_many"'))


if __name__ == "__main__":
    unittest.main()
