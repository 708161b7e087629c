"""What the image would hold: the gate runs in that tree and nothing else, read-only and as nobody.

There is no container engine here, so the tree of scripts/image-root is made a root by the kernel's own
means: a mount namespace of its own, the tree mounted read-only, chroot, and the image's user. Where a test
is not root, a user namespace makes it so, and the gate runs as its only user.
"""

import gzip
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

import charts

LIMIT = 12 * 1024 * 1024
IS_ROOT = os.geteuid() == 0
NAMESPACE = ["unshare", "--mount"] + ([] if IS_ROOT else ["--user", "--map-root-user"])
USER = "--userspec=65532:65532" if IS_ROOT else ""
# What a container runtime lays over every image: the hosts file. Then the root is shut for writing.
ENTER = """
mount --bind "$1" "$1"
mount --bind "$2" "$1/etc/hosts"
mount -o remount,bind,ro "$1" "$1"
root=$1; shift 2
exec chroot $USERSPEC "$root" /callgate "$@"
"""


@pytest.fixture(scope="module")
def binary():
    named = os.environ.get("CALLGATE_BINARY")
    assert named, "CALLGATE_BINARY names no program: run scripts/charts"
    return Path(named)


def image_root(folder, binary):
    return subprocess.run([charts.ROOT / "scripts/image-root", folder, binary], capture_output=True, text=True)


@pytest.fixture(scope="module")
def image(binary):
    """The tree, in a place that the image's user can reach."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        made = image_root(f"{place}/root", binary)
        assert made.returncode == 0, made.stderr
        Path(f"{place}/hosts").write_text("127.0.0.1 localhost\n")
        yield Path(f"{place}/root")


def command(image, *arguments):
    # A runtime makes the places of what it mounts.
    (image / "etc/hosts").touch()
    script = ["bash", "-euc", ENTER, "enter", image, image.parent / "hosts"]
    return [*NAMESPACE, *script, *arguments]


# Nothing of this environment reaches the gate but how to enter.
ENVIRONMENT = {"PATH": os.environ["PATH"], "USERSPEC": USER}


def run(image, *arguments):
    return subprocess.run(command(image, *arguments), env=ENVIRONMENT, capture_output=True, text=True, timeout=60)


class Gate:
    """A gate in the tree, and where it listens."""

    def __init__(self, image, *arguments):
        listen = [f"--{door}-addr=127.0.0.1:0" for door in ("grpc", "http", "admin")]
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            command(image, "serve", *listen, *arguments), env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=self.log, text=True
        )

    def __enter__(self):
        line = self.process.stdout.readline()
        if not line.startswith("listening "):
            self.__exit__()
            raise AssertionError(self.last_words)
        self.doors = dict(re.findall(r"(\w+)=(\S+)", line))
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.code = self.process.wait(30)
        self.process.stdout.close()
        self.last_words = self.told()
        self.log.close()

    def told(self):
        """What it has logged."""
        if self.log.closed:
            return self.last_words
        self.log.seek(0)
        return self.log.read()

    def ready(self):
        """Waits until it says so, for as long as kubelet would."""
        for _ in range(300):
            try:
                return self.page("/readyz").read()
            except urllib.error.HTTPError as error:
                error.close()
                assert error.code == 503
                time.sleep(0.1)
        raise AssertionError(f"not ready after 30 s: {self.told()}")

    def page(self, path):
        return urllib.request.urlopen(f"http://{self.doors['admin']}{path}", timeout=10)


def files(image):
    return sorted(str(path.relative_to(image)) for path in image.rglob("*") if path.is_file())


def test_the_tree_holds_the_program_what_it_needs_and_nothing_else(image, binary):
    (image / "etc/hosts").unlink(missing_ok=True)
    linked = subprocess.run(["ldd", binary], capture_output=True, text=True, check=True).stdout
    libraries = [path.lstrip("/") for path in re.findall(r"/\S*\.so\S*", linked)]
    own = ["callgate", "etc/group", "etc/nsswitch.conf", "etc/passwd", "etc/ssl/certs/ca-certificates.crt"]
    assert files(image) == sorted(own + libraries)
    assert not [path for path in image.rglob("*") if path.is_symlink()]
    assert "callgate:x:65532:65532:" in (image / "etc/passwd").read_text()


def test_nothing_in_the_tree_can_be_written_by_its_user(image):
    assert [p for p in image.rglob("*") if p.stat().st_mode & 0o022 or p.stat().st_uid == 65532] == []


def test_the_same_content_makes_the_same_tree(image):
    assert {path.stat().st_mtime for path in image.rglob("*") if path.is_file() and path.name != "hosts"} == {0}


def test_program_and_authorities_are_small(image, binary):
    if "release" not in binary.parts:
        pytest.skip(f"{binary} is no release build: scripts/charts --release measures one")
    size = sum(len(gzip.compress((image / f).read_bytes(), 9)) for f in ("callgate", "etc/ssl/certs/ca-certificates.crt"))
    print(f"program and authorities, gzip -9: {size} bytes")
    assert size <= LIMIT


def test_it_says_its_version(image):
    out = run(image, "version")
    assert out.returncode == 0, out.stderr
    assert out.stdout.startswith("callgate 0.1.0, rulebook ")


def test_it_serves_answers_and_ends(image):
    with Gate(image, "--store", "memory:") as gate:
        gate.ready()
        asked = run(image, "check", "436666719526789", "15550199001", "--addr", gate.doors["grpc"])
        assert asked.returncode == 10, asked.stderr
        assert asked.stdout.startswith("DENY (never asked)")
        asked = run(image, "check", "436666719526789", "15550199001", "--exit-zero", "--addr", gate.doors["grpc"])
        assert asked.returncode == 0, asked.stderr
        if IS_ROOT:
            status = Path(f"/proc/{gate.process.pid}/status").read_text()
            assert re.search(r"^Uid:\t65532\t65532\t65532\t65532$", status, re.M), "runs as the image's user"
    assert gate.code == 0, gate.told()


def test_without_an_answer_the_check_of_helm_test_fails(image):
    asked = run(image, "check", "436666719526789", "15550199001", "--exit-zero", "--addr", f"127.0.0.1:{free_port()}")
    assert asked.returncode == 3, asked.stderr


def test_its_root_cannot_be_written(image):
    out = run(image, "serve", "--store", "embedded:/facts", "--grpc-addr", "127.0.0.1:0", "--http-addr", "off", "--admin-addr", "off")
    assert out.returncode != 0
    assert "Read-only file system" in out.stderr, out.stderr


def test_it_looks_names_up(image):
    port = free_port()
    with Gate(image, "--store", f"redis://localhost:{port}") as gate:
        pass
    assert f"redis://localhost:{port}: cannot connect: Connection refused" in gate.told()


def test_without_the_hosts_file_first_names_are_not_found(image, tmp_path_factory):
    """So that the test above tells something: the order in nsswitch.conf is what finds localhost."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        shutil.copytree(image, f"{place}/root")
        shutil.copy(image.parent / "hosts", f"{place}/hosts")
        Path(f"{place}/root/etc/nsswitch.conf").write_text("hosts: dns\n")
        with Gate(Path(f"{place}/root"), "--store", f"redis://localhost:{free_port()}") as gate:
            pass
    assert "Connection refused" not in gate.told()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


# === The script and the Dockerfile ===


def test_a_folder_that_holds_something_is_left_alone(binary, tmp_path):
    (tmp_path / "something").touch()
    made = image_root(tmp_path, binary)
    assert made.returncode == 1 and "is not empty" in made.stderr
    assert files(tmp_path) == ["something"]


def test_without_authorities_there_is_no_image(binary, tmp_path):
    made = subprocess.run(
        [charts.ROOT / "scripts/image-root", tmp_path / "root", binary],
        env={**os.environ, "CA_FILE": "/nonexistent"}, capture_output=True, text=True,
    )  # fmt: skip
    assert made.returncode == 1 and "set CA_FILE" in made.stderr


DOCKERFILE = (charts.ROOT / "Dockerfile").read_text()
HADOLINT = Path(sys.executable).parent / "hadolint"


def test_the_dockerfile_lints():
    out = subprocess.run([HADOLINT, charts.ROOT / "Dockerfile"], capture_output=True, text=True)
    assert out.returncode == 0, out.stdout + out.stderr


def test_the_linter_can_find_something(tmp_path):
    (tmp_path / "Dockerfile").write_text(DOCKERFILE.replace("rust:1.95.0-slim-bookworm", "rust:latest"))
    out = subprocess.run([HADOLINT, tmp_path / "Dockerfile"], capture_output=True, text=True)
    assert out.returncode != 0 and "DL3007" in out.stdout


def test_the_last_stage_is_empty_and_of_the_user_that_the_charts_name():
    last = DOCKERFILE.split("FROM scratch")[1]
    assert re.search(r"^USER 65532:65532$", last, re.M)
    assert re.search(r'^ENTRYPOINT \["/callgate"\]$', last, re.M)
    assert re.search(r'^CMD \["serve"\]$', last, re.M)
    assert "RUN" not in last
    assert charts.load(charts.SERVICE).values["podSecurity"]["runAsUser"] == 65532


def context(folder):
    """What .dockerignore lets through, by its rules as far as this one uses them."""
    lines = [line for line in (charts.ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert lines[0] == "*" and all(line[0] == "!" for line in lines[1:])
    for name in (line[1:] for line in lines[1:]):
        source, target = charts.ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)


def test_the_build_gets_all_that_it_reads(tmp_path):
    """Cargo finds every target of the manifest; every file that the sources take in is there."""
    context(tmp_path)
    # Asked for what is not there, it reads the whole manifest and compiles nothing.
    out = subprocess.run(["cargo", "build", "--locked", "--bin", "nothing"], cwd=tmp_path, capture_output=True, text=True)
    assert "no bin target named `nothing`" in out.stderr, out.stderr
    assert (tmp_path / "scripts/image-root").exists()
    for source in [*(tmp_path / "src").rglob("*.rs"), tmp_path / "build.rs"]:
        for taken in re.findall(r'include_(?:str|bytes)!\("([^"]+)"\)', source.read_text()):
            assert (source.parent / taken).resolve().is_relative_to(tmp_path.resolve()), f"{source}: {taken}"
            assert (source.parent / taken).exists(), f"{source}: {taken}"


def test_the_toolchain_of_the_image_is_new_enough():
    import tomllib

    needed = tomllib.loads((charts.ROOT / "Cargo.toml").read_text())["package"]["rust-version"]
    pinned = re.search(r"^FROM rust:(\d+)\.(\d+)\.\d+-slim-bookworm", DOCKERFILE, re.M).groups()
    assert tuple(map(int, pinned)) >= tuple(map(int, needed.split(".")[:2]))


# === What it is made of ===


@pytest.mark.skipif(not shutil.which("cargo-cyclonedx"), reason="no cargo-cyclonedx: docs/image.md says how to install it")
def test_the_list_of_parts_names_crates_and_packages(binary, tmp_path):
    import json

    out = subprocess.run([charts.ROOT / "scripts/sbom", binary, tmp_path / "sbom.json"], capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    bom = json.loads((tmp_path / "sbom.json").read_text())
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.5")
    names = {part["name"] for part in bom["components"]}
    assert {"tonic", "redis", "luajit-src", "libc6", "libgcc-s1", "ca-certificates"} <= names
    assert not names & {"proptest", "insta"}, "what only tests use is no part"
    refs = {part["bom-ref"] for part in bom["components"]} | {bom["metadata"]["component"]["bom-ref"]}
    assert {entry["ref"] for entry in bom["dependencies"]} <= refs


def test_without_its_tool_the_list_says_what_to_install(binary, tmp_path):
    out = subprocess.run(
        [sys.executable, charts.ROOT / "scripts/sbom", binary, tmp_path / "sbom.json"],
        env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True,
    )  # fmt: skip
    assert out.returncode == 1 and "cargo install cargo-cyclonedx --version 0.5.9 --locked" in out.stderr
    assert "cargo install cargo-cyclonedx --version 0.5.9 --locked" in (charts.ROOT / "docs/image.md").read_text()
