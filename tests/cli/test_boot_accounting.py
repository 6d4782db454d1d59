"""The same binary on another kernel: in a guest with Debian's 6.1, eBPF attaches and counts what is known."""

import json
import os
import re
import shutil
import subprocess
import unittest

from boottest import ImageTest, release_only
from pwtest import PATIENCE_SEC, PERFWRAP, PRESET, target

GUEST_SEC = 150  # some 15 where nothing else runs; after it perfwrap ends the guest, and shows its last words

# Runs in the guest, below a shell of busybox. What it writes is the end of the console, which is shown if it fails.
SCRIPT = r"""#!/bin/sh
export LD_LIBRARY_PATH=/lib64 HOME=/tmp
case $(uname -r) in 6.1.*) ;; *) echo "PROBLEM: kernel $(uname -r)"; exit 2 ;; esac
case $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource) in tsc*|kvm-clock) ;;
*) echo "PROBLEM: the guest counts ticks for its clock"; exit 2 ;; esac
perfwrap doctor --json > /tmp/doctor.json || exit 3
run() { perfwrap --out-dir /tmp/out --otlp off --quiet --json -n 1 -w 0 --timeout-sec 60 "$@" > /tmp/run.json || { cat /tmp/run.json; exit 4; }; }
want() { grep -q "$1" /tmp/run.json || { grep kernel_ /tmp/run.json | grep -v null | head -30; grep -E "why|remedy|used|exact|message|how" /tmp/run.json | head -30; echo "PROBLEM: no $1"; exit 5; }; }
run --accounting ebpf -- /bin/fork_many 200
want '"used": "ebpf"'
want '"exact": true'
want '"kernel_processes": 201'
want '"kernel_peak_processes": 2'
run --accounting ebpf -- /bin/sh -c '/bin/hold_memory 48 5 child; :'
want '"kernel_peak_process_rss_mb": 4[89]\.'
run --accounting ebpf -- /bin/switch_context 300
want '"kernel_voluntary_ctx_switches": 30[0-2]'
"""

# What can be refused for the whole machine: here there is one to refuse it for. `as_worker` has no privilege.
BAD = r"""
chmod 777 /tmp; mkdir -p /tmp/worker /tmp/empty; chown worker /tmp/worker
as_worker() { su worker -c "LD_LIBRARY_PATH=/lib64 HOME=/tmp/worker $*" > /tmp/run.json || { cat /tmp/run.json; exit 6; }; }
mine="perfwrap --out-dir /tmp/worker --otlp off --quiet --json -n 1 -w 0 --timeout-sec 60"
profile() { run --accounting proc --cpu-profile -- /bin/sh -c 'i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done'; }

run -- /bin/true
want 'mount -t cgroup2 none /sys/fs/cgroup'
mount -t cgroup2 none /sys/fs/cgroup || exit 7
run --accounting cgroup -- /bin/hold_memory 32 5
want '"used": "cgroup"'
want '"cgroup_memory_peak_mb": 3[2-9]\.'
as_worker $mine --accounting auto -- /bin/true
want '"used": "proc"'
want 'Delegate=yes'
mkdir -p /sys/fs/cgroup/mine/in && chown -R worker /sys/fs/cgroup/mine || exit 8
(echo 0 > /sys/fs/cgroup/mine/in/cgroup.procs; as_worker $mine --accounting cgroup -- /bin/hold_memory 32 5) || exit 9
want '"used": "cgroup"'
ls -d /sys/fs/cgroup/perfwrap-* /sys/fs/cgroup/mine/*/perfwrap-* 2>/dev/null && { echo 'PROBLEM: a cgroup stays'; exit 10; }

mount --bind /tmp/empty /sys/kernel/btf || exit 11
run --accounting ebpf -- /bin/true
want 'CONFIG_DEBUG_INFO_BTF'
want '"accounting_refused"'
umount /sys/kernel/btf
(ulimit -l 0; run --accounting ebpf -- /bin/fork_many 3) || exit 12
want '"kernel_processes": 4'

echo 2 > /proc/sys/kernel/kptr_restrict
profile
want 'kernel.kptr_restrict'
echo 0 > /proc/sys/kernel/kptr_restrict
profile
want 'kernel stacks are seen"'
echo 3 > /proc/sys/kernel/perf_event_paranoid
profile
want '"mode": "whole-machine"'
as_worker $mine --cpu-profile -- /bin/true
want '"no_cpu_profile"'
want 'perf_event_paranoid'
echo 2 > /proc/sys/kernel/perf_event_paranoid
as_worker $mine --cpu-profile -- /bin/true
want '"mode": "inherited"'
unshare -p -f --mount-proc /bin/sh -c 'perfwrap --out-dir /tmp/out --otlp off --quiet --json -n 1 -w 0 -- /bin/fork_many 3' > /tmp/run.json || exit 13
want '"kernel_processes": 4'
want '"exact": true'

mount -t securityfs none /sys/kernel/security && grep -q confidentiality /sys/kernel/security/lockdown || exit 0
echo confidentiality > /sys/kernel/security/lockdown || exit 14
run --accounting ebpf --cpu-profile -- /bin/fork_many 3
want 'the kernel is locked down'
want 'boot with lockdown=integrity'
want '"exact": null'
"""


@release_only
@unittest.skipIf(PRESET == "no-bpf", "built without eBPF")
class OtherKernel(ImageTest):
    def add_program(self, path, name):
        """A program with the libraries that it is linked with, at the names under which the loader looks."""
        shutil.copy(path, self.root / "bin" / name)
        listed = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
        for library in re.findall(r"(/\S+) \(0x", listed):
            place = self.root / "lib64" / os.path.basename(library)
            if not place.exists():
                shutil.copy(library, place)

    def test_the_self_test_in_a_guest(self):
        (self.root / "lib64").mkdir()
        self.add_program(PERFWRAP, "perfwrap")
        for name in ("fork_many", "hold_memory", "switch_context"):
            self.add_program(target(name), name)
        for applet in ("grep", "uname", "chmod", "chown", "su", "umount", "unshare", "tail"):
            (self.root / "bin" / applet).symlink_to("busybox")
        script = self.root / "bin" / "self-test"
        script.write_text(SCRIPT + BAD)
        script.chmod(0o755)
        process = self.start("--json", "--image", f"dir:{self.root}", "--profile", "small", "--timeout", GUEST_SEC,
                             "--exec", "/bin/self-test")
        run = self.finish(process, timeout=GUEST_SEC + PATIENCE_SEC)
        self.assertEqual(0, run.status, str(run))
        self.assertEqual("ok", json.loads(run.out)["iterations"][0]["verdict"], str(run))


@release_only
class MachinesThatStay(ImageTest):
    """Accounting ends with the moment that is measured, and lets the machine run on."""

    def setUp(self):
        super().setUp()
        self.use_own_state()

    def run_of(self, *options):
        document = self.boot_json("--profile", "small", "--exec", "/bin/true", "--accounting", "auto", "--cpu-profile",
                                  *options, "--image", f"dir:{self.root}")
        return self.summary_of(document)

    def assert_walls_add_up(self, summary):
        if summary["accounting"]["used"] != "ebpf":
            return
        for run in summary["runs"]:
            worker = run["worker_results"][0]
            total = sum(worker[f"kernel_wall_{part}_ms"] for part in
                        ("spawn", "on_cpu", "runq", "io", "blocked", "exit_tail"))
            self.assertAlmostEqual(worker["duration_ms"], total, delta=0.01)

    def test_held(self):
        summary = self.run_of("--hold", 1, "--iterations", 2)
        cgroup = next(rung for rung in summary["accounting"]["rungs"] if rung["name"] == "cgroup")
        self.assertEqual("refused", cgroup["state"])
        self.assertIn("held", cgroup["why"])
        self.assert_walls_add_up(summary)

    def test_kept(self):
        summary = self.run_of("--keep", "box")
        self.assert_walls_add_up(summary)
        listed = subprocess.run([PERFWRAP, "boot", "--list", "--json", "--state-dir", self.state_dir], text=True,
                                capture_output=True, env=self.env(), check=True).stdout
        self.assertEqual(["box"], [one["name"] for one in json.loads(listed)["machines"]])
        subprocess.run([PERFWRAP, "boot", "--stop", "box", "--state-dir", self.state_dir], env=self.env(), check=True,
                       capture_output=True)


if __name__ == "__main__":
    unittest.main()
