"""Figures of the OTLP collector: how fast it takes data in, and whether it grows."""
import json
import os
import time

from measure import interleave, mean, run_json
from row import Row

DATA = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "data", "otlp")
BODIES = {"JSON": (os.path.join(DATA, "codex_metrics_json.json"), "json", 3.0),
          "protobuf": (os.path.join(DATA, "codex_metrics_proto.pb"), "protobuf", 12.0)}
POINTS = 182  # in each of the two bodies


def python_rate(body):
    """Data points a CPU second of Python's json.loads and a loop over the points, the least that a
    collector in Python does with a body."""
    began, points, total = time.process_time(), 0, 0.0
    while time.process_time() - began < 0.5:
        for resource in json.loads(body)["resourceMetrics"]:
            for scope in resource["scopeMetrics"]:
                for metric in scope["metrics"]:
                    for kind in ("sum", "gauge", "histogram", "exponentialHistogram"):
                        for point in metric.get(kind, {}).get("dataPoints", ()):
                            points += 1
                            total += float(point.get("asInt", point.get("asDouble",
                                                                        point.get("sum", 0))))
    return [points / (time.process_time() - began)]


def collector_rate(bench, path, encoding, connections, requests):
    result = run_json([bench.program("bench_otlp"), path, encoding, str(connections),
                       str(requests)])
    assert result["datapoints"] == result["requests"] * POINTS, result
    return [result["points_per_cpu_sec"]]


def otlp(bench):
    """Data points a CPU second, HTTP to aggregate, as multiples of Python's json.loads."""
    with open(BODIES["JSON"][0], "rb") as file:
        body = file.read()
    rows = []
    for label, (path, encoding, bar) in BODIES.items():
        requests = 1600 if encoding == "json" else 8000
        python, one, eight = interleave(
            4,
            lambda: python_rate(body),
            lambda: collector_rate(bench, path, encoding, 1, requests),
            lambda: collector_rate(bench, path, encoding, 8, requests))
        for name, rates in (("1 connection", one), ("8 connections", eight)):
            rows.append(Row(f"OTLP {label}, {name} / Python's json.loads", mean(rates) / mean(python),
                            "", bar, ">=",
                            f"{mean(rates):,.0f} / {mean(python):,.0f} points a CPU second"))
    return rows


def otlp_memory(bench):
    """The collector's memory over ten million points."""
    path, encoding, _ = BODIES["protobuf"]
    result = run_json([bench.program("bench_otlp"), path, encoding, "2", "56000"])
    return [Row("OTLP, resident set at 10 / at 1 million points",
                result["late_rss_kb"] / result["early_rss_kb"], "", 1.05, "<=",
                f"{result['late_rss_kb']} / {result['early_rss_kb']} KiB, "
                f"{result['datapoints']:,} points")]
