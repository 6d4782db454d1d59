"""The same binary on another kernel: in a guest with Debian's 6.1, eBPF attaches and counts what is known."""

import json
import os
import re
import shutil
import subprocess
import unittest

from boottest import ImageTest, release_only
from pwtest import PERFWRAP, PRESET, target

# Runs in the guest, below a shell of busybox. What it writes is the end of the console, which is shown if it fails.
SCRIPT = r"""#!/bin/sh
export LD_LIBRARY_PATH=/lib64 HOME=/tmp
case $(uname -r) in 6.1.*) ;; *) echo "PROBLEM: kernel $(uname -r)"; exit 2 ;; esac
perfwrap doctor --json > /tmp/doctor.json || exit 3
run() { perfwrap --out-dir /tmp/out --otlp off --quiet --json -n 1 -w 0 --timeout-sec 60 "$@" > /tmp/run.json || { cat /tmp/run.json; exit 4; }; }
want() { grep -q "$1" /tmp/run.json || { echo "PROBLEM: no $1"; grep -E "why|remedy|used|exact" /tmp/run.json | head -30; grep kernel_ /tmp/run.json | grep -v null | head -50; exit 5; }; }
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
        for applet in ("grep", "uname"):
            (self.root / "bin" / applet).symlink_to("busybox")
        script = self.root / "bin" / "self-test"
        script.write_text(SCRIPT)
        script.chmod(0o755)
        run = self.run_pw("--json", "--image", f"dir:{self.root}", "--profile", "small", "--timeout", 110, "--exec",
                          "/bin/self-test", expect=0)
        self.assertEqual("ok", json.loads(run.out)["iterations"][0]["verdict"], str(run))


if __name__ == "__main__":
    unittest.main()
