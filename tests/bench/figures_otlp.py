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


KINDS = ("sum", "gauge", "histogram", "exponentialHistogram")


def touch(series, scope, metric, kind, data, point):
    """The least that a loop over the points can do: look at the value."""
    series[0] = series.get(0, 0) + float(point.get("asInt", point.get("asDouble", point.get("sum", 0))))


def attributes_of(attributes):
    """An attribute set, comparable whatever its order: keys, types and values."""
    return tuple(sorted((one["key"], *next(iter(one["value"].items()))) for one in attributes))


def aggregate(series, scope, metric, kind, data, point):
    """What the collector does with a point: find its series by all that tells series apart, and add it."""
    identity = (scope, metric["name"], metric.get("unit"), kind, data.get("aggregationTemporality"),
                data.get("isMonotonic"), attributes_of(point["attributes"]))
    stamp = (int(point.get("startTimeUnixNano", 0)), int(point["timeUnixNano"]))
    found = series.setdefault(identity, {"stamp": None, "points": 0, "count": 0, "sum": 0.0, "buckets": [],
                                         "min": float("inf"), "max": float("-inf")})
    found["points"] += 1
    found["stamp"] = stamp
    if kind in ("sum", "gauge"):
        found["sum"] += int(point["asInt"]) if "asInt" in point else float(point["asDouble"])
        return
    found["count"] += int(point["count"])
    found["sum"] += point.get("sum", 0.0)
    found["min"] = min(found["min"], point.get("min", found["min"]))
    found["max"] = max(found["max"], point.get("max", found["max"]))
    counts = [int(count) for count in point.get("bucketCounts", ())]
    found["buckets"] = [a + b for a, b in zip(found["buckets"], counts)] if found["buckets"] else counts


def python_rate(body, do):
    """Data points a CPU second of Python's json.loads and a loop over the points."""
    began, points, series = time.process_time(), 0, {}
    while time.process_time() - began < 0.5:
        for resource in json.loads(body)["resourceMetrics"]:
            owner = attributes_of(resource["resource"]["attributes"])
            for scope in resource["scopeMetrics"]:
                place = (owner, scope["scope"].get("name"), scope["scope"].get("version"))
                for metric in scope["metrics"]:
                    for kind in KINDS:
                        data = metric.get(kind)
                        for point in data["dataPoints"] if data else ():
                            points += 1
                            do(series, place, metric, kind, data, point)
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
            lambda: python_rate(body, touch),
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
