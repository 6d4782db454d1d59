"""The collector under attack: one worker sends what no client should, and the other one's numbers stay exact,
perfwrap's memory bounded, and its exit status what it would have been.

tests/agents/hostile.py makes the attacks, tests/agents/fake_agent.py the numbers.
"""

import collections
import sys
import threading
import time
import unittest

from otlptest import AGENTS, WORK, OtlpTest, Truth, agent, received
from pwtest import SANITIZED, load_json, parse_json, proc_status

sys.path.insert(0, str(AGENTS))
import hostile  # noqa: E402

# Most of perfwrap's own memory: normally, with 1024 connections at once, with all the bodies that it may hold.
QUIET_MIB, CROWD_MIB, FLOOD_MIB = 64, 320, 700


class Watched:
    """The peak of a process's resident set, read until it ends."""

    def __init__(self, process):
        self.process, self.peak_kb = process, 0
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()

    def _watch(self):
        while self.process.poll() is None:
            self.peak_kb = max(self.peak_kb, proc_status(self.process.pid, "VmHWM") or 0)
            time.sleep(0.005)

    def peak_mib(self):
        self.thread.join()
        return self.peak_kb / 1024


class Hostile(OtlpTest):
    def attack(self, name, limit_mib, workers=2):
        """Worker 1 attacks while the others report, each three times; the document, worker 1's counts, and how
        often it was answered what."""
        begun, until, report = self.dir / "begun", self.dir / "until", self.dir / "report"
        well = " ".join(f"'{word}'" for word in agent("fake_agent", "--by-environment", *WORK))
        attack = " ".join(f"'{word}'" for word in agent(
            "hostile", name, "--begun", begun, "--until", until, "--report", report))
        script = (f'if [ "$PERFWRAP_WORKER_ID" = 1 ]; then exec {attack}; fi; '
                  f'while ! [ -e {begun} ]; do sleep 0.01; done; '
                  f'{well} && {well} && {well} && touch {until}-$PERFWRAP_WORKER_ID && '
                  f'if [ "$(ls {self.dir} | grep -c until-)" = {workers - 1} ]; then touch {until}; fi')
        process = self.start("--json", "-n", 1, "-w", 0, "-c", workers, cmd=["/bin/sh", "-c", script])
        watched = Watched(process)
        run = self.finish(process)
        self.assertEqual(0, run.status, str(run))
        document = parse_json(run.out)
        if not SANITIZED:
            self.assertLess(watched.peak_mib(), limit_mib)
            self.assertGreater(watched.peak_mib(), 1)
        attacker, *others = document["runs"][0]["worker_results"]
        for other in others:
            self.assert_well(other)
        self.assertEqual(0, document["summary"]["failed_runs_total"])
        return document, attacker["telemetry"], load_json(report)

    def assert_well(self, worker):
        """All three reports of a worker that behaves have come, and nothing else."""
        counts = worker["telemetry"]
        self.assertEqual({key: 3 * value for key, value in Truth(1).received.items()}, received(counts))
        self.assertEqual({}, counts["lost"])

    def assert_metrics(self, document, times):
        """The well-behaved workers' numbers; the attacker's requests hold none."""
        metrics = document["summary"]["otel_metrics"]
        truth = Truth(1)
        self.assertEqual(len(truth.calls) * times, metrics["codex.tool.call"]["total"])
        self.assertEqual(truth.sums["turn"] * times, metrics["codex.turn.e2e_duration_ms"]["sum"])

    def test_garbage(self):
        document, counts, statuses = self.attack("garbage", QUIET_MIB)
        self.assert_metrics(document, 3)
        self.assertEqual(set(hostile.GARBAGE), set(statuses))
        rounds = sum(statuses["undecodable: a list"].values())
        expected = {"undecodable": {"400"}, "unsupported": {"404", "405", "415"}, "stray": {"404"}}
        for label, answered in statuses.items():
            with self.subTest(label):
                self.assertEqual(rounds, sum(answered.values()))
                self.assertLessEqual(set(answered), expected[label.split(":")[0]])
        kinds = collections.Counter(label.split(":")[0] for label in hostile.GARBAGE)
        lost = {key: counts["lost"][key] for key in ("undecodable", "unsupported")}
        self.assertEqual({key: kinds[key] * rounds for key in lost}, lost)
        strays = document["summary"]["telemetry"]["strays"]
        self.assertEqual(kinds["stray"] * rounds, strays["unknown_path"])
        self.assertEqual(0, counts["received"]["payloads"])

    def test_bombs(self):
        """What would be too large is refused as soon as that is known."""
        document, counts, statuses = self.attack("bombs", FLOOD_MIB)
        self.assert_metrics(document, 3)
        rounds = sum(statuses["gzip"].values())
        self.assertEqual({"413": rounds}, statuses["gzip"])
        self.assertEqual({"413": rounds}, statuses["length"])
        self.assertLessEqual(set(statuses["chunks"]), {"413", "none"})
        self.assertEqual({"too_large": 3 * rounds}, counts["lost"])

    def test_liars(self):
        document, counts, _ = self.attack("liars", QUIET_MIB)
        self.assert_metrics(document, 3)
        self.assertEqual({"cut_off"}, set(counts["lost"]))
        self.assertEqual(0, counts["lost"]["cut_off"] % 5)
        self.assertEqual(0, counts["received"]["payloads"])

    def test_slow(self):
        """Neither the other worker nor the end of the run waits for requests that do not end."""
        document, counts, _ = self.attack("slow", QUIET_MIB)
        self.assert_metrics(document, 3)
        self.assertEqual({"cut_off": 2}, counts["lost"])
        self.assertLess(document["runs"][0]["duration_ms"], 20_000 * (10 if SANITIZED else 1))

    def test_300_connections(self):
        document, counts, statuses = self.attack("connections", CROWD_MIB)
        self.assert_metrics(document, 3)
        self.assertEqual({"fine": {"200": 300}}, statuses)
        self.assertEqual(300, counts["received"]["payloads"])
        self.assertEqual({}, counts["lost"])

    def test_a_crowd_of_connections(self):
        """More than the collector holds: the others still find room."""
        document, _, _ = self.attack("crowd", CROWD_MIB, workers=4)
        self.assert_metrics(document, 9)

    def test_flood(self):
        """Bodies of 60 MB from four connections at once."""
        document, counts, statuses = self.attack("flood", FLOOD_MIB)
        self.assert_metrics(document, 3)
        answered = statuses["flood"]
        self.assertLessEqual(set(answered), {"200", "503"})
        self.assertEqual(0, sum(answered.values()) % 20)
        self.assertEqual(answered.get("200", 0), counts["received"]["payloads"])
        self.assertEqual(answered.get("503", 0), counts["lost"].get("busy", 0))
        self.assertGreater(answered.get("200", 0), 0)


if __name__ == "__main__":
    unittest.main()
