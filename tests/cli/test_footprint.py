"""`perfwrap footprint` and `perfwrap steady`: held against what /proc says beside them."""

import datetime
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
import unittest

from pwtest import (PERFWRAP, SANITIZED, SLOWER, PerfwrapTest, cmdline, is_alive, marked, parse_json, proc_read,
                    proc_status, schema_faults, schema_validator, target, wait_until)

HELD_MIB = 64
HELD_KIB = HELD_MIB * 1024
LATE_MS = 20 * SLOWER


def rollup(pid):
    """The lines of smaps_rollup, in KiB."""
    text = proc_read(pid, "smaps_rollup").decode()
    return {key: int(value) for key, value in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.M)}


def seconds_of(stamp):
    """An RFC 3339 time with nanoseconds, as seconds."""
    whole, nanos = re.fullmatch(r"(.+)\.(\d{9})Z", stamp).groups()
    time = datetime.datetime.fromisoformat(whole + "+00:00")
    return time.timestamp() + int(nanos) / 1e9


class FootprintTest(PerfwrapTest):
    def target(self, *words, **popen):
        """Starts something to look at, which ends with the test."""
        process = subprocess.Popen([*map(str, words)], env=self.env(), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **popen)
        self.addCleanup(self.end_target, process)
        return process

    def end_target(self, process):
        process.kill()
        process.wait()
        process.stdout.close()
        self.kill_marked()

    def hold(self, mib=HELD_MIB, *words, ms=600000):
        """hold_memory, when it has all its memory. Returns the process, and the pid that holds it."""
        process = self.target(target("hold_memory"), mib, ms, *words)

        def holder():
            for pid in marked(self.mark):
                if cmdline(pid)[0] == target("hold_memory") and (proc_status(pid, "VmRSS") or 0) >= mib * 1024:
                    return pid
            return None
        return process, wait_until(holder, what="the memory to be held")

    def pw(self, *words, expect=0, program=None, **popen):
        process = subprocess.run([program or PERFWRAP, *map(str, words)], env=self.env(), text=True,
                                 stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False,
                                 **{"cwd": self.dir, **popen})
        self.assertNotRegex(process.stderr, "Sanitizer|runtime error:")
        self.assertEqual(expect, process.returncode, process.stdout + process.stderr)
        return process

    def document(self, command, *words, **kwargs):
        document = parse_json(self.pw("--json", command, *words, **kwargs).stdout)
        self.assertEqual([], schema_faults(schema_validator(command), document))
        return document

    def start_steady(self, pid, *words):
        process = subprocess.Popen([PERFWRAP, "steady", str(pid), "--duration=60", "--interval=0.05", *words],
                                   env=self.env(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, cwd=self.dir)
        self.addCleanup(self._end, process)
        return process

    def has_begun(self, process):
        """Whether it waits for a time: in poll(2), with its timer set for it."""
        for name in os.listdir(f"/proc/{process.pid}/fdinfo"):
            text = proc_read(process.pid, f"fdinfo/{name}").decode()
            if re.search(r"^it_value: \((?!0, 0\))", text, re.M):
                return True
        return False

    def assert_close(self, expected, actual, part=0.01):
        self.assertLessEqual(abs(expected - actual), part * expected, f"{actual} is not near {expected}")


class Footprint(FootprintTest):
    def assert_is_rollup(self, document, pids):
        beside = [rollup(pid) for pid in pids]

        def total(*keys):
            return sum(one[key] for one in beside for key in keys)
        self.assert_close(total("Rss"), document["rss_kib"])
        self.assert_close(total("Pss"), document["pss_kib"])
        self.assert_close(total("Private_Clean", "Private_Dirty"), document["uss_kib"])
        self.assert_close(total("Pss_Anon"), document["pss_anon_kib"])
        self.assertEqual(total("Pss_Shmem"), document["pss_shmem_kib"])
        self.assertEqual(total("SwapPss"), document["swap_pss_kib"])
        self.assertEqual(total("Private_Hugetlb", "Shared_Hugetlb"), document["hugetlb_kib"])

    def test_one_process(self):
        process, pid = self.hold()
        self.assertEqual(process.pid, pid)
        document = self.document("footprint", pid)
        self.assert_is_rollup(document, [pid])
        self.assertGreater(document["uss_kib"], HELD_KIB)
        self.assertLess(document["uss_kib"], HELD_KIB + 2048)
        self.assertGreaterEqual(document["peak_rss_kib"] * 1.01, document["rss_kib"])
        self.assertEqual((str(pid), pid, [pid], "running", "process", "footprint"),
                         tuple(document[key] for key in ("workspace", "pid", "pids", "state", "backend",
                                                         "benchmark")))
        self.assertEqual(1, document["threads"])
        self.assertEqual(len(os.listdir(f"/proc/{pid}/fd")), document["open_files"])
        self.assertEqual(dict.fromkeys(("guest_rss_kib", "guest_pss_kib", "monitor_overhead_kib"), "not_supported"),
                         document["unavailable"])
        self.assertNotIn("guest", self.pw("footprint", pid).stdout)
        self.assertLess(abs(seconds_of(document["at"]) - datetime.datetime.now().timestamp()), 60)

    def test_children_are_in_it(self):
        process, holder = self.hold(HELD_MIB, "child")
        self.assertNotEqual(process.pid, holder)
        document = self.document("footprint", process.pid)
        self.assertEqual(2, document["process_count"])
        self.assertEqual({process.pid, holder}, {one["pid"] for one in document["processes"]})
        self.assert_is_rollup(document, [process.pid, holder])
        self.assertEqual(process.pid, {one["pid"]: one["ppid"] for one in document["processes"]}[holder])
        for key in ("rss_kib", "pss_kib", "uss_kib", "threads", "open_files", "peak_rss_kib"):
            self.assertEqual(sum(one[key] for one in document["processes"]), document[key])

    def test_children_of_any_thread(self):
        process = self.target(target("fork_children"), 20, 600000, "thread")
        wait_until(lambda: len(marked(self.mark)) >= 21)
        document = self.document("footprint", process.pid)
        self.assertEqual((21, 22), (document["process_count"], document["threads"]))

    def test_a_node_server(self):
        node = shutil.which("node")
        if not node:
            self.skipTest("node is not installed")
        script = "require('http').createServer((q, r) => r.end('x')).listen(0, '127.0.0.1', () => console.log('up'))"
        process = self.target(node, "-e", script)
        self.assertEqual(b"up\n", process.stdout.readline())
        # Beside it, while perfwrap runs: it maps some libraries that node maps too, so PSS is less then.
        steady = self.start_steady(process.pid, "--json")
        wait_until(lambda: self.has_begun(steady))
        beside = rollup(process.pid)
        steady.send_signal(signal.SIGINT)
        samples = parse_json(steady.communicate(timeout=60)[0])["samples"]
        for key, of in (("rss_kib", "Rss"), ("pss_kib", "Pss"), ("pss_anon_kib", "Pss_Anon")):
            self.assert_close(beside[of], min((one[key] for one in samples), key=lambda kib: abs(kib - beside[of])))
        document = self.document("footprint", process.pid)
        self.assert_close(beside["Rss"], document["rss_kib"], 0.02)
        self.assertEqual(proc_status(process.pid, "Threads"), document["threads"])
        self.assertGreater(document["cpu_user_seconds"], 0)

    def test_text_and_markdown(self):
        process, _ = self.hold(HELD_MIB, "child")
        text = self.pw("footprint", process.pid).stdout
        self.assertRegex(text, r"RSS +6\d\.\d\d MiB")
        self.assertIn("2 processes", text)
        self.assertNotIn("\x1b", text)
        markdown = self.pw("footprint", "--format=markdown", process.pid).stdout
        self.assertIn("# Footprint", markdown)
        self.assertIn("| process | name | RSS |", markdown)

    def test_a_stopped_process(self):
        process, pid = self.hold(1)
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: b") T " in proc_read(pid, "stat"))
        self.assertEqual("stopped", self.document("footprint", pid)["state"])

    def test_a_first_thread_that_ended(self):
        script = ("import ctypes, threading, time\n"
                  "threading.Thread(target=lambda: (print('up', flush=True), time.sleep(600))).start()\n"
                  "ctypes.CDLL(None).pthread_exit(None)\n")
        process = self.target(sys.executable, "-c", script)
        process.stdout.readline()
        wait_until(lambda: b") Z " in proc_read(process.pid, "stat"))
        [one] = self.document("footprint", process.pid)["processes"]
        self.assertEqual("leader_ended", one["state"])
        self.assertGreater(one["rss_kib"], 1024)
        self.assertGreater(one["pss_kib"], 512)

    def test_of_another_user(self):
        process, pid = self.hold()
        nobody = self.as_nobody()
        nobody["cwd"] = nobody.pop("out_dir")
        document = self.document("footprint", pid, **nobody)
        self.assert_close(rollup(pid)["Rss"], document["rss_kib"])
        self.assertGreater(document["peak_rss_kib"], HELD_KIB)
        for key in ("pss_kib", "uss_kib", "pss_anon_kib", "swap_pss_kib", "open_files"):
            self.assertIsNone(document[key])
            self.assertEqual("no_permission", document["unavailable"][key])
        self.assertIn("no permission", self.pw("footprint", pid, **nobody).stdout)
        samples = self.document("steady", pid, "--duration", 0.1, "--interval", 0.1, **nobody)
        self.assertEqual("no_permission", samples["unavailable"]["pss_kib"])
        self.assertEqual("no_permission", samples["summary"]["series"]["pss_kib"]["unavailable"])
        self.assertGreater(samples["summary"]["min_kib"], HELD_KIB)
        self.assertEqual(process.pid, pid)

    def test_nothing_is_disturbed(self):
        """Looking changes nothing, and perfwrap, below the shell that is looked at, is left out."""
        run = self.run_sh('exec 2>&1; cd "$2"; "$1" --json footprint $$; echo end', PERFWRAP, self.dir)
        document = parse_json(run.out.rsplit("end", 1)[0])
        self.assertEqual(1, document["process_count"])


@unittest.skipUnless(shutil.which("qemu-system-x86_64"), "QEMU is not installed")
class Guest(FootprintTest):
    """Machines whose CPU was never started: nothing but the monitor itself has touched their memory."""

    def machine(self, *words):
        process = self.target("qemu-system-x86_64", "-accel", "tcg", "-nodefaults", "-no-user-config", "-display", "none",
                              "-S", "-chardev", "stdio,id=qmp", "-mon", "chardev=qmp,mode=control", *words)
        # The greeting comes when the machine is made.
        self.assertIn(b"QMP", process.stdout.readline())
        return process

    def guest(self, *words):
        return self.document("footprint", self.machine(*words).pid)

    def assert_adds_up(self, document):
        self.assertEqual(document["pss_kib"] + document["hugetlb_kib"],
                         document["guest_pss_kib"] + document["monitor_overhead_kib"])

    def test_memory_that_nobody_has_touched(self):
        for words in (["-M", "microvm", "-m", "256"], ["-M", "pc", "-m", "size=1G"]):
            document = self.guest(*words)
            self.assertLess(document["guest_rss_kib"], 8 * 1024)
            self.assertGreater(document["monitor_overhead_kib"], 8 * 1024)
            self.assert_adds_up(document)

    def test_memory_that_is_there_from_the_start(self):
        document = self.guest("-M", "microvm", "-m", HELD_MIB, "-object",
                              f"memory-backend-ram,id=ram,size={HELD_MIB}M,prealloc=on", "-machine", "memory-backend=ram")
        self.assert_close(HELD_KIB, document["guest_rss_kib"])
        self.assert_close(HELD_KIB, document["guest_pss_kib"])
        self.assert_adds_up(document)

    def test_shared_memory(self):
        for backing in ("memory-backend-memfd,share=on", "memory-backend-ram,share=on",
                        "memory-backend-file,mem-path=/dev/shm,share=on"):
            document = self.guest("-M", "microvm", "-m", HELD_MIB, "-object",
                                  f"{backing},id=ram,size={HELD_MIB}M,prealloc=on", "-machine", "memory-backend=ram")
            self.assert_close(HELD_KIB, document["guest_rss_kib"])
            self.assert_close(document["pss_shmem_kib"], document["guest_pss_kib"])
            self.assert_adds_up(document)

    def test_no_mapping_fits(self):
        halves = [word for n in (0, 1) for word in ("-object", f"memory-backend-ram,id=r{n},size=96M", "-numa",
                                                    f"node,nodeid={n},memdev=r{n}")]
        document = self.guest("-M", "pc", "-m", 192, *halves)
        for key in ("guest_rss_kib", "guest_pss_kib", "monitor_overhead_kib"):
            self.assertIsNone(document[key])
            self.assertEqual("no_samples", document["unavailable"][key])

    def test_over_time(self):
        process = self.machine("-M", "microvm", "-m", HELD_MIB, "-object",
                               f"memory-backend-ram,id=ram,size={HELD_MIB}M,prealloc=on", "-machine",
                               "memory-backend=ram")
        series = self.document("steady", process.pid, "--duration=0.4", "--interval=0.2")["summary"]["series"]
        self.assert_close(HELD_KIB, series["guest_pss_kib"]["mean"])
        self.assertGreater(series["monitor_overhead_kib"]["min"], 1024)
        self.assertRegex(self.pw("steady", process.pid, "--duration=0.2", "--interval=0.2").stdout,
                         r"guest memory, PSS, MiB +6[45]\.")

    def test_text(self):
        text = self.pw("footprint", self.machine("-M", "microvm", "-m", "256").pid).stdout
        self.assertRegex(text, r"guest memory, RSS +\d\.\d\d MiB")
        self.assertRegex(text, r"all but the guest, PSS +\d+\.\d\d MiB")


class Summary(FootprintTest):
    """summary.json, as every run has it."""

    def summary(self, *words):
        out = self.pw(*words).stdout
        path = re.search(r"^summary_json=(.+)$", out, re.M).group(1)
        self.assertTrue(path.startswith(str(self.dir)))
        with open(path, encoding="utf-8") as file:
            document = parse_json(file.read())
        self.assertEqual([], schema_faults(schema_validator("summary"), document))
        return path, document

    def test_of_footprint(self):
        _, pid = self.hold()
        path, document = self.summary("footprint", pid)
        self.assertIn("perf-results/footprint-", path)
        self.assertEqual((1, "iterations", "footprint"),
                         (document["iterations"], document["stop_reason"], document["profile"]["name"]))
        numbers = document["summary"]["footprint"]
        self.assert_close(rollup(pid)["Rss"] / 1024, numbers["rss_mb"]["p95"])
        self.assertIsNone(numbers["guest_rss_mb"]["p95"])
        self.assertNotIn("cpu_pct", numbers)
        self.assertEqual([None] * 5, list(document["summary"]["latency_ms"].values()))
        [run] = document["runs"]
        self.assertIsNone(run["duration_ms"])
        self.assertEqual("running", run["worker_results"][0]["termination"])
        self.assertEqual((1, 0), (document["summary"]["successful_runs_total"],
                                  document["summary"]["failed_runs_total"]))

    def test_of_steady(self):
        _, pid = self.hold()
        path, document = self.summary("steady", pid, "--duration=0.4", "--interval=0.1", "--profile-name", "held",
                                      "--out-dir", self.dir / "other")
        self.assertIn("/other/held-", path)
        self.assertGreaterEqual(document["iterations"], 4)
        self.assertEqual("held", document["profile"]["name"])
        self.assertIsNotNone(document["summary"]["footprint"]["cpu_pct"]["mean"])
        self.assertNotIn("footprint_cpu_pct", document["runs"][0])
        self.assertLessEqual({warning["kind"] for warning in document["warnings"]}, {"high_load"})

    def test_the_other_subcommands_take_it(self):
        _, pid = self.hold()
        words = ("steady", pid, "--duration=0.5", "--interval=0.05")
        (one, _), (two, _) = self.summary(*words), self.summary(*words)
        self.assertIn("PASS: footprint.pss_mb", self.pw("check", "--bound", "footprint.pss_mb p95 <= 200", one).stdout)
        self.assertIn("FAIL: footprint.pss_mb",
                      self.pw("check", "--bound", "footprint.pss_mb p95 <= 8", one, expect=1).stdout)
        # There is no latency, so nothing that is asked of it is kept.
        self.pw("check", "--bound", "latency_ms p95 <= 1e9", one, expect=1)
        group = parse_json(self.pw("index", one, two).stdout)["profiles"]["steady"]
        self.assertEqual(2, group["metrics"]["footprint_rss_p95_mb"]["n"])
        self.assertEqual({"present": False}, group["metrics"]["latency_p95_ms"])
        compared = parse_json(self.pw("compare", "--format=json", one, two).stdout)
        self.assertIn("footprint.rss_mb", json.dumps(compared))
        larger, _ = self.summary("steady", self.hold(2 * HELD_MIB)[1], "--duration=0.5", "--interval=0.05")
        self.pw("compare", "--fail-on=slower", one, two)
        self.pw("compare", "--fail-on=slower", one, larger, expect=1)
        self.pw("suggest", one)
        self.assertRegex(self.pw("show", one).stdout, r"RSS +p50 6\d\.\d\d MiB")

    def test_json_names_it(self):
        _, pid = self.hold(1)
        for words in (["footprint", pid], ["steady", pid, "--duration=0.1", "--interval=0.1"]):
            document = parse_json(self.pw("--mode", "ax", *words).stdout)["result"]
            self.assertTrue(os.path.exists(document["summary_json"]))

    def test_of_one_that_ended(self):
        process, pid = self.hold(4)
        steady = self.start_steady(pid, "--json")
        wait_until(lambda: self.has_begun(steady))
        process.kill()
        process.wait()
        out, _ = steady.communicate(timeout=60)
        with open(parse_json(out)["summary_json"], encoding="utf-8") as file:
            document = parse_json(file.read())
        self.assertEqual("error", document["stop_reason"])
        self.assertGreater(document["iterations"], 0)

    def test_no_folder_is_left_for_nothing(self):
        gone = subprocess.Popen(["/bin/true"])
        gone.wait()
        self.pw("footprint", gone.pid, expect=2)
        self.assertFalse((self.dir / "perf-results").exists())
        (self.dir / "file").touch()
        _, pid = self.hold(1)
        self.assertIn("--out-dir", self.pw("footprint", pid, "--out-dir", self.dir / "file", expect=125).stderr)


class Match(FootprintTest):
    def tag(self):
        return f"6000{os.getpid()}"

    def test_by_command_line(self):
        process, pid = self.hold(2, "child", ms=self.tag())
        document = self.document("footprint", "--match", f"^{re.escape(target('hold_memory'))} 2 {self.tag()} child$")
        self.assertEqual(process.pid, document["pid"])
        self.assertEqual(2, document["process_count"])
        self.assertIn(pid, [one["pid"] for one in document["processes"]])
        self.assertTrue(document["workspace"].endswith("child$"))

    def test_several_are_refused_or_summed(self):
        pids = sorted(self.target(target("hold_memory"), 8, self.tag()).pid for _ in range(12))
        wait_until(lambda: all((proc_status(pid, "VmRSS") or 0) >= 8192 for pid in pids))
        error = self.pw("footprint", "--match", f"hold_memory 8 {self.tag()}", expect=2).stderr
        self.assertIn("12 processes match", error)
        self.assertIn("--all", error)
        for pid in pids[:10]:
            self.assertIn(f"{pid} (", error)
        for pid in pids[10:]:
            self.assertNotIn(f"{pid} (", error)
        document = self.document("footprint", "--all", "--match", f"hold_memory 8 {self.tag()}")
        self.assertEqual(pids, document["pids"])
        self.assert_close(sum(rollup(pid)["Rss"] for pid in pids), document["rss_kib"])
        error = parse_json(self.pw("--mode", "ax", "footprint", "--match", f"hold_memory 8 {self.tag()}",
                                   expect=1).stdout)["error"]
        self.assertEqual("conflict", error["kind"])

    def test_nothing_matches(self):
        for expression in (f"no-such-thing-{self.mark}", "[q]zq" + self.mark):
            self.assertIn("no process", self.pw("footprint", "--match", expression, expect=2).stderr)

    def test_perfwrap_and_what_started_it_never_match(self):
        word = f"unmatched{self.mark}"
        run = self.run_sh(f': {word}; "$1" footprint --match "$2"; true', PERFWRAP, word)
        self.assertIn("no process", run.err)


class Steady(FootprintTest):
    def test_times_and_numbers(self):
        _, pid = self.hold(HELD_MIB, "child")
        document = self.document("steady", pid, "--duration", 2, "--interval=0.2")
        samples = document["samples"]
        self.assertEqual(("duration", 2, 0.2), tuple(document[key] for key in (
            "ended_by", "duration_seconds", "interval_seconds")))
        self.assertEqual(11, len(samples) + document["missed_samples"])
        lates = []
        for sample in samples:
            nearest = round((sample["offset_seconds"] - sample["late_ms"] / 1e3) / 0.2) * 0.2
            lates.append((sample["offset_seconds"] - nearest) * 1e3)
            self.assertAlmostEqual(lates[-1], sample["late_ms"], places=3)
            self.assertGreaterEqual(lates[-1], 0)
            # The wall clock says the same, though it may be corrected meanwhile.
            passed = seconds_of(sample["at"]) - seconds_of(samples[0]["at"])
            self.assertLess(abs(passed - (sample["offset_seconds"] - samples[0]["offset_seconds"])), 0.05 * SLOWER)
        self.assertLessEqual(statistics.median(lates), LATE_MS)
        self.assertGreaterEqual(sum(late <= LATE_MS for late in lates), len(lates) * 0.8, lates)
        rss = [sample["rss_kib"] for sample in samples]
        summary = document["summary"]
        self.assertEqual((len(rss), min(rss), max(rss), round(statistics.fmean(rss))),
                         tuple(summary[key] for key in ("count", "min_kib", "max_kib", "avg_kib")))
        self.assert_close(rollup(pid)["Rss"], max(rss))

    def test_a_constant_one_has_no_trend(self):
        _, pid = self.hold()
        series = self.document("steady", pid, "--duration", 1, "--interval", 0.1)["summary"]["series"]
        for key in ("rss_kib", "uss_kib", "threads", "open_files"):
            trend = series[key]["trend"]
            self.assertEqual(0, trend["per_minute"])
            self.assertEqual("none", trend["direction"])
            self.assertLessEqual(trend["ci95_low"], 0)
            self.assertGreaterEqual(trend["ci95_high"], 0)

    def test_a_growing_one_has_one(self):
        process = self.target(target("grow_memory"), 256, 20, 60000)
        wait_until(lambda: proc_status(process.pid, "VmRSS"))
        series = self.document("steady", process.pid, "--duration", 2, "--interval", 0.1)["summary"]["series"]
        for key in ("rss_kib", "pss_kib", "uss_kib"):
            trend = series[key]["trend"]
            self.assertEqual("rising", trend["direction"])
            self.assertGreater(trend["ci95_low"], 0)
            self.assertLess(trend["p"], 0.01)
            truth = 256 * 60000 / 20
            self.assertLess(trend["per_minute"], truth * 1.1)
            self.assertGreater(trend["per_minute"], truth * (0.2 if SANITIZED else 0.5))
        self.assertIn("rising", self.pw("steady", process.pid, "--duration=1", "--interval=0.1").stdout)

    def test_cpu_percent(self):
        process = self.target(target("burn_cpu"), 20000)
        ticks = os.sysconf("SC_CLK_TCK")

        def used_sec():
            return sum(map(int, proc_read(process.pid, "stat").rsplit(b")", 1)[1].split()[11:13])) / ticks
        before, begun = used_sec(), time.monotonic()
        document = self.document("steady", process.pid, "--duration", 2, "--interval", 0.5)
        self.assertIsNone(document["samples"][0]["cpu_percent"])
        beside = 100 * (used_sec() - before) / (time.monotonic() - begun)
        used = [sample["cpu_percent"] for sample in document["samples"][1:]]
        # Not the same span: perfwrap's own start and end are in one of them only.
        self.assertLess(abs(statistics.fmean(used) - beside), 25, (used, beside))
        self.assertLess(max(used), 105)
        _, pid = self.hold(1)
        idle = self.document("steady", pid, "--duration", 0.4, "--interval", 0.2)["summary"]["series"]["cpu_percent"]
        self.assertLess(idle["max"], 5)

    def test_the_process_ends_in_between(self):
        process, pid = self.hold(4)
        steady = self.start_steady(pid, "--json")
        wait_until(lambda: self.has_begun(steady))
        process.kill()
        process.wait()
        out, err = steady.communicate(timeout=60)
        self.assertEqual(1, steady.returncode, err)
        self.assertRegex(err, rf"process {pid} ended after \d+\.\d\d of 60 s")
        document = parse_json(out)
        self.assertEqual("target_ended", document["ended_by"])
        self.assertGreater(len(document["samples"]), 0)
        self.assertEqual([], schema_faults(schema_validator("steady"), document))
        self.assertLess(document["ended_after_seconds"], 30)

    def test_it_ends_in_between_in_an_envelope(self):
        process, pid = self.hold(4)
        steady = self.start_steady(pid, "--mode=ax")
        wait_until(lambda: self.has_begun(steady))
        process.kill()
        process.wait()
        out, err = steady.communicate(timeout=60)
        self.assertEqual((1, ""), (steady.returncode, err))
        document = parse_json(out)
        self.assertFalse(document["ok"])
        self.assertEqual("not_found", document["error"]["kind"])
        self.assertEqual([], schema_faults(schema_validator("steady"), document["error"]["partial_output"]))

    def test_interrupted(self):
        _, pid = self.hold(4)
        for number in (signal.SIGINT, signal.SIGTERM):
            steady = self.start_steady(pid, "--json")
            wait_until(lambda: self.has_begun(steady))
            steady.send_signal(number)
            out, _ = steady.communicate(timeout=60)
            self.assertEqual(128 + number, steady.returncode)
            document = parse_json(out)
            self.assertEqual("signal", document["ended_by"])
            self.assertGreater(document["summary"]["count"], 0)
        self.assertTrue(is_alive(pid))


class Envelope(FootprintTest):
    def ax(self, *words, expect=0):
        process = self.pw(*words, expect=expect)
        self.assertEqual("", process.stderr)
        return parse_json(process.stdout)

    def test_success(self):
        _, pid = self.hold(1)
        for words in (["--mode", "ax", "footprint", pid], ["footprint", pid, "--mode=ax"],
                      ["--json", "--mode=ax", "footprint", pid], ["footprint", "--mode", "ax", "--format=text", pid]):
            document = self.ax(*words)
            self.assertEqual({"ok", "result"}, set(document))
            self.assertIs(True, document["ok"])
            self.assertEqual([], schema_faults(schema_validator("footprint"), document["result"]))
        document = self.ax("--mode", "ax", "steady", pid, "--duration=0.1", "--interval=0.1")
        self.assertEqual([], schema_faults(schema_validator("steady"), document["result"]))

    def test_json_stands_before_or_behind(self):
        _, pid = self.hold(1)
        for words in (["--json", "footprint", pid], ["footprint", "--json", pid], ["footprint", pid, "--json"],
                      ["footprint", "--format=json", pid]):
            self.assertEqual(pid, parse_json(self.pw(*words).stdout)["pid"])

    def test_failures(self):
        gone = subprocess.Popen(["/bin/true"])
        gone.wait()
        rows = ((["footprint", gone.pid], "not_found"), (["steady", gone.pid], "not_found"),
                (["footprint", "vm1", "--state-dir", self.dir / "state"], "not_found"), (["footprint"], "permanent"), (["footprint", "--nosuch"], "permanent"),
                (["footprint", 1, 2], "permanent"), (["footprint", "--match", "("], "permanent"),
                (["steady", 1, "--interval", 20], "permanent"))
        for words, kind in rows:
            document = self.ax("--mode", "ax", *words, expect=1)
            self.assertEqual({"ok", "error"}, set(document))
            self.assertIs(False, document["ok"])
            self.assertEqual(kind, document["error"]["kind"], words)
            self.assertTrue(document["error"]["message"])
        self.assertIn("--match", self.ax("--mode", "ax", "footprint", "vm1", "--state-dir", self.dir,
                                        expect=1)["error"]["remediation"])

    def test_other_subcommands_know_no_envelope(self):
        process = self.pw("--mode", "ax", "show", "x", expect=2)
        self.assertIn("--mode", process.stderr)
        self.assertEqual("", process.stdout)

    def test_words_of_a_measured_command_are_its_own(self):
        run = self.run_pw("-n", 1, "-w", 0, cmd=["/bin/echo", "--mode", "ax", "footprint"])
        self.assertIn("summary_json=", run.out)


class Refused(FootprintTest):
    def refuse(self, *words, says, status=2):
        process = self.pw(*words, expect=status)
        self.assertEqual("", process.stdout)
        self.assertIn(says, process.stderr)

    def test_usage(self):
        self.refuse("footprint", says="no TARGET given")
        self.refuse("footprint", "machine", "--state-dir", self.dir, says="--match REGEX")
        self.refuse("footprint", "machine", "--state-dir", self.dir, says="`machine`")
        self.refuse("steady", "../machine", "--state-dir", self.dir, says="--match REGEX")
        self.refuse("footprint", 1, "--profile-name", "a/b", says="slashes")
        self.refuse("footprint", 0, says="no pid")
        self.refuse("footprint", -5, says="")
        self.refuse("footprint", 99999999999, says="no pid")
        self.refuse("footprint", 1, "--match", "x", says="one of them")
        self.refuse("footprint", 1, "--all", says="--match")
        self.refuse("footprint", "--format", "xml", 1, says="xml")
        self.refuse("footprint", "--mode", "loud", 1, says="loud")
        self.refuse("footprint", "--match", "(", says="character")
        self.refuse("steady", 1, "--duration", 1, "--interval", 2,
                    says="steady interval must be less than or equal to duration")
        self.refuse("steady", 1, "--duration", 0, says="--duration")
        self.refuse("steady", 1, "--duration", "1e6", "--interval", "0.01", says="too many")

    def test_what_is_not_there(self):
        gone = subprocess.Popen(["/bin/true"])
        gone.wait()
        self.refuse("footprint", gone.pid, says=f"there is no process {gone.pid}")
        self.refuse("footprint", 2**31 - 1, says="there is no process")
        zombie = subprocess.Popen(["/bin/true"])
        wait_until(lambda: b") Z " in proc_read(zombie.pid, "stat"))
        self.refuse("footprint", zombie.pid, says="ended")
        zombie.wait()

    def test_a_kernel_thread(self):
        kernel = [pid for pid in (2, 3) if proc_read(pid, "stat") and not proc_read(pid, "cmdline")
                  and int(proc_read(pid, "stat").rsplit(b")", 1)[1].split()[6]) & 0x200000]
        if not kernel:
            self.skipTest("no kernel thread is to be seen here")
        self.refuse("footprint", kernel[0], says="kernel thread")

    def test_an_output_that_is_closed(self):
        run = self.run_sh('cd "$2"; "$1" --mode ax footprint $$ >&-', PERFWRAP, self.dir, expect=125)
        self.assertIn("write standard output", run.err)


if __name__ == "__main__":
    unittest.main()
