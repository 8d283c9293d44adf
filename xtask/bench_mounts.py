#!/usr/bin/env python3
"""Mounts beside fuse-overlayfs, fuse-zip and the kernel's overlay on the same layers: M1 to M5 of `cargo xtask bench`.

Root only, in a mount namespace of its own (`unshare --mount`), so that nothing stays. Peers from Debian: fuse-overlayfs,
fuse-zip. Every measurement is of a fresh mount; the layers themselves are in the page cache, where nothing else is said.
Uppers lie on an ext4 of their own (a loop device): where many files have just been removed, ext4 looks at each of them
before it makes a new one, and whoever is measured last would pay for all. Changes (M2) are made in all systems by turns, a
few at a time, each on a disk of its own: how long a machine takes to wake a process changes within minutes.
"""
import contextlib, mmap, os, pathlib, random, shutil, signal, statistics, subprocess, sys, time, zipfile

from bench import DATA, OVL, ROUNDS, TICK, big, missing, once, small_dir, zipped

HOME = DATA / "mounts"
COUNT = 2000
# How many changes one system makes before it is the next one's turn.
SLICE = 25


# ---- mounts ----

class Mounted:
    """A directory to measure in, and the process that answers for it."""

    def __init__(self, at, pid=0):
        self.at, self.pid = at, pid

    def cpu(self):
        if not self.pid:
            return 0.0
        stat = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / TICK


@contextlib.contextmanager
def disk(at):
    """Mounts a new file system at a directory. Its file goes with it."""
    at.mkdir(parents=True, exist_ok=True)
    file = DATA / f"{at.name}.ext4"
    file.unlink(missing_ok=True)
    with open(file, "wb") as made:
        made.truncate(8 << 30)
    subprocess.run(["mkfs.ext4", "-q", "-F", file], check=True)
    subprocess.run(["mount", "-o", "loop", file, at], check=True)
    file.unlink()
    try:
        yield at
    finally:
        subprocess.run(["umount", at], check=True)


@contextlib.contextmanager
def standing(argv, upper=None):
    """Mounts at a new place; by a process that stays, unless it is the kernel's own `mount`."""
    at = upper[0].with_suffix(".mnt") if upper else HOME / "mnt"
    at.mkdir(exist_ok=True)
    child = subprocess.Popen([*map(str, argv), str(at)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not os.path.ismount(at):
        time.sleep(0.005)
        if child.poll():
            sys.exit(f"{argv}: exit {child.returncode}")
    by_kernel = argv[0] == "mount"
    try:
        yield Mounted(at, 0 if by_kernel else child.pid)
    finally:
        subprocess.run(["umount", at], check=True)
        child.wait(20)


def fresh(name, home=HOME):
    """Returns an empty directory for an upper, with a place for what is not finished beside it."""
    upper, work = home / name, home / f"{name}.work"
    for path in (upper, work):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
    return upper, work


def ovl(lower, upper=None, durability="ordered"):
    layers = ["--lower", lower, *(["--upper", upper[0], "--work", upper[1]] if upper else [])]
    # `ordered` is as the kernel's overlay: what is not on the disk yet may be lost, nothing is damaged.
    return standing([OVL, "mount", "--foreground", "--driver", "fuse", "--durability", durability, *layers], upper)


def ovl_none(lower, upper):
    """As fuse-overlayfs, which never waits for the disk."""
    return ovl(lower, upper, "none")


def options(lower, upper):
    return f"lowerdir={lower}" + (f",upperdir={upper[0]},workdir={upper[1]}" if upper else "")


def fuse_overlayfs(lower, upper=None):
    return standing(["fuse-overlayfs", "-f", "-o", options(lower, upper)], upper)


def kernel(lower, upper=None):
    # It takes one layer only with a second one beneath.
    lower = lower if upper else f"{lower}:{fresh('none')[0]}"
    return standing(["mount", "-t", "overlay", "-o", options(lower, upper), "overlay"], upper)


@contextlib.contextmanager
def raw(lower, upper=None):
    yield Mounted(upper[0] if upper else lower)


# ---- what is done in them ----

def files(at):
    found = sorted(os.path.join(folder, name) for folder, _, names in os.walk(at) for name in names)
    random.Random(1).shuffle(found)
    return found


def spent(mounted, work):
    """Returns wall seconds and CPU seconds of whoever answers."""
    before, start = mounted.cpu(), time.perf_counter()
    work()
    return time.perf_counter() - start, mounted.cpu() - before


def listing(at):
    subprocess.run(["find", str(at), "-printf", "%M %s %T@ %p\n"], stdout=subprocess.DEVNULL, check=True)


def read_all(paths):
    for path in paths:
        fd = os.open(path, os.O_RDONLY)
        while os.read(fd, 1 << 17):
            pass
        os.close(fd)


def read_big(path):
    # It begins with a page: a bytearray begins anywhere, and at some places a processor copies at a fifth of the speed.
    fd, buffer = os.open(path, os.O_RDONLY), mmap.mmap(-1, 1 << 20)
    while os.readv(fd, [buffer]):
        pass
    os.close(fd)


def append_all(paths):
    for path in paths:
        fd = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.write(fd, b"x")
        os.close(fd)


def create_all(paths):
    body = os.urandom(4096)
    for path in paths:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        os.write(fd, body)
        os.close(fd)


# ---- figures ----

def in_turn(systems, measure):
    """Measures each system in turn, several rounds, each in another order. Returns the medians: name to what to wall and
    CPU seconds."""
    rng, rounds = random.Random(3), []
    for _ in range(ROUNDS):
        order = rng.sample(sorted(systems), len(systems))
        rounds.append({name: measure(systems[name]) for name in order})
    return middle(rounds)


def middle(rounds):
    """Returns the medians of several rounds, each name to what to wall and CPU seconds."""
    median = lambda name, what: tuple(statistics.median(one[name][what][i] for one in rounds) for i in (0, 1))
    return {name: {what: median(name, what) for what in rounds[0][name]} for name in rounds[0]}


def report(job, medians, what, goal, peer, higher=True, unit=lambda seconds: seconds * 1e3, word="ms"):
    """Prints a line: ours, the others' with our share of them, and whether the goal beside `peer` is met. `higher`: the
    goal is a speed."""
    ours, verdict = medians["ovl"][what], ""
    line = f"{job}  {what:<34} {unit(ours[0]):>9.1f} {word}, CPU {ours[1]:>5.2f} s"
    for name, theirs in medians.items():
        if name != "ovl" and what in theirs:
            share = theirs[what][0] / ours[0] if higher else ours[0] / theirs[what][0]
            line += f"; {name} {unit(theirs[what][0]):.1f} ({theirs[what][1]:.2f} s) {share:.2f}x"
            if name == peer:
                met = share >= goal if higher else share <= goal
                verdict = f"; goal {'>=' if higher else '<='} {goal}x {peer}: {'met' if met else 'NOT met'}"
    print(line + verdict, flush=True)


def m1():
    """Small files and a listing of a fresh mount."""
    lower = once("small", small_dir)
    paths = [os.path.relpath(path, lower) for path in files(lower)]
    read_all(os.path.join(lower, path) for path in paths)

    def measure(system):
        figures = {}
        with system(lower, fresh("upper")) as mounted:
            at = lower if system is raw else mounted.at
            figures["read 10,000 files of 4 KiB"] = spent(mounted, lambda: read_all(os.path.join(at, path) for path in paths))
        with system(lower, fresh("upper")) as mounted:
            at = lower if system is raw else mounted.at
            figures["list 10,000 files"] = spent(mounted, lambda: listing(at))
        return figures

    medians = in_turn({"ovl": ovl, "fuse-overlayfs": fuse_overlayfs, "kernel": kernel, "raw": raw}, measure)
    report("M1", medians, "read 10,000 files of 4 KiB", 1.0, "fuse-overlayfs")
    report("M1", medians, "list 10,000 files", 0.5, "fuse-overlayfs", higher=False)


def m2():
    """Changes: each of so many files."""
    lower = once("small", small_dir)
    lowers = [os.path.relpath(path, lower) for path in files(lower)][:COUNT]
    names = [f"n{i:05}" for i in range(COUNT)]
    shuffled = random.Random(2).sample(names, COUNT)
    changes = {
        "create": (names, lambda new, at: create_all(new)),
        "rename": (names, lambda new, at: [os.rename(path, path + ".r") for path in new]),
        "unlink": (shuffled, lambda new, at: [os.unlink(path + ".r") for path in new]),
        "append (copy-up)": (lowers, lambda new, at: append_all(at)),
        "unlink what a lower has": (lowers, lambda new, at: [os.unlink(path) for path in at]),
    }

    def measure(mounts):
        for mounted in mounts.values():
            os.mkdir(os.path.join(mounted.at, "new"))
        figures, rng = {name: {} for name in mounts}, random.Random(4)
        for what, (paths, change) in changes.items():
            taken = {name: [] for name in mounts if name != "raw" or paths is not lowers}
            for start in range(0, COUNT, SLICE):
                for name in rng.sample(sorted(taken), len(taken)):
                    at = str(mounts[name].at)
                    new, old = ([os.path.join(*where, path) for path in paths[start:start + SLICE]]
                                for where in ((at, "new"), (at,)))
                    taken[name].append(spent(mounts[name], lambda: change(new, old)))
            for name, slices in taken.items():
                figures[name][what] = tuple(map(sum, zip(*slices)))
        return figures

    rounds = []
    systems = {"ovl": ovl, "ovl none": ovl_none, "fuse-overlayfs": fuse_overlayfs, "kernel": kernel, "raw": raw}
    for _ in range(ROUNDS):
        with contextlib.ExitStack() as stack:
            disks = {name: stack.enter_context(disk(HOME / name.replace(" ", "-"))) for name in systems}
            rounds.append(measure({name: stack.enter_context(system(lower, fresh("upper", disks[name])))
                                   for name, system in systems.items()}))
    medians = middle(rounds)
    each = dict(unit=lambda seconds: seconds * 1e6 / COUNT, word="us each")
    for what, goal in (("create", 1.0), ("rename", 2.0), ("unlink", 2.0), ("unlink what a lower has", 2.0)):
        report("M2", medians, what, goal, "fuse-overlayfs", **each)
    # J4: beside the kernel's overlay with the disk waited for, beside fuse-overlayfs without.
    append = "append (copy-up)"
    durable = {name: {append: medians[name][append]} for name in ("ovl", "kernel")}
    report("M2", durable, append, 1.0, "kernel", **each)
    others = {"ovl": medians["ovl none"], "fuse-overlayfs": medians["fuse-overlayfs"]}
    report("M2", {name: {append + ", none": figures[append]} for name, figures in others.items()}, append + ", none", 1.0,
           "fuse-overlayfs", **each)


def m3():
    """A big file from its beginning to its end."""
    folder = once("bigdir", lambda path: (path.mkdir(), big(path / "big.bin")))
    size = (folder / "big.bin").stat().st_size
    read_big(folder / "big.bin")
    writable, empty = "a lower's file, writable mount", HOME / "empty"
    empty.mkdir(exist_ok=True)

    def upper():
        made = fresh("upper")
        shutil.copyfile(folder / "big.bin", made[0] / "big.bin")
        os.sync()
        return made

    def forget():
        fd = os.open(folder / "big.bin", os.O_RDONLY)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)

    def measure(system):
        figures = {}
        for what, lower, top in (("an upper's file", empty, upper), (writable, folder, lambda: fresh("upper")),
                                 ("a lower's file, read-only mount", folder, lambda: None)):
            with system(lower, top()) as mounted:
                path = (folder if system is raw and lower is folder else mounted.at) / "big.bin"
                figures[what] = spent(mounted, lambda: read_big(path))
                if what == writable:
                    figures[writable + ", again"] = spent(mounted, lambda: read_big(path))
        with system(folder, fresh("upper")) as mounted:
            forget()
            path = (folder if system is raw else mounted.at) / "big.bin"
            figures[writable + ", from the disk"] = spent(mounted, lambda: read_big(path))
        read_big(folder / "big.bin")
        return figures

    medians = in_turn({"ovl": ovl, "fuse-overlayfs": fuse_overlayfs, "kernel": kernel, "raw": raw}, measure)
    speed = dict(unit=lambda seconds: size / seconds / 2**20, word="MiB/s")
    for what, goal in (("an upper's file", 0.9), (writable, 0.7), (writable + ", again", 0.7),
                       (writable + ", from the disk", 0.7), ("a lower's file, read-only mount", 0.9)):
        report("M3", medians, what, goal, "raw", **speed)


def m4():
    """A mount of 64 lowers by the kernel's driver: the whole command."""
    stack = HOME / "many"
    for i in range(64):
        (stack / f"l{i}").mkdir(parents=True, exist_ok=True)
    lowers = [word for i in range(64) for word in ("--lower", str(stack / f"l{i}"))]
    at = HOME / "mnt"
    at.mkdir(exist_ok=True)
    taken = []
    for _ in range(ROUNDS * 2):
        upper, work = fresh("upper")
        argv = [OVL, "mount", "--quiet", "--driver", "kernel", *lowers, "--upper", upper, "--work", work, at]
        start = time.perf_counter()
        subprocess.run([str(word) for word in argv], check=True, stdout=subprocess.DEVNULL)
        taken.append((time.perf_counter() - start) * 1e3)
        subprocess.run(["umount", at], check=True)
    middle = statistics.median(taken)
    print(f"M4  64 lowers mounted by the kernel            {middle:>9.1f} ms; goal <= 20 ms: {'met' if middle <= 20 else 'NOT met'}")


def m5():
    """Small files from a zip."""
    small = once("small", small_dir)
    paths = [os.path.relpath(path, small) for path in files(small)]
    fuse_zip = lambda archive: standing(["fuse-zip", "-f", "-r", archive])
    for name, method in (("stored.zip", zipfile.ZIP_STORED), ("deflated.zip", zipfile.ZIP_DEFLATED)):
        archive, what = once(name, zipped(small, method)), f"read 10,000 files of {name}"

        def measure(system):
            with system(archive) as mounted:
                return {what: spent(mounted, lambda: read_all(os.path.join(mounted.at, path) for path in paths))}

        report("M5", in_turn({"ovl": ovl, "fuse-zip": fuse_zip}, measure), what, 2.0, "fuse-zip")


JOBS = {"M1": m1, "M2": m2, "M3": m3, "M4": m4, "M5": m5}
PEERS = {"M1": "fuse-overlayfs", "M2": "fuse-overlayfs", "M3": "fuse-overlayfs", "M5": "fuse-zip"}


def main():
    HOME.parent.mkdir(parents=True, exist_ok=True)
    with disk(HOME):
        run(sys.argv[1:])


def run(jobs):
    for job in jobs:
        if job in PEERS and not shutil.which(PEERS[job]):
            missing(job, PEERS[job])
        else:
            JOBS[job]()


if __name__ == "__main__":
    main()
