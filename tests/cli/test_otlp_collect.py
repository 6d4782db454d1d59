"""`perfwrap collect`: the collector by itself."""

import gzip
import http.client
import json
import signal
import socket
import subprocess
import sys
import time
import unittest

import otlp_items
from otlptest import AGENTS, WORK, OtlpTest, Truth, agent, losses, received
from pwtest import PERFWRAP, SOURCE_DIR, load_json, parse_json

sys.path.insert(0, str(AGENTS))
import otlp_json  # noqa: E402

DATA = SOURCE_DIR / "tests" / "data" / "otlp"


class Collect(OtlpTest):
    def collect(self, *options, port=0, expect_url=True):
        """Starts `perfwrap collect`; the process and its URL."""
        process = subprocess.Popen(
            [PERFWRAP, "collect", "--listen", f"127.0.0.1:{port}", *map(str, options)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=self.env())
        self.addCleanup(self._end, process)
        if not expect_url:
            return process, None
        line = process.stderr.readline()
        self.assertRegex(line, r"http://127\.0\.0\.1:[0-9]+")
        return process, "http://" + line.split("http://")[1].strip().rstrip("/")

    def end(self, process, number=signal.SIGTERM):
        process.send_signal(number)
        run = self.finish(process)
        self.assertEqual(0, run.status, str(run))
        return run

    def test_every_captured_payload(self):
        """Plain and gzip, with a length and in chunks: the status is right, and what --out keeps of it is exactly
        what an independent decoder made of it."""
        out = self.dir / "out.jsonl"
        process, url = self.collect("--json", "--out", out)
        host, port, _ = otlp_json.split(url)
        accepted, refused = [], 0
        for path in sorted(DATA.glob("*.expect.json")):
            name, expected = path.name.removesuffix(".expect.json"), load_json(path)
            for packed in (False, True):
                for chunked in (False, True):
                    with self.subTest(payload=name, packed=packed, chunked=chunked):
                        status = self.send_captured(host, port, name, expected["signal"], packed, chunked)
                        self.assertEqual(expected.get("status", 200), status)
                        if status == 200:
                            accepted.append((name, expected))
                        refused += status != 200
        self.assertGreater(len(accepted), 4 * 20)
        self.assertGreater(refused, 4 * 3)
        counts = parse_json(self.end(process).out)["telemetry"]
        self.assertEqual(len(accepted), counts["received"]["payloads"])
        for key, signal in (("datapoints", "metrics"), ("spans", "traces"), ("log_records", "logs")):
            self.assertEqual(sum(expected["n"] for _, expected in accepted if expected["signal"] == signal),
                             counts["received"][key])
        lines = out.read_text(encoding="utf-8").splitlines()
        self.assertEqual(len(accepted), len(lines))
        for (name, expected), line in zip(accepted, lines):
            with self.subTest(payload=name):
                self.assertEqual(otlp_items.expected_items(expected["items"]),
                                 otlp_items.items_of(json.loads(line), expected["signal"]))

    def send_captured(self, host, port, name, signal, packed, chunked):
        """The body as it was captured, with its content type; the status of the reply."""
        head = (DATA / f"{name}.headers").read_text().splitlines()[1:]
        headers = dict(line.split(": ", 1) for line in head if line.lower().startswith("content-type:"))
        body = (DATA / f"{name}.{'json' if name.endswith('_json') else 'pb'}").read_bytes()
        if packed:
            body, headers["Content-Encoding"] = gzip.compress(body), "gzip"
        connection = http.client.HTTPConnection(host, port, timeout=30)
        pieces = (body[at:at + 10000] for at in range(0, len(body), 10000))
        connection.request("POST", f"/v1/{signal}", pieces if chunked else body, headers,
                           encode_chunked=chunked)
        reply = connection.getresponse()
        reply.read()
        connection.close()
        return reply.status

    def test_an_agent(self):
        """The same numbers as a run has; SIGINT ends it like SIGTERM; text and JSON."""
        for options, number in ((("--json",), signal.SIGINT), ((), signal.SIGTERM)):
            process, url = self.collect(*options)
            subprocess.run(agent("fake_agent", "--by-environment", *WORK), check=True,
                           env=self.env(OTEL_EXPORTER_OTLP_ENDPOINT=url))
            run = self.end(process, number)
            if options:
                document = parse_json(run.out)
                self.assertEqual(Truth(1).received, received(document["telemetry"]))
                self.assertEqual({}, losses(document["telemetry"]))
                self.assertEqual(len(Truth(1).calls),
                                 document["otel_metrics"]["codex.tool.call"]["total"])
            else:
                for word in ("codex.tool.call", "exec_command", "tool_call"):
                    self.assertIn(word, run.out)
                self.assertEqual(Truth(1).received["payloads"], run.err.count("bytes"))

    def test_it_ends_by_itself(self):
        process, _ = self.collect("--json", "--duration-sec", 0.2)
        run = self.finish(process)
        self.assertEqual(0, run.status)
        self.assertEqual(0, parse_json(run.out)["telemetry"]["received"]["payloads"])

    def test_a_port_in_use(self):
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            process, _ = self.collect(port=port, expect_url=False)
            run = self.finish(process)
        self.assertEqual(125, run.status, str(run))
        self.assertIn(str(port), run.err)
        self.assertIn("in use", run.err)
        self.assertEqual("", run.out)

    def test_a_port_in_use_for_a_run(self):
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            run = self.run_pw("-n", 1, "--collector-listen", f"127.0.0.1:{port}", cmd=["/bin/true"],
                              expect=125)
        self.assertIn("in use", run.err)

    def test_bad_addresses(self):
        for address in ("nonsense:port", "127.0.0.1:99999", "0.0.0.0:0"):
            process = self.collect_at(address)
            self.assertEqual(2 if address != "nonsense:port" else process.status, process.status,
                             str(process))
            self.assertIn(process.status, (2, 125))
            self.assertTrue(process.err.startswith("perfwrap: "), process.err)

    def collect_at(self, address):
        return self.run_sh('exec "$0" collect --duration-sec 5 --listen "$1"'.replace("$0", PERFWRAP),
                           address, expect=None)

    def test_an_out_file_that_cannot_be_written(self):
        run = self.run_sh(f"exec {PERFWRAP} collect --listen :0 --out {self.dir}/no/such", expect=125)
        self.assertIn("no/such", run.err)

    def test_a_token(self):
        process, url = self.collect("--json", "--bearer-token", "word")
        request = otlp_json.Metrics("service", time.time_ns()).request()
        self.assertEqual(401, otlp_json.post(f"{url}/v1/metrics", request))
        self.assertEqual(401, otlp_json.post(f"{url}/v1/metrics", request,
                                             {"Authorization": "Bearer words"}))
        self.assertEqual(200, otlp_json.post(f"{url}/v1/metrics", request,
                                             {"Authorization": "Bearer word"}))
        document = parse_json(self.end(process).out)
        self.assertEqual(2, document["strays"]["unauthorized"])
        self.assertEqual(1, document["telemetry"]["received"]["payloads"])

    def test_a_slow_sender(self):
        """Others are answered meanwhile; it is answered too; and the end does not wait for another."""
        process, url = self.collect("--json")
        host, port, _ = otlp_json.split(url)

        def request():
            metrics = otlp_json.Metrics("slow", time.time_ns())
            metrics.count("slow.sent", 1)
            return json.dumps(metrics.request()).encode()

        body = request()
        words = (f"POST /v1/metrics HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
                 f"Content-Length: {len(body)}\r\n\r\n").encode() + body
        with socket.create_connection((host, port), timeout=30) as slow, \
                socket.create_connection((host, port), timeout=30) as endless:
            endless.sendall(words[:-1])
            for byte in words:
                slow.sendall(bytes([byte]))
                if byte == ord("{"):
                    self.assertEqual(200, otlp_json.post(f"{url}/v1/metrics", request()))
            self.assertIn(b" 200 ", slow.recv(4096))
            began = time.monotonic()
            document = parse_json(self.end(process).out)
            self.assertLess(time.monotonic() - began, 10)
        self.assertEqual(1 + body.count(b"{"), document["otel_metrics"]["slow.sent"]["total"])
        self.assertEqual({"cut_off": 1}, losses(document["telemetry"]))

    def test_gzip_and_its_size(self):
        process, url = self.collect("--json")
        body = gzip.compress(json.dumps(otlp_json.Metrics("s", time.time_ns()).request()).encode())
        self.assertEqual(200, otlp_json.post(f"{url}/v1/metrics", body, {"Content-Encoding": "gzip"}))
        document = parse_json(self.end(process).out)
        self.assertEqual(len(body), document["telemetry"]["received"]["bytes"])

    def test_max_body(self):
        process, url = self.collect("--json", "--max-body-mb", 1)
        spaces = b" " * ((1 << 20) + 1) + b"{}"
        self.assertEqual(413, otlp_json.post(f"{url}/v1/metrics", spaces))
        self.assertEqual(413, otlp_json.post(f"{url}/v1/metrics", gzip.compress(spaces),
                                             {"Content-Encoding": "gzip"}))
        self.assertEqual(200, otlp_json.post(f"{url}/v1/metrics", spaces[4:]))
        self.assertEqual({"too_large": 2}, losses(parse_json(self.end(process).out)["telemetry"]))


if __name__ == "__main__":
    unittest.main()
