"""OTLP/JSON over HTTP with the standard library: as much as the programs of this folder need to send."""
import http.client
import json
import time
import urllib.parse

DELTA, CUMULATIVE = 1, 2
SIGNALS = ("metrics", "traces", "logs")


def value(given):
    if isinstance(given, bool):
        return {"boolValue": given}
    if isinstance(given, int):
        return {"intValue": str(given)}
    if isinstance(given, float):
        return {"doubleValue": given}
    return {"stringValue": given}


def attributes(given):
    return [{"key": key, "value": value(one)} for key, one in given.items()]


def number(given):
    return {"asInt": str(given)} if isinstance(given, int) else {"asDouble": given}


def histogram_point(values, bounds):
    counts = [0] * (len(bounds) + 1)
    for one in values:
        counts[sum(one > bound for bound in bounds)] += 1
    return {"count": str(len(values)), "sum": sum(values), "min": min(values), "max": max(values),
            "bucketCounts": [str(count) for count in counts], "explicitBounds": list(bounds)}


class Metrics:
    """An export request for metrics in the making: one resource, one scope."""

    def __init__(self, service, since_ns, temporality=DELTA):
        self.service, self.since_ns, self.temporality = service, since_ns, temporality
        self.metrics = {}

    def add(self, name, unit, kind, point, given):
        times = {"startTimeUnixNano": str(self.since_ns), "timeUnixNano": str(time.time_ns())}
        metric = self.metrics.setdefault(name, {"name": name, "unit": unit, kind: {"dataPoints": []}})
        if kind != "gauge":
            metric[kind]["aggregationTemporality"] = self.temporality
        if kind == "sum":
            metric[kind]["isMonotonic"] = True
        metric[kind]["dataPoints"].append({**point, **times, "attributes": attributes(given)})

    def count(self, name, amount, unit="1", **given):
        self.add(name, unit, "sum", number(amount), given)

    def gauge(self, name, amount, unit="1", **given):
        self.add(name, unit, "gauge", number(amount), given)

    def histogram(self, name, values, unit="ms", bounds=(10, 20, 50, 100, 200, 500), **given):
        self.add(name, unit, "histogram", histogram_point(values, bounds), given)

    def request(self):
        return {"resourceMetrics": [{
            "resource": {"attributes": attributes({"service.name": self.service})},
            "scopeMetrics": [{"scope": {"name": self.service},
                              "metrics": list(self.metrics.values())}]}]}


def log_request(service, records):
    return {"resourceLogs": [{
        "resource": {"attributes": attributes({"service.name": service})},
        "scopeLogs": [{"scope": {"name": service}, "logRecords": records}]}]}


def trace_request(service, spans):
    return {"resourceSpans": [{
        "resource": {"attributes": attributes({"service.name": service})},
        "scopeSpans": [{"scope": {"name": service}, "spans": spans}]}]}


def split(url):
    """Host, port and path of an endpoint."""
    parts = urllib.parse.urlsplit(url)
    return parts.hostname, parts.port, parts.path or "/"


def headers_of(environment):
    """The headers that the environment asks for: k=v,k2=v2, percent-encoded."""
    pairs = [pair.split("=", 1) for pair in environment.get("OTEL_EXPORTER_OTLP_HEADERS", "").split(",")]
    return {pair[0].strip(): urllib.parse.unquote(pair[1].strip()) for pair in pairs if len(pair) == 2}


def post(url, document, headers=None, timeout_sec=30):
    """Sends a request and returns the reply's status."""
    host, port, path = split(url)
    connection = http.client.HTTPConnection(host, port, timeout=timeout_sec)
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    try:
        connection.request("POST", path, body, {"Content-Type": "application/json", **(headers or {})})
    except (BrokenPipeError, ConnectionResetError):
        pass  # refused before all of it was sent: the reply says why
    reply = connection.getresponse()
    reply.read()
    connection.close()
    return reply.status


def endpoints(environment):
    """The URL of each signal, as the environment tells an OpenTelemetry program; {} if it does not."""
    base = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").rstrip("/")
    urls = {}
    for signal in SIGNALS:
        url = environment.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT")
        if url or base:
            urls[signal] = url or f"{base}/v1/{signal}"
    return urls
