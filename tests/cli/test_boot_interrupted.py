"""perfwrap boot ended in the middle, by SIGINT, SIGTERM or SIGKILL: nothing is left, what was measured is told, and the
next call works. Played monitors and tools stop at the very moment, so no real machine is needed."""

import os
import shutil
import signal
import unittest

from boottest import MKE2FS, PlayedTest, fake_kernel
from pwtest import marked, parse_json, wait_until

BY_SIGNAL = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
ANSWER = "echo Linux; mark kernel; mark modules; mark exec code=0 signal=0"


class Interrupted(PlayedTest):
    def setUp(self):
        super().setUp()
        self.reached = self.dir / "reached"
        self.go_on = self.dir / "go-on"

    def stops(self, then=":"):
        """In a script: says that it is here, and stays; after a first time only if `go-on` is not there."""
        return f"[ -e {self.go_on} ] || {{ echo >{self.reached}; exec sleep 600; }}\n{then}"

    def begin(self, *options, env=None):
        self.reached.unlink(missing_ok=True)
        process = self.start(*options, env=env)
        wait_until(lambda: self.reached.exists() or process.poll() is not None, 20, "the moment")
        self.assertIsNone(process.poll(), "it has ended before")
        return process

    def assert_gone(self):
        wait_until(lambda: not marked(self.mark), 10, "all to end")

    def interrupt_and_kill(self, *options, next_call=None, env=None):
        """By each signal before the first boot; and the next call works."""
        for sig, status in BY_SIGNAL.items():
            process = self.begin(*options, env=env)
            process.send_signal(sig)
            run = self.finish(process)
            self.assertEqual((status, ""), (run.status, run.out), str(run))
            self.assertEqual(1, run.err.count("interrupted by signal"), str(run))
            self.assert_gone()
            self.assert_state_is_whole()
        process = self.begin("--mode", "ax", *options, env=env)
        process.send_signal(signal.SIGTERM)
        run = self.finish(process)
        error = parse_json(run.out)["error"]
        self.assertEqual((1, "transient"), (run.status, error["kind"]), str(run))
        self.assertIn("interrupted by signal 15", error["message"])
        process = self.begin(*options, env=env)
        process.kill()
        process.wait()
        self.assert_gone()
        self.go_on.touch()
        self.run_pw(*(next_call or options), env=env)
        self.assert_state_is_whole()
        self.assert_runs_are_whole()

    @unittest.skipUnless(MKE2FS, "mke2fs is not installed")
    def test_while_an_image_is_made(self):
        (self.dir / "root").mkdir()
        (self.dir / "root" / "file").write_text("x")
        modules = self.dir / "lib" / "modules" / "6.1.0-play"
        modules.mkdir(parents=True)
        (modules / "modules.builtin").write_text("".join(
            f"kernel/drivers/{name}.ko\n" for name in ("virtio/virtio", "virtio/virtio_ring", "virtio/virtio_mmio",
                                                      "block/virtio_blk")))
        tool = self.script("mke2fs", self.stops(f'exec {MKE2FS} "$@"'))
        self.interrupt_and_kill("--image", f"dir:{self.dir / 'root'}", "--mke2fs", tool,
                                *self.monitor(ANSWER + "; : {disk}"))

    def test_while_a_snapshot_is_made(self):
        """The next call does not make it: what boots is another machine."""
        asked = 'case " $* " in *" -kernel "*) ;; *) echo "played 1"; exit 0 ;; esac\n'
        stays = self.script("qemu", asked + self.stops())
        self.interrupt_and_kill("--start", "snapshot", "--supervisor", stays, "--kernel", self.kernel, "--accel", "tcg",
                                next_call=self.monitor(ANSWER))

    @unittest.skipUnless(shutil.which("dpkg-deb"), "the distribution is another one")
    def test_while_a_kernel_is_fetched(self):
        env = self.env(PATH=f"{played_distribution(self, self.stops())}:{os.environ['PATH']}")
        self.interrupt_and_kill("--fetch-kernel", env=env)
        self.assertEqual(["6.1.0-play-6.1-1"], [path.name for path in (self.state_dir / "kernels").iterdir()])

    def boots_then_stops(self):
        """A monitor that answers twice, then stays."""
        return self.monitor(f"n=$(($(cat {self.dir}/n 2>/dev/null || echo 0) + 1)); echo $n >{self.dir}/n\n"
                            f"[ $n -le 2 ] || {{ {self.stops()}\n}}\n{ANSWER}")

    def begin_third_boot(self, *options):
        (self.dir / "n").unlink(missing_ok=True)
        return self.begin("--iterations", 5, *options, *self.boots_then_stops())

    def test_while_a_machine_boots(self):
        for sig, status in BY_SIGNAL.items():
            process = self.begin_third_boot("--json")
            process.send_signal(sig)
            run = self.finish(process)
            document = parse_json(run.out)
            self.assertEqual(status, run.status, str(run))
            self.assertEqual(["ok", "ok"], [boot["verdict"] for boot in document["iterations"]])
            self.assertEqual((2, 0), (document["summary"]["count"], document["summary"]["failures"]))
            self.assertEqual(sig, self.summary_of(document)["interrupted_by"])
            self.assert_gone()
        self.assert_runs_are_whole()
        self.assert_state_is_whole()

    def test_text_of_what_was_measured(self):
        process = self.begin_third_boot()
        process.send_signal(signal.SIGINT)
        run = self.finish(process)
        self.assertEqual(130, run.status)
        self.assertEqual(2, run.summary["iterations"])
        self.assertIn("Machine boots", run.err)

    def test_one_document_in_ax_mode(self):
        process = self.begin_third_boot("--mode", "ax")
        process.send_signal(signal.SIGTERM)
        run = self.finish(process)
        error = parse_json(run.out)["error"]
        self.assertEqual((1, "transient"), (run.status, error["kind"]))
        self.assertIn("interrupted by signal 15", error["message"])
        self.assertEqual(["ok", "ok"], [boot["verdict"] for boot in error["partial_output"]["iterations"]])

    def test_one_document_before_the_first_boot_has_ended(self):
        for mode, status in ((["--mode", "ax"], 1), (["--json"], 130)):
            process = self.begin(*mode, *self.monitor(self.stops(ANSWER)))
            process.send_signal(signal.SIGINT)
            run = self.finish(process)
            document = parse_json(run.out)
            self.assertEqual(status, run.status, str(run))
            if status == 1:
                document = document["error"]["partial_output"]
            self.assertEqual((0, []), (document["summary"]["count"], document["iterations"]))

    def test_killed_while_a_machine_boots(self):
        for held in ([], ["--hold", 2]):
            process = self.begin_third_boot(*held)
            process.kill()
            process.wait()
            self.assert_gone()
            self.assert_state_is_whole()
            for folder in self.out_dir.iterdir():
                names = {path.name for path in folder.iterdir()}
                self.assertLessEqual(names, {"iteration-001.json", "iteration-002.json"})
                shutil.rmtree(folder)
        self.go_on.touch()
        self.run_pw(*self.boots_then_stops())

    def test_held_machines_end_with_an_interrupted_call(self):
        process = self.begin_third_boot("--hold", 2)
        process.send_signal(signal.SIGINT)
        self.assertEqual(130, self.finish(process).status)
        self.assert_gone()


def played_distribution(test, before_download=":"):
    """A folder with tools of a package manager that has one kernel, of 8 MiB."""
    folder = test.dir / "distribution"
    folder.mkdir()
    (test.dir / "vmlinuz").write_bytes(fake_kernel() + bytes(8 << 20))
    release = "6.1.0-play"
    tools = {
        "apt-cache": f'case $1 in depends) echo "  Depends: linux-image-{release}" ;; *) echo "Version: 6.1-1" ;; esac',
        "apt-get": f'case " $* " in *" download "*) ;; *) exit 0 ;; esac\n{before_download}\n'
                   f"exec cp {test.dir}/vmlinuz linux.deb",
        "dpkg-deb": f'mkdir -p "$3/boot" "$3/lib/modules/{release}" && exec cp "$2" "$3/boot/vmlinuz-{release}"',
    }
    for name, text in tools.items():
        test.script(f"distribution/{name}", text)
    return folder


if __name__ == "__main__":
    unittest.main()
