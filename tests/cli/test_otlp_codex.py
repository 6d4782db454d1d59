"""The collector against a real agent: codex, with a mock of its model that asks for tool calls.

How long things take is not tested here, only that what codex reports arrives whole, at the right worker.
"""

import re
import sys
import unittest

from otlptest import AGENTS, NODE, NPM_DIR, TOOLS_DIR, OtlpTest, by_name, losses

sys.path.insert(0, str(AGENTS))
import real_codex  # noqa: E402

MISSING = real_codex.why_not(NPM_DIR, TOOLS_DIR)
# Contract, section 6; none of the names of codex 0.169 would be in the family stream, so --agent codex adds what
# it calls its times to first token and first message, and between events.
FAMILIES = {
    "turn": r"turn.*(duration|latency)|codex\.turn",
    "action": r"(tool|exec_command|apply_patch|search|agent).*(duration|latency)|codex\.tool",
    "stream": r"(stream|first_token|first_event|ttfb|chunk).*(duration|latency|ms)"
              r"|codex\.(turn\.ttf[tm]|sse_event)\.duration",
}


@unittest.skipIf(MISSING, MISSING)
class Codex(OtlpTest):
    def measure(self, *options, turns=1, command=None, **kwargs):
        with real_codex.Model(TOOLS_DIR, turns=turns) as model:
            home = self.dir / f"home-{model.port}"
            real_codex.make_home(home, TOOLS_DIR, model.port)
            command = command or [str(real_codex.find(NPM_DIR))]
            return self.run_json("--agent", "codex", *options, cmd=[*command, *real_codex.COMMAND],
                                 env=self.env(CODEX_HOME=home, HOME=self.dir), **kwargs)

    def assert_families(self, document, patterns):
        """Each family holds the metrics that its pattern finds, and all their points."""
        summary, iterations = document["summary"], len(document["runs"])
        metrics = summary["otel_metrics"]
        for family, pattern in patterns.items():
            names = [name for name in metrics if re.search(pattern, name, re.IGNORECASE)]
            points = sum(metrics[name]["points"] for name in names)
            block = summary["otel_turn_action_stream"]
            self.assertEqual(points, block[f"{family}_metric_points"]["total"], family)
            value_sum = sum(metrics[name].get("total", metrics[name].get("sum")) for name in names)
            self.assert_close(value_sum / iterations, block[f"{family}_metric_value_sum"]["mean"])

    def test_three_at_once(self):
        document = self.measure("-c", 3, "-n", 3)
        summary = document["summary"]
        self.assertEqual((9, 0), (summary["successful_runs_total"], summary["failed_runs_total"]))
        self.assert_nothing_lost(document)
        self.assert_adds_up(document)
        self.assert_families(document, FAMILIES)
        for family in FAMILIES:
            for number in ("points", "value_sum"):
                block = summary["otel_turn_action_stream"][f"{family}_metric_{number}"]
                self.assertGreater(block["mean"], 0, family)
        self.assert_each_worker(document)
        self.assert_work(document, agents=9, tool_calls=9)

    def assert_each_worker(self, document):
        """Every one reported all signals, as much as the others, and into its own trace."""
        workers = [worker for run in document["runs"] for worker in run["worker_results"]]
        for worker in workers:
            counts = worker["telemetry"]
            for signal in ("metrics", "traces", "logs"):
                self.assertGreater(counts["received"][signal], 0, signal)
            self.assertGreater(counts["joined_spans"], 0)
            for family in FAMILIES:
                self.assertGreater(counts["points"][family], 0, family)
        sizes = [worker["telemetry"]["received"]["datapoints"] for worker in workers]
        self.assertLess(max(sizes), 1.5 * min(sizes))

    def assert_work(self, document, agents, tool_calls):
        """What the mock made the agents do."""
        metrics = document["summary"]["otel_metrics"]
        action = by_name(document["summary"]["otel_actions"])["exec_command"]
        self.assertEqual(("log", tool_calls, 0),
                         tuple(action[key] for key in ("source", "count", "failures")))
        self.assertGreater(action["median_ms"], 0)
        self.assertEqual(tool_calls, metrics["codex.tool.call"]["total"])
        self.assertEqual(tool_calls, metrics["codex.tool.call.duration_ms"]["count"])
        self.assertEqual(agents, metrics["codex.turn.e2e_duration_ms"]["count"])
        self.assertEqual(agents + tool_calls, metrics["codex.api_request"]["total"])
        spans = by_name(document["summary"]["otel_spans"])
        self.assertEqual(agents, spans["codex.exec"]["count"])
        self.assertEqual(agents + tool_calls, spans["run_sampling_request"]["count"])
        longest = max(worker["duration_ms"] for run in document["runs"]
                      for worker in run["worker_results"])
        self.assertLess(metrics["codex.turn.e2e_duration_ms"]["max"], longest)
        self.assertLess(spans["codex.exec"]["max_ms"], longest)

    def test_more_tool_calls(self):
        pattern = r"codex\.turn\.ttft\."
        document = self.measure("-n", 2, "--stream-pattern", pattern, turns=2)
        self.assert_nothing_lost(document)
        self.assert_families(document, {**FAMILIES, "stream": pattern})
        self.assert_work(document, agents=2, tool_calls=4)

    def test_where_its_time_went(self):
        """By the kernel's account, where that is allowed: the parts are its duration, and its model is a remote."""
        document = self.measure("--accounting", "ebpf", "-n", 1)
        if document["accounting"]["used"] != "ebpf":
            self.skipTest("no eBPF here")
        worker, = document["runs"][0]["worker_results"]
        parts = [worker[f"kernel_wall_{part}_ms"] for part in
                 ("spawn", "on_cpu", "runq", "io", "blocked", "exit_tail")]
        self.assertAlmostEqual(worker["duration_ms"], sum(parts), delta=0.02 * worker["duration_ms"])
        self.assertGreater(worker["kernel_threads"], 5)
        self.assertGreaterEqual(sum(one["connects"] for one in worker["kernel"]["tcp_remotes"]), 2)

    @unittest.skipIf(NODE is None, "node is not installed")
    def test_its_launcher(self):
        """As npm installs it, codex is a script for node that starts the program."""
        script = NPM_DIR / "codex" / "node_modules" / "@openai" / "codex" / "bin" / "codex.js"
        document = self.measure("-n", 1, command=[NODE, str(script)])
        self.assert_nothing_lost(document)
        self.assert_work(document, agents=1, tool_calls=1)

    def test_cumulative(self):
        """In cumulative temporality it sends its last state twice: nothing counts double."""
        document = self.measure(
            "-n", 1, "--otel-env", "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=cumulative")
        self.assertEqual({}, losses(document["summary"]["telemetry"]))
        self.assert_work(document, agents=1, tool_calls=1)

    def test_short_intervals(self):
        """Many small exports while it works come to the same."""
        document = self.measure("-n", 1, "--otel-env", "OTEL_METRIC_EXPORT_INTERVAL=50", turns=3)
        self.assert_nothing_lost(document)
        self.assertGreater(document["summary"]["telemetry"]["received"]["metrics"], 2)
        self.assert_work(document, agents=1, tool_calls=3)

    def test_off(self):
        document = self.measure("-n", 1, "--otlp", "off")
        self.assertEqual(1, document["summary"]["successful_runs_total"])
        self.assertFalse(document["summary"].get("otel_metrics"))


if __name__ == "__main__":
    unittest.main()
