"""Images: OCI layouts and archives, a real registry on loopback, folders and ext4 files; what is hostile in them."""

import gzip
import hashlib
import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
import unittest
from pathlib import Path

from boottest import ImageTest, release_only
from pwtest import parse_json, wait_until

UMOCI, SKOPEO, REGISTRY = (shutil.which(name) for name in ("umoci", "skopeo", "docker-registry"))


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def tool(*words):
    subprocess.run([str(word) for word in words], check=True, capture_output=True, timeout=120)


class Layout:
    """An OCI image layout, written by hand, so that it can be as bad as one likes."""

    def __init__(self, folder):
        self.folder = Path(folder)
        (self.folder / "blobs" / "sha256").mkdir(parents=True)
        (self.folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        self.layers = []

    def blob(self, data, media_type):
        digest = hashlib.sha256(data).hexdigest()
        (self.folder / "blobs" / "sha256" / digest).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    def layer(self, *members):
        """Members are (TarInfo, bytes or None)."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for info, data in members:
                archive.addfile(info, io.BytesIO(data) if data is not None else None)
        self.layers.append(self.blob(gzip.compress(buffer.getvalue()),
                                     "application/vnd.oci.image.layer.v1.tar+gzip"))
        return self

    def folder_layer(self, root):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            archive.add(root, arcname=".", filter=as_root)
        self.layers.append(self.blob(gzip.compress(buffer.getvalue()),
                                     "application/vnd.oci.image.layer.v1.tar+gzip"))
        return self

    def finish(self, tag="v1", **config):
        described = self.blob(json.dumps({"architecture": "amd64", "os": "linux", "config": config,
                                          "rootfs": {"type": "layers", "diff_ids": []}}).encode(),
                              "application/vnd.oci.image.config.v1+json")
        manifest = self.blob(json.dumps({"schemaVersion": 2, "config": described, "layers": self.layers}).encode(),
                             "application/vnd.oci.image.manifest.v1+json")
        manifest["annotations"] = {"org.opencontainers.image.ref.name": tag}
        (self.folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
        return f"oci:{self.folder}:{tag}"


def as_root(info):
    info.uid = info.gid = 0
    return info


def file(name, data=b"x", **fields):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def link(name, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, None


class OwnState(ImageTest):
    """A cache of its own with the shared kernel in it."""

    def setUp(self):
        super().setUp()
        self.use_own_state()


class Registry(OwnState):
    @release_only
    @unittest.skipUnless(UMOCI and SKOPEO and REGISTRY, "umoci, skopeo or docker-registry is not installed")
    def test_pulled_by_digest_cached_and_booted(self):
        port = free_port()
        name = f"127.0.0.1:{port}/test/guest"
        image = self.dir / "image"
        tool(UMOCI, "init", "--layout", image)
        tool(UMOCI, "new", "--image", f"{image}:v1")
        tool(UMOCI, "unpack", "--rootless", "--image", f"{image}:v1", self.dir / "bundle")
        shutil.copytree(self.root, self.dir / "bundle" / "rootfs", symlinks=True, dirs_exist_ok=True)
        tool(UMOCI, "repack", "--image", f"{image}:v1", self.dir / "bundle")
        tool(UMOCI, "config", "--image", f"{image}:v1", "--config.env", "COLOUR=green", "--config.workingdir", "/srv",
             "--config.user", "worker")
        settings = self.dir / "registry.yml"
        settings.write_text(f"version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {self.dir / 'store'}\n"
                            f"http:\n  addr: 127.0.0.1:{port}\n")
        server = subprocess.Popen([REGISTRY, "serve", settings], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        wait_until(lambda: answers(port), 20, "the registry")
        tool(SKOPEO, "copy", "-q", "--insecure-policy", "--dest-tls-verify=false", f"oci:{image}:v1",
             f"docker://{name}:v1")
        told = subprocess.run([SKOPEO, "inspect", "--tls-verify=false", "--format", "{{.Digest}}",
                               f"docker://{name}:v1"], check=True, capture_output=True, text=True, timeout=60)
        reference = f"docker://{name}@{told.stdout.strip()}"
        command = 'test "$COLOUR:$(pwd):$(id -u)" = green:/srv:1234'
        first = self.boot_json("--image", reference, "--exec", command)
        self.assertEqual("ok", first["iterations"][0]["verdict"], first["iterations"])
        self.assertEqual((True, 1), (first["machine"]["image_built"], first["summary"]["builds"]))
        self.assertEqual(told.stdout.strip(), first["machine"]["image_digest"])
        nobody = "sha256:" + "0" * 64
        for missing, text in ((f"docker://{name}@{nobody}", nobody[:19]), (f"docker://{name}:v2", "v2")):
            error = self.ax_error("--image", missing)
            self.assertIn(text, error["message"])
            self.assertTrue(error["remediation"])
            self.assert_state_is_whole()
        server.kill()  # by digest and cached: nothing more is asked of it
        server.wait()
        second = self.boot_json("--image", reference, "--exec", command)
        self.assertEqual("ok", second["iterations"][0]["verdict"])
        self.assertEqual((False, 0), (second["machine"]["image_built"], second["summary"]["builds"]))
        self.assertEqual(first["machine"]["image_digest"], second["machine"]["image_digest"])
        self.assertLess(second["machine"]["image_prepare_ms"], first["machine"]["image_prepare_ms"] / 2)
        run = self.run_pw("--image", f"{name}:other", expect=None)
        self.assertIn(run.status, (2, 125))
        self.assertIn("oci:", run.err)  # what can be had without a registry

    def test_layout_and_archive(self):
        layout = Layout(self.dir / "layout").folder_layer(self.root)
        reference = layout.layer(file("etc/hostname", b"second layer\n"), link("bin/.wh.yes", "")[:1] + (b"",)).finish()
        command = 'test "$(cat /etc/hostname)" = "second layer" && ! test -e /bin/yes'
        document = self.boot_json("--image", reference, "--exec", command)
        self.assertEqual("ok", document["iterations"][0]["verdict"], document["iterations"])
        with tarfile.open(self.dir / "image.tar", "w") as archive:
            archive.add(self.dir / "layout", arcname=".")
        again = self.boot_json("--image", f"oci-archive:{self.dir / 'image.tar'}:v1", "--exec", command)
        self.assertEqual("ok", again["iterations"][0]["verdict"])
        self.assertEqual(document["machine"]["image_digest"], again["machine"]["image_digest"])
        self.assertFalse(again["machine"]["image_built"], "the same content was built twice")
        ext4 = next(self.state_dir.glob("images/*/disk.ext4"))
        self.assertEqual("ok", self.boot_json("--image", f"ext4:{ext4}", "--exec", command)["iterations"][0]["verdict"])


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


class Hostile(OwnState):
    """Nothing outside of an image's root is written or read, whatever its layers say."""

    def setUp(self):
        super().setUp()
        self.outside = self.dir / "outside"
        self.outside.mkdir()
        self.precious = self.outside / "precious"
        self.precious.write_text("untouched")

    def prepare(self, *layers):
        layout = Layout(self.dir / f"layout-{len(list(self.dir.iterdir()))}").folder_layer(self.root)
        for members in layers:
            layout.layer(*members)
        run = self.run_pw("--json", "--image", layout.finish(), expect=None)
        self.assertEqual(["precious"], sorted(os.listdir(self.outside)), str(run))
        self.assertEqual("untouched", self.precious.read_text(), str(run))
        return run

    def test_names_that_climb(self):
        for name in ("../../../../../../evil", "etc/../../evil"):
            run = self.prepare([file(name)])
            self.assertEqual(2, run.status, str(run))
            self.assertIn("outside", run.err)

    def test_absolute_names_stay_below(self):
        self.prepare([file(str(self.outside / "evil"))])

    def test_links_that_climb(self):
        up = "../" * 30
        for target in (str(self.outside), up + str(self.outside)[1:]):
            self.prepare([link("door", target), file("door/evil")])
            self.prepare([link("door", target)], [file("door/evil")])
            self.prepare([link("door", target)], [file("door/.wh.precious", b"")])
        for target in (str(self.precious), up + str(self.precious)[1:]):
            self.prepare([link("hard", target, tarfile.LNKTYPE), file("hard", b"overwritten")])
            self.prepare([link("soft", target), file("soft", b"overwritten")])
            self.prepare([link("soft", target)], [link("hard", "soft", tarfile.LNKTYPE), file("hard", b"overwritten")])

    def test_whiteouts_that_climb(self):
        self.prepare([file("etc/.wh...", b"")])
        self.prepare([file("etc/.wh.", b"")])

    def test_damaged(self):
        layout = Layout(self.dir / "damaged").folder_layer(self.root)
        reference = layout.finish()
        digest = layout.layers[0]["digest"].split(":")[1]
        blob = layout.folder / "blobs" / "sha256" / digest
        whole = blob.read_bytes()
        changed = whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:]
        for data, text in ((whole[:-1], f"should have {len(whole)}"), (changed, digest[:12])):
            blob.write_bytes(data)
            run = self.run_pw("--image", reference, expect=2)
            self.assertIn("layer 1 of 1", run.err)
            self.assertIn(text, run.err)
        blob.unlink()
        self.assertIn(digest[:12], self.run_pw("--image", reference, expect=2).err)
        blob.write_bytes(whole)
        document = parse_json(self.run_pw("--json", "--image", reference).out)
        self.assertTrue(document["iterations"][0]["ok"], "what failed before was kept")

    def test_references(self):
        for reference, text in ((f"oci:{self.dir}/nothing", "nothing"), (f"dir:{self.dir}/nothing", "nothing"),
                                (f"ext4:{self.precious}", "ext4"), ("oci:", "oci:"), ("-x", "-x")):
            run = self.run_pw(f"--image={reference}", expect=2)
            self.assertIn(text, run.err)
        reference = Layout(self.dir / "tags").folder_layer(self.root).finish(tag="v1")
        self.assertIn("v1", self.run_pw("--image", reference.replace(":v1", ":v2"), expect=2).err)

    def test_tools_that_are_missing(self):
        run = self.run_pw("--image", f"dir:{self.root}", "--mke2fs", self.dir / "nothing", expect=2)
        self.assertIn("nothing", run.err)


if __name__ == "__main__":
    unittest.main()
