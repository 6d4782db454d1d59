"""What programs in a guest report over OTLP reaches the endpoint of their worker."""

import shutil
import unittest

from boottest import ImageTest
from pwtest import target


class Telemetry(ImageTest):
    def test_spans_and_metrics(self):
        shutil.copy(target("otlp_report_static"), self.root / "bin" / "report")
        command = "/bin/report $((40 + PERFWRAP_WORKER_ID))"
        document = self.boot_json("--image", f"dir:{self.root}", "--network", "user", "--concurrency", 2, "--exec",
                                  command)
        self.assertEqual(["ok", "ok"], [boot["verdict"] for boot in document["iterations"]], document["iterations"])
        for boot in document["iterations"]:
            self.assertGreater(boot["phases"]["network_ms"], 0)
            self.assert_phases_add_up(boot)
        summary = self.summary_of(document)
        for worker in summary["runs"][0]["worker_results"]:
            received = worker["telemetry"]["received"]
            self.assertEqual((1, 1), (received["spans"], received["datapoints"]), worker["telemetry"])
            self.assertEqual(1, worker["telemetry"]["joined_spans"], worker["telemetry"])
        items = summary["summary"]["otel_metrics"]["guest.items"]
        self.assertEqual(41 + 42, items["total"], items)

    def test_an_image_without_a_shell(self):
        """One program and nothing else: the command is split into words and run as it is."""
        bare = self.dir / "bare"
        bare.mkdir()
        shutil.copy(target("otlp_report_static"), bare / "report")
        document = self.boot_json("--image", f"dir:{bare}", "--network", "user", "--exec", "/report '7'")
        self.assertEqual("ok", document["iterations"][0]["verdict"], document["iterations"])
        self.assertEqual(7, self.summary_of(document)["summary"]["otel_metrics"]["guest.items"]["total"])
        document = self.boot_json("--image", f"dir:{bare}", "--exec", "/missing 7", expect=1)
        self.assertEqual(127, document["iterations"][0]["return_code"])

    def test_isolated(self):
        """Without a network device nothing is told to report."""
        document = self.boot_json("--image", f"dir:{self.root}", "--exec", 'test -z "$OTEL_EXPORTER_OTLP_ENDPOINT"')
        self.assertEqual("ok", document["iterations"][0]["verdict"])


if __name__ == "__main__":
    unittest.main()
