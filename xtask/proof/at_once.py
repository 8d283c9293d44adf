"""Changes one stack from all sides at once: some through a mount by FUSE, some over HTTP, and all in the same few places.

Run as `cargo xtask test at-once`, which gives the folder of the built programs and one to work in, and how many rounds.
When all have stopped, the mount, HTTP and the kernel's own overlay of the same layers must show one tree, byte for byte, and
nothing may be wrong with the upper. What each did is in no order: a round that fails need not fail again.
"""

import errno
import hashlib
import http.client
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

import mounts
import private

SECONDS, BY_MOUNT, BY_HTTP = 8, 3, 2
DIRS = ["", "a", "a/b", "c", "d", "a/x", "n1", "n2/m"]
# What a file system says when another was faster; and a directory of a lower is not moved, which `mv` can do without.
EXPECTED = {errno.ENOENT, errno.ENOTEMPTY, errno.EBUSY, errno.EINVAL, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.EXDEV}


def lowers(home):
    for i in range(30):
        for name in (f"l1/a/f{i}", f"l2/a/f{i}", f"l2/d/g{i}", f"l1/a/b/h{i}"):
            path = home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{name}\n" * i)
    return [home / "l1", home / "l2"]


def some(rng):
    return os.path.join(rng.choice(DIRS), rng.choice("fghp") + str(rng.randrange(1, 12)))


def act(rng, at, held):
    """Does one thing in a mount. Some of what it opens it keeps open."""
    path, other = os.path.join(at, some(rng)), os.path.join(at, some(rng))
    above, kind = os.path.dirname(path), rng.randrange(12)
    if kind < 3:
        flags = (os.O_TRUNC if rng.random() < 0.3 else 0) | (os.O_APPEND if rng.random() < 0.3 else 0)
        held.append(os.open(path, os.O_RDWR | os.O_CREAT | flags))
        os.write(held[-1], rng.randbytes(rng.randrange(1, 9000)))
    elif kind == 3:
        os.unlink(path)
    elif kind == 4:
        os.rename(path, other)
    elif kind == 5:
        os.makedirs(above, exist_ok=True)
    elif kind == 6:
        os.rmdir(above) if rng.random() < 0.9 else shutil.rmtree(above, ignore_errors=True)
    elif kind == 7:
        Path(path).read_bytes()
    elif kind == 8:
        list(map(os.stat, (os.path.join(above, name) for name in os.listdir(above))))
    elif kind == 9:
        os.chmod(path, rng.choice([0o600, 0o644, 0o755]))
    elif kind == 10:
        os.link(path, other) if rng.random() < 0.7 else os.rename(above, os.path.join(at, rng.choice(DIRS[1:])))
    else:
        os.truncate(path, rng.randrange(5000))
    while len(held) > 3:
        fd = held.pop(rng.randrange(len(held)))
        os.pread(fd, 100, 0)
        os.close(fd)


def by_mount(seed, at):
    rng, held, until = random.Random(seed), [], time.monotonic() + SECONDS
    while time.monotonic() < until:
        try:
            act(rng, at, held)
        except OSError as error:
            assert error.errno in EXPECTED, error


def by_http(seed, address):
    rng, client, until = random.Random(seed), http.client.HTTPConnection(address, timeout=60), time.monotonic() + SECONDS
    while time.monotonic() < until:
        place, kind = quote(some(rng)), rng.randrange(6)
        verb, place, body = [
            ("PUT", f"files/{place}?parents=true", rng.randbytes(rng.randrange(9000))),
            ("PUT", f"files/{place}?parents=true", b""),
            ("DELETE", f"files/{place}", None),
            ("GET", f"files/{place}", None),
            ("GET", f"entries/{quote(rng.choice(DIRS))}?list=true", None),
            ("DELETE", f"changes/{place}", None),
        ][kind]
        client.request(verb, f"/v1/{place}", body)
        answer = client.getresponse()
        text = answer.read()
        assert answer.status < 500, f"{verb} {place}: {answer.status} {text}"


def tree(at):
    """Returns kind and mode of everything beneath a directory, and a hash of each file."""
    shown = {}
    for folder, dirs, files in os.walk(at):
        for name in dirs + files:
            path = os.path.join(folder, name)
            digest = hashlib.sha256(Path(path).read_bytes()).hexdigest() if name in files else ""
            shown[os.path.relpath(path, at)] = (oct(os.lstat(path).st_mode), digest)
    return shown


def over_http(address, paths):
    client, shown = http.client.HTTPConnection(address, timeout=60), {}
    for path in paths:
        client.request("GET", f"/v1/files/{quote(path)}")
        shown[path] = hashlib.sha256(client.getresponse().read()).hexdigest()
    return shown


def same(one, other, who):
    differ = [path for path in sorted({*one, *other}) if one.get(path) != other.get(path)]
    assert not differ, f"{who} differ in {[(path, one.get(path), other.get(path)) for path in differ[:5]]}"


def play(programs, home, seed):
    shutil.rmtree(home, ignore_errors=True)
    layers, upper, work, at, kernel = lowers(home), *(home / name for name in ("u", "w", "m", "k"))
    for folder in (upper, work, at, kernel):
        folder.mkdir()
    words = [word for layer in layers for word in ("--lower", layer)]
    words += ["--upper", upper, "--work", work, "--mount", at, "--driver", "fuse", "--listen", "127.0.0.1:0"]
    server = subprocess.Popen([programs / "ovl-server", *words, "--quiet", "--ready-file", home / "ready"])
    try:
        while not (home / "ready").exists():
            assert server.poll() is None, "the server does not start"
            time.sleep(0.01)
        address = (home / "ready").read_text().split("://")[1].strip("/\n")
        hands = [(by_mount, str(at))] * BY_MOUNT + [(by_http, address)] * BY_HTTP
        hands = [multiprocessing.Process(target=hand, args=(seed * 100 + i, where)) for i, (hand, where) in enumerate(hands)]
        for hand in hands:
            hand.start()
        for hand in hands:
            hand.join(SECONDS + 60)
            assert hand.exitcode == 0, "a hand failed, or is stuck"
        shown = tree(at)
        files = {path: digest for path, (_, digest) in shown.items() if digest}
        same(files, over_http(address, files), "the mount and HTTP")
    finally:
        server.terminate()
        ended = server.wait(60)
    assert ended in (0, 143), f"the server ended with {ended}"
    options = f"lowerdir={':'.join(map(str, layers))},upperdir={upper},workdir={work}"
    mounts.run("mount", "-t", "overlay", "-o", options, "overlay", kernel)
    try:
        same(shown, tree(kernel), "the mount and the kernel")
    finally:
        mounts.run("umount", kernel)
    mounts.run(programs / "ovl", "verify", upper)
    return len(shown)


def main(programs, home, rounds):
    for seed in range(int(rounds)):
        shown = play(Path(programs), Path(home).resolve() / "round", seed)
        print(f"round {seed}: {shown} entries, the same from all sides", flush=True)


if __name__ == "__main__":
    private.run(main)
