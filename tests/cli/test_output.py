"""What the workers print, what perfwrap prints, and that neither is in the other's way."""

import os
import subprocess
import time
import unittest

from pwtest import (ACCOUNTING_AS_USED, PRESET, SANITIZED, PerfwrapTest, parse_json, proc_status, target)

MEMORY_LIMIT_KB = 16 * 1024  # of perfwrap itself, release build


class Modes(PerfwrapTest):
    def chatter(self, mode, code, *options):
        script = self.dir / "chatter"  # in a file: perfwrap shows the command itself
        script.write_text('echo "to out $1"; echo "to err $1" >&2; exit $1\n')
        output = ["--output", mode] if mode else []
        return self.run_pw("-n", 2, "-w", 0, *output, *options,
                           cmd=["/bin/sh", script, code], expect=1 if code else 0)

    def test_tail_is_silent_if_all_is_well(self):
        run = self.chatter(None, 0)
        self.assertNotIn("to out", run.out + run.err)
        self.assertNotIn("to err", run.out + run.err)
        self.assertEqual("to err 0", run.summary["runs"][0]["stderr_tail"].strip())

    def test_tail_shows_what_a_failing_worker_printed(self):
        run = self.chatter("tail", 3)
        self.assertIn("to out 3", run.err)
        self.assertIn("to err 3", run.err)
        self.assertNotIn("to out", run.out)

    def test_a_failing_worker_may_print_nothing(self):
        run = self.run_pw("-n", 1, "-w", 0, cmd=["/bin/false"], expect=1)
        self.assertEqual("", run.summary["runs"][0]["stderr_tail"].strip())

    def test_null_keeps_the_end_of_standard_error(self):
        run = self.chatter("null", 3)
        self.assertNotIn("to out", run.out + run.err)
        self.assertEqual("to err 3", run.summary["runs"][0]["stderr_tail"].strip())

    def test_inherit(self):
        run = self.chatter("inherit", 0)
        self.assertEqual(2, run.out.count("to out 0\n"))
        self.assertEqual(2, run.err.count("to err 0\n"))
        self.assertTrue(run.out.splitlines()[-2].startswith("summary_json="))

    def test_file_has_both_streams_of_all_workers_in_their_order(self):
        path = self.dir / "log"
        path.write_text("of an earlier run\n")
        run = self.chatter(path, 0, "-c", 1)
        self.assertEqual(["to out 0", "to err 0"] * 2, path.read_text().splitlines())
        self.assertNotIn("to out", run.out + run.err)

    def test_a_file_that_cannot_be_written_is_found_before_the_first_worker(self):
        started = self.dir / "started"
        run = self.run_pw("-n", 1, "-w", 0, "--output", self.dir / "no" / "such" / "log",
                          cmd=["/usr/bin/touch", started], expect=None)
        self.assertIn(run.status, (2, 125), str(run))
        self.assertIn("such/log", run.err)
        self.assertFalse(started.exists())

    def test_input(self):
        text = self.dir / "text"
        text.write_text("from the file\n")
        for options, truth in (([], ""), (["--input", text], "from the file\n")):
            result = self.dir / "result"
            run = self.run_pw("-n", 2, "-w", 0, *options, cmd=["/bin/sh", "-c", f"cat > {result}"])
            self.assertEqual(truth, result.read_text(), str(run))

    def test_an_input_that_is_not_there(self):
        run = self.run_pw("-n", 1, "-w", 0, "--input", self.dir / "none", cmd=["/bin/cat"],
                          expect=None)
        self.assertIn(run.status, (2, 125), str(run))
        self.assertIn(str(self.dir / "none"), run.err)

    def test_a_long_line_is_cut_at_its_start(self):
        script = "head -c 100000 /dev/zero | tr '\\0' x >&2; printf 'the end' >&2; exit 1"
        run = self.run_pw("-n", 1, "-w", 0, cmd=["/bin/sh", "-c", script], expect=1)
        tail = run.summary["runs"][0]["stderr_tail"]
        self.assertTrue(tail.endswith("xthe end"))
        self.assertLess(len(tail), 16384)

    def test_the_end_of_the_output_is_there_when_the_worker_ends_at_once(self):
        script = "i=0; while [ $i -lt 400 ]; do echo line $i >&2; i=$((i+1)); done"
        run = self.run_pw("-n", 10, "-w", 0, "-c", 2, cmd=["/bin/sh", "-c", script])
        for one in run.summary["runs"]:
            self.assertEqual("line 399", one["stderr_tail"].strip().split("\n")[-1])


class OwnOutput(PerfwrapTest):
    def test_nothing_but_the_result_lines_in_a_pipe(self):
        run = self.run_pw("-n", 2, "-w", 1, cmd=["/bin/sleep", "0.15"])
        self.assertNotIn("\r", run.out + run.err)
        self.assertNotIn("\033", run.out + run.err)
        self.assertEqual(["summary_json", "summary_md"],
                         [line.split("=")[0] for line in run.out.splitlines()[-2:]])

    def test_quiet(self):
        run = self.run_pw("-n", 2, "-w", 0, "--quiet", cmd=["/bin/true"])
        self.assertEqual("", run.err)
        self.assertEqual(2, len(run.out.splitlines()), run.out)

    def test_json_is_one_document_and_nothing_else(self):
        for mode in ("tail", "inherit", "null"):
            with self.subTest(mode=mode):
                run = self.run_pw("-n", 2, "-w", 1, "--json", "--output", mode,
                                  cmd=["/bin/sh", "-c", "echo printed; echo loud >&2"])
                document = parse_json(run.out)
                run_dir = document["run_dir"]
                with open(f"{run_dir}/summary.json", encoding="utf-8") as file:
                    self.assertEqual(parse_json(file.read()), document)
                self.assertEqual(3 if mode == "inherit" else 0, run.err.count("printed\n"))

    def test_json_of_failing_workers(self):
        run = self.run_pw("-n", 1, "-w", 0, "--json", expect=1, cmd=["/bin/sh", "-c", "echo x; exit 5"])
        self.assertEqual(1, parse_json(run.out)["summary"]["failed_runs_total"])

    def test_no_colour_unless_on_a_terminal(self):
        run = self.run_pw("-n", 1, "-w", 0, cmd=["/bin/false"], expect=1,
                          env=self.env(TERM="xterm-256color"))
        self.assertNotIn("\033", run.out + run.err)

    def test_on_a_terminal(self):
        """Progress may be drawn there, but NO_COLOR is obeyed and the last lines are the same."""
        master, slave = os.openpty()
        process = self.start("-n", 3, "-w", 0, cmd=["/bin/sleep", "0.15"], stdout=slave, stderr=slave,
                             env=self.env(TERM="xterm", NO_COLOR="1"))
        os.close(slave)
        text = b""
        while True:
            try:
                piece = os.read(master, 65536)
            except OSError:  # EIO: the last writer has closed it
                break
            text += piece
        os.close(master)
        self.assertEqual(0, process.wait())
        shown = text.decode()
        self.assertNotRegex(shown, "\033\\[[0-9;]*m")
        lines = [line.strip("\r") for line in shown.split("\n") if line.strip()]
        self.assertIn("summary_json=", lines[-2])
        self.assertIn("summary_md=", lines[-1])


class Volume(PerfwrapTest):
    """However much is printed: nothing hangs, nothing is lost, and perfwrap does not grow."""

    accounting = ACCOUNTING_AS_USED

    def peak_memory_kb(self, process):
        """VmHWM of perfwrap, the last time it could be read before it ended."""
        peak = 0
        while process.poll() is None:
            peak = max(peak, proc_status(process.pid, "VmHWM") or 0)
            time.sleep(0.005)
        return peak

    def check(self, *options, size=200 * 1000 * 1000, code=0):
        if SANITIZED:
            size //= 10
        process = self.start("-n", 1, "-w", 0, *options,
                             cmd=[target("print_bytes"), size, "both", code],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        peak = self.peak_memory_kb(process)
        self.assertEqual(1 if code else 0, process.returncode)
        self.assertGreater(peak, 0)
        if not SANITIZED:
            self.assertLess(peak, MEMORY_LIMIT_KB, f"KiB of perfwrap in {PRESET}")

    def test_200_mb_on_both_streams(self):
        self.check()

    def test_200_mb_on_both_streams_discarded(self):
        self.check("--output", "null")

    def test_200_mb_of_a_failing_worker(self):
        self.check("--output", "tail", code=3)

    def test_six_workers_at_once(self):
        self.check("-c", 6, size=20 * 1000 * 1000)

    def test_all_bytes_reach_the_file(self):
        path, size = self.dir / "log", 20_000_000
        self.check("--output", path, size=size)
        self.assertEqual(2 * (size // 10 if SANITIZED else size), path.stat().st_size)

    def test_inherit_passes_every_byte_on(self):
        """Nothing is lost, or put in between, on the way through --output inherit."""
        process = self.start("-n", 1, "-w", 0, "--output", "inherit",
                             cmd=[target("print_bytes"), 5_000_000, "stdout"])
        run = self.finish(process)
        self.assertEqual(0, run.status, run.err)
        self.assertEqual(5_000_000, sum(len(line) + 1 for line in run.out.splitlines()
                                        if line and not line.strip("x")))


if __name__ == "__main__":
    unittest.main()
