"""The numbers are true: each target's use is known (tests/targets/), and perfwrap must report it."""

import os
import re
import statistics
import subprocess
import unittest

from pwtest import ACCOUNTING_AS_USED, BUILD_DIR, PRESET, SANITIZED, SLOWER, PerfwrapTest, target

MIB_KB = 1024
ONE_CORE = 100.5  # percent; CPU time and time are counted by clocks that drift apart a little
LONG_ENOUGH_MS = 250  # for some samples at the default interval of 20 ms, also on a busy machine


class Truth(PerfwrapTest):
    accounting = ACCOUNTING_AS_USED

    def measure(self, *cmd, options=(), iterations=1, **kwargs):
        """Measures without warm-up and returns the only worker of each iteration."""
        run = self.run_pw("-n", iterations, "-w", 0, *options, cmd=cmd, **kwargs)
        self.assert_clean_run(run, iterations)
        return run.workers()

    def assert_within(self, low, value, high, what):
        self.assertIsNotNone(value, f"{what} was not measured")
        self.assertTrue(low <= value <= high, f"{what} is {value}, not in [{low}, {high}]")


class Memory(Truth):
    def test_64_mib_held(self):
        worker, = self.measure(target("hold_memory"), 64, LONG_ENOUGH_MS)
        for key in ("max_rss_kb", "sampled_peak_tree_rss_kb", "sampled_peak_parent_rss_kb"):
            self.assert_within(64 * MIB_KB, worker[key], 66 * MIB_KB, key)
        for key in ("max_rss_mb", "sampled_peak_tree_rss_mb"):
            self.assert_within(64, worker[key], 66, key)

    def test_64_mib_held_by_a_child(self):
        worker, = self.measure(target("hold_memory"), 64, LONG_ENOUGH_MS, "child")
        self.assert_within(64 * MIB_KB, worker["max_rss_kb"], 66 * MIB_KB, "max_rss_kb")
        self.assert_within(64 * MIB_KB, worker["sampled_peak_tree_rss_kb"], 68 * MIB_KB, "tree")
        self.assert_within(1, worker["sampled_peak_parent_rss_kb"], 2 * MIB_KB, "parent")

    def test_memory_of_each_worker_is_its_own(self):
        script = f'exec {target("hold_memory")} $((PERFWRAP_WORKER_ID * 16)) {LONG_ENOUGH_MS}'
        run = self.run_pw("-n", 1, "-w", 0, "-c", 3, cmd=["/bin/sh", "-c", script])
        for worker in run.workers():
            truth = worker["worker_id"] * 16
            self.assert_within(truth, worker["max_rss_mb"], truth + 2, "max_rss_mb")
            self.assert_within(truth, worker["sampled_peak_tree_rss_mb"], truth + 2, "tree")
        self.assert_within(48, run.summary["runs"][0]["max_rss_mb"], 50, "the iteration's max_rss_mb")

    def test_memory_of_both_programs_after_exec(self):
        worker, = self.measure(target("exec_other"), 48, LONG_ENOUGH_MS,
                               target("hold_memory"), 16, LONG_ENOUGH_MS)
        self.assert_within(48, worker["max_rss_mb"], 50, "max_rss_mb")
        self.assert_within(48, worker["sampled_peak_tree_rss_mb"], 50, "tree")
        self.assert_within(2 * LONG_ENOUGH_MS, worker["duration_ms"], 60000, "duration_ms")
        self.assertEqual(1, worker["sampled_peak_processes"])

    def test_a_short_command_has_samples(self):
        worker, = self.measure(target("hold_memory"), 16, 5)
        self.assertGreaterEqual(worker["sample_count"], 1)

    def test_pss_and_footprint(self):
        worker, = self.measure(target("hold_memory"), 32, LONG_ENOUGH_MS,
                               options=["--pss", "--vmmap-snapshots"])
        self.assert_within(32, worker["sampled_peak_tree_pss_mb"], 34, "pss")
        for moment in ("mid", "end"):
            key = f"vmmap_{moment}_physical_footprint_mb"
            self.assert_within(32, worker[key], 34, key)
        self.assert_within(0, worker["vmmap_start_physical_footprint_mb"], 34, "start")

    def test_top_attach(self):
        worker, = self.measure(target("hold_memory"), 32, 4 * LONG_ENOUGH_MS,
                               options=["--top-attach", "--top-interval-ms", 100])
        self.assert_within(3, worker["top_sample_count"], 15, "top_sample_count")
        self.assert_within(32, worker["top_peak_rss_mb"], 34, "top_peak_rss_mb")
        self.assert_within(16, worker["top_mean_rss_mb"], 34, "top_mean_rss_mb")


class Processes(Truth):
    def test_100_files_open(self):
        worker, = self.measure(target("open_files"), 100, LONG_ENOUGH_MS)
        self.assertEqual(103, worker["peak_open_fds"])

    def test_no_descriptor_of_perfwrap_reaches_the_target(self):
        script = "ls -l /proc/self/fd >&2; exit 1"
        run = self.run_pw("-n", 1, "-w", 0, "-c", 4, cmd=["/bin/sh", "-c", script], expect=1)
        tail = run.summary["runs"][0]["stderr_tail"]
        # 0, 1, 2 and the one with which ls reads the folder itself
        self.assertEqual(["0", "1", "2", "3"], re.findall(r" (\d+) -> ", tail), tail)

    def test_the_callers_own_descriptors_stay_with_perfwrap_or_go_on_as_they_were(self):
        script = 'exec 7</dev/null; exec "$@"'
        run = self.run_sh(script, *self.args("-n", 1, "-w", 0,
                                             cmd=[target("open_files"), 10, LONG_ENOUGH_MS]))
        self.assertIn(run.workers()[0]["peak_open_fds"], (13, 14))

    def test_50_children(self):
        worker, = self.measure(target("fork_children"), 50, LONG_ENOUGH_MS)
        self.assertEqual(50, worker["peak_direct_children"])
        self.assertEqual(51, worker["sampled_peak_processes"])
        self.assertEqual(51, worker["sampled_peak_threads"])
        self.assertEqual(51, worker["processes_seen"])

    def test_50_children_of_a_second_thread(self):
        worker, = self.measure(target("fork_children"), 50, LONG_ENOUGH_MS, "thread")
        self.assertEqual(50, worker["peak_direct_children"])
        self.assertEqual(51, worker["sampled_peak_processes"])
        self.assertEqual(52, worker["sampled_peak_threads"])

    def test_the_warden_is_not_counted(self):
        worker, = self.measure("/bin/sleep", "0.25")
        self.assertEqual(1, worker["sampled_peak_processes"])
        self.assertEqual(1, worker["sampled_peak_threads"])
        self.assertEqual(0, worker["peak_direct_children"])
        # 4 if a sample met the loader, which has a library open for a moment
        self.assert_within(3, worker["peak_open_fds"], 4, "peak_open_fds")

    def test_a_double_forked_process_is_in_the_tree(self):
        for words in (["double"], ["setsid"], ["double", "setsid"]):
            with self.subTest(words=words):
                worker, = self.measure(target("escape"), *words, "memory=32",
                                       f"child-ms={2 * LONG_ENOUGH_MS}",
                                       f"root-ms={LONG_ENOUGH_MS}")
                # `double`: the middle process lived for a moment, which a sample may have met
                middle = int("double" in words)
                self.assert_within(2, worker["sampled_peak_processes"], 2 + middle, "processes")
                self.assert_within(32, worker["sampled_peak_tree_rss_mb"], 35, "tree RSS")
                self.assert_within(0, worker["sampled_peak_parent_rss_kb"], 2 * MIB_KB, "parent")
                self.assert_within(1 - middle, worker["peak_direct_children"], 1, "children")

    def test_an_orphan_is_counted_while_its_root_lives_and_reported_after(self):
        run = self.run_pw("-n", 2, "-w", 0, "-c", 2, cmd=[
            target("escape"), "double", f"root-ms={LONG_ENOUGH_MS}"])
        summary = run.summary
        for worker in run.workers():
            self.assert_within(2, worker["sampled_peak_processes"], 3, "processes")
            self.assertLess(worker["duration_ms"], 30000)
        self.assertEqual(4, summary["orphans"]["total"])

    def test_500_short_processes(self):
        worker, = self.measure(target("fork_bomb"), 500)
        self.assertEqual(0, worker["return_code"])
        self.assertLessEqual(worker["processes_seen"], 501)
        self.assertGreaterEqual(worker["missed_exits"], 0)


class Cpu(Truth):
    def assert_cpu(self, workers, truth=0.2):
        """Never less than the target burned. More is its start and end, and what a host takes from a
        virtual machine meanwhile, which the guest's kernel counts as the target's: the least of
        several has little of that."""
        used = [worker["user_cpu_sec"] + worker["system_cpu_sec"] for worker in workers]
        self.assert_within(truth, min(used), truth + 0.020, "CPU seconds")
        for worker, seconds in zip(workers, used):
            self.assertAlmostEqual(seconds / worker["duration_ms"] * 1e5, worker["cpu_pct"], delta=0.5)

    def assert_sampled(self, worker, most):
        """Never more than there was, and as much as over the whole life, but for late samples."""
        mean, peak = (worker[f"sampled_{kind}_tree_cpu_pct"] for kind in ("mean", "peak"))
        self.assert_within(0, mean, most, "mean of the tree")
        self.assert_within(max(mean, 0.6 * worker["cpu_pct"]), peak, most, "peak of the tree")

    def test_200_ms(self):
        for where in ("self", "child", "grandchild", "threads"):
            with self.subTest(where=where):
                workers = self.measure(target("burn_cpu"), 200, where, iterations=3)
                self.assert_cpu(workers)
                for worker in workers:
                    self.assert_sampled(worker, 2 * ONE_CORE if where == "threads" else ONE_CORE)

    def test_a_sleeping_command_uses_none(self):
        worker, = self.measure("/bin/sleep", "0.3")
        self.assert_within(0, worker["user_cpu_sec"] + worker["system_cpu_sec"], 0.02, "CPU seconds")
        self.assert_within(0, worker["sampled_peak_tree_cpu_pct"], 10, "peak of the tree")

    def test_the_sampled_peak_of_a_burning_tree(self):
        worker, = self.measure(target("burn_cpu"), 400, "child")
        self.assert_sampled(worker, ONE_CORE)
        self.assert_within(0, worker["sampled_peak_parent_cpu_pct"], 10, "peak of the parent")

    def test_the_sampled_peak_of_a_burning_process(self):
        worker, = self.measure(target("burn_cpu"), 400, "self",
                               options=["--top-attach", "--top-interval-ms", 100])
        self.assert_sampled(worker, ONE_CORE)
        for key in ("sampled_peak_parent_cpu_pct", "top_peak_cpu_pct", "top_mean_cpu_pct"):
            self.assert_within(0, worker[key], ONE_CORE, key)

    def test_the_sampled_peak_of_many_short_processes(self):
        worker, = self.measure("/bin/sh", "-c", "for i in $(seq 300); do /bin/true; done")
        # one after the other, but for the moments of starting and ending
        self.assert_within(0, worker["sampled_peak_tree_cpu_pct"], 105, "peak of the tree")
        self.assert_within(0, worker["sampled_mean_tree_cpu_pct"], 105, "mean of the tree")

    def test_1000_voluntary_switches(self):
        for worker in self.measure(target("switch_context"), 1000, iterations=3):
            self.assert_within(1000, worker["voluntary_ctx_switches"], 1003, "voluntary switches")

    def test_bytes_written(self):
        size, path = 10_000_000, self.dir / "written"
        worker, = self.measure(target("write_bytes"), size, path)
        self.assertEqual(size, worker["io_wchar_bytes"])
        self.assert_within(0, worker["io_rchar_bytes"], 65536, "rchar")  # the loader's
        kind = subprocess.run(["stat", "-f", "-c", "%T", self.dir], capture_output=True, text=True)
        if kind.stdout.strip() in ("tmpfs", "ramfs", "overlayfs"):
            self.skipTest(f"{kind.stdout.strip()} does not count bytes sent to storage")
        self.assert_within(size, worker["io_write_bytes"], size + (1 << 20), "write_bytes")

    def test_bytes_of_children_that_were_waited_for(self):
        size, path = 1_000_000, self.dir / "written"
        worker, = self.measure("/bin/sh", "-c", f'{target("write_bytes")} {size} {path}; exit 0')
        self.assert_within(size, worker["io_wchar_bytes"], size + 4096, "wchar")


class Time(Truth):
    def test_sleep_is_never_shorter_than_it_was(self):
        run = self.run_pw("-n", 10, "-w", 1, cmd=["/bin/sleep", "0.1"])
        latency = run.summary["summary"]["latency_ms"]
        self.assertGreaterEqual(latency["min"], 100)
        self.assertLess(latency["p50"], 105 * SLOWER)  # how tight it is: tests/bench

    def test_no_duration_is_shorter_than_what_the_target_measured(self):
        path = self.dir / "times"
        run = self.run_pw("-n", 5, "-w", 0, "-c", 6,
                          cmd=[target("timed_sleep_static"), 30, path])
        own = [(int(end) - int(start)) / 1e6
               for start, end in (line.split() for line in path.read_text().splitlines())]
        reported = [worker["duration_ms"] for worker in run.workers()]
        self.assertEqual(30, len(own))
        for ours, theirs in zip(sorted(reported), sorted(own)):
            self.assertGreaterEqual(ours, theirs)
        excess = statistics.median(reported) - statistics.median(own)
        self.assertLess(excess, 5 * SLOWER, "ms more than the targets measured themselves")
        for one in run.summary["runs"]:
            longest = max(worker["duration_ms"] for worker in one["worker_results"])
            self.assertGreaterEqual(one["duration_ms"], longest - 1e-6)

    def test_one_workers_window_is_its_duration(self):
        run = self.run_pw("-n", 3, "-w", 0, cmd=["/bin/sleep", "0.02"])
        for one in run.summary["runs"]:
            self.assertAlmostEqual(one["duration_ms"], one["worker_results"][0]["duration_ms"], 6)
            self.assertAlmostEqual(1000 / one["duration_ms"], one["throughput_runs_per_sec"], 6)

    def test_hooks_and_orphans_cost_no_time(self):
        run = self.run_pw("-n", 2, "-w", 0, "--prepare", "sleep 0.3", "--conclude", "sleep 0.3",
                          "--kill-grace-ms", 300, cmd=[target("escape"), "ignore-term"])
        for worker in run.workers():
            self.assertLess(worker["duration_ms"], 200 * SLOWER)

    def test_a_workers_time_ends_with_its_root_though_its_pipes_are_open(self):
        run = self.run_pw("-n", 1, "-w", 0, "--output", "tail", "--keep-orphans",
                          cmd=[target("escape"), "setsid", "child-ms=1500"])
        self.assertLess(run.workers()[0]["duration_ms"], 1000 * SLOWER)
        self.kill_marked()


@unittest.skipIf(SANITIZED, "a sanitizer's memory is not what this is about")
class SameAsTime(Truth):
    """ru_maxrss is free of perfwrap's own memory: what /usr/bin/time -v says, within 300 KiB."""

    def bare_peak_kb(self):
        if not os.access("/usr/bin/time", os.X_OK):
            self.skipTest("needs /usr/bin/time")
        peaks = []
        for _ in range(9):
            done = subprocess.run(["/usr/bin/time", "-v", "/bin/true"], capture_output=True, text=True)
            peaks.append(int(re.search(r"Maximum resident set size \(kbytes\): (\d+)",
                                       done.stderr).group(1)))
        return statistics.median(peaks)

    def test_true(self):
        self.check()

    def test_true_when_perfwrap_has_grown_by_200_mib(self):
        grown = BUILD_DIR / "perfwrap-grown"
        if not grown.exists():
            self.skipTest(f"{grown.name} is not built in {PRESET}")
        self.check(program=str(grown))

    def check(self, **kwargs):
        workers = self.measure("/bin/true", iterations=9, **kwargs)
        peak = statistics.median(worker["max_rss_kb"] for worker in workers)
        self.assertAlmostEqual(self.bare_peak_kb(), peak, delta=300)


if __name__ == "__main__":
    unittest.main()
