"""Lets tools that know nothing of ovl work in a mount by FUSE: the file system tests pjdfstest and fsx, cargo and git.

Run as `cargo xtask test posix`, which gives the folder of the built programs and one to work in. pjdfstest must fail
where the kernel's own overlay does and nowhere else; cargo and git must leave what they leave in a plain directory.

Everything is mounted in a mount namespace of its own.
"""

import re
import subprocess
import sys
import time
from pathlib import Path

import mounts
import private
import work

PJDFSTEST = """
[features]
posix_fallocate = {}
rename_ctime = {}
utime_now = {}
utimensat = {}
[settings]
# Longer than a tick of the clock that gives files their times.
naptime = 0.02
allow_remount = false
[dummy_auth]
entries = [["nobody", "nogroup"], ["daemon", "daemon"]]
"""
FSX = """
flen = 262144
blockmode = {block}
nosizechecks = {block}
[weights]
close_open = {moves}
truncate = {moves}
posix_fallocate = {moves}
invalidate = 1
fsync = 1
fdatasync = 1
sendfile = 5
punch_hole = 5
posix_fadvise = 5
copy_file_range = 5
"""
OPERATIONS, SEEDS = 20_000, (1, 2, 3)


class Place:
    """A folder in memory, with a mount point that all use in turn."""

    def __init__(self, ovl, home):
        self.ovl, self.home, self.at = ovl, home, home / "m"
        mounts.run("mount", "-t", "tmpfs", "-o", "size=4g,mode=0755", "tmpfs", home)
        self.at.mkdir()

    def folder(self, name):
        path = self.home / name
        path.mkdir(parents=True)
        return path

    def fuse(self, lower, upper):
        return mounts.fuse(self.ovl, lower, self.home / upper, self.at)

    def kernel(self, lower, upper):
        return mounts.kernel(lower, self.home / upper, self.at)


def pjdfstest(place):
    """Runs every case in a merged directory, by the kernel and by FUSE: both must fail in the same."""
    config = place.home / "pjdfstest.toml"
    config.write_text(PJDFSTEST)
    other = place.folder("other")
    mounts.run("mount", "-t", "tmpfs", "tmpfs", other)
    place.folder("low/d").chmod(0o777)
    with place.kernel(place.home / "low", "pjdfstest-kernel"):
        expected = verdicts(config, place.at / "d", other)
    with place.fuse(place.home / "low", "pjdfstest-fuse"):
        found = verdicts(config, place.at / "d", other)
    ran = sum(verdict == "ok" for verdict in expected.values())
    assert ran > 300, f"only {ran} cases of pjdfstest passed on the kernel's overlay"
    differ = [case for case in expected if found.get(case) != expected[case]]
    assert not differ, "\n".join(f"{case}: {found.get(case)}, the kernel: {expected[case]}" for case in differ)
    failed = sum(verdict == "FAILED" for verdict in expected.values())
    return f"{ran} cases pass and {failed} fail as on the kernel's overlay"


def verdicts(config, at, other):
    """Returns the verdict of each case."""
    words = ["pjdfstest", "-c", config, "-p", at, "-s", other]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
    return dict(re.findall(r"^(\w+(?:::\w+)+) +(ok|FAILED|skipped)$", done.stdout.decode(errors="replace"), re.M))


def fsx(place):
    """Runs fsx on a new file and, without truncating it first, on one of the lower."""
    low = place.folder("fsx-low")
    (low / "of-the-lower").write_bytes(b"lower " * (262_144 // 6 + 1))
    for name, block, moves in (("new", "false", 1), ("of-the-lower", "true", 0)):
        config = place.home / f"{name}.toml"
        config.write_text(FSX.format(block=block, moves=moves))
        for seed in SEEDS:
            with place.fuse(low, f"fsx-{name}-{seed}"):
                words = ["-f", config, "-N", str(OPERATIONS), "-S", str(seed), "-P", place.home, place.at / name]
                mounts.run("fsx", *words, timeout=300)
    return f"{OPERATIONS} operations, {len(SEEDS)} seeds, on a new file and on one of the lower"


def real_work(place):
    """Lets cargo and git work over a zip, and in a plain directory at the same path."""
    archive = work.prepare(place.folder("sources"))
    with place.fuse(archive, "work"):
        work.perform(place.at)
        found = work.tree(place.at)
    mounts.run("unzip", "-q", archive, "-d", place.folder("plain"))
    with mounts.plain(place.home / "plain", place.at):
        work.perform(place.at)
        expected = work.tree(place.at)
    wrong = sorted(path for path in found.keys() | expected.keys() if found.get(path) != expected.get(path))
    assert not wrong, f"{len(wrong)} differ from a plain directory: {', '.join(wrong[:10])}"
    return f"{len(found)} files, directories and links as in a plain directory"


def main(programs, home):
    home = Path(home).resolve()
    home.mkdir(parents=True, exist_ok=True)
    place = Place(Path(programs, "ovl").resolve(), home)
    for job in (pjdfstest, fsx, real_work):
        start = time.monotonic()
        try:
            line = job(place)
        except AssertionError as wrong:
            sys.exit(f"{job.__name__}: {wrong}")
        print(f"{time.monotonic() - start:6.1f} s  {job.__name__}: {line}", flush=True)


if __name__ == "__main__":
    private.run(main, ("test", "-c", "/dev/fuse"), ("grep", "-qw", "overlay", "/proc/filesystems"))
