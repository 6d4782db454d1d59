"""The collector against the OpenTelemetry SDK for JavaScript: what a program records is what the summary says.

tests/npm/sdk/record.mjs reports known values, and writes to a file what it recorded; the truth is computed
here from that file.
"""

import json
import os
import signal
import unittest
from unittest import mock

from otlptest import (NODE, NPM_DIR, OtlpTest, bucket_of, by_name, ranked, received, sum_of,
                      why_no_npm)
from pwtest import SOURCE_DIR, load_json

SCRIPT = SOURCE_DIR / "tests" / "npm" / "sdk" / "record.mjs"
MISSING = why_no_npm("sdk")
DELTA = ("--otel-env", "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=delta")
CUMULATIVE = ("--otel-env", "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=cumulative")
TURN_BOUNDS = (1, 2, 5, 10, 25, 50, 100)
SDK_BOUNDS = (0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000)
BOUNDS = {"turn.duration": TURN_BOUNDS, "first_token.latency": SDK_BOUNDS}
TYPES = {"counter": "sum", "observable_counter": "sum", "up_down": "updown_sum",
         "observable_up_down": "updown_sum", "gauge": "gauge", "observable_gauge": "gauge",
         "histogram": "histogram", "exponential": "exponential_histogram"}
FAMILIES = {"turn.duration": "turn", "tool.exec.duration": "action", "first_token.latency": "stream",
            "queue.depth": "queue"}


class Truth:
    """What the processes of a run recorded, by their own files."""

    def __init__(self, folder):
        self.records = [load_json(path) for path in sorted(folder.iterdir())]

    def names(self):
        return set(self.records[0]["metrics"])

    def metric(self, name):
        """Kind, unit, and the values of each process by attribute set."""
        metrics = [record["metrics"][name] for record in self.records]
        return metrics[0]["kind"], metrics[0]["unit"], [metric["sets"] for metric in metrics]

    def exported(self, what):
        return sum_of(record["exported"][what] for record in self.records)

    def merged(self, what):
        """`spans` or `actions` of all processes, by name: lists joined, numbers added."""
        merged = {}
        for record in self.records:
            for name, one in record[what].items():
                into = merged.setdefault(name, {})
                for key, value in one.items():
                    if isinstance(value, str):
                        into[key] = value
                    else:
                        into[key] = into.get(key, type(value)()) + value
        return merged


def total_of(kind, sets):
    """What one process added to a sum: all it added, or the newest state that was observed."""
    if kind.startswith("observable"):
        return sum(values[-1] for values in sets.values())
    return sum(sum(values) for values in sets.values())


@unittest.skipIf(MISSING, MISSING)
class Sdk(OtlpTest):
    def record(self, *script, options=(), iterations=2, expect=0, shell=None, **kwargs):
        """Measures record.mjs; the document and the truth. `shell`: a script around it, "$@"."""
        folder = self.dir / f"record-{len(list(self.dir.glob('record-*')))}"
        folder.mkdir()
        command = [NODE, str(SCRIPT), "--out", str(folder), *script]
        if shell:
            command = ["/bin/sh", "-c", shell, "sh", *command]
        document = self.run_json("-n", iterations, *options, cmd=command, expect=expect,
                                 env=self.env(PW_NPM_DIR=NPM_DIR), **kwargs)
        return document, Truth(folder)

    def assert_truth(self, document, truth):
        self.assert_nothing_lost(document)
        self.assert_adds_up(document)
        self.assert_received(document, truth)
        metrics = document["summary"]["otel_metrics"]
        self.assertEqual(truth.names(), set(metrics))
        for name in sorted(metrics):
            with self.subTest(metric=name):
                self.assert_metric(name, metrics[name], truth)
        self.assert_families(document, truth)
        self.assert_spans(document, truth)
        self.assert_actions(document, truth)

    def assert_received(self, document, truth):
        payloads = truth.exported("payloads")
        spans = sum(len(span["ms"]) for span in truth.merged("spans").values())
        self.assertEqual(
            {"payloads": sum(payloads.values()), **payloads,
             "datapoints": sum(truth.exported("points").values()), "spans": spans,
             "log_records": sum(record["log_records"] for record in truth.records)},
            received(document["summary"]["telemetry"]))

    def assert_metric(self, name, metric, truth):
        kind, unit, processes = truth.metric(name)
        self.assertEqual(TYPES[kind], metric["type"])
        self.assertEqual(unit, metric["unit"])
        self.assertNotIn("conflicting", metric)
        self.assertEqual(truth.exported("points")[name], metric["points"])
        if metric["type"] in ("sum", "updown_sum"):
            self.assertEqual(sum(total_of(kind, sets) for sets in processes), metric["total"])
        elif metric["type"] == "gauge":
            self.assert_gauge(name, metric, truth)
        else:
            values = [value for sets in processes for some in sets.values() for value in some]
            self.assert_histogram(name, metric, values, truth)
        self.assert_sets(kind, metric, processes)

    def assert_gauge(self, name, metric, truth):
        values = [value for record in truth.records for value in record["exported"]["gauges"][name]]
        newest = {record["exported"]["gauges"][name][-1] for record in truth.records}
        self.assertIn(metric["last"], newest)
        self.assertEqual(len(values), metric["count"])
        self.assertEqual((min(values), max(values)), (metric["min"], metric["max"]))
        self.assert_close(sum(values) / len(values), metric["mean"])

    def assert_histogram(self, name, metric, values, truth):
        self.assertEqual(len(values), metric["count"])
        self.assertEqual(sum(values), metric["sum"])
        self.assert_close(sum(values) / len(values), metric["mean"])
        self.assertEqual((min(values), max(values)), (metric["min"], metric["max"]))
        for percent in (50, 95, 99):
            true, estimate = ranked(values, percent / 100), metric[f"p{percent}"]
            if name in BOUNDS:
                low, high = bucket_of(true, BOUNDS[name])
            else:
                scale = min(record["exported"]["scales"][name] for record in truth.records)
                factor = 2 ** (2 ** -scale)
                low, high = true / factor, true * factor
            slack = 1e-9 * abs(true)
            self.assertLessEqual(max(low, min(values)) - slack, estimate, f"p{percent}")
            self.assertGreaterEqual(min(high, max(values)) + slack, estimate, f"p{percent}")

    def assert_sets(self, kind, metric, processes):
        """By attribute set, in whatever order the attributes were given."""
        expected = {}
        for sets in processes:
            for text, values in sets.items():
                key = json.dumps(json.loads(text), sort_keys=True)
                expected[key] = expected.get(key, 0) + total_of(kind, {text: values})
        if len(expected) == 1:
            self.assertEqual([], metric["sets"])
            return
        self.assertFalse(metric["sets_dropped"])
        number = "total" if metric["type"] == "sum" else "sum"
        self.assertEqual(expected, {json.dumps(one["attributes"], sort_keys=True): one[number]
                                    for one in metric["sets"]})

    def assert_families(self, document, truth):
        summary, iterations = document["summary"], len(document["runs"])
        for name, family in FAMILIES.items():
            self.assertEqual([family], summary["otel_metrics"][name]["families"])
            points = truth.exported("points")[name]
            if family == "queue":
                self.assertEqual({name: points}, summary["queue_cancel_metrics"])
                continue
            block = summary["otel_turn_action_stream"]
            self.assertEqual(points, block[f"{family}_metric_points"]["total"])
            self.assert_close(points / iterations, block[f"{family}_metric_points"]["mean"])
            self.assert_close(summary["otel_metrics"][name]["sum"] / iterations,
                              block[f"{family}_metric_value_sum"]["mean"])

    def assert_spans(self, document, truth):
        spans, expected = by_name(document["summary"]["otel_spans"]), truth.merged("spans")
        self.assertEqual(set(expected), set(spans))
        for name, known in expected.items():
            with self.subTest(span=name):
                self.assertEqual((len(known["ms"]), known["errors"]),
                                 (spans[name]["count"], spans[name]["errors"]))
                self.assert_close(known["self_ms"], spans[name]["self_ms"])
                self.assert_durations(known["ms"], spans[name])

    def assert_actions(self, document, truth):
        actions, expected = by_name(document["summary"]["otel_actions"]), truth.merged("actions")
        self.assertEqual(set(expected), set(actions))
        for name, known in expected.items():
            with self.subTest(action=name):
                self.assertEqual((known["source"], len(known["ms"]), known["failures"]),
                                 tuple(actions[name][key] for key in ("source", "count", "failures")))
                self.assert_durations(known["ms"], actions[name])

    def assert_durations(self, values, entry):
        middle = sorted(values)
        median = (middle[(len(middle) - 1) // 2] + middle[len(middle) // 2]) / 2
        for key, true in (("total_ms", sum(values)), ("mean_ms", sum(values) / len(values)),
                          ("median_ms", median), ("min_ms", min(values)), ("max_ms", max(values))):
            self.assert_close(true, entry[key], key)
        self.assertFalse(entry["estimated"])

    def test_temporality_from_the_environment(self):
        for encoding in ("json", "protobuf"):
            for options in (DELTA, CUMULATIVE):
                with self.subTest(encoding=encoding, options=options):
                    self.assert_truth(*self.record("--encoding", encoding, options=options))

    def test_temporality_in_the_code_of_the_program(self):
        for encoding in ("json", "protobuf"):
            for ours, theirs in (("delta", CUMULATIVE), ("cumulative", DELTA)):
                with self.subTest(encoding=encoding, temporality=ours):
                    self.assert_truth(*self.record("--encoding", encoding, "--temporality", ours,
                                                   options=theirs))

    def test_encoding_from_the_environment(self):
        """Without being asked, a program sends protobuf; and JSON if it is told to."""
        for options, encoding in (((), "http/protobuf"),
                                  (("--otel-env", "OTEL_EXPORTER_OTLP_PROTOCOL=http/json"), "http/json")):
            document, truth = self.record(options=options)
            self.assertEqual({encoding}, {record["encoding"] for record in truth.records})
            self.assert_truth(document, truth)

    def test_an_endpoint_of_before_is_not_used(self):
        """perfwrap's endpoint takes the place of what the environment had, and so do its headers."""
        with mock.patch.dict(os.environ, {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
                "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://127.0.0.1:1/v1/metrics",
                "OTEL_EXPORTER_OTLP_COMPRESSION": "unknown",
                "OTEL_EXPORTER_OTLP_HEADERS": "no header"}):
            self.assert_truth(*self.record())

    def test_gzip(self):
        for encoding in ("json", "protobuf"):
            with self.subTest(encoding=encoding):
                document, truth = self.record("--encoding", encoding, "--gzip", iterations=1)
                self.assert_truth(document, truth)
                plain, _ = self.record("--encoding", encoding, iterations=1)
                sizes = [one["summary"]["telemetry"]["received"]["bytes"] for one in (document, plain)]
                self.assertLess(sizes[0], sizes[1] / 2)  # as they came over the wire

    def test_two_processes_of_one_worker(self):
        """Both have the same resource; the second one's cumulative counters are no reset of the first's."""
        for temporality in ("cumulative", "delta"):
            with self.subTest(temporality=temporality):
                document, truth = self.record("--second", "--temporality", temporality)
                self.assertEqual(4, len(truth.records))
                self.assert_truth(document, truth)

    def test_killed_after_an_export(self):
        """What was answered counts, however the program ends."""
        for temporality in ("cumulative", "delta"):
            with self.subTest(temporality=temporality):
                document, truth = self.record("--kill", "--temporality", temporality, expect=1)
                codes = {worker["return_code"] for run in document["runs"]
                         for worker in run["worker_results"]}
                self.assertEqual({128 + signal.SIGKILL}, codes)
                self.assert_truth(document, truth)

    def test_three_workers(self):
        """Each worker's payloads are its own, also where the workers differ."""
        document, truth = self.record(options=("-c", 3),
                                      shell='exec "$@" --cycles "$PERFWRAP_WORKER_ID"')
        self.assert_truth(document, truth)
        for run in document["runs"]:
            for worker in run["worker_results"]:
                record, = [record for record in truth.records
                           if (record["iteration"], record["worker"]) ==
                           (run["iteration"], worker["worker_id"])]
                exported = record["exported"]
                counts = received(worker["telemetry"])
                self.assertEqual(exported["payloads"], {key: counts[key] for key in exported["payloads"]})
                self.assertEqual(sum(exported["points"].values()), counts["datapoints"])
                self.assertEqual(record["log_records"], counts["log_records"])

    def test_iterations_have_their_own_numbers(self):
        document, truth = self.record(shell='exec "$@" --cycles "$PERFWRAP_ITERATION"', iterations=3)
        for run in document["runs"]:
            of_iteration = [record for record in truth.records
                            if record["iteration"] == run["iteration"]]
            revenue = sum(total_of("counter", record["metrics"]["revenue"]["sets"])
                          for record in of_iteration)
            self.assertEqual(revenue, run["otel_metrics"]["revenue"]["total"])
            self.assertEqual(run["iteration"], by_name(run["otel_actions"])["pack"]["count"])

    def test_spans_join_the_trace_of_their_worker(self):
        document, truth = self.record()
        counts = document["summary"]["telemetry"]
        self.assertEqual(counts["received"]["spans"], counts["joined_spans"])
        self.assertGreater(counts["joined_spans"], 0)
        stray, _ = self.record(shell='exec env -u TRACEPARENT "$@"')
        self.assertEqual(0, stray["summary"]["telemetry"]["joined_spans"])
        self.assertEqual(counts["received"]["spans"], stray["summary"]["telemetry"]["received"]["spans"])
        self.assert_spans(document, truth)


if __name__ == "__main__":
    unittest.main()
