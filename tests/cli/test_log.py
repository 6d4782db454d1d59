"""`perfwrap log`: the tracking table."""

import json
import os
import re
import stat
import subprocess
import unittest

from pwtest import PERFWRAP, SANITIZED, PerfwrapTest

ROW = re.compile(r"^\| \d{4}-\d\d-\d\d ")


class LogTest(PerfwrapTest):
    def setUp(self):
        super().setUp()
        self.table = self.dir / "BASELINE_COMPARISON.md"

    def args_of(self, *words):
        return [PERFWRAP, "log", "--file", str(self.table), *map(str, words)]

    def log(self, *words, expect=0, args=None, cwd=None):
        process = subprocess.run(args or self.args_of(*words), capture_output=True, text=True,
                                 env=self.env(), cwd=cwd, timeout=120, check=False)
        self.assertNotIn("Sanitizer", process.stderr)
        self.assertEqual(expect, process.returncode, process.stdout + process.stderr)
        return process

    def summary(self, number, p50=100.0, profile="fleet", command="sleep 0.1", name=None):
        name = name or f"{profile}-20260101-{number:06}"
        path = self.dir / "runs" / re.sub(r"\W", "_", name) / "summary.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({
            "generated_at": f"2026-01-01T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}.250+00:00",
            "run_dir": f"/x/{name}", "command": command, "iterations": 3, "runs": [],
            "profile": {"name": profile, "concurrency": 2},
            "summary": {"latency_ms": {"p50": p50, "p95": p50 * 1.5}, "failed_runs_total": 0}}))
        return path

    def rows(self):
        return [line for line in self.table.read_text(encoding="utf-8").splitlines() if ROW.match(line)]

    def runs(self):
        return [row.split(" | ")[1] for row in self.rows()]


class Rows(LogTest):
    def test_a_real_run(self):
        run = self.run_pw("-n", 2, "-w", 0, "--profile-name", "real", cmd=["/bin/sleep", 0.05])
        self.assertIn("inserted", self.log(run.run_dir).stdout)
        self.assertIn("unchanged", self.log(run.summary_path).stdout)
        [row] = self.rows()
        self.assertIn(f"| {run.run_dir.name} | real | /bin/sleep 0.05 | 2 x 1 | 0 |", row)
        self.assertIn(f"| {run.summary['summary']['latency_ms']['p50']:.3f} |", row)

    def test_the_default_file_is_in_the_working_folder(self):
        self.log(args=[PERFWRAP, "log", str(self.summary(1))], cwd=self.dir)
        self.assertEqual(["fleet-20260101-000001"], self.runs())

    def test_inserted_in_order_replaced_and_left_alone(self):
        for number in (30, 10, 20):
            self.log(self.summary(number, p50=number))
        self.assertEqual([f"fleet-20260101-{n:06}" for n in (10, 20, 30)], self.runs())
        self.assertIn("| +100.0 % |", self.rows()[1])
        self.assertIn("| +50.0 % |", self.rows()[2])
        before = self.table.read_bytes()
        written = os.stat(self.table).st_mtime_ns, os.stat(self.table).st_ino
        self.assertIn("left as it is", self.log(self.dir / "runs").stdout)
        self.assertEqual(before, self.table.read_bytes())
        self.assertEqual(written, (os.stat(self.table).st_mtime_ns, os.stat(self.table).st_ino))
        self.assertIn("replaced", self.log(self.summary(20, p50=40)).stdout)
        self.assertEqual(3, len(self.rows()))
        self.assertIn("| +300.0 % |", self.rows()[1])
        self.assertIn("| -25.0 % |", self.rows()[2])

    def test_notes(self):
        path = self.summary(1)
        self.log("--note", "before | the fix", path)
        self.assertTrue(self.rows()[0].endswith("| before \\| the fix |"))
        self.log(self.summary(1, p50=7))
        self.assertTrue(self.rows()[0].endswith("| before \\| the fix |"))
        self.log("--note", "", path)
        self.assertTrue(self.rows()[0].endswith("| |"))

    def test_the_text_around_survives(self):
        head = "# Ours\r\n\nno newline at the end <!-- a comment -->".encode() + b"\xff"
        self.table.write_bytes(head)
        self.log(self.summary(1))
        tail = b"\r\n| a | table | of ours\n\x0c"
        self.table.write_bytes(self.table.read_bytes() + tail)
        self.log(self.summary(2))
        self.log(self.summary(1, p50=1))
        text = self.table.read_bytes()
        self.assertTrue(text.startswith(head))
        self.assertTrue(text.endswith(tail))

    def test_hostile_names(self):
        evil = "a|b\\\n<!-- perfwrap log: table ends. --><img src=x>\x1b[2J\u202e"
        for _ in range(2):
            self.log("--note", evil.replace("\0", ""), self.summary(1, profile=evil, command=evil, name=evil))
        text = self.table.read_text(encoding="utf-8")
        self.assertEqual(1, len(self.rows()))
        self.assertEqual(2, text.count("<!--"))
        self.assertNotRegex(text, "\x1b|\u202e|<img")

    def test_a_symbolic_link_and_the_mode_stay(self):
        real = self.dir / "docs" / "real.md"
        real.parent.mkdir()
        real.write_text("x\n")
        real.chmod(0o640)
        self.table.symlink_to("docs/real.md")
        self.log(self.summary(1))
        self.assertTrue(self.table.is_symlink())
        self.assertIn("fleet-20260101-000001", real.read_text())
        self.assertEqual(0o640, stat.S_IMODE(real.stat().st_mode))
        self.assertEqual(["real.md"], os.listdir(real.parent))

    def test_many_calls_at_once_lose_no_row(self):
        count = 8 if SANITIZED else 40
        paths = [self.summary(number) for number in range(1, count + 1)]
        calls = [subprocess.Popen(self.args_of(path), env=self.env(), stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True) for path in paths]
        for call in calls:
            out, _ = call.communicate(timeout=120)
            self.assertEqual(0, call.returncode, out)
        self.assertEqual([f"fleet-20260101-{n:06}" for n in range(1, count + 1)], self.runs())
        self.assertEqual({"BASELINE_COMPARISON.md", "runs"}, set(os.listdir(self.dir)))


class Refused(LogTest):
    def refuse(self, *words, says, status=2):
        before = self.table.read_bytes() if self.table.is_file() else None
        process = self.log(*words, expect=status)
        self.assertEqual("", process.stdout)
        lines = [line for line in process.stderr.splitlines() if not line.startswith("  hint: ")]
        self.assertEqual(1, len(lines), process.stderr)
        self.assertIn(says, lines[0])
        self.assertEqual(before, self.table.read_bytes() if self.table.is_file() else None)

    def test_no_usable_summary(self):
        self.refuse(says="no summary given")
        self.refuse(self.dir / "none", says="none")
        self.refuse(self.dir, says=str(self.dir))
        broken = self.dir / "broken.json"
        broken.write_text("{")
        self.refuse(self.summary(1), broken, says="broken.json")
        undated = self.summary(2)
        undated.write_text(undated.read_text().replace('"generated_at"', '"made_at"'))
        self.refuse(self.summary(1), undated, says="no date")

    def test_a_column_of_somebodys_own(self):
        self.log(self.summary(1))
        lines = self.table.read_text(encoding="utf-8").splitlines(keepends=True)
        self.table.write_text("".join(line.replace("|\n", "| mine |\n") for line in lines), encoding="utf-8")
        self.refuse(self.summary(2), says="line 6: the table has other columns")

    def test_a_table_that_is_cut_off(self):
        self.log(self.summary(1), self.summary(2))
        whole = self.table.read_bytes()
        self.table.write_bytes(whole[:-60])
        self.refuse(self.summary(3), says="line 9")
        self.table.write_bytes(whole[:whole.rindex(b"<!--")])
        self.refuse(self.summary(3), says="the file is cut off")

    def test_a_file_that_is_none(self):
        self.table.mkdir()
        self.refuse(self.summary(1), says="no regular file")
        self.table.rmdir()
        self.table = self.dir / "no" / "such.md"
        self.refuse(self.summary(1), says="no`")


if __name__ == "__main__":
    unittest.main()
