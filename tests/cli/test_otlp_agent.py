"""Agents that report about themselves: how they are told where to, and what becomes of their numbers.

tests/agents/fake_agent.py sends made-up numbers, which its head lists; so all sums here are exact.
"""

import os
import unittest

from otlptest import WORK, Listener, OtlpTest, Truth, agent, by_name, losses, received
from pwtest import load_json, parse_json, wait_until

CONFIG = """\
model = "mock"  # and # more
notify = ["a", "[otel]"]

[otel]
environment = "elsewhere"
exporter = { otlp-http = { endpoint = "http://127.0.0.1:9/v1/logs", protocol = "binary" } }

[otel.span_attributes]
a = "b"

[model_providers.mock]
name = "mock"
otel = "stays"
"""
KEPT = {"model": "mock", "notify": ["a", "[otel]"],
        "model_providers": {"mock": {"name": "mock", "otel": "stays"}}}


class FakeAgent(OtlpTest):
    def setUp(self):
        super().setUp()
        self.home = self.dir / "home"
        self.home.mkdir()
        (self.home / "config.toml").write_text(CONFIG)
        self.shown = self.dir / "shown"
        self.shown.mkdir()

    def env(self, **extra):
        return super().env(**{"CODEX_HOME": self.home, "FOLDER": self.shown, **extra})

    def showing(self, *command):
        """The command, which also writes what it was given to a file for shows()."""
        name = '"$FOLDER/$PERFWRAP_ITERATION-$PERFWRAP_WORKER_ID"'
        return ["/bin/sh", "-c", f'exec "$@" --show {name}', "sh", *command]

    def shows(self):
        return {path.name: load_json(path) for path in sorted(self.shown.iterdir())}

    def assert_truth(self, document, truth=None, iterations=1, joined=True):
        """`truth` is of all workers together, and each iteration has the same number of these."""
        truth = truth or Truth(1)
        summary = document["summary"]
        expected = {key: value * truth.workers for key, value in truth.received.items()}
        self.assertEqual(expected, received(summary["telemetry"]))
        self.assertEqual(expected["spans"] if joined else 0, summary["telemetry"]["joined_spans"])
        self.assert_adds_up(document)
        self.assert_nothing_lost(document)
        for run in document["runs"]:
            for worker in run["worker_results"]:
                self.assertEqual(truth.received, received(worker["telemetry"]))
                self.assertEqual(truth.points, worker["telemetry"]["points"])
        for family, value_sum in truth.sums.items():
            points = summary["otel_turn_action_stream"][f"{family}_metric_points"]
            sums = summary["otel_turn_action_stream"][f"{family}_metric_value_sum"]
            self.assertEqual(truth.points[family] * truth.workers, points["total"])
            self.assert_close(truth.points[family] * truth.workers / iterations, points["mean"])
            self.assert_close(value_sum * truth.workers / iterations, sums["mean"], family)
        self.assertEqual({"codex.queue.cancelled": truth.turns * truth.workers},
                         summary["queue_cancel_metrics"])
        self.assert_metrics(summary["otel_metrics"], truth)
        self.assert_actions(by_name(summary["otel_actions"]), truth)
        self.assert_spans(by_name(summary["otel_spans"]), truth)

    def assert_metrics(self, metrics, truth):
        times, calls = truth.workers, len(truth.calls)
        self.assertEqual(calls * times, metrics["codex.tool.call"]["total"])
        turns = metrics["codex.turn.e2e_duration_ms"]
        self.assertEqual((truth.turns * times, truth.sums["turn"] * times, 100, 100 * truth.turns),
                         tuple(turns[key] for key in ("count", "sum", "min", "max")))
        durations = metrics["codex.tool.call.duration_ms"]
        self.assertEqual((calls * times, (truth.sums["action"] - calls) * times),
                         (durations["count"], durations["sum"]))
        sets = {(one["attributes"]["tool"], one["attributes"]["success"]): one["total"]
                for one in metrics["codex.tool.call"]["sets"]}
        expected = {}
        for n, ok in truth.calls:
            key = ("exec_command" if n % 2 else "apply_patch", str(ok).lower())
            expected[key] = expected.get(key, 0) + times
        self.assertEqual(expected, sets)

    def assert_actions(self, actions, truth):
        self.assertEqual({"exec_command", "apply_patch"}, set(actions))
        for name, odd in (("exec_command", 1), ("apply_patch", 0)):
            durations, failures = truth.action(odd)
            one = actions[name]
            self.assertEqual(("log", ["histogram"], len(durations), failures, sum(durations)),
                             tuple(one[key] for key in
                                   ("source", "also", "count", "failures", "total_ms")))
            middle = sorted(durations)
            median = (middle[(len(middle) - 1) // 2] + middle[len(middle) // 2]) / 2
            self.assertEqual((median, min(durations), max(durations)),
                             tuple(one[key] for key in ("median_ms", "min_ms", "max_ms")))

    def assert_spans(self, spans, truth):
        times, calls = truth.workers, len(truth.calls)
        failed = sum(not ok for _, ok in truth.calls)
        expected = {"codex.exec": (1, 0, 100, 100 - 20 * truth.turns),
                    "turn": (truth.turns, 0, 20 * truth.turns, 20 * truth.turns - 2 * calls),
                    "tool_call": (calls, failed, 2 * calls, 2 * calls)}
        self.assertEqual(set(expected), set(spans))
        for name, (count, errors, total_ms, self_ms) in expected.items():
            self.assertEqual((count * times, errors * times),
                             (spans[name]["count"], spans[name]["errors"]), name)
            self.assert_close(total_ms * times, spans[name]["total_ms"], name)
            self.assert_close(self_ms * times, spans[name]["self_ms"], name)


class Codex(FakeAgent):
    """--agent codex: a home of its own for each worker."""

    def test_workers_and_iterations(self):
        document = self.run_json("--agent", "codex", "-c", 3, "-n", 2,
                                 cmd=self.showing(*agent("fake_agent", *WORK)))
        self.assert_truth(document, Truth(6), iterations=2)
        shows = self.shows()
        self.assertEqual(6, len(shows))
        for show in shows.values():
            environment, config = show["environment"], show["config"]
            self.assertEqual(KEPT, {key: value for key, value in config.items() if key != "otel"})
            self.assertNotIn("span_attributes", config["otel"])
            self.assertTrue(environment["CODEX_HOME"].startswith(environment["PERFWRAP_WORKER_DIR"]))
            self.assertFalse(os.path.exists(environment["CODEX_HOME"]))
        urls = {show["config"]["otel"]["metrics_exporter"]["otlp-http"]["endpoint"]
                for show in shows.values()}
        self.assertEqual(6, len(urls))
        self.assertEqual(CONFIG, (self.home / "config.toml").read_text())

    def test_warm_up_does_not_count(self):
        run = self.run_pw("--json", "--agent", "codex", "-w", 2, "-n", 2, cmd=agent("fake_agent", *WORK))
        self.assert_truth(parse_json(run.out), Truth(2), iterations=2)

    def test_the_login_is_copied_for_the_worker_only(self):
        (self.home / "auth.json").write_text('{"token": "very-secret"}')
        (self.home / "history.jsonl").write_text("private")
        run = self.run_pw("--agent", "codex", "-n", 1, "-w", 0,
                          cmd=self.showing(*agent("fake_agent", *WORK)))
        show, = self.shows().values()
        self.assertEqual({"config.toml": "0o600", "auth.json": "0o600"}, show["files"])
        for path in run.run_dir.iterdir():
            self.assertNotIn("very-secret", path.read_text(), path)
        self.assertNotIn("very-secret", run.out + run.err)

    def test_the_login_is_gone_when_the_worker_has_ended(self):
        """Also while processes of the worker live on."""
        (self.home / "auth.json").write_text("{}")
        go, done = self.dir / "go", self.dir / "done"
        check = f'! test -e "$(cat {self.dir}/home-of-worker)/auth.json"'
        self.run_json(
            "--agent", "codex", "-n", 1, "--keep-orphans",
            "--conclude", f"{check} && touch {go} && while ! test -e {done}; do sleep 0.01; done",
            cmd=["/bin/sh", "-c", f'echo "$CODEX_HOME" >{self.dir}/home-of-worker; '
                 'test -e "$CODEX_HOME"/auth.json && exec "$@"', "sh",
                 *agent("fake_agent", "--linger", "late", "--go", go, "--done", done)])

    def test_a_config_of_its_own(self):
        path = self.dir / "other.toml"
        path.write_text('model = "other"\notel.environment = "elsewhere"\n'
                        'label = "{worker_id}"\n[table]\nkey = "{unknown}"\n')
        document = self.run_json("--agent", "codex", "--agent-config", path, "-n", 1,
                                 cmd=self.showing(*agent("fake_agent", *WORK)))
        self.assert_truth(document)
        show, = self.shows().values()
        config = show["config"]
        self.assertEqual(("other", "1", {"key": "{unknown}"}),
                         (config["model"], config["label"], config["table"]))
        self.assertNotEqual("elsewhere", config["otel"].get("environment"))

    def test_without_any_config(self):
        (self.home / "config.toml").unlink()
        self.assert_truth(self.run_json("--agent", "codex", "-n", 1, cmd=agent("fake_agent", *WORK)))

    def test_a_config_with_faults(self):
        for text in ('a = "not closed\n', "[otel\n"):
            (self.home / "config.toml").write_text(text)
            run = self.run_pw("--agent", "codex", "-n", 1, cmd=["/bin/true"], expect=2)
            self.assertIn("config.toml", run.err)
            self.assertIn("1", run.err)

    def test_bad_options(self):
        for options, words in ((("--agent", "unknown"), "codex"),
                               (("--agent", "codex", "--agent-config", self.dir / "none"), "none")):
            run = self.run_pw(*options, "-n", 1, cmd=["/bin/true"], expect=2)
            self.assertIn(words, run.err)
            self.assertFalse(self.out_dir.exists())

    def test_a_failing_agent(self):
        """It counts as failed, and what it reported counts too."""
        document = self.run_json("--agent", "codex", "-n", 2, expect=1,
                                 cmd=agent("fake_agent", *WORK, "--exit", 3))
        self.assert_truth(document, Truth(2), iterations=2)
        self.assertEqual(2, document["summary"]["failed_runs_total"])

    def test_off(self):
        """Its home is private all the same; its [otel] is left as it is."""
        document = self.run_json("--agent", "codex", "--otlp", "off", "-n", 1,
                                 cmd=self.showing(*agent("fake_agent", "--by-environment", *WORK)))
        show, = self.shows().values()
        self.assertEqual("elsewhere", show["config"]["otel"]["environment"])
        self.assert_no_telemetry(document)

    def assert_no_telemetry(self, document):
        summary = document["summary"]
        for family in ("turn", "action", "stream"):
            self.assertIsNone(summary["otel_turn_action_stream"][f"{family}_metric_points"]["mean"])
        for key in ("telemetry", "otel_metrics", "otel_actions", "otel_spans"):
            self.assertFalse(summary.get(key), key)


class Environment(FakeAgent):
    """Programs that read the variables of OpenTelemetry, and others that are told otherwise."""

    def test_variables(self):
        inherited = {"OTEL_RESOURCE_ATTRIBUTES": "team=blue,stage=a%2Cb", "NO_PROXY": "example.org",
                     "OTEL_EXPORTER_OTLP_HEADERS": "authorization=mine",
                     "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip", "OTEL_LOGS_EXPORTER": "none",
                     "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta"}
        document = self.run_json("-n", 1, env=self.env(**inherited),
                                 cmd=self.showing(*agent("fake_agent", "--by-environment", *WORK)))
        self.assert_truth(document)
        show, = self.shows().values()
        environment = show["environment"]
        base = environment["OTEL_EXPORTER_OTLP_ENDPOINT"]
        self.assertRegex(base, r"^http://127\.0\.0\.1:[0-9]+/.*[0-9a-f]{32}")
        expected = {f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT": f"{base}/v1/{signal}"
                    for signal in ("metrics", "traces", "logs")}
        expected |= {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_METRICS_EXPORTER": "otlp",
                     "OTEL_TRACES_EXPORTER": "otlp", "OTEL_LOGS_EXPORTER": "none",
                     "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta"}
        self.assertEqual(expected, {key: environment.get(key) for key in expected})
        for name in ("HEADERS", "COMPRESSION"):
            self.assertNotIn(f"OTEL_EXPORTER_OTLP_{name}", environment)
        resource = environment["OTEL_RESOURCE_ATTRIBUTES"].split(",")
        self.assertEqual(["team=blue", "stage=a%2Cb"], resource[:2])
        self.assertIn("perfwrap.iteration=1", resource)
        self.assertIn("perfwrap.worker=1", resource)
        for name in ("NO_PROXY", "no_proxy"):
            self.assertIn("127.0.0.1", environment[name].split(","))
        self.assertIn("example.org", environment["NO_PROXY"].split(","))
        worker, = document["runs"][0]["worker_results"]
        self.assertRegex(environment["TRACEPARENT"], f"^00-{worker['trace_id']}-[0-9a-f]{{16}}-01$")

    def test_hooks_are_not_told(self):
        seen = self.dir / "seen"
        self.run_json("-n", 1, "--prepare", f"env > {seen}", cmd=["/bin/true"])
        self.assertNotIn("OTEL_EXPORTER_OTLP_ENDPOINT", seen.read_text())

    def test_off(self):
        ours = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_RESOURCE_ATTRIBUTES": "a=b"}
        document = self.run_json("-n", 1, "--otlp", "off", env=self.env(**ours),
                                 cmd=self.showing(*agent("fake_agent", "--base-variable", "NONE")))
        show, = self.shows().values()
        environment = show["environment"]
        self.assertEqual(ours, {key: value for key, value in environment.items()
                                if key.startswith(("OTEL_", "TRACEPARENT"))})
        self.assertIsNone(document["summary"]["otel_turn_action_stream"]["turn_metric_points"]["mean"])

    def test_another_collector(self):
        with Listener() as other:
            document = self.run_json("-n", 2, "--otlp", other.url + "/base/", cmd=self.showing(
                *agent("fake_agent", "--by-environment", *WORK)))
        truth = Truth(2)
        paths = [path for path, _, _ in other.requests]
        self.assertEqual({"/base/v1/metrics": 2 * truth.received["metrics"], "/base/v1/traces": 2,
                          "/base/v1/logs": 2}, {path: paths.count(path) for path in paths})
        for show in self.shows().values():
            self.assertIn("perfwrap.run.id=", show["environment"]["OTEL_RESOURCE_ATTRIBUTES"])
        self.assertIsNone(document["summary"]["otel_turn_action_stream"]["turn_metric_points"]["mean"])

    def test_an_agent_is_pointed_at_another_collector(self):
        with Listener() as other:
            self.run_json("-n", 1, "--agent", "codex", "--otlp", other.url,
                          cmd=agent("fake_agent", *WORK))
        self.assertEqual(Truth(1).received["payloads"], len(other.requests))

    def test_bad_collectors(self):
        for text in ("on", "ftp://127.0.0.1", "http://", ""):
            run = self.run_pw("--otlp", text, "-n", 1, cmd=["/bin/true"], expect=2)
            self.assertIn("--otlp", run.err)

    def test_otel_env(self):
        document = self.run_json("-n", 1, "--otel-env", "OTEL_BSP_SCHEDULE_DELAY=77",
                                 "--otel-env", "OTEL_SERVICE_NAME=a=b",
                                 cmd=self.showing(*agent("fake_agent", "--by-environment", *WORK)))
        self.assert_truth(document)
        show, = self.shows().values()
        self.assertEqual("77", show["environment"]["OTEL_BSP_SCHEDULE_DELAY"])
        self.assertEqual("a=b", show["environment"]["OTEL_SERVICE_NAME"])

    def test_worker_env(self):
        """Placeholders; and the values, which may be secret, are in no file of the run."""
        facts = "{worker_id} {iteration} {run_dir} {traceparent} {metrics_endpoint} {other} {"
        run = self.run_pw("-w", 0, "-n", 2, "-c", 2, "--worker-env", "BASE={endpoint}",
                          "--worker-env", f"FACTS={facts}", "--worker-env", "TOKEN=very-secret",
                          cmd=self.showing(*agent("fake_agent", "--base-variable", "BASE", *WORK)))
        self.assert_truth(run.summary, Truth(4), iterations=2)
        self.assertEqual(4, len(self.shows()))
        for name, show in self.shows().items():
            environment = show["environment"]
            iteration, worker = name.split("-")
            self.assertEqual(f"{worker} {iteration} {run.run_dir} {environment['TRACEPARENT']} "
                             f"{environment['BASE']}/v1/metrics {{other}} {{", environment["FACTS"])
            self.assertEqual("very-secret", environment["TOKEN"])
        for path in run.run_dir.iterdir():
            self.assertNotIn("very-secret", path.read_text(), path)
        self.assertNotIn("very-secret", run.out + run.err)

    def test_worker_file(self):
        template = self.dir / "agent.in"
        template.write_text('[otel]\nmetrics_exporter = { otlp-http = { endpoint = "{metrics_endpoint}" } }\n'
                            'exporter = { otlp-http = { endpoint = "{logs_endpoint}" } }\n'
                            'trace_exporter = { otlp-http = { endpoint = "{traces_endpoint}" } }\n')
        command = agent("fake_agent", *WORK)
        document = self.run_json(
            "-n", 2, "-c", 2, "--worker-file", f"{template}=conf.d/agent-{{worker_id}}.toml",
            "--worker-env", "AGENT_CONFIG={worker_dir}/conf.d/agent-{worker_id}.toml",
            cmd=["/bin/sh", "-c", 'exec "$@" --config "$AGENT_CONFIG"', "sh", *command])
        self.assert_truth(document, Truth(4), iterations=2)

    def test_bad_worker_files(self):
        template = self.dir / "template"
        template.write_text("")
        for text in (f"{template}", f"{template}=../up", f"{template}=/abs", f"{template}=a/../../b",
                     f"{self.dir}/none=a"):
            run = self.run_pw("--worker-file", text, "-n", 1, cmd=["/bin/true"], expect=2)
            self.assertIn("--worker-file", run.err)
            self.assertFalse(self.out_dir.exists(), text)
        run = self.run_pw("--worker-env", "1=2", "-n", 1, cmd=["/bin/true"], expect=2)
        self.assertIn("--worker-env", run.err)

    def test_beyond_this_machine_a_token_is_demanded(self):
        command = agent("fake_agent", "--by-environment", *WORK)
        document = self.run_json("-n", 1, "--collector-listen", "127.0.0.1", cmd=command)
        self.assert_truth(document)
        document = self.run_json("-n", 1, "--collector-listen", "127.0.0.1", expect=1, cmd=[
            "/bin/sh", "-c", 'unset OTEL_EXPORTER_OTLP_HEADERS; exec "$@"', "sh", *command])
        self.assertEqual(0, document["summary"]["otel_payloads_total"])
        self.assertIn("401", document["runs"][0]["stderr_tail"])


class AfterTheEnd(FakeAgent):
    """What is sent when the worker's main process has ended."""

    def setUp(self):
        super().setUp()
        self.go, self.done = self.dir / "go", self.dir / "done"

    def linger(self, kind, *args):
        return agent("fake_agent", *WORK, "--by-environment", "--linger", kind, "--go", self.go,
                     "--done", self.done, *args)

    def reply(self):
        """What the sender that was left behind was answered."""
        return wait_until(lambda: self.done.exists() and self.done.read_text(), 20, "its reply")

    def test_late(self):
        """It is answered, and counted as late; not in the numbers of any iteration."""
        wait = f"touch {self.go}; while ! test -e {self.done}; do sleep 0.01; done"
        document = self.run_json("-n", 1, "--keep-orphans", "--conclude", wait, cmd=self.linger("late"))
        self.assertEqual("200", self.reply())
        self.assertEqual({"late": 1}, losses(document["summary"]["telemetry"]))
        self.assertNotIn("late.sent", document["summary"]["otel_metrics"])
        self.assertEqual(Truth(1).received, received(document["summary"]["telemetry"]))

    def test_late_into_another_iteration(self):
        """What the first iteration's process sends during the second does not count for the second."""
        script = ('if [ "$PERFWRAP_ITERATION" = 1 ]; then exec "$@"; fi; '
                  f'touch {self.go}; while ! test -e {self.done}; do sleep 0.01; done')
        document = self.run_json("-n", 2, "--keep-orphans",
                                 cmd=["/bin/sh", "-c", script, "sh", *self.linger("late")])
        self.assertEqual("200", self.reply())
        self.assertEqual(1, document["summary"]["telemetry"]["late"])
        self.assertEqual(0, document["runs"][1]["telemetry"]["received"]["payloads"])
        self.assertNotIn("late.sent", document["summary"]["otel_metrics"])

    def test_in_flight(self):
        """A request that is being received when the main process ends is waited for and counts."""
        document = self.run_json("-n", 1, "--keep-orphans", cmd=self.linger("slow", "--slow-ms", 250))
        self.assertEqual("200", self.reply())
        self.assert_nothing_lost(document)
        self.assertEqual(1, document["summary"]["otel_metrics"]["slow.sent"]["total"])
        self.assertEqual(Truth(1).received["payloads"] + 1, document["summary"]["otel_payloads_total"])
        self.assertLess(document["runs"][0]["duration_ms"], 10_000)

    def test_in_flight_while_the_tree_is_ended(self):
        """Likewise without --keep-orphans, if the sender finishes before it is killed."""
        document = self.run_json("-n", 1, cmd=self.linger("slow", "--slow-ms", 250))
        self.assert_nothing_lost(document)
        self.assertEqual(1, document["summary"]["otel_metrics"]["slow.sent"]["total"])

    def test_killed_in_flight(self):
        document = self.run_json("-n", 1, "--kill-grace-ms", 0,
                                 cmd=self.linger("slow", "--slow-ms", 20000))
        self.assertEqual({"cut_off": 1}, losses(document["summary"]["telemetry"]))
        self.assertEqual(Truth(1).received, received(document["summary"]["telemetry"]))

    def test_too_slow(self):
        """After two seconds it is cut off, and the run goes on."""
        document = self.run_json("-n", 1, "--keep-orphans", cmd=self.linger("slow", "--slow-ms", 10000))
        self.assertEqual({"cut_off": 1}, losses(document["summary"]["telemetry"]))
        self.assertNotIn("slow.sent", document["summary"]["otel_metrics"])
        self.kill_marked()

    def test_silent_in_flight(self):
        """A sender that stops in the middle is not waited for that long, with whatever wait is asked for."""
        for wait_ms in (0, 50):
            document = self.run_json("-n", 1, "--keep-orphans", "--otel-flush-wait-ms", wait_ms,
                                     cmd=self.linger("slow", "--slow-ms", 3_600_000))
            self.assertEqual({"cut_off": 1}, losses(document["summary"]["telemetry"]))
            self.kill_marked()

    def test_no_wait(self):
        """--otel-flush-wait-ms 0 is about silent connections: what is being received is waited for."""
        document = self.run_json("-n", 1, "--keep-orphans", "--otel-flush-wait-ms", 0,
                                 cmd=self.linger("slow", "--slow-ms", 250))
        self.assert_nothing_lost(document)
        self.assertEqual(1, document["summary"]["otel_metrics"]["slow.sent"]["total"])


if __name__ == "__main__":
    unittest.main()
