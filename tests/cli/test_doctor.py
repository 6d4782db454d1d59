"""`perfwrap doctor`: what it says of this machine, as whoever runs the tests and as nobody."""

import os
import pty
import resource
import subprocess
import time
import unittest

from pwtest import IS_ROOT, PERFWRAP, SANITIZED, SLOWER, PerfwrapTest, parse_json, stale_cgroups

STATES = ("ok", "limited", "denied", "absent")
POWERS = {"btf", "bpf_tracepoints", "bpf_tp_btf", "bpf_ring_buffer", "lockdown", "memlock", "perf_events",
          "perf_events_kernel", "perf_events_machine", "perf_cycles", "perf_event_paranoid", "kptr_restrict",
          "cgroup_v2", "cgroup_leaves", "cgroup_controllers", "cgroup_v1_memory", "smaps_rollup", "ptrace_scope",
          "realtime_priority", "clocksource", "cpu_governor", "load", "steal_time", "noise", "wakeup_jitter",
          "transparent_hugepage", "swap", "kvm"}


class DoctorTest(PerfwrapTest):
    def doctor(self, *options, program=PERFWRAP, expect=0, **popen):
        popen.pop("out_dir", None)
        process = subprocess.Popen([program, "doctor", *options], stdin=subprocess.DEVNULL, env=self.env(),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **popen)
        self.addCleanup(self._end, process)
        run = self.finish(process)
        self.assertEqual(expect, run.status, str(run))
        return run

    def powers(self, **popen):
        run = self.doctor("--json", **popen)
        self.assertEqual("", run.err)
        document = parse_json(run.out)
        self.assertEqual([], document["missing"])
        found = {power["name"]: power for power in document["powers"]}
        self.assertEqual(len(document["powers"]), len(found))
        self.assertEqual(POWERS, set(found))
        for power in found.values():
            self.assertIn(power["state"], STATES)
            self.assertTrue(power["found"] and power["adds"] and power["area"], power)
            self.assertEqual(power["state"] == "ok", power["remedy"] is None, power)
            self.assertNotIn("not tried", power["found"])
        return found

    def test_each_power_is_told(self):
        powers = self.powers()
        self.assertEqual("ok", powers["smaps_rollup"]["state"], "the tests of footprints need it too")

    @unittest.skipUnless(IS_ROOT, "needs root, to be compared with nobody")
    def test_who_may_less_is_told_so(self):
        mine, nobodys = self.powers(), self.powers(**self.as_nobody())
        order = {state: rank for rank, state in enumerate(STATES)}
        bound_to_users = ("bpf_tracepoints", "bpf_tp_btf", "bpf_ring_buffer", "perf_events_kernel", "cgroup_leaves")
        for name in bound_to_users:
            self.assertLessEqual(order[mine[name]["state"]], order[nobodys[name]["state"]], name)
        if mine["bpf_tracepoints"]["state"] == "ok":
            self.assertEqual("denied", nobodys["bpf_tracepoints"]["state"])
        if mine["realtime_priority"]["state"] == "ok" and resource.getrlimit(resource.RLIMIT_RTPRIO)[0] == 0:
            self.assertEqual("denied", nobodys["realtime_priority"]["state"])
        for name in ("btf", "clocksource", "swap", "steal_time"):
            self.assertEqual(mine[name]["state"], nobodys[name]["state"], name)

    def test_text_tells_the_same_within_80_columns(self):
        run = self.doctor()
        lines = run.out.splitlines()
        self.assertLessEqual(max(map(len, lines)), 80, run)
        rows = {line.split()[0]: line.split()[1] for line in lines
                if len(line.split()) > 2 and line.split()[0] in POWERS}
        self.assertEqual(POWERS, set(rows), run)
        self.assertLessEqual(set(rows.values()), set(STATES))
        # One column for states, one for what was found.
        starts = {line.index(line.split()[1], len(line.split()[0])) for line in lines
                  if len(line.split()) > 2 and line.split()[0] in POWERS}
        self.assertEqual(1, len(starts), run)
        self.assertEqual(len(POWERS), run.out.count(" for: "))
        self.assertEqual(sum(state != "ok" for state in rows.values()), run.out.count(" do:  "))
        self.assertRegex(run.out, r"\d+ ok, \d+ limited, \d+ denied, \d+ absent")

    def test_a_wide_terminal_is_used(self):
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        subprocess.run(["stty", "cols", "300"], stdin=slave, check=True)
        process = subprocess.Popen([PERFWRAP, "doctor", "--no-color"], stdin=subprocess.DEVNULL, stdout=slave,
                                   stderr=subprocess.DEVNULL, env=self.env())
        os.close(slave)
        text = b""
        while True:
            try:
                piece = os.read(master, 65536)
            except OSError:  # EIO: nobody has the other end any more
                break
            if not piece:
                break
            text += piece
        self.assertEqual(0, process.wait())
        widest = max(len(line.rstrip()) for line in text.decode().splitlines())
        self.assertGreater(widest, 80)
        self.assertLessEqual(widest, 120)

    def test_require(self):
        powers = self.powers()
        steady = [name for name in powers if name not in ("load", "noise", "wakeup_jitter")]
        there = [name for name in steady if powers[name]["state"] == "ok"]
        lacking = [name for name in steady if powers[name]["state"] != "ok"]
        self.doctor("--require", ",".join(there))
        self.doctor(*(word for name in there for word in ("--require", name)))
        if not lacking:
            self.skipTest("this machine lacks nothing")
        run = self.doctor("--require", ",".join([there[0], *lacking]), "--require", lacking[0], "--json", expect=1)
        self.assertEqual(lacking, parse_json(run.out)["missing"])
        run = self.doctor("--require", lacking[0], expect=1)
        self.assertRegex(run.out, rf"required, and not ok +{lacking[0]}\n")
        run = self.doctor("--require", lacking[0], "--mode", "ax", expect=1)
        answer = parse_json(run.out)
        self.assertFalse(answer["ok"])
        self.assertIn(lacking[0], answer["error"]["message"])
        self.assertTrue(answer["error"]["remediation"])
        self.assertEqual(POWERS, {power["name"] for power in answer["error"]["partial_output"]["powers"]})
        self.assertTrue(parse_json(self.doctor("--mode", "ax").out)["ok"])

    def test_what_is_no_power_cannot_be_required(self):
        for name in ("magic", "btf,", ",", "btf magic", "BTF", "x" * 500):
            run = self.doctor("--require", name, expect=2)
            self.assertEqual("", run.out)
            for power in POWERS:
                self.assertRegex(run.err, rf"\b{power}\b", name)

    def test_it_is_quick_and_leaves_nothing(self):
        before = set(stale_cgroups())
        began = time.monotonic()
        self.doctor("--json")
        took = time.monotonic() - began
        if not SANITIZED:
            self.assertLess(took, 1.5 * SLOWER)  # half a second, and what KVM may take at most, and others
        self.assertLessEqual(set(stale_cgroups()), before)


if __name__ == "__main__":
    unittest.main()
