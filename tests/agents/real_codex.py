"""codex, and the mock of its model: what a test or a measurement needs to run `codex exec` without a network.

Two things come from outside the project: the npm packages of tests/npm/codex (see ./bootstrap test), and a
folder of tools with mock_model.py and codex-config.template.toml.
"""
import os
import re
import subprocess
import sys
from pathlib import Path

COMMAND = ("exec", "--skip-git-repo-check", "say hi")


def find(npm_dir):
    """The native program, or None."""
    found = sorted(Path(npm_dir).glob("codex/node_modules/@openai/codex-*/vendor/*/bin/codex"))
    return found[0] if found else None


def why_not(npm_dir, tools_dir):
    """Why codex cannot be run, or None."""
    if find(npm_dir) is None:
        return f"codex is not in {Path(npm_dir) / 'codex'}: see ./bootstrap test"
    if tools_dir is None or not (Path(tools_dir) / "mock_model.py").exists():
        return "mock_model.py, the mock of codex's model, is not there"
    return None


def make_home(folder, tools_dir, model_port):
    """A CODEX_HOME as a user has it: the template without its table [otel]."""
    text = (Path(tools_dir) / "codex-config.template.toml").read_text(encoding="utf-8")
    text = re.sub(r"(?ms)^\[otel\]\n.*?(?=^\[)", "", text).replace("@MODEL_PORT@", str(model_port))
    folder = Path(folder)
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(text, encoding="utf-8")
    return folder


class Model:
    """The mock of the model, on loopback. Use with `with`."""

    def __init__(self, tools_dir, turns=1, delay_ms=1):
        self.process = subprocess.Popen(
            [sys.executable, "-B", str(Path(tools_dir) / "mock_model.py"), "0"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "MOCK_TURNS": str(turns), "MOCK_DELAY_MS": str(delay_ms)})
        self.port = int(self.process.stdout.readline().split()[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
