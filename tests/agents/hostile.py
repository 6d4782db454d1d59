#!/usr/bin/env python3
"""hostile.py ATTACK [--begun FILE] [--until FILE] [--report FILE]: sends what no OTLP client should.

The endpoint is that of OTEL_EXPORTER_OTLP_ENDPOINT. Once the attack is under way FILE of --begun is made; with
--until it goes on until that FILE exists. At the end --report gets a JSON object: by label, how often each
status was answered ("none": the connection was closed without one).

ATTACK
  garbage      one request each of what cannot be decoded, must not be taken or has no place; see GARBAGE
  bombs        gzip that unpacks to 1 GiB, a Content-Length of 1 TiB, and chunks without an end
  liars        a Content-Length that is not kept, ended in the middle; five times
  slow         a request head that does not end and a body that does not, both left open
  connections  300 connections at once, each with one request that is fine
  crowd        1500 connections at once, without a word
  flood        bodies of 60 MB from four connections, as fast as they are taken
"""
import argparse
import collections
import gzip
import json
import os
import resource
import socket
import sys
import threading
import time
import zlib
from pathlib import Path

import otlp_json

JSON, PROTOBUF = "application/json", "application/x-protobuf"
FINE = json.dumps(otlp_json.Metrics("hostile", time.time_ns()).request()).encode()
DEEP = 100_000
MIB = 1 << 20
PATIENCE_SEC = 300  # of one call: all of a body, to a collector that is slowed down


def field(number, payload):
    """A length-delimited field of protobuf; payloads up to 127 bytes."""
    return bytes([number << 3 | 2, len(payload)]) + payload


def deep_protobuf(levels):
    """AnyValue in ArrayValue in AnyValue …, as a resource attribute's value."""
    def wrap(payload, number):
        size, varint = len(payload), b""
        while size > 127:
            varint += bytes([size & 127 | 128])
            size >>= 7
        return bytes([number << 3 | 2]) + varint + bytes([size]) + payload
    nested = b""
    for _ in range(levels):
        nested = wrap(wrap(nested, 1), 5)  # AnyValue.array_value = 5, ArrayValue.values = 1
    for number in (2, 1, 1, 1):  # KeyValue.value, Resource.attributes, ResourceMetrics.resource
        nested = wrap(nested, number)
    return nested


# Label: method, path below the endpoint (with // before it: an absolute one), content type, content encoding,
# body. The label begins with the reason under which perfwrap is to count it.
GARBAGE = {
    "undecodable: empty JSON": ("POST", "/v1/metrics", JSON, None, b" "),
    "undecodable: truncated JSON": ("POST", "/v1/metrics", JSON, None, FINE[:-3]),
    "undecodable: two documents": ("POST", "/v1/metrics", JSON, None, FINE + FINE),
    "undecodable: a list": ("POST", "/v1/metrics", JSON, None, b"[]"),
    "undecodable: a number for a list": ("POST", "/v1/metrics", JSON, None, b'{"resourceMetrics":5}'),
    "undecodable: bad UTF-8": ("POST", "/v1/logs", JSON, None,
                               b'{"resourceLogs":[{"schemaUrl":"\xff\xfe"}]}'),
    "undecodable: deep JSON": ("POST", "/v1/traces", JSON, None, b"[" * DEEP + b"]" * DEEP),
    "undecodable: deep JSON in an unknown key": (
        "POST", "/v1/traces", JSON, None, b'{"a":' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}"),
    "undecodable: truncated protobuf": ("POST", "/v1/metrics", PROTOBUF, None, b"\x0a\x05abc"),
    "undecodable: random protobuf": ("POST", "/v1/metrics", PROTOBUF, None, b"\xff" * 1000),
    "undecodable: bad UTF-8 in protobuf": ("POST", "/v1/metrics", PROTOBUF, None,
                                           field(1, field(3, b"\xff\xfe"))),
    "undecodable: deep protobuf": ("POST", "/v1/metrics", PROTOBUF, None, deep_protobuf(2000)),
    "undecodable: no gzip": ("POST", "/v1/metrics", JSON, "gzip", FINE),
    "undecodable: truncated gzip": ("POST", "/v1/metrics", JSON, "gzip", gzip.compress(FINE)[:-9]),
    "unsupported: another type": ("POST", "/v1/metrics", "text/plain", None, FINE),
    "unsupported: no type": ("POST", "/v1/metrics", None, None, FINE),
    "unsupported: gRPC": ("POST", "/v1/metrics", "application/grpc", None, FINE),
    "unsupported: another encoding": ("POST", "/v1/metrics", JSON, "br", FINE),
    "unsupported: GET": ("GET", "/v1/metrics", None, None, b""),
    "unsupported: PUT": ("PUT", "/v1/metrics", JSON, None, FINE),
    "unsupported: no such signal": ("POST", "/v1/dreams", JSON, None, FINE),
    "stray: nobody's path": ("POST", "//0123456789abcdef0123456789abcdef/v1/metrics", JSON, None, FINE),
    "stray: no path": ("POST", "//", JSON, None, FINE),
}


class Attack:
    def __init__(self, given):
        self.given = given
        self.host, self.port, self.base = otlp_json.split(os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"])
        self.statuses = collections.defaultdict(collections.Counter)
        self.left_open = []

    def connect(self):
        return socket.create_connection((self.host, self.port), timeout=PATIENCE_SEC)

    def head(self, method="POST", path="/v1/metrics", **headers):
        path = path[1:] if path.startswith("//") else self.base.rstrip("/") + path
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}:{self.port}"]
        lines += [f"{name.replace('_', '-')}: {one}" for name, one in headers.items() if one is not None]
        return "\r\n".join(lines).encode() + b"\r\n\r\n"

    def note(self, label, connection):
        """Reads the status of the reply."""
        try:
            reply = connection.recv(65536)
        except OSError:
            reply = b""
        self.statuses[label][reply.split(b" ")[1].decode() if reply else "none"] += 1

    def exchange(self, label, *parts):
        """Sends the parts until the other side has had enough, and notes what it answers."""
        with self.connect() as connection:
            try:
                for part in parts:
                    connection.sendall(part)
            except OSError:
                pass
            self.note(label, connection)

    def garbage(self):
        for label, (method, path, kind, encoding, body) in GARBAGE.items():
            self.exchange(label, self.head(method, path, Content_Type=kind, Content_Encoding=encoding,
                                           Content_Length=len(body)), body)

    def bombs(self):
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        zeros = bytes(MIB)
        bomb = b"".join(packer.compress(zeros) for _ in range(1024)) + packer.flush()
        self.exchange("gzip", self.head(Content_Type=PROTOBUF, Content_Encoding="gzip",
                                        Content_Length=len(bomb)), bomb)
        self.exchange("length", self.head(Content_Type=JSON, Content_Length=1 << 40))
        chunk = b"%x\r\n%s\r\n" % (MIB, b" " * MIB)
        self.exchange("chunks", self.head(Content_Type=JSON, Transfer_Encoding="chunked"),
                      *([chunk] * 4096))

    def liars(self):
        for _ in range(5):
            with self.connect() as connection:
                connection.sendall(self.head(Content_Type=JSON, Content_Length=len(FINE)) + FINE[:-1])

    def slow(self):
        for words in (self.head(Content_Type=JSON)[:-2],
                      self.head(Content_Type=JSON, Content_Length=99) + b"{"):
            connection = self.connect()
            connection.sendall(words)
            self.left_open.append(connection)

    def connections(self):
        words = self.head(Content_Type=JSON, Content_Length=len(FINE)) + FINE
        connections = [self.connect() for _ in range(300)]
        for connection in connections:
            connection.sendall(words)
        for connection in connections:
            self.note("fine", connection)
        self.left_open += connections

    def crowd(self):
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 4096), most))
        for _ in range(1500):
            self.left_open.append(self.connect())

    def flood(self):
        padding = b'{"resourceMetrics":[],"unknown":"' + b"x" * 60_000_000 + b'"}'
        head = self.head(Content_Type=JSON, Content_Length=len(padding))

        def pour():
            for _ in range(5):
                self.exchange("flood", head, padding)

        threads = [threading.Thread(target=pour) for _ in range(4)]
        for thread in threads:
            thread.start()
        self.say_begun()
        for thread in threads:
            thread.join()

    def say_begun(self):
        if self.given.begun:
            Path(self.given.begun).touch()

    def is_over(self):
        return not self.given.until or os.path.exists(self.given.until)

    def run(self, name):
        while True:
            getattr(self, name)()
            self.say_begun()
            if self.left_open:  # once is enough: they stay
                deadline = time.monotonic() + 60
                while not self.is_over() and time.monotonic() < deadline:
                    time.sleep(0.005)
            if self.is_over():
                break
        if self.given.report:
            Path(self.given.report).write_text(json.dumps(self.statuses), encoding="utf-8")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("attack", choices=("garbage", "bombs", "liars", "slow", "connections", "crowd",
                                           "flood"))
    for name in ("begun", "until", "report"):
        parser.add_argument(f"--{name}")
    given = parser.parse_args()
    Attack(given).run(given.attack)
    return 0


if __name__ == "__main__":
    sys.exit(main())
