"""What a bad machine does to perfwrap: full disks, no processes, no descriptors, no /proc, wrong clocks.

Each fault gives one clear error with the documented status, leaves no process behind, and keeps what was
finished; or perfwrap does without, and says what it does not know.
"""

import os
import resource
import shutil
import subprocess
import unittest

from pwtest import (IS_ROOT, NOBODY_ID, PRESET, SANITIZED, SLOWER, PerfwrapTest, iteration_files, load_json,
                    schema_faults, schema_validator, target)


class FaultTest(PerfwrapTest):
    def copied(self, name):
        """A copy of a target that everybody may read."""
        path = self.dir / name
        shutil.copy(target(name), path)
        path.chmod(0o755)
        return path

    def assert_one_error(self, run, *words):
        """Standard error has one line from perfwrap, with all the words."""
        lines = [line for line in run.err.splitlines() if line.startswith("perfwrap:")]
        self.assertEqual(1, len(lines), str(run))
        for word in words:
            self.assertIn(word, lines[0], str(run))


class OutputFolder(FaultTest):
    def worker_mark(self):
        return self.dir / "a-worker-was-started"

    def refused(self, out_dir, *words, **kwargs):
        run = self.run_pw("-n", 1, "-w", 1, "--setup", f"touch {self.worker_mark()}",
                          cmd=["/usr/bin/touch", self.worker_mark()], out_dir=out_dir,
                          expect=125, **kwargs)
        self.assert_one_error(run, *words)
        self.assertFalse(self.worker_mark().exists(), "found too late")

    def test_not_writable(self):
        nobody = self.as_nobody()
        closed = nobody.pop("out_dir")
        os.chown(closed, 0, 0)
        closed.chmod(0o555)
        self.dir.chmod(0o777)
        self.refused(closed, str(closed), "Permission denied", **nobody)
        self.refused(closed / "below", str(closed), "Permission denied", **nobody)

    def test_a_file_is_in_the_way(self):
        path = self.dir / "file"
        path.write_text("")
        self.refused(path, str(path))
        self.refused(path / "below", str(path))

    def test_read_only(self):
        self.refused("/proc/perfwrap-results", "/proc")

    def test_it_is_made_with_its_parents(self):
        run = self.run_pw("-n", 1, "-w", 0, cmd=["/bin/true"], out_dir=self.dir / "a" / "b" / "c")
        self.assert_clean_run(run, 1)

    def test_it_may_be_relative(self):
        run = self.run_pw("-n", 1, "-w", 0, cmd=["/bin/true"], out_dir="relative", cwd=self.dir)
        self.assertEqual(self.dir.resolve() / "relative", run.run_dir.resolve().parent)


class FullDisk(FaultTest):
    def mount(self, size):
        if not IS_ROOT:
            self.skipTest("needs root to mount a small file system")
        place = self.dir / "small"
        place.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", place],
                              capture_output=True, text=True)
        if done.returncode:
            self.skipTest(f"cannot mount: {done.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", place], check=True)
        return place

    @staticmethod
    def fill(place):
        with open(place / "filler", "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                pass

    def test_full_from_the_start(self):
        place, started = self.mount("64k"), self.dir / "started"
        self.fill(place)
        run = self.run_pw("-n", 1, "-w", 0, cmd=["/usr/bin/touch", started], out_dir=place / "out",
                          expect=125)
        self.assert_one_error(run, str(place), "No space left on device")
        self.assertFalse(started.exists())

    def test_full_in_the_middle(self):
        place = self.mount("256k")
        run = self.run_pw("-n", 200, "-w", 0, "-c", 4, cmd=["/bin/true"], out_dir=place, expect=125)
        errors = [line for line in run.err.splitlines() if line.startswith("perfwrap:")]
        self.assertIn(len(errors), (1, 2), str(run))  # the iteration, and then perhaps the summary
        for line in errors:
            self.assertIn(str(place), line)
            self.assertIn("No space left on device", line)
        run_dir, = place.iterdir()
        found = [load_json(path) for path in iteration_files(run_dir)]
        self.assertGreater(len(found), 2)
        validator = schema_validator("iteration")
        self.assertEqual([], [fault for one in found for fault in schema_faults(validator, one)])
        self.assertEqual(list(range(1, len(found) + 1)), [one["iteration"] for one in found])
        self.assertEqual([], [path.name for path in run_dir.iterdir()
                              if not path.name.startswith(("iteration-", "summary."))])
        self.assertRegex(run.err, rf"\b{len(found)}\b", "what was kept is not said")


class TemporaryFolder(FaultTest):
    def test_the_workers_private_folders_cannot_be_made(self):
        started = self.dir / "started"
        run = self.run_pw("-n", 1, "-w", 0, cmd=["/usr/bin/touch", started],
                          env=self.env(TMPDIR=self.dir / "gone"), expect=125)
        self.assert_one_error(run, str(self.dir / "gone"))
        self.assertFalse(started.exists())


class Processes(FaultTest):
    def test_no_process_left(self):
        """With any limit it either works, or says so: never half of it, and never a process left."""
        nobody = self.as_nobody()
        outcomes = {}
        leak_check = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"  # it needs a process, too
        for limit in (1, 2, 3, 4, 5, 6, 8, 12, 40):
            with self.subTest(limit=limit):
                run = self.run_pw(
                    "-n", 1, "-w", 0, "-c", 4, cmd=["/bin/sleep", "0.05"], expect=None,
                    env=self.env(ASAN_OPTIONS=leak_check.lstrip(":")),
                    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NPROC, (limit, limit)),
                    **nobody)
                outcomes[limit] = run.status
                if run.status != 0:
                    self.assertEqual(125, run.status, str(run))
                    self.assert_one_error(run, "Resource temporarily unavailable")
                self.assert_nothing_left()
        self.assertEqual((125, 0), (outcomes[1], outcomes[40]), outcomes)

    def test_a_target_that_cannot_fork_fails_by_itself(self):
        nobody = self.as_nobody()
        run = self.run_pw("-n", 1, "-w", 0, cmd=[self.copied("fork_bomb"), 60, 1000], expect=1,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NPROC, (30, 30)),
                          **nobody)
        self.assertEqual([99], [worker["return_code"] for worker in run.workers()])

    def test_killed_for_its_cpu_time(self):
        run = self.run_pw("-n", 1, "-w", 0, cmd=["/bin/sh", "-c", "ulimit -t 1; while :; do :; done"],
                          expect=1)
        self.assertIn(run.workers()[0]["return_code"], (128 + 9, 128 + 24))


class Descriptors(FaultTest):
    def run_limited(self, soft, hard, *options, cmd, expect):
        return self.run_pw("-n", 1, "-w", 0, *options, cmd=cmd, expect=expect,
                           preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)))

    def test_too_few(self):
        for limit in (8, 16, 64):
            with self.subTest(limit=limit):
                run = self.run_limited(limit, limit, "-c", 32, cmd=["/bin/sleep", "0.1"], expect=125)
                self.assert_one_error(run)
                self.assertRegex(run.err, "Too many open files|descriptor")
                self.assert_nothing_left()

    def test_few_are_enough_for_one_worker(self):
        run = self.run_limited(64, 64, cmd=["/bin/sleep", "0.1"], expect=0)
        self.assertGreaterEqual(run.workers()[0]["sample_count"], 1)

    def test_a_large_tree_with_few_descriptors_to_keep(self):
        run = self.run_limited(128, 128, cmd=[target("fork_children"), 200, 300], expect=0)
        self.assertEqual(200, run.workers()[0]["peak_direct_children"])
        self.assertEqual(201, run.workers()[0]["sampled_peak_processes"])

    def test_the_soft_limit_is_no_limit_for_perfwrap(self):
        run = self.run_limited(64, 4096, "-c", 32, cmd=["/bin/sleep", "0.1"], expect=0)
        self.assertEqual(32, len(run.workers()))

    def test_the_target_sees_the_callers_limits(self):
        log = self.dir / "limits"
        for soft, hard in ((64, 4096), (200, 200), (1024, 4096)):
            self.run_limited(soft, hard, "-c", 2, expect=0, cmd=[
                "/bin/sh", "-c", f'echo "$(ulimit -Sn) $(ulimit -Hn)" >> {log}'])
            self.assertEqual([f"{soft} {hard}"] * 2, log.read_text().splitlines())
            log.unlink()

    def test_the_hooks_see_the_callers_limits(self):
        log = self.dir / "limits"
        run = self.run_pw("-n", 1, "-w", 0, "--setup", f'echo "$(ulimit -Sn)" > {log}',
                          cmd=["/bin/true"], preexec_fn=lambda: resource.setrlimit(
                              resource.RLIMIT_NOFILE, (64, 4096)))
        self.assertEqual("64", log.read_text().strip(), str(run))


class Exec(FaultTest):
    def file(self, text, mode):
        path = self.dir / "command"
        path.write_bytes(text)
        path.chmod(mode)
        return path

    def refused(self, status, command, *words, **kwargs):
        run = self.run_pw("-n", 3, "-w", 1, "-c", 2, cmd=[command], expect=status, **kwargs)
        self.assert_one_error(run, str(command), *words)
        self.assert_nothing_left()

    def test_not_found(self):
        self.refused(127, "/no/such/command", "No such file or directory")
        self.refused(127, "no-such-command-in-path", "No such file or directory")
        self.refused(127, "")

    def test_a_file_used_as_a_folder(self):
        self.refused(126, f'{self.file(b"", 0o755)}/command', "Not a directory")

    def test_not_executable(self):
        self.refused(126, self.file(b"#!/bin/sh\n", 0o644), "Permission denied")

    def test_a_folder(self):
        self.refused(126, self.dir, "Permission denied")

    def test_a_script_whose_interpreter_is_missing(self):
        self.refused(127, self.file(b"#!/no/such/interpreter\n", 0o755), "No such file or directory")

    def test_no_format_that_the_kernel_knows(self):
        self.refused(126, self.file(b"\x7fELF\x02\x01\x01" + bytes(200), 0o755), "Exec format error")

    def test_arguments_that_are_too_long(self):
        run = self.run_pw("-n", 1, "-w", 0, cmd=["/bin/true"], env=self.env(LONG="x" * 131000),
                          expect=None)
        self.assertIn(run.status, (0, 126))

    def test_found_in_path_only_in_the_second_place(self):
        first, second = self.dir / "first", self.dir / "second"
        for folder, mode in ((first, 0o644), (second, 0o755)):
            folder.mkdir()
            (folder / "found").write_text("#!/bin/sh\nexit 0\n")
            (folder / "found").chmod(mode)
        path = f"{first}:{second}:/usr/bin:/bin"
        self.run_pw("-n", 1, "-w", 0, cmd=["found"], env=self.env(PATH=path))

    def test_a_status_like_those_of_exec_is_the_targets_own(self):
        for code in (125, 126, 127):
            run = self.run_pw("-n", 2, "-w", 0, cmd=["/bin/sh", "-c", f"exit {code}"], expect=1)
            self.assertEqual([code] * 2, [worker["return_code"] for worker in run.workers()])

    def test_the_command_vanishes_between_iterations(self):
        path = self.file(b"#!/bin/sh\n[ $PERFWRAP_ITERATION != 2 ] || rm \"$0\"\n", 0o755)
        run = self.run_pw("-n", 5, "-w", 0, cmd=[path], expect=127)
        self.assert_one_error(run, str(path))
        run_dir, = self.out_dir.iterdir()
        self.assertEqual(2, len(iteration_files(run_dir)))


class Proc(FaultTest):
    """/proc hidden, or not there: in a mount namespace of its own."""

    def run_in_namespace(self, prepare, *words, expect=0):
        if not IS_ROOT:
            self.skipTest("needs root for a mount namespace")
        probe = subprocess.run(["unshare", "-m", "sh", "-c", prepare], capture_output=True, text=True)
        if probe.returncode:
            self.skipTest(f"cannot set up: {probe.stderr.strip()}")
        return self.run_sh(f'exec unshare -m sh -c \'{prepare} && exec "$@"\' sh "$@"', *words,
                           expect=expect)

    @unittest.skipIf(SANITIZED, "sanitizers need /proc themselves")
    def test_not_mounted(self):
        run = self.run_in_namespace("mount -t tmpfs none /proc", *self.args(
            "-n", 2, "-w", 0, cmd=[target("hold_memory"), 16, 100]))
        self.assert_clean_run(run, 2)
        self.assertEqual([], schema_faults(schema_validator("summary"), run.summary))
        for worker in run.workers():
            self.assertGreaterEqual(worker["max_rss_mb"], 16)
            self.assertGreaterEqual(worker["duration_ms"], 100)
            for key in ("sampled_peak_tree_rss_kb", "peak_open_fds", "peak_direct_children",
                        "sampled_peak_processes", "io_wchar_bytes"):
                self.assertIsNone(worker[key], f"{key}: unknown is not zero")
        self.assertEqual("none", run.summary["observer"]["tree_source"])

    @unittest.skipIf(SANITIZED, "sanitizers need /proc themselves")
    def test_not_mounted_and_a_worker_that_must_be_ended(self):
        run = self.run_in_namespace("mount -t tmpfs none /proc", *self.args(
            "-n", 1, "-w", 0, "--timeout-sec", "0.3", "--kill-grace-ms", 100,
            cmd=["/bin/sleep", 60]), expect=1)
        self.assertEqual([124], [worker["return_code"] for worker in run.workers()])
        self.assert_nothing_left()

    def hidden(self, command, *options):
        nobody = self.as_nobody()
        identity = f"setpriv --reuid={NOBODY_ID} --regid={NOBODY_ID} --clear-groups"
        return self.run_in_namespace(
            "mount -t proc -o hidepid=2 none /proc", *identity.split(), *self.args(
                "-n", 1, "-w", 0, *options, cmd=command,
                program=nobody["program"], out_dir=nobody["out_dir"]))

    def test_other_users_hidden(self):
        worker, = self.hidden([self.copied("fork_children"), 5, 300]).workers()
        self.assertEqual(5, worker["peak_direct_children"])
        self.assertEqual(6, worker["sampled_peak_processes"])
        self.assertGreaterEqual(worker["sampled_peak_tree_rss_kb"], 100)

    def test_the_worker_itself_hidden(self):
        """A target with another user's rights: what cannot be seen is null, and it is ended all the same."""
        self.require_setuid_files()
        path = self.copied("hold_memory")
        path.chmod(0o4755)
        worker, = self.hidden([path, 16, 300]).workers()
        self.assertEqual(0, worker["return_code"])
        self.assertGreaterEqual(worker["max_rss_mb"], 16)
        # The kernel changes the owner only after exec has let perfwrap go on: who looks at once may get
        # hold of the file before it is hidden, and then reads the truth.
        for key, truth in (("sampled_peak_tree_rss_kb", 16384), ("peak_open_fds", 3)):
            if worker[key] is not None:
                self.assertGreaterEqual(worker[key], truth, f"{key}: unknown is not zero")

    def require_setuid_files(self):
        if os.statvfs(self.dir).f_flag & os.ST_NOSUID:
            self.skipTest("the file system has no set-user-ID programs")


class Clock(FaultTest):
    def jumping(self):
        options = os.environ.get("ASAN_OPTIONS", "")
        return self.env(LD_PRELOAD=target("clock_jump.so"),
                        ASAN_OPTIONS=f"{options}:verify_asan_link_order=0".lstrip(":"))

    def test_the_shim_works(self):
        first, second = (int(subprocess.run(["date", "+%s"], env=self.jumping(), check=True,
                                            capture_output=True, text=True).stdout)
                         for _ in range(2))
        plain = int(subprocess.run(["date", "+%s"], check=True, capture_output=True, text=True).stdout)
        self.assertGreater(abs(first - plain), 3000)
        self.assertLess(abs(first - second), 60)

    @unittest.skipIf("tsan" in PRESET, "ThreadSanitizer's runtime must be the first library")
    def test_durations_do_not_jump(self):
        run = self.run_pw("-n", 4, "-w", 1, "--timeout-sec", 20, "--top-attach", "--until-ci", 50,
                          "--max-iterations", 6, cmd=["/bin/sleep", "0.1"], env=self.jumping())
        for worker in run.workers():
            self.assertTrue(100 <= worker["duration_ms"] < 250 * SLOWER, worker["duration_ms"])
        self.assertEqual([], schema_faults(schema_validator("summary"), run.summary))

    @unittest.skipIf("tsan" in PRESET, "ThreadSanitizer's runtime must be the first library")
    def test_a_time_budget_does_not_jump(self):
        run = self.run_pw("-w", 0, "--max-time-sec", "0.6", cmd=["/bin/sleep", "0.1"],
                          env=self.jumping())
        self.assertTrue(2 <= run.summary["iterations"] <= 7, run.summary["iterations"])


class StandardStreams(FaultTest):
    LIST = 'ls -l /proc/self/fd > "$1"'  # in the target: which descriptors it has

    def run_with(self, redirection, *options, expect):
        listing = self.dir / "listing"
        run = self.run_sh(f'exec "$@" {redirection}', *self.args(
            "-n", 2, "-w", 0, *options, cmd=["/bin/sh", "-c", self.LIST, "sh", listing]),
            expect=expect)
        run_dir = max(self.out_dir.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        self.assertEqual(["iteration-001.json", "iteration-002.json", "summary.json", "summary.md"],
                         sorted(path.name for path in run_dir.iterdir()))
        document = load_json(run_dir / "summary.json")
        self.assertEqual([], schema_faults(schema_validator("summary"), document))
        self.assertNotIn("summary_json=", (run_dir / "summary.md").read_text())
        descriptors = [line.split(" -> ")[0].split()[-1]
                       for line in listing.read_text().splitlines() if " -> " in line]
        self.assertEqual(["0", "1", "2", "3"], sorted(descriptors), listing.read_text())
        return run

    def test_stdin_closed(self):
        self.run_with("<&-", expect=0)

    def test_stderr_closed(self):
        self.run_with("2>&-", expect=0)

    def test_stdout_closed(self):
        """The results are in their files, but could not be named: that is a failure of perfwrap."""
        self.run_with(">&-", expect=125)

    def test_all_closed(self):
        self.run_with("<&- >&- 2>&-", expect=125)

    def test_all_closed_and_inherited(self):
        self.run_with("<&- >&- 2>&-", "--output", "inherit", expect=125)

    def test_stdout_full(self):
        for options in ([], ["--json"], ["--quiet"]):
            run = self.run_with("> /dev/full", *options, expect=125)
            self.assert_one_error(run, "standard output", "No space left on device")

    def test_stderr_full(self):
        self.run_with("2> /dev/full", expect=0)

    def test_a_reader_that_is_gone(self):
        """As for any program in a pipe: SIGPIPE, or an error; but the files are there."""
        read, write = os.pipe()
        os.close(read)
        process = self.start("-n", 2, "-w", 0, cmd=["/bin/true"], stdout=write)
        os.close(write)
        run = self.finish(process)
        self.assertIn(run.status, (125, -13), str(run))
        run_dir, = self.out_dir.iterdir()
        self.assertEqual([], schema_faults(schema_validator("summary"),
                                           load_json(run_dir / "summary.json")))

    def test_the_targets_own_pipe_breaks_as_usual(self):
        """SIGPIPE is not ignored in the target, whatever perfwrap does for itself."""
        log = self.dir / "log"
        script = f"(yes; echo $? > {log}) | head -1 >/dev/null"
        self.run_pw("-n", 1, "-w", 0, cmd=["/bin/bash", "-c", script])
        self.assertEqual("141", log.read_text().strip())


if __name__ == "__main__":
    unittest.main()
