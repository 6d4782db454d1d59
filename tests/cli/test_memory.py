"""--vmmap-snapshots: what a worker's memory consisted of at its peak, held against what was mapped."""

import unittest

from pwtest import SLOWER, PerfwrapTest, target

HELD_MS = 700 * SLOWER
MAPPED = {"anon_mb": 64, "shmem_mb": 32, "file_mb": 16}
IMAGES_MB = 2  # most that the two processes have besides


SNAPSHOTS = ("--vmmap-snapshots", "--probe-budget-pct", 25)


class MemoryAtPeak(PerfwrapTest):
    def measure(self, *cmd, options=SNAPSHOTS):
        run = self.run_pw("-n", 1, "-w", 0, *options, cmd=cmd)
        worker, = run.workers()
        return worker

    def held(self, options=SNAPSHOTS):
        self.file = self.dir / "pages"
        self.file.write_bytes(b"\3" * (16 << 20))
        return self.measure(target("map_memory"), self.file, HELD_MS, options=options)

    def test_sums_and_mappings(self):
        worker = self.held()
        memory = worker["memory_at_peak"]
        self.assertEqual(2, memory["processes"])
        self.assertFalse(memory["partial"])
        for key, mib in MAPPED.items():
            # One percent, and the images; it may be taken 2 % of the footprint before the very peak.
            self.assertGreaterEqual(memory[key], 0.99 * mib - (2 if key == "anon_mb" else 0), memory)
            self.assertLessEqual(memory[key], 1.01 * mib + IMAGES_MB, memory)
        self.assertAlmostEqual(memory["pss_mb"], sum(memory[key] for key in MAPPED), delta=0.1)
        self.assertGreater(memory["rss_mb"], 0.98 * (64 + 2 * 32 + 2 * 16))
        self.assertAlmostEqual(memory["footprint_mb"], memory["anon_mb"] + memory["shmem_mb"] + memory["swap_mb"],
                               delta=0.01)
        self.assertGreaterEqual(memory["peak_footprint_mb"], memory["footprint_mb"])
        self.assertLessEqual(memory["footprint_mb"], 1.03 * max(memory["footprint_mb"],
                             worker["vmmap_end_physical_footprint_mb"]))
        self.assertTrue(0 < memory["at_ms"] <= worker["duration_ms"], memory)
        self.assertLessEqual(memory["pss_mb"], worker["sampled_peak_tree_pss_mb"] + 0.001)
        mappings = memory["mappings"]
        self.assertTrue(3 <= len(mappings) <= 10)
        self.assertGreaterEqual(memory["mapping_names"], len(mappings))
        by_size = sorted((one["pss_mb"] for one in mappings), reverse=True)
        self.assertEqual(by_size, [one["pss_mb"] for one in mappings])
        self.assertIn(mappings[0]["name"], ("[anon]", "[anon:pw pool]"))
        self.assertEqual(["memfd:pw-frames", str(self.file)], [one["name"] for one in mappings[1:3]])
        for one, mib, processes in zip(mappings, MAPPED.values(), (None, 2, 2)):
            self.assertIn(processes, (None, one["processes"]), one)
            self.assertAlmostEqual(one["pss_mb"], mib, delta=0.01 * mib + (IMAGES_MB if mib == 64 else 0))

    def test_only_where_it_is_asked_for(self):
        self.assertNotIn("memory_at_peak", self.held(options=("--pss",)))

    def test_the_peak_not_the_end(self):
        """A child with 64 MiB, and after it nothing for as long."""
        script = '"$1" 64 "$2"; exec sleep "$3"'
        memory = self.measure("/bin/sh", "-c", script, "sh", target("hold_memory"), HELD_MS,
                              HELD_MS / 1000)["memory_at_peak"]
        self.assertEqual(2, memory["processes"])
        self.assertGreaterEqual(memory["anon_mb"], 0.98 * 64)


if __name__ == "__main__":
    unittest.main()
