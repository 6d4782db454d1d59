"""From OTLP/JSON to the flat items of tests/data/otlp/*.expect.json, for comparing them one by one."""

DATA_KINDS = ("sum", "gauge", "histogram", "exponentialHistogram", "summary")
FLOATS = {"double", "sum", "min", "max", "zero_threshold"}


def number(value):
    """A double, comparable also where it is NaN, and however it was written."""
    return repr(float(value))


def value_of(value):
    """An AnyValue."""
    for key, one in (value or {}).items():
        if key == "arrayValue":
            return [value_of(element) for element in one.get("values", [])]
        if key == "kvlistValue":
            return attributes_of(one.get("values"))
        return {"intValue": int, "doubleValue": number}.get(key, lambda same: same)(one)
    return None


def attributes_of(attributes):
    return {one["key"]: value_of(one.get("value")) for one in attributes or []}


def same_numbers(value):
    """What value_of() gives, of a decoded value in an expectation: its doubles are floats or words."""
    if isinstance(value, dict):
        return {key: same_numbers(one) for key, one in value.items()}
    if isinstance(value, list):
        return [same_numbers(one) for one in value]
    if isinstance(value, float) or value in ("NaN", "Infinity", "-Infinity"):
        return number(value)
    return value


def expected_items(items):
    """The items of an expectation, with doubles as number() has them."""
    found = []
    for item in items:
        item = {key: number(value) if key in FLOATS else same_numbers(value)
                for key, value in item.items()}
        for key in ("bounds", "quantiles"):
            if key in item:
                item[key] = [[number(n) for n in one] if isinstance(one, list) else number(one)
                             for one in item[key]]
        found.append(item)
    return found


def integers(values):
    return [int(value) for value in values or []]


def buckets_of(block):
    return {"offset": int((block or {}).get("offset", 0)),
            "buckets": integers((block or {}).get("bucketCounts"))}


def point_item(kind, point):
    """What depends on the kind of data point."""
    item = {name: number(point[name]) for name in ("sum", "min", "max") if name in point}
    if kind in ("sum", "gauge"):
        if "asInt" in point:
            item["int"] = int(point["asInt"])
        if "asDouble" in point:
            item["double"] = number(point["asDouble"])
        return item
    item["count"] = int(point.get("count", 0))
    if kind == "histogram":
        item["bounds"] = [number(bound) for bound in point.get("explicitBounds", [])]
        item["buckets"] = integers(point.get("bucketCounts"))
    elif kind == "summary":
        item["sum"] = number(point.get("sum", 0))
        item["quantiles"] = [[number(one.get("quantile", 0)), number(one.get("value", 0))]
                             for one in point.get("quantileValues", [])]
    else:
        item.update(scale=int(point.get("scale", 0)), zero_count=int(point.get("zeroCount", 0)),
                    zero_threshold=number(point.get("zeroThreshold", 0)),
                    positive=buckets_of(point.get("positive")),
                    negative=buckets_of(point.get("negative")))
    return item


def metric_items(metric, common):
    for kind in DATA_KINDS:
        if kind not in metric:
            continue
        data = metric[kind]
        for point in data.get("dataPoints", []):
            yield {**common, "name": metric.get("name", ""), "unit": metric.get("unit", ""), "kind": kind,
                   "temporality": int(data.get("aggregationTemporality", 0)),
                   "monotonic": data.get("isMonotonic", False),
                   "attributes": attributes_of(point.get("attributes")),
                   "start": int(point.get("startTimeUnixNano", 0)),
                   "time": int(point.get("timeUnixNano", 0)), "flags": int(point.get("flags", 0)),
                   **point_item(kind, point)}


def span_items(span, common):
    yield {**common, "name": span.get("name", ""), "trace_id": span.get("traceId", "").lower(),
           "span_id": span.get("spanId", "").lower(), "parent": span.get("parentSpanId", "").lower(),
           "kind": int(span.get("kind", 0)), "start": int(span.get("startTimeUnixNano", 0)),
           "end": int(span.get("endTimeUnixNano", 0)),
           "status": int(span.get("status", {}).get("code", 0)),
           "attributes": attributes_of(span.get("attributes")),
           "n_events": len(span.get("events", [])), "n_links": len(span.get("links", []))}


def log_items(record, common):
    yield {**common, "time": int(record.get("timeUnixNano", 0)),
           "observed": int(record.get("observedTimeUnixNano", 0)),
           "severity": int(record.get("severityNumber", 0)),
           "severity_text": record.get("severityText", ""), "body": value_of(record.get("body")),
           "event_name": record.get("eventName", ""),
           "attributes": attributes_of(record.get("attributes")),
           "trace_id": record.get("traceId", "").lower(), "span_id": record.get("spanId", "").lower()}


SIGNALS = {"metrics": ("resourceMetrics", "scopeMetrics", "metrics", metric_items),
           "traces": ("resourceSpans", "scopeSpans", "spans", span_items),
           "logs": ("resourceLogs", "scopeLogs", "logRecords", log_items)}


def items_of(request, signal):
    """The items of an export request in OTLP/JSON."""
    resources, scopes, members, items = SIGNALS[signal]
    found = []
    for resource in request.get(resources, []):
        attributes = attributes_of(resource.get("resource", {}).get("attributes"))
        for scope in resource.get(scopes, []):
            common = {"resource": attributes, "scope": scope.get("scope", {}).get("name", "")}
            for member in scope.get(members, []):
                found += items(member, common)
    return found
