"""perfwrap boot: what holds only while nothing else runs on the machine."""

import statistics
import unittest

from boottest import ImageTest, MachineTest, release_only


@release_only
class Timeout(MachineTest):
    def test_timeout(self):
        document = self.boot_json("--timeout", "0.4", expect=1)
        boot = document["iterations"][0]
        self.assertEqual(("timeout", 124), (boot["verdict"], boot["return_code"]))
        self.assertIn("vmm_start", boot["error"])
        self.assertLess(boot["duration_ms"], 1500)


@release_only
class TenFromOneSnapshot(ImageTest):
    def test_each_with_its_own_end(self):
        """In one run, from one state: what a machine is told, and what it answers, is its own."""
        document = self.boot_json("--start", "snapshot", "--image", f"dir:{self.root}", "--iterations", 10, "--exec",
                                  "exit $((PERFWRAP_ITERATION * 25))", expect=1)
        self.assertEqual([n * 25 for n in range(1, 11)], [boot["return_code"] for boot in document["iterations"]])
        self.assertEqual(10, document["summary"]["failures"])
        for boot in document["iterations"]:
            self.assert_phases_add_up(boot)
        self.assertLess(statistics.median(boot["duration_ms"] for boot in document["iterations"]), 400)


if __name__ == "__main__":
    unittest.main()
