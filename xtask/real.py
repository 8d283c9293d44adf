"""Serves real archives and holds every member, byte for byte, against what Python's own reader takes out.

Run as `cargo xtask test real-archives`, which gives the folder of the built programs and a folder for downloads.
Each archive is read whole (as it is, in a range, as gzip), edited, exported, and the export read back by Python and unzip.
"""

import gzip
import hashlib
import http.client
import io
import random
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from urllib.parse import quote

WHEELS = ["numpy==2.2.6", "scipy==1.16.3", "django==5.2.8", "botocore==1.40.70", "plotly==6.4.0", "ansible==12.2.0"]
# Archives made by other hands than Python's, as they lie in packages: a jar, a Word and a PowerPoint document.
INSIDE = {
    "py4j==0.10.9.9": "py4j-0.10.9.9.data/data/share/py4j/py4j0.10.9.9.jar",
    "python-docx==1.2.0": "docx/templates/default.docx",
    "python-pptx==1.0.2": "pptx/templates/default.pptx",
}
ANY_PYTHON = "--python-version 3.11 --platform manylinux2014_x86_64 --platform manylinux_2_28_x86_64 --platform any"


def fetch(package, folder):
    """Returns the wheel of `package`, from its registry the first time."""
    folder = folder / package
    if not folder.exists():
        words = f"-m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: {ANY_PYTHON}".split()
        subprocess.run([sys.executable, *words, "-d", folder, package], check=True)
    return next(folder.glob("*.whl"))


def archives(folder):
    """Yields every archive to try."""
    yield from (fetch(package, folder) for package in WHEELS)
    for package, member in INSIDE.items():
        path = folder / Path(member).name
        path.write_bytes(zipfile.ZipFile(fetch(package, folder)).read(member))
        yield path


class Server:
    """A server of one archive under an upper of its own, and a client that keeps its connection."""

    def __init__(self, program, archive, home):
        ready = home / "ready"
        words = ["--lower", archive, "--upper", home / "u", "--listen", "127.0.0.1:0", "--ready-file", ready]
        said = home / "said"
        self.process = subprocess.Popen([program, *words], stderr=said.open("w"))
        while not ready.exists() or not ready.read_text().endswith("\n"):
            assert self.process.poll() is None, said.read_text()
            time.sleep(0.01)
        self.client = http.client.HTTPConnection(ready.read_text().split("://")[-1].strip(" /\n"), timeout=60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        assert self.process.wait(30) in (0, 143), "the server did not end well"

    def ask(self, verb, path, body=None, **headers):
        """Returns status, headers and bytes of one request."""
        self.client.request(verb, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = self.client.getresponse()
        return answer.status, answer.headers, answer.read()

    def change(self, verb, name, body=None):
        status, _, text = self.ask(verb, url(name) + ("?parents=true" if body else ""), body)
        assert status in (201, 204), (verb, name, status, text)


def url(name):
    return "/v1/files/" + quote(name)


def compare(server, name, data, dice):
    """Reads one member in three ways. Returns whether its deflated bytes were passed through."""
    status, _, got = server.ask("GET", url(name))
    assert (status, got) == (200, data), f"{name}: {status}, {len(got)} bytes for {len(data)}"
    if data:
        first = dice.randrange(len(data))
        last = dice.randrange(first, len(data))
        status, _, got = server.ask("GET", url(name), Range=f"bytes={first}-{last}")
        assert (status, got) == (206, data[first : last + 1]), f"{name}: {status} for bytes {first}-{last}"
    status, headers, got = server.ask("GET", url(name), Accept_Encoding="gzip")
    packed = headers["Content-Encoding"] == "gzip"
    assert (status, gzip.decompress(got) if packed else got) == (200, data), f"{name}: {status} as gzip"
    return packed


def edit(server, expected, dice):
    """Replaces the first member, removes the last, adds one; keeps `expected` in step, and reads them again."""
    first, *_, last = sorted(expected)
    changes = {first: b"replaced\n" * 1000, "added by ovl/n\u00e4me.txt": b"added"}
    for name, data in changes.items():
        server.change("PUT", name, data)
        compare(server, name, data, dice)
    server.change("DELETE", last)
    assert server.ask("GET", url(last))[0] == 404, f"{last} is still there"
    expected.update(changes)
    del expected[last]


def read_back(server, home, expected):
    """Exports the merged tree and reads it with other tools."""
    status, _, packed = server.ask("GET", "/v1/export?what=merged&format=zip")
    assert status == 200, packed
    export = zipfile.ZipFile(io.BytesIO(packed))
    assert contents(export) == expected, "the export is not the merged tree"
    (home / "export.zip").write_bytes(packed)
    if shutil.which("unzip"):
        subprocess.run(["unzip", "-tqq", home / "export.zip"], check=True)


def contents(archive):
    return {info.filename: archive.read(info) for info in archive.infolist() if not info.is_dir()}


def story(program, archive, home):
    """Tells all of one archive; returns the line to print."""
    before, expected, dice = digest(archive), contents(zipfile.ZipFile(archive)), random.Random(archive.name)
    with Server(program, archive, home) as server:
        packed = sum(compare(server, name, data, dice) for name, data in expected.items())
        count = len(expected)
        edit(server, expected, dice)
        read_back(server, home, expected)
    assert digest(archive) == before, "the archive changed"
    return f"{count:6} members, {packed} passed through as gzip"


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main():
    programs, folder = map(Path, sys.argv[1:])
    folder.mkdir(parents=True, exist_ok=True)
    if not shutil.which("unzip"):
        print("unzip is missing (`apt-get install unzip`): exports are read back by Python alone")
    for archive in archives(folder):
        start = time.monotonic()
        with tempfile.TemporaryDirectory(dir=folder) as home:
            line = story(programs / "ovl-server", archive, Path(home))
        print(f"{time.monotonic() - start:6.1f} s  {line}  {archive.name}", flush=True)


main()
