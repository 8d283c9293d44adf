"""Small disks of their own: made once, copied for each try, mounted by loop, and cut off as a power cut does."""

import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

SYSTEMS = ("ext4", "xfs")
# Copies of one xfs have the same number, which the kernel else would mount once at a time.
OPTIONS = {"ext4": "loop", "xfs": "loop,nouuid"}
# The smallest xfs has 300 MiB; next to nothing of it is really there.
BYTES = 320 << 20


def run(*words):
    """Runs a program that must succeed."""
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, words))}: {done.stdout.decode(errors='replace').strip()}")


@contextmanager
def mounted(system, image, at):
    """Mounts an image; its loop device goes away with the mount."""
    run("mount", "-t", system, "-o", OPTIONS[system], image, at)
    try:
        yield at
    finally:
        unmount(at)


def unmount(at):
    """Unmounts as soon as the last of those who were killed is gone; a mount left there would hide beneath the next."""
    for _ in range(500):
        if subprocess.run(["umount", at], stderr=subprocess.DEVNULL).returncode == 0:
            return
        time.sleep(0.01)
    run("umount", at)


def make(system, image, fill):
    """Makes an image that holds what `fill` puts into it."""
    with image.open("wb") as file:
        file.truncate(BYTES)
    run(f"mkfs.{system}", "-q", image)
    at = image.with_suffix(".making")
    at.mkdir()
    with mounted(system, image, at):
        fill(at)


def copy(image, to):
    """Copies an image, holes included."""
    run("cp", "--sparse=always", image, to)


def cut(at, flush):
    """Cuts the file system off: what is not on the disk is lost. `flush` saves its journal, but no content."""
    run("xfs_io", "-x", "-c", "shutdown -f" if flush else "shutdown", Path(at))
