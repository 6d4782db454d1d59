"""Machines that stay: --keep, --list, footprint and steady by name, --stop, --hold."""

import os
import signal
import subprocess
import unittest
from pathlib import Path

from boottest import MachineTest
from pwtest import PERFWRAP, SANITIZED, cmdline, is_alive, marked, parse_json, wait_until


class Kept(MachineTest):
    def setUp(self):
        super().setUp()
        self.use_own_state()

    def perfwrap(self, *words, expect=0):
        done = subprocess.run([PERFWRAP, *map(str, words), "--state-dir", str(self.state_dir)], text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=120, env=self.env(),
                              cwd=self.dir)
        self.assertEqual(expect, done.returncode, done.stdout + done.stderr)
        return done

    def memory_of(self, pid):
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        return {line.split(":")[0]: int(line.split()[1]) for line in rollup.splitlines()[1:]}

    def assert_footprint_is_true(self, name, pid):
        """Within 1 % of what is read beside it. PSS changes whenever another machine of this host comes or goes,
        which shares the monitor's files: only a reading counts before and after which the kernel says the same."""
        keys = (("rss_kib", "Rss"), ("pss_kib", "Pss"), ("pss_anon_kib", "Pss_Anon"))
        for _ in range(20):
            before = self.memory_of(pid)
            found = parse_json(self.perfwrap("--json", "footprint", name).stdout)
            after = self.memory_of(pid)
            if all(abs(before[key] - after[key]) <= before[key] / 1000 for _, key in keys):
                for ours, truth in keys:
                    self.assertAlmostEqual(after[truth], found[ours], delta=after[truth] / 100)
                return found
        self.fail("the machine's memory did not hold still for one reading")

    def test_life_of_a_kept_machine(self):
        document = self.boot_json("--keep", "box")
        self.assertTrue(document["iterations"][0]["ok"])
        listed = parse_json(self.perfwrap("boot", "--list", "--json").stdout)["machines"]
        self.assertEqual(["box"], [machine["name"] for machine in listed])
        pid = listed[0]["pid"]
        self.assertTrue(is_alive(pid))
        self.assertIn("box", self.run_pw("--keep", "box", expect=2).err)
        found = self.assert_footprint_is_true("box", pid)
        self.assertEqual(("box", pid), (found["workspace"], found["pid"]))
        self.assertEqual("qemu-tcg", found["backend"])
        self.assertLess(0, found["guest_rss_kib"])
        self.assertLess(found["guest_rss_kib"], 256 * 1024 + 1)
        steady = parse_json(self.perfwrap("--json", "steady", "box", "--duration", 1, "--interval", 0.5).stdout)
        self.assertEqual(3, steady["summary"]["count"])
        self.perfwrap("boot", "--stop", "box")
        wait_until(lambda: not is_alive(pid), 10, "the machine to end")
        self.assertIn("box", self.perfwrap("boot", "--stop", "box", expect=2).stderr)
        self.assertIn("box", self.perfwrap("footprint", "box", expect=2).stderr)
        self.assertEqual([], parse_json(self.perfwrap("boot", "--list", "--json").stdout)["machines"])

    def test_a_kept_machine_that_was_killed(self):
        self.boot_json("--keep", "gone")
        pid = parse_json(self.perfwrap("boot", "--list", "--json").stdout)["machines"][0]["pid"]
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not marked(self.mark), 10, "its keeper to end")
        self.assertEqual([], parse_json(self.perfwrap("boot", "--list", "--json").stdout)["machines"])
        self.boot_json("--keep", "gone")  # the name is free again
        self.perfwrap("boot", "--stop", "gone")

    def test_hold(self):
        """Beside how many others each machine boots."""
        process = self.start("--json", "--hold", 2, "--iterations", 4)
        most = 0
        while process.poll() is None:
            most = max(most, len(monitors(self.mark)))
        run = self.finish(process)
        self.assertEqual(0, run.status, str(run))
        self.assertEqual(["ok"] * 4, [boot["verdict"] for boot in parse_json(run.out)["iterations"]])
        self.assertTrue(most in ((3,) if not SANITIZED else (2, 3)), most)

    def test_more_than_the_host_can_hold(self):
        run = self.run_pw("--profile", "large", "--hold", 1000, expect=125)
        self.assertIn("MiB available", run.err)

    def test_kill_of_perfwrap_ends_held_machines(self):
        process = self.start("--hold", 2, "--iterations", 50)
        wait_until(lambda: len(monitors(self.mark)) >= 3, 60,
                   "three machines")
        process.kill()
        process.wait()
        wait_until(lambda: not marked(self.mark), 10, "all to end")


def monitors(mark):
    """The machines of the test; their wardens have the same words behind their own name."""
    return [pid for pid in marked(mark) if cmdline(pid)[0].endswith("qemu-system-x86_64")]


if __name__ == "__main__":
    unittest.main()
