"""The kernel's own account: what sampling cannot see is found, and the summary says where each number comes from.

Without eBPF (no privilege, built without it) the tests of exact numbers are skipped, saying so; those of the
ladder's lower rungs run everywhere.
"""

import json
import os
import re
import shutil
import signal
import socketserver
import subprocess
import threading
import unittest
from pathlib import Path

from pwtest import (IS_ROOT, PRESET, PerfwrapTest, load_json, marked, schema_faults, schema_validator, stale_cgroups,
                    target, wait_until)

PARTS = ("spawn", "on_cpu", "runq", "io", "blocked", "exit_tail")


class Accounting(PerfwrapTest):
    accounting = None  # the default, in all builds

    def measure(self, *cmd, options=(), iterations=1, **kwargs):
        run = self.run_pw("-n", iterations, "-w", 0, *options, cmd=cmd, **kwargs)
        return run

    def rung(self, run, name):
        return next(rung for rung in run.summary["accounting"]["rungs"] if rung["name"] == name)

    def exact(self, *cmd, **kwargs):
        """The only worker of a run that eBPF accounted for, exactly."""
        run = self.measure(*cmd, **kwargs)
        ebpf = self.rung(run, "ebpf")
        if ebpf["state"] != "used" and (PRESET == "no-bpf" or not IS_ROOT):
            self.skipTest(f"no eBPF here: {ebpf['why']}")
        self.assertEqual("used", ebpf["state"], ebpf["why"])
        self.assertIs(True, run.summary["accounting"]["exact"])
        worker = run.workers()[0]
        self.assertTrue(worker["kernel"]["exact"])
        self.assert_wall_adds_up(worker)
        return worker

    def assert_wall_adds_up(self, worker):
        total = sum(worker[f"kernel_wall_{part}_ms"] for part in PARTS)
        self.assertAlmostEqual(worker["duration_ms"], total, delta=0.02 * worker["duration_ms"] + 0.01)
        blocked = sum(worker["kernel"]["blocked_by_ms"].values())
        self.assertAlmostEqual(worker["kernel_wall_blocked_ms"], blocked, delta=0.01)

    def assert_within(self, low, value, high, what):
        self.assertIsNotNone(value, f"{what} was not measured")
        self.assertTrue(low <= value <= high, f"{what} is {value}, not in [{low}, {high}]")

    def abandoned(self):
        """Ids of our programs that the kernel has and that no process holds: other tests may run beside this one."""
        if not shutil.which("bpftool"):
            self.skipTest("no bpftool to see what is attached")
        listed = subprocess.run(["bpftool", "prog", "show", "--json"], capture_output=True, text=True, check=False)
        if listed.returncode != 0:
            self.skipTest(f"bpftool does not tell: {listed.stderr.strip()}")
        ours = {one["id"] for one in json.loads(listed.stdout) if one.get("name", "").startswith("pw_")}
        held = set()
        for pid in os.listdir("/proc"):
            try:
                for descriptor in os.listdir(f"/proc/{pid}/fdinfo") if pid.isdigit() else ():
                    text = Path(f"/proc/{pid}/fdinfo/{descriptor}").read_text(encoding="utf-8")
                    held.update(int(number) for number in re.findall(r"(?m)^prog_id:\s*(\d+)", text))
            except OSError:
                pass  # it has gone
        return ours - held

    def assert_nothing_stays(self):
        wait_until(lambda: not self.abandoned(), what="the programs to go")
        wait_until(lambda: not stale_cgroups(), what="the cgroups to go")


class Exact(Accounting):
    def test_a_grandchild_holds_150_mib_for_5_ms(self):
        worker = self.exact("/bin/sh", "-c", f'{target("hold_memory")} 150 5 child; :')
        self.assert_within(150, worker["kernel_peak_process_rss_mb"], 150 * 1.01 + 2, "the process")
        self.assert_within(150, worker["kernel_peak_tree_rss_mb"], 150 * 1.01 + 6, "the tree")
        peak = worker["kernel"]["memory_peak"]
        self.assertEqual("hold_memory", peak["held_by"][0]["comm"])
        self.assertEqual(peak["held_by"][0]["pid"], peak["largest_process"]["pid"])
        self.assertNotEqual(worker["pid"], peak["held_by"][0]["pid"])
        held = sum(one["rss_mb"] for one in peak["held_by"])
        self.assertAlmostEqual(worker["kernel_peak_tree_rss_mb"], held, delta=0.5)
        self.assertTrue(0 < peak["at_ms"] < worker["duration_ms"])

    def test_a_thousand_short_forks(self):
        worker = self.exact(target("fork_many"), 1000)
        self.assertEqual(1001, worker["kernel_processes"])
        self.assertEqual(2, worker["kernel_peak_processes"])
        self.assertEqual(1, worker["kernel_peak_direct_children"])
        self.assertEqual(0, worker["kernel_threads"])

    def test_orphans_count_too(self):
        worker = self.exact(target("fork_many"), 100, "orphan")
        self.assertEqual(201, worker["kernel_processes"])

    def test_every_process_is_listed(self):
        worker = self.exact("/bin/sh", "-c", "/bin/true; (exit 3); sh -c 'kill -9 $$'; :")
        listed = worker["kernel"]["processes"]
        self.assertEqual(worker["kernel_processes"], len(listed))
        self.assertEqual(worker["pid"], listed[0]["pid"])
        self.assertIn("true", [one["comm"] for one in listed])
        self.assertIn(3, [one["exit_code"] for one in listed])
        self.assertIn(9, [one["signal"] for one in listed])
        pids = {one["pid"] for one in listed}
        for one in listed[1:]:
            self.assertIn(one["ppid"], pids)
            self.assertTrue(0 <= one["started_ms"] <= one["ended_ms"])

    def test_context_switches_are_those_of_rusage(self):
        worker = self.exact(target("switch_context"), 1000)
        self.assertEqual(worker["voluntary_ctx_switches"], worker["kernel_voluntary_ctx_switches"])
        self.assertEqual(worker["involuntary_ctx_switches"], worker["kernel_involuntary_ctx_switches"])
        self.assert_within(1000, worker["kernel_voluntary_ctx_switches"], 1002, "switches")
        self.assertEqual(worker["minor_page_faults"], worker["kernel_minor_page_faults"])

    def test_cpu_time_of_a_tree(self):
        worker = self.exact(target("burn_cpu"), 200, "grandchild")
        self.assert_within(0.199, worker["kernel_cpu_sec"], 0.21, "CPU time")
        rusage = worker["user_cpu_sec"] + worker["system_cpu_sec"]
        self.assert_within(rusage - 0.002, worker["kernel_cpu_sec"], rusage + 0.002, "CPU time")

    def test_a_hog_beside_the_worker(self):
        hog = subprocess.Popen(["taskset", "-c", "0", target("burn_cpu"), "60000"], env=self.env())
        self.addCleanup(lambda: (hog.kill(), hog.wait()))
        wait_until(lambda: "0" == subprocess.run(["taskset", "-cp", str(hog.pid)], capture_output=True, text=True)
                   .stdout.strip().split(": ")[-1], what="the hog's place")
        worker = self.exact("taskset", "-c", "0", target("burn_cpu"), "300")
        waited = worker["kernel_wait_runq_ms"]
        expected = worker["duration_ms"] - worker["kernel_cpu_sec"] * 1000
        self.assert_within(100, waited, 5000, "waiting for a CPU")
        self.assert_within(expected * 0.97 - 1, waited, expected * 1.03 + 1, "waiting for a CPU")
        counted = sum(slot["count"] for slot in worker["kernel"]["runq_histogram"])
        self.assertGreater(counted, 0)

    def test_sleeping_is_blocked_by_sleep(self):
        worker = self.exact("/bin/sleep", "0.2")
        self.assert_within(199, worker["kernel"]["blocked_by_ms"]["sleep"], worker["duration_ms"], "sleep")
        self.assert_within(199, worker["kernel_wait_sleep_ms"], worker["duration_ms"], "sleep")

    def test_reading_a_pipe_and_waiting_for_a_child(self):
        worker = self.exact("/bin/sh", "-c", "sleep 0.1 | cat; :")
        longest = worker["duration_ms"]
        self.assert_within(95, worker["kernel_wait_pipe_ms"], longest, "pipe")
        self.assert_within(95, worker["kernel_wait_child_ms"], longest, "child")
        self.assert_within(95, worker["kernel"]["blocked_by_ms"]["sleep"], longest, "what it waited for in the end")

    def test_threads_and_two_workers_are_apart(self):
        run = self.measure("/bin/sh", "-c", f'exec {target("fork_many")} $((PERFWRAP_WORKER_ID * 10))',
                           options=("-c", 3))
        if self.rung(run, "ebpf")["state"] != "used":
            self.skipTest("no eBPF here")
        self.assertEqual([11, 21, 31], [worker["kernel_processes"] for worker in run.workers()])

    def test_a_connection_is_told_by_its_remote_end(self):
        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                self.request.recv(100)
                self.request.sendall(b"x" * 5000)
        server = socketserver.TCPServer(("127.0.0.1", 0), Handler)
        self.addCleanup(server.server_close)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.shutdown)
        port = server.server_address[1]
        script = (f"import socket\ns = socket.create_connection(('127.0.0.1', {port}))\ns.sendall(b'y' * 10)\n"
                  "n = 0\nwhile (got := len(s.recv(65536))):\n    n += got\nassert n == 5000\ns.close()\n")
        worker = self.exact("/usr/bin/python3", "-c", script)
        remote = next(one for one in worker["kernel"]["tcp_remotes"] if one["port"] == port)
        self.assertEqual("127.0.0.1", remote["address"])
        self.assertEqual(1, remote["connects"])
        self.assertEqual(5000, remote["received_bytes"])
        self.assert_within(10, remote["sent_bytes"], 11, "sent")  # the kernel counts the SYN or the FIN, too
        self.assert_within(0, remote["mean_connect_ms"], 5, "connect")

    def test_system_calls_when_asked(self):
        worker = self.exact("/bin/dd", "if=/dev/zero", "of=/dev/null", "bs=1", "count=2000",
                            options=("--account-syscalls",))
        counts = {one["name"]: one["count"] for one in worker["kernel"]["slowest_syscalls"]}
        self.assert_within(2000, counts["write"], 2010, "write")
        self.assertGreaterEqual(worker["kernel_syscalls"], 4000)

    def test_the_decomposition_of_a_compilation(self):
        source = self.dir / "big.c"
        source.write_text("".join(f"int f{i}(int a) {{ return a * {i} + (a >> {i % 31}); }}\n" for i in range(3000)))
        worker = self.exact("/usr/bin/gcc", "-O2", "-c", str(source), "-o", str(self.dir / "big.o"))
        on_cpu_ms = worker["kernel_wall_on_cpu_ms"]
        cpu_ms = 1000 * (worker["user_cpu_sec"] + worker["system_cpu_sec"])  # one process at a time
        self.assert_within(0.95 * cpu_ms, on_cpu_ms, 1.05 * cpu_ms, "on CPU")
        self.assertGreater(on_cpu_ms, 0.5 * (worker["duration_ms"] - worker["kernel_wall_runq_ms"]))
        self.assertIn("cc1", [one["comm"] for one in worker["kernel"]["processes"]])

    def test_the_decomposition_of_writing_to_a_disk(self):
        worker = self.exact("/bin/dd", "if=/dev/zero", f"of={self.dir}/file", "bs=1M", "count=16", "conv=fsync")
        self.assertGreaterEqual(worker["kernel_io_wchar"], 16 << 20)
        self.assertGreater(worker["kernel_wall_on_cpu_ms"], 0)
        if worker["kernel_block_requests"]:  # the folder is on a disk
            self.assertGreater(worker["kernel_wall_io_ms"], 0)
            self.assert_within(16 << 20, worker["kernel_block_write_bytes"], 17 << 20, "written")

    def test_what_sampling_missed_is_stated(self):
        run = self.measure("/bin/sh", "-c", f'{target("hold_memory")} 150 5 child; {target("fork_many")} 300')
        if self.rung(run, "ebpf")["state"] != "used":
            self.skipTest("no eBPF here")
        missed = {one["metric"]: one for one in run.summary["accounting"]["sampling_missed"]}
        seen = missed["process_tree_sampled.processes_seen"]
        self.assertGreater(seen["missed_pct"], 10)
        self.assertAlmostEqual(seen["missed_pct"], (1 - seen["mean"] / seen["exact_mean"]) * 100, delta=0.01)
        self.assertIn("Seen by sampling", (run.run_dir / "summary.md").read_text())


class Ladder(Accounting):
    """Each rung with those above it taken away."""

    def sources(self, run):
        return {one["about"]: one for one in run.summary["accounting"]["sources"]}

    def assert_whole(self, run):
        self.assertEqual([], schema_faults(schema_validator("summary"), run.summary))
        self.assertEqual([], schema_faults(schema_validator("iteration"),
                                           load_json(next(run.run_dir.glob("iteration-*.json")))))

    def test_proc_alone(self):
        run = self.measure(target("hold_memory"), 20, 100, options=("--accounting", "proc"))
        accounting = run.summary["accounting"]
        self.assertEqual(("proc", "proc"), (accounting["asked"], accounting["used"]))
        self.assertEqual(["not_asked", "not_asked", "used"], [rung["state"] for rung in accounting["rungs"]])
        self.assertIsNone(accounting["exact"])
        self.assertEqual("process_tree_sampled.peak_tree_rss_mb", self.sources(run)["memory of the tree"]["metric"])
        self.assertIsNone(self.sources(run)["where the time went"]["metric"])
        self.assertNotIn("kernel", run.summary["summary"])
        self.assertNotIn("kernel", run.workers()[0])
        self.assert_whole(run)

    def test_cgroup_without_ebpf(self):
        run = self.measure(target("hold_memory"), 64, 100, options=("--accounting", "cgroup"))
        self.assertEqual("not_asked", self.rung(run, "ebpf")["state"])
        cgroup = self.rung(run, "cgroup")
        self.assert_whole(run)
        if cgroup["state"] != "used":
            self.assertTrue(cgroup["why"])
            self.assertEqual("proc", run.summary["accounting"]["used"])
            self.assertIn("accounting_refused", [one["kind"] for one in run.summary["warnings"]])
            self.skipTest(f"no cgroup here: {cgroup['why']}")
        self.assertEqual("cgroup", run.summary["accounting"]["used"])
        worker = run.workers()[0]
        self.assertNotIn("kernel", worker)
        if worker["cgroup_memory_peak_mb"] is not None:
            self.assert_within(64, worker["cgroup_memory_peak_mb"], 68, "memory")
            self.assertEqual("cgroup.memory_peak_mb", self.sources(run)["memory of the tree"]["metric"])

    def test_unprivileged_auto_says_what_it_used(self):
        nobody = self.as_nobody()
        run = self.measure("/bin/true", **nobody)
        accounting = run.summary["accounting"]
        self.assertEqual("proc", accounting["used"])
        ebpf, cgroup, _ = accounting["rungs"]
        self.assertEqual(["refused", "refused"], [ebpf["state"], cgroup["state"]])
        for rung in (ebpf, cgroup):
            self.assertTrue(rung["why"])
            self.assertTrue(rung["remedy"])
        self.assertEqual([], [one for one in run.summary["warnings"] if one["kind"] == "accounting_refused"])
        self.assertNotIn("kernel", run.summary["summary"])
        self.assert_whole(run)

    def test_unprivileged_asking_for_it_is_warned(self):
        run = self.measure("/bin/true", options=("--accounting", "ebpf"), **self.as_nobody())
        warning = next(one for one in run.summary["warnings"] if one["kind"] == "accounting_refused")
        self.assertIn("ebpf", warning["message"])
        self.assertTrue(warning["advice"])
        self.assertEqual("not_supported", run.summary["summary"]["unavailable"]["kernel.processes"])
        self.assert_whole(run)

    def test_unprivileged_asking_for_a_cgroup_is_warned(self):
        run = self.measure("/bin/true", options=("--accounting", "cgroup"), **self.as_nobody())
        self.assertEqual("refused", self.rung(run, "cgroup")["state"])
        self.assertIn("accounting_refused", [one["kind"] for one in run.summary["warnings"]])
        self.assertEqual("not_supported", run.summary["summary"]["unavailable"]["cgroup.memory_peak_mb"])
        self.assert_whole(run)

    @unittest.skipUnless(PRESET == "no-bpf", "of the build without eBPF")
    def test_built_without_ebpf(self):
        run = self.measure("/bin/true")
        self.assertEqual("refused", self.rung(run, "ebpf")["state"])
        self.assertIn("without eBPF", self.rung(run, "ebpf")["why"])
        self.assert_whole(run)

    def test_unknown_source_is_refused(self):
        run = self.run_pw("--accounting", "kprobes", cmd=["/bin/true"], expect=2)
        self.assertIn("none of auto, ebpf, cgroup and proc", run.err)

    def test_all_of_it_fits_the_schema(self):
        run = self.measure("/bin/sh", "-c", "true; true", options=("--vmmap-snapshots", "--account-syscalls"))
        self.assert_whole(run)

    def test_orphans_that_are_kept_live_on(self):
        run = self.measure("/bin/sh", "-c", "sleep 300 >/dev/null 2>&1 & echo $!", options=("--keep-orphans", "--output", "inherit"))
        pid = int(re.match(r"\d+", run.out).group())
        os.kill(pid, signal.SIGKILL)


@unittest.skipUnless(IS_ROOT, "needs root to see what is attached")
class Leftovers(Accounting):
    def test_nothing_stays_after_a_run(self):
        self.measure("/bin/true", options=("--cpu-profile",))
        self.assert_nothing_stays()

    def test_nothing_stays_after_kill_9(self):
        process = self.start("-n", 100000, "-w", 0, cmd=[target("fork_many"), 20])
        wait_until(lambda: list(self.out_dir.glob("*/iteration-003.json")), what="some iterations")
        process.kill()
        process.wait()
        wait_until(lambda: not self.abandoned(), what="the programs to go")
        self.measure("/bin/true")  # removes the cgroups that the killed one left
        self.assert_nothing_stays()

    def test_interrupted_leaves_nothing(self):
        process = self.start("-n", 100000, "-w", 0, cmd=["/bin/sleep", "10"])
        wait_until(lambda: marked(self.mark)[1:], what="the worker")
        process.send_signal(signal.SIGINT)
        self.assertEqual(128 + signal.SIGINT, self.finish(process).status)
        self.assert_nothing_stays()


if __name__ == "__main__":
    unittest.main()
