"""The command line itself: usage errors, help, the manual page, metrics, show. What `run` measures is tested
elsewhere."""

import json
import os
import re
import shlex
import unittest
from pathlib import Path

from pwtest import PERFWRAP, SOURCE_DIR, PerfwrapTest, parse_json

REFERENCE_DIR = Path(os.environ.get("PW_REFERENCE_DIR", SOURCE_DIR / "../shared/reference")).resolve()
SUBCOMMANDS = ("run", "show", "metrics", "help")


class UsageTest(PerfwrapTest):
    def call(self, *args, expect=0, script="exec \"$@\""):
        """Runs perfwrap with just these arguments; `script` may redirect."""
        return self.run_sh(script, PERFWRAP, *args, expect=expect, cwd=self.dir)

    def refused(self, *args):
        """A usage error: status 2, nothing on standard output, one line and perhaps a hint; nothing is made."""
        run = self.call(*args, expect=2)
        self.assertEqual("", run.out)
        self.assertRegex(run.err, r"\Aperfwrap: [^\n]+\n(  hint: [^\n]+\n)?\Z")
        self.assertEqual([], os.listdir(self.dir))
        return run.err


class Usage(UsageTest):
    def test_perfwrap_alone(self):
        run = self.call(expect=2)
        self.assertEqual("", run.out)
        self.assertTrue(run.err.startswith("Usage:\n"), run.err)
        self.assertLessEqual(len(run.err.splitlines()), 8)

    def test_a_command_without_dashes(self):
        self.assertIn("hint: perfwrap -- ls ...", self.refused("ls", "-l"))
        self.assertIn("hint: perfwrap -n 5 -- 'my tool'\n", self.refused("-n", "5", "my tool"))

    def test_a_mistyped_subcommand(self):
        self.assertIn("the subcommand metrics?", self.refused("metrisc"))
        self.assertIn("the subcommand show?", self.refused("shwo", "x"))

    def test_the_hint_is_a_command_that_works(self):
        hint = re.search(r"hint: perfwrap (.*)\n", self.refused("--quiet", "true")).group(1)
        self.call(*shlex.split(hint))

    def test_unknown_options(self):
        self.assertIn("did you mean --iterations?", self.refused("--iteratons", "3", "--", "true"))
        self.assertIn("did you mean --concurrency?", self.refused("--concurency=2", "--", "true"))
        self.assertIn("did you mean --warmup?", self.refused("--warm", "2", "--", "true"))
        self.assertIn("did you mean --numbers?", self.refused("show", "--number", "x"))
        self.assertIn("unknown option -Z", self.refused("-Z", "--", "true"))

    def test_numbers_are_strict(self):
        for args in (["-n", "0"], ["-n", "-1"], ["-n", "1.5"], ["-n", "3x"], ["-n", ""], ["-n", " 3"],
                     ["-n", "1000001"], ["-c", "1025"], ["-c", "0"], ["--timeout-sec", "nan"],
                     ["--timeout-sec", "inf"], ["--timeout-sec", "-1"], ["--timeout-sec", "0x1"],
                     ["--until-ci", "0"], ["--probe-interval-ms", "0"], ["--max-time-sec", "0"]):
            with self.subTest(args=args):
                self.assertRegex(self.refused(*args, "--", "true"), r"is not a .*number.* from \S+ to \S+")

    def test_one_command_only(self):
        self.assertIn("no command", self.refused("-n", "3"))
        self.assertIn("no command after --", self.refused("--"))
        self.assertIn("more than one", self.refused("--cmd", "a", "--", "b"))
        self.assertIn("more than one", self.refused("--shell", "a", "--cmd", "b"))
        self.assertIn("--cmd", self.refused("--cmd", "a 'b"))

    def test_values(self):
        self.assertIn("needs a value", self.refused("--out-dir"))
        self.assertIn("needs a value", self.refused("-n", "--", "true"))
        self.assertIn("takes no value", self.refused("--quiet=1", "--", "true"))
        self.assertIn("return codes", self.refused("--ignore-failure=999", "--", "true"))

    def test_operands_of_the_other_subcommands(self):
        self.assertIn("no summary given", self.refused("show"))
        self.assertIn("unexpected word `b`", self.refused("show", "a", "b"))
        self.assertIn("unexpected word `x`", self.refused("metrics", "x"))
        self.assertIn("is none of", self.refused("metrics", "--format=xml"))
        self.assertIn("is none of", self.refused("show", "--format=xml", "x"))
        self.assertIn("did you mean metrics?", self.refused("help", "metrisc"))


class Help(UsageTest):
    def help(self):
        return self.call("--help").out

    def test_all_ways_to_help(self):
        text = self.help()
        for args in (["-h"], ["help"], ["run", "--help"], ["help", "run"], ["-n", "3", "-h", "--bad"]):
            self.assertEqual(text, self.call(*args).out, args)
        for name in SUBCOMMANDS[1:]:
            self.assertEqual(self.call(name, "--help").out, self.call("help", name).out)
            self.assertTrue(self.call("help", name).out.startswith(f"Usage: perfwrap {name}"))

    def test_groups_defaults_examples(self):
        text = self.help()
        self.assertGreaterEqual(len(re.findall(r"^[A-Z][^\n]*:$", text, re.M)), 8)
        self.assertIn("-n, --iterations N\n      Measured iterations.", text)
        self.assertRegex(" ".join(text.split()), r"--timeout-sec SEC .*?Default: 300\.")
        examples = text.split("\nExamples:\n")[1].split("\n\n")[0]
        self.assertEqual(3, len(re.findall(r"^  perfwrap ", examples, re.M)))
        self.assertLessEqual(max(map(len, text.splitlines())), 100)

    def test_documented_options_are_accepted(self):
        """Every option of the help can be parsed, with its default where it has one."""
        blocks = re.findall(r"^  (?:-\w, )?--([a-z-]+)([ \[][^\n]*)?\n((?:      [^\n]+\n)+)", self.help(), re.M)
        self.assertGreater(len(blocks), 35)
        for name, argument, words in blocks:
            default = re.search(r"Default: (\S+?)\.(\s|$)", words)
            value = [default.group(1)] if default else []
            if name in ("help", "version") or (argument.startswith(" ") and not value):
                continue
            run = self.call(f"--{name}", *value, "--bad-option", expect=2)
            self.assertIn("unknown option --bad-option", run.err, name)

    def test_exit_statuses(self):
        table = dict(re.findall(r"^  (\S+) +(.+)$", self.help().split("\nExit status:\n")[1], re.M))
        self.assertEqual(["0", "1", "2", "3", "125", "126", "127", "128+N"], list(table))
        readme = (SOURCE_DIR / "README.md").read_text(encoding="utf-8")
        for status, meaning in table.items():
            self.assertIn(f"| {status} | {meaning} |", readme)

    def test_exit_statuses_are_true(self):
        plain = self.dir / "plain"
        plain.write_text("no program\n")
        full = "exec \"$@\" >/dev/full"
        for status, args, script in (
                (0, ["-n1", "-w0", "--", "true"], None), (1, ["-n1", "-w0", "--", "false"], None),
                (0, ["-n1", "-w0", "--ignore-failure", "--", "false"], None),
                (0, ["-n1", "-w0", "--ignore-failure=1", "--", "false"], None),
                (1, ["-n1", "-w0", "--ignore-failure=2", "--", "false"], None),
                (1, ["-n1", "-w0", "--timeout-sec=0.05", "--", "sleep", "60"], None),
                (2, ["-n0", "--", "true"], None), (125, ["-n1", "-w0", "--", "true"], full),
                (126, ["--", plain], None), (127, ["--", self.dir / "none"], None)):
            with self.subTest(args=args):
                self.call(*args, expect=status, **({"script": script} if script else {}))

    def test_manual_page(self):
        page = self.call("help", "--format=man").out
        self.assertEqual((SOURCE_DIR / "docs/perfwrap.1").read_text(encoding="utf-8"), page)
        for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "EXAMPLES", "EXIT STATUS"):
            self.assertIn(f"\n.SH {section}\n", page)
        for name in re.findall(r"--([a-z-]+)", self.help()):
            self.assertIn("\\-\\-" + name.replace("-", "\\-"), page)

    def test_version(self):
        self.assertRegex(self.call("--version").out, r"\Aperfwrap \d+\.\d+\.\d+\n\Z")

    def test_output_that_cannot_be_written(self):
        for redirection in (">/dev/full", ">&-"):
            for args in (["--help"], ["--version"], ["metrics", "--format=json"], ["help", "--format=man"]):
                run = self.call(*args, expect=125, script=f"exec \"$@\" {redirection}")
                self.assertIn("perfwrap: write standard output: ", run.err)


class OldOptions(UsageTest):
    """Options of the older harness that have no effect are accepted, and say so once and in the summary."""

    OPTIONS = {"--monitor-sleep-ms": "50"}

    def test_each(self):
        args = [word for pair in self.OPTIONS.items() for word in pair if word]
        run = self.run_pw("-n", 1, "-w", 0, *args, cmd=["true"])
        warnings = [w for w in run.summary["warnings"] if w["kind"] == "option_without_effect"]
        self.assertEqual(len(self.OPTIONS), len(warnings))
        for option in self.OPTIONS:
            self.assertEqual(1, run.err.split("warning:")[0].count(f"{option} has no effect"), run.err)
            self.assertEqual(1, len([w for w in warnings if option in w["message"]]))
        profile = run.summary["profile"]
        self.assertEqual(50, profile["monitor_sleep_ms"])

    def test_not_given_not_said(self):
        run = self.run_pw("-n", 1, "-w", 0, cmd=["true"])
        self.assertNotIn("no effect", run.err)

    def test_cmd_with_words_for_a_shell(self):
        run = self.run_pw("-n", 1, "-w", 0, "--cmd", "echo a >/dev/null")
        self.assertIn("--cmd runs no shell: `>/dev/null`", run.err)
        self.assertIn("--shell", run.err)
        self.assertIn("shell_syntax_in_cmd", [w["kind"] for w in run.summary["warnings"]])
        quoted = self.run_pw("-n", 1, "-w", 0, "--cmd", "echo 'a > b'")
        self.assertNotIn("--cmd runs no shell", quoted.err)


class Metrics(UsageTest):
    def test_formats(self):
        rows = parse_json(self.call("metrics", "--format=json").out)
        text = self.call("metrics").out
        markdown = self.call("metrics", "--format=md").out
        names = re.findall(r"^(\S+) ", text, re.M)[1:]
        self.assertGreater(len(names), 50)
        self.assertIn("worker_latency_ms", names)
        for name in names:
            self.assertIn(name, markdown)
            self.assertIn(f'"{name}"', json.dumps(rows))
        for name in ("summary", "iteration"):
            schema = parse_json(self.call("metrics", f"--format={name}-schema").out)
            self.assertIn("2020-12", schema["$schema"])

    def test_every_metric_is_in_a_summary(self):
        rows = parse_json(self.call("metrics", "--format=json").out)["metrics"]
        names = [row["path"] for row in rows if not row["optional"]]
        self.assertEqual(re.findall(r"^(\S+) ", self.call("metrics").out, re.M)[1:], [row["path"] for row in rows])
        self.assertIn("footprint.pss_mb", [row["path"] for row in rows if row["optional"]])
        run = self.run_pw("-n", 1, "-w", 0, cmd=["true"])
        for name in names:
            document = run.summary["summary"]
            for key in name.split("."):
                self.assertIn(key, document, name)
                document = document[key]


def walk(document, name=""):
    """Every number of a document with its dotted name."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield from walk(value, f"{name}.{key}" if name else key)
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield from walk(value, f"{name}.{index}" if name else str(index))
    elif isinstance(document, (int, float)) and not isinstance(document, bool):
        yield name, float(document)


class Show(UsageTest):
    def numbers(self, path):
        lines = self.call("show", path, "--numbers").out.splitlines()
        return [(name, float(value)) for name, value in (line.rsplit(" ", 1) for line in lines)]

    def test_an_own_summary(self):
        run = self.run_pw("-n", 3, "-w", 0, "-c", 2, cmd=["/bin/true"])
        stored = run.summary_path.read_text(encoding="utf-8")
        self.assertEqual(stored, self.call("show", "--format=json", run.summary_path).out)
        self.assertEqual((run.run_dir / "summary.md").read_text(encoding="utf-8"),
                         self.call("show", "--format=md", run.run_dir).out)
        self.assertIn(self.call("show", run.run_dir).out, run.err)
        self.assertEqual(list(walk(run.summary)), self.numbers(run.summary_path))

    def test_what_is_no_summary(self):
        for content in (None, "", "{", "[]", "{}", '{"summary": 3, "runs": []}', '{"a": 1, "a": 2}'):
            with self.subTest(content=content):
                path = self.dir / "x.json"
                if content is not None:
                    path.write_text(content)
                run = self.call("show", path, expect=2)
                self.assertEqual("", run.out)
                self.assertRegex(run.err, r"\Aperfwrap: [^\n]*x\.json[^\n]*\n")

    def test_nothing_from_outside_controls_the_terminal(self):
        run = self.run_pw("-n", 1, "-w", 0, cmd=["/bin/echo", "\x1b[2J\x07"])
        for args in (["show"], ["show", "--format=md"]):
            self.assertNotRegex(self.call(*args, run.summary_path).out, "[\x00-\x09\x0b-\x1f\x7f]")


class Reference(UsageTest):
    """Summaries of the older harness, several versions of it."""

    def summaries(self):
        paths = sorted(REFERENCE_DIR.glob("summaries/*/summary.json"))
        if not paths:
            self.skipTest(f"no reference summaries in {REFERENCE_DIR}")
        self.assertEqual(26, len(paths))
        return paths

    def test_every_number_is_found(self):
        for path in self.summaries():
            with self.subTest(path=path.parent.name):
                expected = list(walk(json.loads(path.read_text(encoding="utf-8"))))
                lines = self.call("show", "--numbers", path).out.splitlines()
                found = [(name, float(value)) for name, value in (line.rsplit(" ", 1) for line in lines)]
                self.assertEqual(expected, found)

    def test_they_render(self):
        for path in self.summaries():
            document = json.loads(path.read_text(encoding="utf-8"))
            text = self.call("show", path).out
            self.assertIn(f"p50 {document['summary']['latency_ms']['p50']:.3f} ms", text)
            self.assertIn("p99 n/a", text)
            self.assertNotRegex(text, r"\bnan\b|\binf\b|-0\.0")
            markdown = self.call("show", "--format=md", path).out
            self.assertIn(f"- Failed runs: `{document['summary'].get('failed_runs_total', 'n/a')}`", markdown)

    def test_the_report_has_the_rows_of_the_older_one(self):
        compared = 0
        for path in self.summaries():
            old = path.with_name("summary.md")
            if not old.exists():
                continue
            ours = self.call("show", "--format=md", path).out.splitlines()
            for line in old.read_text(encoding="utf-8").splitlines():
                # Its title, one header whose unit was wrong, and a row of KiB where there is no value.
                if re.match(r"# |- No hotspots|\| Iteration \||\| max_rss_kb \| n/a", line):
                    continue
                self.assertIn(line, ours)
                compared += 1
        self.assertGreater(compared, 150)


if __name__ == "__main__":
    unittest.main()
