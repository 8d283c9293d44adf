"""The server, run so that it stops at a chosen system call or lies about some, and its clients, who outlive it."""

import http.client
import re
import signal
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# Every call by which an upper changes.
CALLS = (
    "pwrite64,ftruncate,copy_file_range,ioctl,rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,"
    "symlink,symlinkat,mknod,mknodat,setxattr,fsetxattr,removexattr,fremovexattr,chmod,fchmod,fchmodat,fchownat,"
    "utimensat,fsync,fdatasync,syncfs"
)

WORDS = ["strace", "-f", "-qq", "-e", f"trace={CALLS}"]


class Server:
    """A server of `disk/low` and the upper `disk/u`."""

    def __init__(self, program, disk, home, wrap=()):
        self.ready, self.log = home / "ready", home / "log"
        self.ready.unlink(missing_ok=True)
        layers = ["--lower", disk / "low", "--upper", disk / "u", "--listen", "127.0.0.1:0", "--ready-file", self.ready]
        with self.log.open("w") as log:
            self.process = subprocess.Popen([*wrap, program, *layers, "--quiet"], stdout=log, stderr=log)

    def address(self):
        """Returns where it serves, as soon as it does, or `None` if it was killed before."""
        while not (self.ready.exists() and self.ready.read_text().endswith("\n")):
            ended = self.process.poll()
            if ended == -signal.SIGKILL:
                return None
            assert ended is None, f"the server ended with {ended}: {self.log.read_text()}"
            time.sleep(0.002)
        return self.ready.read_text().split("://")[1].strip("/\n")

    def kill(self):
        """Kills it, unless that has happened."""
        self.process.kill()
        self.process.wait(20)

    def end(self):
        """Ends it as an operator does."""
        self.process.terminate()
        ended = self.process.wait(20)
        assert ended in (0, 143), f"the server ended with {ended}: {self.log.read_text()}"


class Strace:
    """`strace` on a process that runs, as long as this lasts."""

    def __init__(self, process, *flags):
        self.strace = subprocess.Popen([*WORDS, *flags, "-p", str(process.pid)], stderr=subprocess.DEVNULL)
        tasks = Path(f"/proc/{process.pid}/task")
        while not all("TracerPid:\t0" not in task.read_text() for task in tasks.glob("*/status")):
            assert self.strace.poll() is None, "strace does not start"
            time.sleep(0.001)

    def end(self):
        self.strace.terminate()
        self.strace.wait(20)

    @staticmethod
    def around(*flags):
        """Returns the words that start a program under `strace`; the process is the program's own (`-D`)."""
        return [*WORDS, "-D", *flags]


def called(trace):
    """Returns each call of a trace with its number among those of its name and thread, as `strace` counts."""
    counts, calls = Counter(), {}
    for line in trace.read_text().splitlines():
        if found := re.match(r"(\d+) +(\w+)\(", line):
            counts[found.groups()] += 1
            calls[found[2], counts[found.groups()]] = None
    return list(calls)


def tell(address, story, before):
    """Sends one request after the other until the server is gone. Returns how many were acknowledged.

    `before` is told the number of each request.
    """
    client = http.client.HTTPConnection(address, timeout=30)
    for number, request in enumerate(story):
        before(number)
        try:
            client.request(request.verb, request.place, request.body, {"Content-Type": request.kind})
            answer = client.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            return number
        assert answer.status in (200, 201, 204), f"{request}: {answer.status} {text}"
    return len(story)


def tell_all(address, stories, before):
    """Lets every client tell its story, at the same time. Returns how much of each was acknowledged."""
    with ThreadPoolExecutor(len(stories)) as pool:
        return list(pool.map(lambda story: tell(address, story, before), stories))
