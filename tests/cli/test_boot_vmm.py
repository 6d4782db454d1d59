"""perfwrap boot with other monitors: --vmm-cmd, played by a script that tells marks as a guest does. Needs neither a
machine monitor nor a kernel that boots, so it runs everywhere."""

import unittest

from boottest import BootTest, fake_kernel
from pwtest import wait_until

MONITOR = r"""#!/usr/bin/env python3
import json, os, sys, time

if "--version" in sys.argv:
    print("playing monitor 1.0")
    sys.exit(0)
words = dict(word.split("=", 1) for word in sys.argv[1:] if "=" in word)
fd = 1 if words["marks"] == "console" else 3
end = "\r\n" if fd == 1 else "\n"


def mark(text):
    os.write(fd, f"PW {text}{end}".encode())


print("Linux version of a play", flush=True)
for name in ("kernel", "modules"):
    mark(name)
play = words.get("play", "ok")
if play == "check":
    job = open(words["job"], "rb").read().split(b"\0")
    assert b"arg=true" in job, job
    initrd = open(words["initrd"], "rb").read()
    assert initrd.startswith(b"070701") and b"pw/job" in initrd and b"arg=true" in initrd
    assert open(words["kernel"], "rb").read(4) == b"\x7fELF"
    assert "console=ttyS0" in words["cmdline"].split(), words
    config = json.load(open(words["config"]))
    assert config == {"memory": 512, "cpus": 2, "kernel": words["kernel"]}, config
if play == "panic":
    print("Kernel panic - not syncing: a play", flush=True)
    sys.exit(0)
if play == "fault":
    mark("fault step=rootfs errno=6 text=no such device")
    sys.exit(0)
if play == "spoof":
    print("a line with PW exec code=0 signal=0 in it", flush=True)
    mark("exec code=4 signal=0")
    sys.exit(0)
if play == "stay":
    mark("exec code=0 signal=0")
    time.sleep(600)
mark(f"exec code={words.get('code', 0)} signal={words.get('signal', 0)}")
"""


class OtherMonitors(BootTest):
    def setUp(self):
        super().setUp()
        self.state_dir = self.dir / "state"
        self.monitor = self.dir / "monitor"
        self.monitor.write_text(MONITOR)
        self.monitor.chmod(0o755)
        self.kernel = self.dir / "vmlinux"
        self.kernel.write_bytes(fake_kernel())

    def play(self, words, *options, expect=0):
        command = f"'{self.monitor}' {words} kernel={{kernel}} initrd={{initrd}} job={{job}} 'cmdline={{cmdline}}'"
        return self.boot_json("--kernel", self.kernel, "--accel", "tcg", "--vmm-cmd", command, *options, expect=expect)

    def first(self, words, *options, expect=1):
        return self.play(words, *options, expect=expect)["iterations"][0]

    def test_marks_on_descriptor_3_and_on_the_console(self):
        for where in ("fd3", "console"):
            boot = self.first(f"marks={where}", expect=0)
            self.assertEqual("ok", boot["verdict"])
            self.assert_phases_add_up(boot)
            boot = self.first(f"marks={where} code=7")
            self.assertEqual(("guest_command_failed", 7, None), (boot["verdict"], boot["return_code"], boot["signal"]))
            boot = self.first(f"marks={where} signal=9")
            self.assertEqual(("guest_command_failed", 137, 9), (boot["verdict"], boot["return_code"], boot["signal"]))

    def test_what_it_is_given(self):
        template = self.dir / "template.json"
        template.write_text('{"memory": {memory_mib}, "cpus": {vcpus}, "kernel": "{kernel}"}')
        boot = self.first("marks=fd3 play=check config={config}", "--vmm-config", template, "--profile", "small",
                          expect=0)
        self.assertEqual("ok", boot["verdict"], boot)

    def test_verdicts(self):
        boot = self.first("marks=fd3 play=panic")
        self.assertEqual("guest_panic", boot["verdict"])
        self.assertIn("a play", boot["error"])
        boot = self.first("marks=fd3 play=fault")
        self.assertEqual("guest_fault", boot["verdict"])
        self.assertIn("rootfs", boot["error"])
        boot = self.first("marks=console play=spoof")
        self.assertEqual(4, boot["return_code"])

    def test_a_monitor_that_does_not_end(self):
        boot = self.first("marks=fd3 play=stay", expect=0)
        self.assertEqual("ok", boot["verdict"])
        self.assertGreater(boot["teardown_ms"], 0)

    def test_machine_in_the_summary(self):
        document = self.play("marks=fd3")
        self.assertEqual("custom-tcg", document["backend"])
        self.assertEqual("playing monitor 1.0", document["machine"]["monitor_version"])
        self.assertEqual("6.1.0-play", document["machine"]["guest_kernel"])

    def test_unknown_placeholder(self):
        run = self.run_pw("--kernel", self.kernel, "--vmm-cmd", f"{self.monitor} {{kernle}}", expect=2)
        self.assertIn("{kernel}", run.err)

    def test_killed_while_held(self):
        command = f"'{self.monitor}' marks=fd3 play=stay"
        process = self.start("--kernel", self.kernel, "--accel", "tcg", "--vmm-cmd", command, "--hold", 3,
                             "--iterations", 1000)
        wait_until(lambda: len(list(self.out_dir.glob("*/iteration-004.json"))) > 0, 20, "four boots")
        process.kill()
        process.wait()


if __name__ == "__main__":
    unittest.main()
