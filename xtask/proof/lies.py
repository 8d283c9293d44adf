"""Planted bugs: servers for some of whose system calls nothing happens, though they are told that it did.

A sync that never comes is one bug; two steps in the wrong order are another: the first is left out and the server is
stopped behind the second. The rig must find each on each file system, or its silence about the server means nothing.
"""

import disk
import story
from rig import ALONE, Broken, Stop, verify
from served import Strace

SYNCS = "fsync,fdatasync,syncfs"
# So many objects are staged in a story at most.
STAGED = range(0x100)


def files(at):
    """Returns every path at which content may be synced."""
    return [at / "u/a" / path for path in paths("file")] + [at / f"u.ovl-work/stage/#{number:x}" for number in STAGED]


def dirs(at):
    """Returns the upper and every directory in it."""
    return [at / "u", at / "u/a"] + [at / "u/a" / path for path in paths("dir")]


def paths(kind):
    return {path for tree in story.trees(story.requests("a")) for path, entry in tree.items() if entry[0] == kind}


LEFT_OUT = {"content is never synced": files, "directories are never synced": dirs}
# What comes too late in a request: the call, and the request.
SWAPPED = {
    "content is synced when it shows": ("fsync", "PUT f"),
    "a directory is moved before it has its mark": ("setxattr", "MOVE m to e/m2"),
    "a directory shows before it is opaque": ("setxattr", "MKCOL gone"),
}


def find(rig, pool, stops):
    """Plants every bug on every file system; returns which were not found."""
    bugs = [(system, name) for system in disk.SYSTEMS for name in LEFT_OUT | SWAPPED]
    found = list(pool.map(lambda bug: is_found(rig, *bug, stops[bug[0]]), bugs))
    print(f"{sum(found)} of {len(bugs)} planted bugs found")
    return [f"{system}: {name}, and the rig does not see it" for (system, name), seen in zip(bugs, found) if not seen]


def is_found(rig, system, name, stops):
    numbers = range(1, len(story.requests("a")))
    if name in LEFT_OUT:
        return any(left_out(rig, system, LEFT_OUT[name], number) for number in numbers)
    return swapped(rig, system, *SWAPPED[name], stops)


def left_out(rig, system, where, number):
    """Leaves syncs out and cuts the power before a request; returns whether something acknowledged is lost."""

    def around(at):
        chosen = [word for path in where(at) for word in ("-P", path)]
        return Strace.around("-e", f"inject={SYNCS}:retval=0", "-o", "/dev/null", *chosen)

    def before(server, now):
        if now == number:
            server.kill()

    return breaks(rig, system, number % 2 == 0, around, before, sure=True)


def swapped(rig, system, call, text, stops):
    """Leaves a call out of a request and stops the server behind its last rename, before the call would come."""
    of_request = [stop for stop in stops if stop.number is not None and str(story.requests("a")[stop.number]) == text]
    renames = [at for at, stop in enumerate(of_request) if stop.call.startswith("rename")]
    behind = next(stop for stop in of_request[renames[-1] + 1 :] if stop.call != call)
    stop = Stop(behind.number, behind.call, behind.nth, "-e", f"inject={call}:retval=0")
    return breaks(rig, system, True, stop.around, stop.before(ALONE), sure=False)


def breaks(rig, system, flush, around, before, sure):
    """Returns whether the promise is broken."""
    try:
        told, tree = rig.run(system, ALONE, flush, around, before)
        verify(ALONE, told, tree, sure)
    except Broken:
        return True
    return False
