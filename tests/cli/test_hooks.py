"""The hooks --setup, --prepare, --conclude and --cleanup: when they run, with what, and what their failure
does. That their time never counts is in test_truth.py."""

import signal
import unittest

from pwtest import PerfwrapTest, marked, parse_json, wait_until


class Hooks(PerfwrapTest):
    def setUp(self):
        super().setUp()
        self.log = self.dir / "log"

    def say(self, word):
        return f"echo {word} >> {self.log}"

    def hooks(self, **others):
        names = ("setup", "prepare", "conclude", "cleanup")
        return [text for name in names for text in (f"--{name}", others.get(name, self.say(name)))]

    def lines(self):
        return self.log.read_text().splitlines()

    def test_order(self):
        self.run_pw("-n", 2, "-w", 1, *self.hooks(), cmd=["/bin/sh", "-c", self.say("worker")])
        once = ["prepare", "worker", "conclude"]
        self.assertEqual(["setup", *once * 3, "cleanup"], self.lines())

    def test_once_for_all_workers_of_an_iteration(self):
        self.run_pw("-n", 1, "-w", 0, "-c", 3, *self.hooks(),
                    cmd=["/bin/sh", "-c", self.say("worker")])
        self.assertEqual(["setup", "prepare", "worker", "worker", "worker", "conclude", "cleanup"],
                         self.lines())

    def test_environment(self):
        show = self.say('$PERFWRAP_ITERATION "$PERFWRAP_RUN_DIR"')
        run = self.run_pw("-n", 2, "-w", 1, "--prepare", show, "--conclude", show, cmd=["/bin/true"])
        numbers = [line.split(" ", 1)[0] for line in self.lines()]
        self.assertEqual(["0", "0", "1", "1", "2", "2"], numbers)
        self.assertEqual({str(run.run_dir)}, {line.split(" ", 1)[1] for line in self.lines()})

    def test_a_shell_runs_them(self):
        self.run_pw("-n", 1, "-w", 0, "--setup", f"printf 'a b' | tr ' ' _ > {self.log}",
                    cmd=["/bin/true"])
        self.assertEqual("a_b", self.log.read_text())

    def test_what_they_print_is_no_result(self):
        loud = "echo loud; echo loud >&2"
        run = self.run_pw("-n", 1, "-w", 0, "--json", *self.hooks(setup=loud, conclude=loud),
                          cmd=["/bin/true"])
        parse_json(run.out)

    def test_a_failing_setup(self):
        run = self.run_pw("-n", 1, "-w", 0, *self.hooks(setup="exit 3"),
                          cmd=["/bin/sh", "-c", self.say("worker")], expect=125)
        self.assertIn("setup", run.err)
        self.assertIn("3", run.err)
        self.assertNotIn("worker", self.lines() if self.log.exists() else [])

    def test_a_failing_prepare_keeps_what_is_finished(self):
        fail = '[ "$PERFWRAP_ITERATION" != 3 ]'
        run = self.run_pw("-n", 5, "-w", 0, *self.hooks(prepare=fail),
                          cmd=["/bin/sh", "-c", self.say("worker")], expect=125)
        self.assertIn("prepare", run.err)
        self.assertEqual(2, self.lines().count("worker"))
        run_dir, = self.out_dir.iterdir()
        self.assertEqual(["iteration-001.json", "iteration-002.json"],
                         sorted(path.name for path in run_dir.glob("iteration-*")))

    def test_a_failing_conclude_and_cleanup(self):
        for name in ("conclude", "cleanup"):
            with self.subTest(hook=name):
                run = self.run_pw("-n", 1, "-w", 0, *self.hooks(**{name: "exit 4"}),
                                  cmd=["/bin/true"], expect=125)
                self.assertIn(name, run.err)

    def test_cleanup_follows_a_failing_worker(self):
        self.run_pw("-n", 2, "-w", 0, *self.hooks(), cmd=["/bin/false"], expect=1)
        self.assertEqual("cleanup", self.lines()[-1])

    def test_cleanup_follows_an_interruption(self):
        ready = self.dir / "ready"
        process = self.start("-n", 1, "-w", 0, *self.hooks(), "--kill-grace-ms", 100,
                             cmd=["/bin/sh", "-c", f": > {ready}; exec sleep 60"])
        wait_until(ready.exists, 10, "the worker")
        process.send_signal(signal.SIGINT)
        self.assertEqual(130, self.finish(process).status)
        self.assertEqual("cleanup", self.lines()[-1])

    def test_a_hook_that_hangs_can_be_interrupted(self):
        for name in ("setup", "prepare", "conclude", "cleanup"):
            with self.subTest(hook=name):
                ready = self.dir / f"ready-{name}"
                process = self.start("-n", 1, "-w", 0, "--kill-grace-ms", 100, f"--{name}",
                                     f": > {ready}; sleep 60 & wait", cmd=["/bin/true"])
                wait_until(ready.exists, 10, "the hook")
                process.send_signal(signal.SIGTERM)
                run = self.finish(process, timeout=30)
                self.assertEqual(143, run.status, str(run))
                wait_until(lambda: not marked(self.mark), 2, "the hook's end")

    def test_a_hook_may_start_a_server_for_the_run(self):
        pid_file = self.dir / "pid"
        self.run_pw("-n", 2, "-w", 1, cmd=["/bin/sh", "-c", f'kill -0 "$(cat {pid_file})"'],
                    *["--setup", f"sleep 60 & echo $! > {pid_file}",
                      "--cleanup", f'kill "$(cat {pid_file})"'])

    def test_a_server_is_not_part_of_a_workers_tree(self):
        pid_file = self.dir / "pid"
        run = self.run_pw("-n", 1, "-w", 0, "--setup", f"sleep 60 & echo $! > {pid_file}",
                          "--cleanup", f'kill "$(cat {pid_file})"', cmd=["/bin/sleep", "0.2"])
        self.assertEqual(1, run.workers()[0]["sampled_peak_processes"])
        self.assertEqual(0, run.summary["orphans"]["total"])

    def test_hooks_of_a_command_that_does_not_exist(self):
        run = self.run_pw("-n", 1, "-w", 0, *self.hooks(), cmd=["/no/such/command"], expect=127)
        self.assertIn("/no/such/command", run.err)
        self.assertEqual("cleanup", self.lines()[-1])

    def test_none_of_them_holds_a_descriptor_of_perfwrap(self):
        self.run_pw("-n", 1, "-w", 0, "--prepare", f"ls /proc/self/fd > {self.log}", cmd=["/bin/true"])
        self.assertEqual(["0", "1", "2", "3"], sorted(self.lines()))  # 3: ls reads the folder


if __name__ == "__main__":
    unittest.main()
