"""Cuts the power: stops the server at one of its system calls, cuts its file system off, and looks at what is left.

Run as `cargo xtask test power-cut`, which gives the folder of the built programs, one to work in, and how many points
are to be tried: they are spread over the whole story and over ext4 and xfs. Another `OVL_SEED` tries others.

What was acknowledged must be there, and all or nothing of the one request that was on its way. The upper opens again
as it is, and the kernel's overlay shows the same tree with it as the server does.

Everything is mounted in a mount namespace of its own; no mount and no loop device stays.
"""

import os
import random
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import disk
import lies
import private
import story
from rig import ALONE, CROWD, Broken, Rig, verify


class Point:
    """A place at which to cut: a stop, a file system, one client or several, the journal saved or not."""

    def __init__(self, number, points, seed, stops):
        self.system = disk.SYSTEMS[number % 2]
        part = (number + random.Random(f"{seed} {number}").random()) / points
        self.stop = stops[self.system][int(part * len(stops[self.system]))]
        self.flush = number // 2 % 2 == 1
        self.clients = CROWD if number // 4 % 3 == 2 else ALONE

    def run(self, rig):
        """Cuts here. Returns whether the server was stopped before the end of the story, and what is wrong."""
        try:
            before = self.stop.before(self.clients)
            told, tree = rig.run(self.system, self.clients, self.flush, self.stop.around, before)
            verify(self.clients, told, tree)
            return told != [len(story.requests("a"))] * len(told), None
        except (Broken, AssertionError, RuntimeError) as wrong:
            return True, f"{self}: {wrong}"

    def __str__(self):
        how = "journal saved" if self.flush else "nothing saved"
        return f"{self.system}, {self.stop}, {len(self.clients)} clients, {how}"


def cut_everywhere(rig, pool, stops, points, seed):
    """Tries every point; returns what is wrong."""
    results = list(pool.map(lambda number: Point(number, points, seed, stops).run(rig), range(points)))
    stopped = sum(was for was, _ in results)
    calls = " and ".join(f"{len(stops[system])} calls on {system}" for system in disk.SYSTEMS)
    print(f"{points} points (seed {seed}) of {calls}: {stopped} stopped the server", flush=True)
    assert stopped * 10 >= points * 9, "too few points stopped the server: what was tried is not what was meant"
    return [wrong for _, wrong in results if wrong]


def main(programs, home, points):
    programs, home, points = Path(programs).resolve(), Path(home).resolve(), int(points)
    seed = os.environ.get("OVL_SEED", "1")
    home.mkdir(parents=True, exist_ok=True)
    disk.run("mount", "-t", "tmpfs", "-o", "size=4g", "tmpfs", home)
    rig = Rig(programs / "ovl-server", home)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        stops = dict(zip(disk.SYSTEMS, pool.map(rig.stops, disk.SYSTEMS)))
        wrong = cut_everywhere(rig, pool, stops, points, seed) + lies.find(rig, pool, stops)
    if wrong:
        sys.exit("\n".join([f"{len(wrong)} findings:", *wrong[:10]]))


if __name__ == "__main__":
    private.run(main, ("losetup", "-f"))
