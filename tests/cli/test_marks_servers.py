"""Time to ready of real servers that never exit, with --until. Skipped where they are not installed."""

import glob
import os
import pwd
import shutil
import socket
import subprocess
import unittest
from pathlib import Path

from pwtest import IS_ROOT, SLOWER, PerfwrapTest

# redis-check-rdb is the server's program under another name, in a package without a service.
REDIS = shutil.which("redis-server") or shutil.which("redis-check-rdb")
POSTGRES_DIRS = sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)
LONGEST_MS = 20000 * SLOWER


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class ServersTest(PerfwrapTest):
    def assert_ready(self, run, workers):
        measured = run.workers()
        self.assertEqual(workers, len(measured))
        for worker in measured:
            self.assertEqual(("until", 0), (worker["termination"], worker["return_code"]), str(run))
            self.assertEqual(worker["duration_ms"], worker["marks"]["ready_ms"])
            self.assertTrue(1 < worker["duration_ms"] < LONGEST_MS, worker["duration_ms"])
            phases = [value for value in worker["phases"].values() if value is not None]
            self.assertAlmostEqual(worker["duration_ms"], sum(phases), delta=0.001)
        return measured


@unittest.skipUnless(REDIS, "Redis is not installed")
class Redis(ServersTest):
    def setUp(self):
        super().setUp()
        self.server = self.dir / "redis-server"
        self.server.symlink_to(REDIS)  # it is the name that makes it the server

    def test_time_to_ready(self):
        port = free_port()
        run = self.run_pw("-n", 10, "-w", 1, "--mark", f"ready=tcp:{port}", "--until", "ready",
                          cmd=[self.server, "--port", port, "--save", "", "--dir", self.dir])
        self.assert_ready(run, 10)

    def test_port_and_log(self):
        """Redis listens before it says that it is ready."""
        port = free_port()
        run = self.run_pw("-n", 10, "-w", 1, "--mark", f"open=tcp:{port}",
                          "--mark", "ready=stdout:/Ready to accept connections/", "--until", "ready",
                          cmd=[self.server, "--port", port, "--bind", "127.0.0.1", "--save", "",
                               "--appendonly", "no", "--dir", self.dir])
        for worker in self.assert_ready(run, 10):
            if worker["marks"]["open_ms"] is not None:  # asking may come later than the line
                self.assertLessEqual(worker["marks"]["open_ms"], worker["marks"]["ready_ms"])

    def test_several_at_once(self):
        run = self.run_pw("-n", 3, "-w", 0, "-c", 3, "--mark", "ready=unix:{worker_dir}/redis", "--until", "ready",
                          "--worker-env", "SOCKET={worker_dir}/redis",
                          cmd=["/bin/sh", "-c", f'exec {self.server} --port 0 --unixsocket "$SOCKET" --save "" '
                               f"--dir {self.dir}"])
        self.assert_ready(run, 9)


@unittest.skipUnless(POSTGRES_DIRS, "no PostgreSQL server is installed")
class Postgres(ServersTest):
    """The server refuses to run as root: then as the user that its package made."""

    def setUp(self):
        super().setUp()
        self.data = self.dir / "data"
        self.become = {}
        if IS_ROOT:
            try:
                user = pwd.getpwnam("postgres")
            except KeyError:
                self.skipTest("PostgreSQL does not run as root, and there is no user postgres")
            os.chown(self.dir, user.pw_uid, user.pw_gid)
            self.become = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            program = self.dir / "perfwrap"
            shutil.copy(os.environ.get("PERFWRAP", "perfwrap"), program)
            program.chmod(0o755)
            self.become["program"] = str(program)
        made = subprocess.run([f"{POSTGRES_DIRS[0]}/initdb", "-D", self.data, "-A", "trust", "--no-sync"],
                              cwd=self.dir, env=self.env(), capture_output=True, text=True, check=False,
                              **{key: value for key, value in self.become.items() if key != "program"})
        self.assertEqual(0, made.returncode, made.stderr)

    def test_port_and_log(self):
        port = free_port()
        run = self.run_pw("-n", 5, "-w", 1, "--kill-grace-ms", 10000, "--mark", f"open=tcp:{port}",
                          "--mark", "ready=stderr:/database system is ready to accept connections/",
                          "--until", "ready", cwd=self.dir,
                          cmd=[f"{POSTGRES_DIRS[0]}/postgres", "-D", self.data, "-p", port, "-h", "127.0.0.1",
                               "-k", self.dir], **self.become)
        for worker in self.assert_ready(run, 5):
            if worker["marks"]["open_ms"] is not None:
                self.assertLessEqual(worker["marks"]["open_ms"], worker["marks"]["ready_ms"])
        self.assertFalse(Path(self.data, "postmaster.pid").exists(), "the server was ended gently")


if __name__ == "__main__":
    unittest.main()
