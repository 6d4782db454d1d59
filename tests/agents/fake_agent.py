#!/usr/bin/env python3
"""fake_agent.py [OPTIONS]: plays a coding agent that reports about itself over OTLP/JSON, as codex does.

It is told where to by CODEX_HOME/config.toml (table [otel]: metrics_exporter, trace_exporter, exporter), and
only by that; with --config FILE by that file; with --by-environment by the variables of OpenTelemetry; with
--base-variable NAME by that variable, which holds a base URL. Whatever signal has no endpoint is not sent.

Truth, for --turns T, --tools N (of each turn), --failures F (the first F of all T*N tool calls fail), all of it
made up, so that no clock is in it:

  - one request with metrics a turn t (from 1), delta: `codex.turn.e2e_duration_ms` with the value 100 t;
    `codex.stream.first_event_latency_ms` with 5 t; `codex.queue.cancelled`, a counter, 1;
    for each tool call n (from 1 in its turn), with attributes tool and success, `codex.tool.call`, a counter,
    1, and `codex.tool.call.duration_ms` with 10 n. The tool is exec_command for odd n, else apply_patch.
  - one request with spans: `codex.exec`, whose parent is TRACEPARENT's span, from 0 to 100 ms; in it `turn`,
    each of 20 ms, one after the other (so at most 5 turns); in each of these `tool_call`s of 2 ms, one after
    the other (at most 10), with status ERROR if they failed.
  - one request with log records: for each tool call event codex.tool_result, and before it codex.tool_decision.

--wait-for FILE: waits until FILE exists before it ends.
--show FILE: writes what it was given, as JSON: environment, config, files of CODEX_HOME with their modes.
--linger late --go GO --done DONE: leaves a process behind which, once GO exists, sends one more request
  with a counter `late.sent` of 1, and writes its reply's status to DONE.
--linger slow --slow-ms MS [--done DONE]: leaves a process behind, deaf to SIGTERM, that is in the middle of
  sending such a request (`slow.sent`) when the main process ends, and takes MS ms for the rest.
--exit STATUS: ends with that.
"""
import argparse
import json
import os
import secrets
import signal
import socket
import stat
import sys
import time
import tomllib
from pathlib import Path

import otlp_json

SERVICE = "fake_agent"
MS = 1_000_000


def parse_arguments():
    parser = argparse.ArgumentParser()
    for name, default in (("turns", 1), ("tools", 1), ("failures", 0), ("exit", 0), ("slow-ms", 200)):
        parser.add_argument(f"--{name}", type=int, default=default)
    for name in ("config", "base-variable", "show", "go", "done", "wait-for"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--by-environment", action="store_true")
    parser.add_argument("--linger", choices=("late", "slow"))
    parser.add_argument("words", nargs="*")
    return parser.parse_args()


def exporter_url(exporter):
    """The endpoint in a value such as { otlp-http = { endpoint = "…", protocol = "json" } }."""
    return exporter["otlp-http"]["endpoint"] if isinstance(exporter, dict) else None


def read_config(given):
    path = given.config or os.path.join(os.environ.get("CODEX_HOME", "/nonexistent"), "config.toml")
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        return {}


def find_endpoints(given, config):
    if given.by_environment:
        return otlp_json.endpoints(os.environ)
    if given.base_variable:
        base = os.environ.get(given.base_variable)
        return {signal: f"{base}/v1/{signal}" for signal in otlp_json.SIGNALS} if base else {}
    otel = config.get("otel", {})
    urls = {"metrics": exporter_url(otel.get("metrics_exporter")),
            "traces": exporter_url(otel.get("trace_exporter")),
            "logs": exporter_url(otel.get("exporter"))}
    return {signal: url for signal, url in urls.items() if url}


def tool_calls(given, turn):
    """Name, success and duration of each tool call of a turn."""
    for n in range(1, given.tools + 1):
        failed = (turn - 1) * given.tools + n <= given.failures
        yield ("exec_command" if n % 2 else "apply_patch"), not failed, 10 * n


def metrics_of_turn(given, turn, since_ns):
    metrics = otlp_json.Metrics(SERVICE, since_ns)
    metrics.histogram("codex.turn.e2e_duration_ms", [100 * turn])
    metrics.histogram("codex.stream.first_event_latency_ms", [5 * turn])
    metrics.count("codex.queue.cancelled", 1)
    calls = {}
    for tool, success, ms in tool_calls(given, turn):
        calls.setdefault((tool, success), []).append(ms)
    for (tool, success), values in calls.items():
        facts = {"tool": tool, "success": str(success).lower()}
        metrics.count("codex.tool.call", len(values), **facts)
        metrics.histogram("codex.tool.call.duration_ms", values, **facts)
    return metrics.request()


def make_spans(given):
    parts = os.environ.get("TRACEPARENT", "").split("-")
    trace, above = (parts[1], parts[2]) if len(parts) == 4 else (secrets.token_hex(16), "")
    base_ns, spans = time.time_ns(), []

    def span(name, parent, from_ms, to_ms, failed=False):
        own = secrets.token_hex(8)
        spans.append({"traceId": trace, "spanId": own, "parentSpanId": parent, "name": name, "kind": 1,
                      "startTimeUnixNano": str(base_ns + from_ms * MS),
                      "endTimeUnixNano": str(base_ns + to_ms * MS),
                      "status": {"code": 2} if failed else {}})
        return own

    root = span("codex.exec", above, 0, 100)
    for turn in range(1, given.turns + 1):
        begin = 20 * (turn - 1)
        own = span("turn", root, begin, begin + 20)
        for n, (_, success, _) in enumerate(tool_calls(given, turn)):
            span("tool_call", own, begin + 2 * n, begin + 2 * n + 2, not success)
    return otlp_json.trace_request(SERVICE, spans)


def make_logs(given):
    records = []
    for turn in range(1, given.turns + 1):
        for tool, success, ms in tool_calls(given, turn):
            for event, facts in (("codex.tool_decision", {"decision": "approved"}),
                                 ("codex.tool_result", {"success": str(success).lower(),
                                                        "duration_ms": str(ms)})):
                records.append({
                    "timeUnixNano": "0", "observedTimeUnixNano": str(time.time_ns()),
                    "severityNumber": 9, "attributes": otlp_json.attributes(
                        {"event.name": event, "tool_name": tool, **facts})})
    return otlp_json.log_request(SERVICE, records)


def report(given, urls):
    since_ns = time.time_ns()
    requests = []
    if "metrics" in urls:
        for turn in range(1, given.turns + 1):
            requests.append(("metrics", metrics_of_turn(given, turn, since_ns)))
            since_ns = time.time_ns()
    requests += [("traces", make_spans(given)), ("logs", make_logs(given))]
    for signal_name, request in requests:
        if signal_name in urls:
            status = otlp_json.post(urls[signal_name], request, otlp_json.headers_of(os.environ))
            if status != 200:
                sys.exit(f"fake_agent: {signal_name} answered {status}")


def one_count(name):
    metrics = otlp_json.Metrics(SERVICE, time.time_ns())
    metrics.count(name, 1)
    return metrics.request()


def wait_for(path):
    """Until the file is there, and no longer than a minute."""
    deadline = time.monotonic() + 60
    while not os.path.exists(path):
        if time.monotonic() > deadline:
            sys.exit(f"fake_agent: {path} did not come")
        time.sleep(0.002)


def write_whole(path, text):
    """So that who waits for the file finds all of it."""
    Path(path + ".part").write_text(text, encoding="utf-8")
    os.rename(path + ".part", path)


def send_late(given, url):
    wait_for(given.go)
    write_whole(given.done, str(otlp_json.post(url, one_count("late.sent"))))


def send_slowly(given, url, begun, parent_ended):
    """Half of a request; the rest byte by byte when the main process has ended."""
    host, port, path = otlp_json.split(url)
    body = json.dumps(one_count("slow.sent")).encode()
    head = (f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode()
    half = len(body) // 2
    connection = socket.create_connection((host, port))
    connection.sendall(head + body[:half])
    os.write(begun, b"!")
    os.read(parent_ended, 1)  # the end of the file
    for at in range(half, len(body)):
        time.sleep(given.slow_ms / (len(body) - half) / 1000)
        connection.sendall(body[at:at + 1])
    reply = connection.recv(4096).decode()
    if given.done:
        write_whole(given.done, reply.split(" ")[1] if reply else "closed")


def linger(given, url):
    begun, say_begun = os.pipe()
    parent_ended, held_by_parent = os.pipe()
    if os.fork() > 0:
        os.close(say_begun)
        if given.linger == "slow":
            os.read(begun, 1)
        return
    os.close(held_by_parent)
    os.setsid()
    if given.linger == "slow":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    silent = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(silent, fd)
    try:
        if given.linger == "late":
            send_late(given, url)
        else:
            send_slowly(given, url, say_begun, parent_ended)
    except OSError as error:  # the collector has closed the connection
        if given.done:
            write_whole(given.done, type(error).__name__)
    os._exit(0)


def show(given, config):
    home = Path(os.environ.get("CODEX_HOME", "/nonexistent"))
    files = {str(path.relative_to(home)): oct(stat.S_IMODE(path.stat().st_mode))
             for path in home.rglob("*")} if home.is_dir() else {}
    write_whole(given.show, json.dumps(
        {"environment": dict(os.environ), "config": config, "files": files, "cwd": os.getcwd()}))


def main():
    given = parse_arguments()
    config = read_config(given)
    urls = find_endpoints(given, config)
    if given.show:
        show(given, config)
    report(given, urls)
    if given.linger:
        linger(given, urls["metrics"])
    if given.wait_for:
        wait_for(given.wait_for)
    return given.exit


if __name__ == "__main__":
    sys.exit(main())
