"""Figures of the OTLP collector: how fast it takes data in, and whether it grows."""
import json
import os
import sys
import time

from measure import interleave, mean, run_json
from row import Row

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "cli"))
import otlp_items  # noqa: E402

DATA = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "data", "otlp")
BODIES = {"JSON": (os.path.join(DATA, "codex_metrics_json.json"), "json", 3.0),
          "protobuf": (os.path.join(DATA, "codex_metrics_proto.pb"), "protobuf", 12.0)}
POINTS = 182  # in each of the two bodies


def look(series, body):
    """The least that a loop over the points can do: look at the values."""
    points = 0
    for resource in json.loads(body)["resourceMetrics"]:
        for scope in resource["scopeMetrics"]:
            for metric in scope["metrics"]:
                for kind in otlp_items.DATA_KINDS:
                    for point in metric.get(kind, {}).get("dataPoints", ()):
                        points += 1
                        series[0] = series.get(0, 0) + float(
                            point.get("asInt", point.get("asDouble", point.get("sum", 0))))
    return points


def aggregate(series, body):
    """What the collector does: decode each point, find its series by what tells series apart, add it there."""
    items = otlp_items.items_of(json.loads(body), "metrics")
    for item in items:
        identity = (tuple(sorted(item["resource"].items())), item["scope"], item["name"], item["unit"],
                    item["kind"], item["temporality"], item["monotonic"],
                    tuple(sorted(item["attributes"].items())))
        found = series.setdefault(identity, {"points": 0, "count": 0, "sum": 0.0, "buckets": []})
        found["points"] += 1
        found["sum"] += float(item.get("int", item.get("double", item.get("sum", 0))))
        found["count"] += item.get("count", 0)
        buckets = item.get("buckets", ())
        found["buckets"] = ([a + b for a, b in zip(found["buckets"], buckets)] if found["buckets"]
                            else list(buckets))
    return len(items)


def python_rate(body, take):
    """Data points a CPU second of Python's json.loads and a loop over the points."""
    began, points, series = time.process_time(), 0, {}
    while time.process_time() - began < 0.5:
        points += take(series, body)
    return [points / (time.process_time() - began)]


def collector_rate(bench, path, encoding, connections, requests):
    result = run_json([bench.program("bench_otlp"), path, encoding, str(connections),
                       str(requests)])
    assert result["datapoints"] == result["requests"] * POINTS, result
    return [result["points_per_cpu_sec"]]


def otlp(bench):
    """Data points a CPU second, HTTP to aggregate, as multiples of the same in Python."""
    with open(BODIES["JSON"][0], "rb") as file:
        body = file.read()
    rows = []
    for label, (path, encoding, bar) in BODIES.items():
        requests = 1600 if encoding == "json" else 8000
        python, bare, one, eight = interleave(
            4,
            lambda: python_rate(body, aggregate),
            lambda: python_rate(body, look),
            lambda: collector_rate(bench, path, encoding, 1, requests),
            lambda: collector_rate(bench, path, encoding, 8, requests))
        for name, rates in (("1 connection", one), ("8 connections", eight)):
            rows.append(Row(f"OTLP {label}, {name} / Python", mean(rates) / mean(python), "", bar,
                            ">=", f"{mean(rates):,.0f} / {mean(python):,.0f} points a CPU second"))
        rows.append(Row(f"OTLP {label}, 1 connection / Python that only looks",
                        mean(one) / mean(bare), "",
                        note=f"{mean(bare):,.0f} points a CPU second without aggregating"))
    return rows


def otlp_memory(bench):
    """The collector's memory over ten million points."""
    path, encoding, _ = BODIES["protobuf"]
    result = run_json([bench.program("bench_otlp"), path, encoding, "2", "56000"])
    return [Row("OTLP, resident set at 10 / at 1 million points",
                result["late_rss_kb"] / result["early_rss_kb"], "", 1.05, "<=",
                f"{result['late_rss_kb']} / {result['early_rss_kb']} KiB, "
                f"{result['datapoints']:,} points")]


FIGURES = {"otlp": otlp, "otlp-memory": otlp_memory}
