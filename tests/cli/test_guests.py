"""Summaries of booted machines: what they are never compared across, and their profiles. The summaries are real
ones of a plain command, to whose environment a machine was added."""

import json
import unittest
from pathlib import Path

from pwtest import PERFWRAP, PerfwrapTest, parse_json

TCG = {"accelerator": "qemu-tcg", "guest_kernel": "6.1.0-56", "monitor": "QEMU emulator version 7.2.22",
       "boot_start": "cold", "cache_state": "host_page_cache_uncontrolled", "transparent_hugepage": "madvise", "ksm": 0,
       "hardware_virtualization": 0}
KVM = {**TCG, "accelerator": "qemu-kvm", "hardware_virtualization": 1}


class Guests(PerfwrapTest):
    def measure(self, *command):
        run = self.run_pw("-n", 5, "-w", 0, cmd=command)
        path = run.out.split("summary_json=")[1].split("\n")[0]
        return parse_json(Path(path).read_text(encoding="utf-8"))

    def write(self, name, environment, summary=None):
        document = json.loads(json.dumps(summary or self.summary()))
        document["environment"].update(environment)
        document["profile"]["name"] = "vm"
        path = self.dir / f"{name}.json"
        path.write_text(json.dumps(document, indent=2) + "\n")
        return path

    def summary(self):
        if not hasattr(self, "measured"):
            self.measured = self.measure("/bin/true")
        return self.measured

    def pw(self, *words, expect):
        return self.run_sh('"$@"', PERFWRAP, *words, expect=expect)

    def test_compare_refuses_other_machines(self):
        one = self.write("one", TCG)
        for key, value in (("accelerator", "qemu-kvm"), ("guest_kernel", "6.2"), ("monitor", "QEMU 8"),
                           ("boot_start", "snapshot"), ("transparent_hugepage", "always"), ("ksm", 1),
                           ("cache_state", "dropped")):
            other = self.write("other", {**TCG, key: value})
            run = self.pw("compare", one, other, expect=2)
            self.assertIn(f"{key} is `{TCG[key]}` in A and `{value}` in B", run.err)
            self.assertIn("--across", run.err)
            self.assertEqual("", run.out)
            run = self.pw("compare", "--across", one, other, expect=0)
            self.assertIn(f"another machine: {key}", run.out)

    def test_compare_refuses_within_a_side(self):
        one, other = self.write("one", TCG), self.write("other", KVM)
        self.assertIn("in A and", self.pw("compare", "--a", one, "--a", other, "--b", one, expect=2).err)

    def test_compare_of_the_same_machine_and_of_none(self):
        one, same = self.write("one", TCG), self.write("same", {**TCG, "ksm": None})
        self.pw("compare", one, same, expect=0)
        plain, other = self.write("plain", {"ksm": 0}), self.write("plain2", {"ksm": 1, "transparent_hugepage": "x"})
        self.pw("compare", plain, other, expect=0)

    def test_index_leaves_other_machines_out(self):
        for i in range(3):
            self.write(f"a{i}", TCG)
        self.write("b", {**TCG, "boot_start": "snapshot"})
        self.write("c", {**TCG, "guest_kernel": "5"})
        late = json.loads(json.dumps(self.summary()))
        late["generated_at"] = "2099-01-01T00:00:00Z"
        self.write("z", TCG, late)
        words = [str(self.dir / f"{name}.json") for name in ("a0", "a1", "a2", "b", "c", "z")]
        group = parse_json(self.pw("index", *words, expect=0).out)["profiles"]["vm"]
        self.assertEqual((4, 2), (group["sample_count"], group["excluded_other_environment"]))
        self.assertEqual(("cold", "6.1.0-56", "0"), tuple(group["environment"][key] for key in (
            "boot_start", "guest_kernel", "ksm")))
        self.assertEqual(6, parse_json(self.pw("index", "--mix", *words, expect=0).out)["profiles"]["vm"][
            "sample_count"])
        cache = self.dir / "cache"
        for _ in range(2):
            cached = parse_json(self.pw("index", "--cache", cache, *words, expect=0).out)["profiles"]["vm"]
            self.assertEqual((4, 2), (cached["sample_count"], cached["excluded_other_environment"]))
        # Written otherwise, as no fast way knows it.
        odd = self.dir / "odd.json"
        odd.write_text(json.dumps(dict(reversed(json.loads((self.dir / "b.json").read_text()).items()))))
        group = parse_json(self.pw("index", *words, odd, expect=0).out)["profiles"]["vm"]
        self.assertEqual((4, 3), (group["sample_count"], group["excluded_other_environment"]))

    def test_a_baseline_of_another_machine_decides_nothing(self):
        one, other = self.write("one", TCG), self.write("other", KVM)
        bound = "latency_ms p(95) <= baseline*100"
        self.pw("check", one, "--baseline", one, "--bound", bound, expect=0)
        run = self.pw("check", one, "--baseline", other, "--bound", bound, expect=1)
        self.assertIn("booted with another accelerator", run.out)

    def test_profile_of_hardware_boots(self):
        run = self.pw("check", "--profile", "boot", self.write("kvm", KVM), expect=0)
        self.assertIn("PASS: environment.hardware_virtualization=1 >= 1", run.out)
        # As fast, but emulated: no pass.
        run = self.pw("check", "--profile", "boot", self.write("tcg", TCG), expect=1)
        self.assertIn("FAIL: environment.hardware_virtualization=0 >= 1", run.out)
        # And of no machine.
        run = self.pw("check", "--profile", "boot", self.write("plain", {}), expect=1)
        self.assertIn("FAIL: environment.hardware_virtualization unavailable", run.out)
        slow = self.measure("/bin/sleep", "0.3")
        self.pw("check", "--profile", "boot", self.write("slow", KVM, slow), expect=1)
        self.pw("check", "--profile", "boot-tcg", self.write("slow", TCG, slow), expect=0)

    def test_profiles_are_carried(self):
        for name in ("boot", "boot-tcg"):
            self.assertEqual(name, parse_json(self.pw("check", "--print-profile", name, expect=0).out)["name"])


if __name__ == "__main__":
    unittest.main()
