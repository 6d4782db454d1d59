"""Workers end, with all of their trees, whatever they do and whatever happens to perfwrap."""

import fcntl
import os
import random
import re
import signal
import subprocess
import time
import unittest

from pwtest import (ACCOUNTING_AS_USED, SANITIZED, SLOWER, PerfwrapTest, cmdline, is_alive, iteration_files, load_json,
                    marked, proc_read, schema_faults, schema_validator, target, wait_until, wardens)

FOREVER_MS = 120000


class LifecycleTest(PerfwrapTest):
    accounting = ACCOUNTING_AS_USED

    def setUp(self):
        super().setUp()
        self.temporary = self.dir / "tmp"
        self.temporary.mkdir()
        self.ready = self.dir / "ready"

    def env(self, **extra):
        return super().env(TMPDIR=self.temporary, **extra)

    def escape(self, *words, root_ms=FOREVER_MS):
        return [target("escape"), *words, f"root-ms={root_ms}", f"child-ms={FOREVER_MS}",
                f"ready={self.ready}"]

    def wait_ready(self, process):
        wait_until(lambda: self.ready.exists() or process.poll() is not None, 20, "the worker")
        self.assertIsNone(process.poll(), "perfwrap ended before its worker was ready")

    def assert_gone(self):
        """Not "soon": when perfwrap has ended, nothing of its workers is alive."""
        self.assertEqual([], [cmdline(pid) for pid in marked(self.mark)])

    def assert_free(self, path):
        """Nobody who holds the lock on `path` is alive: sure also where processes come and go."""
        with open(path, "w", encoding="ascii") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.fail(f"something that holds {path} is alive")


class Timeout(LifecycleTest):
    OPTIONS = ("-n", 1, "-w", 0, "--timeout-sec", "0.4", "--kill-grace-ms", 100)

    def test_the_whole_tree_ends(self):
        for words in ([], ["setsid"], ["double"], ["double", "setsid"], ["ignore-term"],
                      ["double", "setsid", "ignore-term"]):
            with self.subTest(words=words):
                run = self.run_pw(*self.OPTIONS, "-c", 2, cmd=self.escape(*words), expect=1)
                self.assert_gone()
                for worker in run.workers():
                    self.assertEqual((124, "timeout"),
                                     (worker["return_code"], worker["termination"]))
                    self.assertGreaterEqual(worker["duration_ms"], 400)

    def test_term_comes_first_and_the_grace_is_not_waited_for_in_vain(self):
        script = f'trap "echo got >> {self.ready}; exit 0" TERM; while :; do sleep 0.02; done'
        began = time.monotonic()
        run = self.run_pw("-n", 1, "-w", 0, "--timeout-sec", "0.4", "--kill-grace-ms", 60000,
                          cmd=["/bin/sh", "-c", script], expect=1)
        self.assertEqual("got\n", self.ready.read_text())
        self.assertLess(time.monotonic() - began, 5 * SLOWER)
        self.assertEqual(124, run.workers()[0]["return_code"])

    def test_the_grace_is_given(self):
        run = self.run_pw("-n", 1, "-w", 0, "--timeout-sec", "0.2", "--kill-grace-ms", 400,
                          cmd=self.escape("ignore-term"), expect=1)
        self.assertGreaterEqual(run.workers()[0]["duration_ms"], 600)

    def test_500_processes_that_ignore_term(self):
        run = self.run_pw("-n", 1, "-w", 0, "--timeout-sec", 2, "--kill-grace-ms", 50,
                          cmd=[target("fork_bomb"), 500, FOREVER_MS], expect=1)
        self.assert_gone()
        self.assertEqual(124, run.workers()[0]["return_code"])
        self.assertEqual(501, run.workers()[0]["sampled_peak_processes"])

    def test_a_process_that_stops_itself(self):
        run = self.run_pw(*self.OPTIONS, cmd=[target("stop_self")], expect=1)
        self.assert_gone()
        self.assertEqual(124, run.workers()[0]["return_code"])

    def test_a_chain_of_forks_faster_than_any_list(self):
        for words in (["root-stays"], ["root-stays", "setsid"]):
            with self.subTest(words=words):
                lock = self.dir / "lock"
                run = self.run_pw(*self.OPTIONS, cmd=[target("fork_chain"), 8000, lock, *words],
                                  expect=1)
                self.assert_free(lock)
                self.assertEqual(124, run.workers()[0]["return_code"])

    def test_no_deadline(self):
        self.run_pw("-n", 1, "-w", 0, "--timeout-sec", 0, cmd=["/bin/sleep", "0.1"])

    def test_workers_of_one_iteration_have_their_own_ends(self):
        script = '[ "$PERFWRAP_WORKER_ID" = 1 ] && exec sleep 60; exit 0'
        run = self.run_pw("-n", 2, "-w", 0, "-c", 3, "--timeout-sec", "0.4", "--kill-grace-ms", 100,
                          cmd=["/bin/sh", "-c", script], expect=1)
        self.assertEqual([124, 0, 0] * 2, [worker["return_code"] for worker in run.workers()])


class Orphans(LifecycleTest):
    def test_reported_and_ended(self):
        for words in ([], ["double"], ["setsid"], ["double", "setsid", "ignore-term"]):
            with self.subTest(words=words):
                run = self.run_pw("-n", 2, "-w", 0, "--kill-grace-ms", 100,
                                  cmd=self.escape(*words, root_ms=0))
                self.assert_gone()
                orphans = run.summary["orphans"]
                self.assertEqual(2, orphans["total"])
                self.assertEqual([(1, 1, "escape", False), (2, 1, "escape", False)],
                                 [(one["iteration"], one["worker_id"], one["comm"], one["kept"])
                                  for one in orphans["listed"]])

    def test_kept(self):
        run = self.run_pw("-n", 1, "-w", 0, "--keep-orphans", cmd=self.escape("setsid", root_ms=0))
        left = marked(self.mark)
        self.assertEqual([target("escape")], [cmdline(pid)[0] for pid in left])
        orphan, = run.summary["orphans"]["listed"]
        self.assertEqual((left[0], True), (orphan["pid"], orphan["kept"]))
        self.kill_marked()

    def test_none(self):
        orphans = self.run_pw("-n", 1, "-w", 0, cmd=["/bin/true"]).summary["orphans"]
        self.assertEqual((0, []), (orphans["total"], orphans["listed"]))

    def test_a_chain_of_forks(self):
        for words in ([], ["setsid"]):
            with self.subTest(words=words):
                lock, began = self.dir / "lock", time.monotonic()
                self.run_pw("-n", 1, "-w", 0, "--kill-grace-ms", 50,
                            cmd=[target("fork_chain"), 8000, lock, *words])
                self.assert_free(lock)
                self.assertLess(time.monotonic() - began, 5 * SLOWER)

    def test_500_orphans(self):
        script = "i=0; while [ $i -lt 500 ]; do sleep 100 & i=$((i+1)); done"
        run = self.run_pw("-n", 1, "-w", 0, "--kill-grace-ms", 100, cmd=["/bin/sh", "-c", script])
        self.assert_gone()
        orphans = run.summary["orphans"]
        self.assertEqual(500, orphans["total"])
        self.assertLess(len(orphans["listed"]), 500)


class Interruption(LifecycleTest):
    def start_third_iteration(self, *options, words=("double", "setsid")):
        """perfwrap with two finished iterations, whose third never ends."""
        script = '[ "$PERFWRAP_ITERATION" -lt 3 ] || exec "$@"'
        process = self.start("-n", 5, "-w", 0, *options, start_new_session=True,
                             cmd=["/bin/sh", "-c", script, "sh", *self.escape(*words)])
        self.wait_ready(process)
        return process

    def check_two_iterations(self, run):
        document = self.assert_clean_run(run, 2)
        self.assertIs(True, document["interrupted"])
        self.assertEqual([], schema_faults(schema_validator("summary"), document))
        self.assertEqual(0, document["summary"]["failed_runs_total"])
        self.assertEqual([], list(self.temporary.iterdir()))

    def test_signals(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(signal=number.name):
                self.ready.unlink(missing_ok=True)
                process = self.start_third_iteration("--kill-grace-ms", 200)
                process.send_signal(number)
                run = self.finish(process)
                self.assertEqual(128 + number, run.status, str(run))
                self.assert_gone()
                self.check_two_iterations(run)

    def test_ctrl_c_reaches_the_whole_group(self):
        process = self.start_third_iteration("--kill-grace-ms", 200)
        os.killpg(process.pid, signal.SIGINT)
        run = self.finish(process)
        self.assertEqual(130, run.status, str(run))
        self.assert_gone()
        self.check_two_iterations(run)

    def test_an_uninterrupted_run_says_so(self):
        self.assertIs(False, self.run_pw("-n", 1, "-w", 0, cmd=["/bin/true"]).summary["interrupted"])

    def test_before_anything_is_finished(self):
        process = self.start("-n", 2, "-w", 1, cmd=self.escape("setsid"))
        self.wait_ready(process)
        process.send_signal(signal.SIGTERM)
        run = self.finish(process)
        self.assertEqual(143, run.status, str(run))
        self.assert_gone()

    def test_a_second_signal_ends_at_once(self):
        script = f'trap "echo got >> {self.dir}/term" TERM; : > {self.ready}; while :; do sleep 0.02; done'
        process = self.start("-n", 1, "-w", 0, "--kill-grace-ms", 600000,
                             cmd=["/bin/sh", "-c", script])
        self.wait_ready(process)
        process.send_signal(signal.SIGINT)
        wait_until((self.dir / "term").exists, 10, "TERM in the worker")
        self.assertIsNone(process.poll())
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        run = self.finish(process)
        self.assertEqual(130, run.status, str(run))
        self.assertLess(time.monotonic() - began, 2 * SLOWER)
        wait_until(lambda: not marked(self.mark), 2, "the workers' end")

    def test_json_of_an_interrupted_run_is_whole(self):
        process = self.start_third_iteration("--json", "--kill-grace-ms", 200)
        process.send_signal(signal.SIGINT)
        run = self.finish(process)
        self.assertEqual(130, run.status)
        self.assertIn('"interrupted": true', run.out)

    def test_many_workers(self):
        process = self.start("-n", 1, "-w", 0, "-c", 32, "--kill-grace-ms", 100,
                             cmd=self.escape("double", "setsid", "ignore-term"))
        self.wait_ready(process)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(143, self.finish(process).status)
        self.assert_gone()


class Killed(LifecycleTest):
    """kill -9 of perfwrap: what was finished is kept, what ran is gone."""

    AT_ONCE = 5
    TIMES = 50

    def launch(self, number):
        folder = self.dir / f"run{number}"
        folder.mkdir()
        script = (f': > {folder}/started-$PERFWRAP_ITERATION; '
                  'exec "$@" double setsid root-ms=5 child-ms=120000')
        process = self.start("-n", 100000, "-w", 0, "-c", 1 + number % 2, "--kill-grace-ms", 50,
                             cmd=["/bin/sh", "-c", script, "sh", target("escape")],
                             out_dir=folder / "out",
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return process, folder

    def check(self, folder, validator):
        started = [int(path.name.split("-")[1]) for path in folder.glob("started-*")]
        found = []
        for run_dir in (folder / "out").glob("*/"):
            for path in run_dir.iterdir():
                if re.fullmatch(r"iteration-\d{3,}\.json", path.name):
                    document = load_json(path)
                    self.assertEqual([], schema_faults(validator, document), path)
                    self.assertEqual(path.name, f"iteration-{document['iteration']:03}.json")
                    found.append(document["iteration"])
                else:  # what was being written: nobody takes it for a result
                    self.assertFalse(path.name.endswith(".json"), path)
        self.assertEqual(list(range(1, len(found) + 1)), sorted(found))
        # when iteration N was started, those before it were finished
        self.assertGreaterEqual(len(found), max(started, default=1) - 1)
        self.assertLessEqual(len(found), max(started, default=0))
        return len(found)

    def test_50_times_at_a_random_moment(self):
        times = self.TIMES // (5 if SANITIZED else 1)
        seed = random.randrange(1 << 32)
        chance = random.Random(seed)
        validator = schema_validator("iteration")
        finished = 0
        for first in range(0, times, self.AT_ONCE):
            launched = [self.launch(number) for number in range(first, first + self.AT_ONCE)]
            began = time.monotonic()
            moments = sorted(chance.uniform(0, 1.0 * SLOWER) for _ in launched)
            for (process, _), moment in zip(launched, moments):
                while time.monotonic() - began < moment:  # the random moment itself
                    time.sleep(0.002)
                self.assertIsNone(process.poll(), f"seed {seed}")
                process.kill()
                process.wait()
            wait_until(lambda: not marked(self.mark), 10, f"the workers' end (seed {seed})")
            for _, folder in launched:
                with self.subTest(seed=seed, run=folder.name):
                    finished += self.check(folder, validator)
        self.assertGreater(finished, times, f"too few iterations to say anything (seed {seed})")

    def test_with_many_stubborn_workers(self):
        process = self.start("-n", 1, "-w", 0, "-c", 16, "--kill-grace-ms", 600000,
                             cmd=self.escape("double", "setsid", "ignore-term"))
        self.wait_ready(process)
        process.kill()
        process.wait()
        wait_until(lambda: not marked(self.mark), 5, "the workers' end")

    def test_orphans_that_were_kept_are_left_alone_unless_their_root_ran(self):
        process = self.start("-n", 1, "-w", 0, "--keep-orphans", cmd=self.escape("double", "setsid"))
        self.wait_ready(process)
        process.kill()
        process.wait()
        wait_until(lambda: not marked(self.mark), 5, "the workers' end")


class Warden(LifecycleTest):
    """The helper process between perfwrap and a worker is killed by somebody."""

    def check(self, words):
        process = self.start("-n", 1, "-w", 0, "-c", 2, "--kill-grace-ms", 200, "--timeout-sec", 3,
                             cmd=self.escape(*words))
        self.wait_ready(process)
        found = wait_until(lambda: len(w := wardens(self.mark)) == 2 and w, 5, "two wardens")
        os.kill(found[0], signal.SIGKILL)
        run = self.finish(process)
        self.assert_gone()
        self.assertEqual(1, run.status, str(run))
        self.assertEqual(["lost", "timeout"], sorted(w["termination"] for w in run.workers()))
        self.assertEqual([], schema_faults(schema_validator("summary"), run.summary))

    def test_killed(self):
        self.check([])

    def test_killed_with_a_tree_that_escapes(self):
        self.check(["double", "setsid"])

    def test_killed_with_a_tree_that_ignores_term(self):
        self.check(["double", "setsid", "ignore-term"])

    def test_no_folder_is_left_of_killed_ones(self):
        """perfwrap cannot remove the workers' folders any more: their wardens do."""
        scratch = self.temporary
        script = 'mkdir -p "$PERFWRAP_WORKER_DIR/a/b" && : >"$PERFWRAP_WORKER_DIR/a/b/c" && exec sleep 60'
        for _ in range(5):
            process = self.start("-n", 1, "-w", 0, "-c", 4, cmd=["/bin/sh", "-c", script])
            wait_until(lambda: len(list(scratch.glob("*/worker-*/a/b/c"))) == 4, 10, "four workers")
            process.kill()
            process.wait()
            wait_until(lambda: not list(scratch.iterdir()), 10, "the folders to be removed")

    def test_no_warden_is_left_after_a_run(self):
        self.run_pw("-n", 2, "-w", 1, "-c", 4, cmd=["/bin/sleep", "0.02"])
        self.assertEqual([], wardens(self.mark))


class StrangeTargets(LifecycleTest):
    def test_one_that_closes_its_pipes_and_goes_on(self):
        for mode in ("tail", "null", "inherit"):
            with self.subTest(mode=mode):
                run = self.run_pw("-n", 1, "-w", 0, "--output", mode, expect=1,
                                  cmd=[target("close_pipes"), 200, 6])
                worker, = run.workers()
                self.assertEqual(6, worker["return_code"])
                self.assertGreaterEqual(worker["duration_ms"], 200)

    def test_one_that_stops_itself_and_is_continued(self):
        process = self.start("-n", 1, "-w", 0, cmd=[target("stop_self"), self.ready])
        self.wait_ready(process)
        stopped = wait_until(lambda: [pid for pid in marked(self.mark)
                                      if cmdline(pid)[0] == target("stop_self") and is_alive(pid)],
                             5, "the stopped worker")
        wait_until(lambda: b"\tT (stopped)" in proc_read(stopped[0], "status"), 5, "its stop")
        self.assertIsNone(process.poll())
        os.kill(stopped[0], signal.SIGCONT)
        run = self.finish(process)
        self.assertEqual([7], [worker["return_code"] for worker in run.workers()])

    def test_one_that_becomes_another_program(self):
        run = self.run_pw("-n", 1, "-w", 0, expect=1,
                          cmd=[target("exec_other"), 0, 50, "/bin/sh", "-c", "echo bye >&2; exit 8"])
        self.assertEqual([8], [worker["return_code"] for worker in run.workers()])
        self.assertEqual("bye", run.summary["runs"][0]["stderr_tail"].strip())

    def test_a_fork_bomb_of_500(self):
        run = self.run_pw("-n", 2, "-w", 0, "-c", 2, cmd=[target("fork_bomb"), 500])
        self.assert_gone()
        self.assertEqual([0] * 4, [worker["return_code"] for worker in run.workers()])

    def test_one_that_kills_its_whole_group(self):
        """It takes only itself with it: neither perfwrap nor the other workers are in its group."""
        script = '[ "$PERFWRAP_WORKER_ID" = 1 ] && kill -KILL 0; sleep 0.1'
        run = self.run_pw("-n", 1, "-w", 0, "-c", 2, expect=1, cmd=["/bin/sh", "-c", script])
        self.assertEqual([137, 0], [worker["return_code"] for worker in run.workers()])

    def test_one_that_kills_its_parent(self):
        run = self.run_pw("-n", 1, "-w", 0, cmd=["/bin/sh", "-c", "kill -KILL $PPID; sleep 60"],
                          expect=1)
        self.assert_gone()
        self.assertEqual(["lost"], [worker["termination"] for worker in run.workers()])

    def test_perfwrap_stopped_meanwhile_does_not_make_a_worker_longer(self):
        script = f": > {self.ready}; exec sleep 0.3"
        process = self.start("-n", 1, "-w", 0, cmd=["/bin/sh", "-c", script])
        self.wait_ready(process)
        process.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        wait_until(lambda: not [pid for pid in marked(self.mark) if cmdline(pid)[0] == "sleep"],
                   10, "the worker's end")
        while time.monotonic() - began < 0.8:  # what perfwrap is late by is what is tested here
            time.sleep(0.01)
        process.send_signal(signal.SIGCONT)
        run = self.finish(process)
        self.assertEqual(0, run.status, str(run))
        self.assertLess(run.workers()[0]["duration_ms"], 700)

    def test_signal_settings_of_the_caller_reach_the_target(self):
        """Blocked and ignored signals are as they were for perfwrap, not as it sets them for itself."""
        result = self.dir / "signals"
        show = ["/bin/sh", "-c", f"grep -E '^Sig(Blk|Ign)' /proc/self/status >> {result}"]
        self.run_pw("-n", 1, "-w", 0, cmd=show)
        subprocess.run(show, check=True, stdin=subprocess.DEVNULL)
        ours, bare = (result.read_text().splitlines()[start:start + 2] for start in (0, 2))
        self.assertEqual(bare, ours)


class WorkerFolder(LifecycleTest):
    def test_private_and_removed(self):
        log = self.dir / "log"
        script = (f'echo "$PERFWRAP_ITERATION $PERFWRAP_WORKER_ID $(stat -c %a "$PERFWRAP_WORKER_DIR")'
                  f' $(ls -A "$PERFWRAP_WORKER_DIR" | wc -l) $PERFWRAP_WORKER_DIR" >> {log}; '
                  'mkdir -p "$PERFWRAP_WORKER_DIR/a/b"; ln -s / "$PERFWRAP_WORKER_DIR/root"; '
                  'echo x > "$PERFWRAP_WORKER_DIR/a/b/c"; chmod 0500 "$PERFWRAP_WORKER_DIR/a"')
        self.run_pw("-n", 2, "-w", 1, "-c", 2, cmd=["/bin/sh", "-c", script])
        lines = [line.split(" ", 4) for line in log.read_text().splitlines()]
        self.assertEqual(6, len({(line[0], line[4]) for line in lines}), "workers share a folder")
        self.assertEqual({("700", "0")}, {(mode, entries) for _, _, mode, entries, _ in lines})
        for *_, path in lines:
            self.assertFalse(os.path.lexists(path), path)
        self.assertEqual([], list(self.temporary.iterdir()))
        self.assertTrue(os.path.exists("/bin/sh"))

    def test_removed_after_a_timeout_and_a_failed_exec(self):
        self.run_pw("-n", 1, "-w", 0, "--timeout-sec", "0.2", "--kill-grace-ms", 50, expect=1,
                    cmd=["/bin/sh", "-c", ': > "$PERFWRAP_WORKER_DIR/file"; sleep 60'])
        self.run_pw("-n", 1, "-w", 0, "-c", 2, cmd=["/no/such/command"], expect=127)
        self.assertEqual([], list(self.temporary.iterdir()))

    def test_the_run_folder_is_named_to_the_worker(self):
        log = self.dir / "log"
        run = self.run_pw("-n", 1, "-w", 0, cmd=["/bin/sh", "-c", f'echo "$PERFWRAP_RUN_DIR" > {log}'])
        self.assertEqual(str(run.run_dir), log.read_text().strip())


if __name__ == "__main__":
    unittest.main()
