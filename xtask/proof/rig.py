"""One try: a server and its clients on a disk of their own, stopped and cut off, and what must be left."""

import tempfile
import threading
from pathlib import Path

import disk
import look
import story
from served import Server, Strace, called, tell_all

CROWD = ("a", "b", "c")
ALONE = CROWD[:1]


class Broken(Exception):
    """The promise is broken."""


class Rig:
    """The place where power is cut: file systems in memory, and a disk of each kind with a lower for each client."""

    def __init__(self, program, home):
        self.program, self.home = program, home
        for system in disk.SYSTEMS:
            disk.make(system, home / system, lambda at: story.fill_lower(at / "low", CROWD))

    def run(self, system, clients, flush, wrap=lambda at: (), before=lambda server, number: None):
        """Lets clients tell their stories until the server is killed, and cuts the power.

        What kills it is what `wrap` puts around it, or what `before` does to it before a request. Returns what was
        acknowledged and what is shown of it.
        """
        with tempfile.TemporaryDirectory(dir=self.home) as folder:
            here, image, at = Path(folder), Path(folder, "image"), Path(folder, "disk")
            at.mkdir()
            disk.copy(self.home / system, image)
            with disk.mounted(system, image, at):
                told = self.tell(at, here, clients, wrap(at), before)
                disk.cut(at, flush)
            with disk.mounted(system, image, at):
                try:
                    return told, self.look(at, here)
                except (AssertionError, RuntimeError, OSError) as wrong:
                    raise Broken(wrong) from wrong

    def tell(self, at, here, clients, wrap, before):
        server = Server(self.program, at, here, wrap)
        try:
            address = server.address()
            stories = [story.requests(name) for name in clients]
            return tell_all(address, stories, lambda number: before(server, number)) if address else [0] * len(clients)
        finally:
            server.kill()

    def look(self, at, here):
        """Returns what the server and the kernel show; every other time the kernel is first to have the upper."""
        kernel_first = (at / "u").exists() and sum(1 for _ in (at / "u").rglob("*")) % 2 == 0
        by_kernel = look.by_kernel(at) if kernel_first else None
        by_server = look.by_server(self.program, at, here)
        by_kernel = by_kernel or look.by_kernel(at)
        assert by_server == by_kernel, f"the server and the kernel differ: {difference(by_server, by_kernel)}"
        return by_server

    def stops(self, system):
        """Returns where the server can be stopped: each call of the opening and of each request, without a cut."""
        opening, traces, stracer = self.home / f"{system}.opening", {}, []

        def trace(server, number):
            for strace in stracer:
                strace.end()
            traces[number] = self.home / f"{system}.{number}"
            stracer[:] = [Strace(server.process, "-o", traces[number])]

        told, tree = self.run(system, ALONE, False, before=trace)
        verify(ALONE, told, tree, sure=True)
        self.run(system, ALONE, False, lambda _: Strace.around("-o", opening), lambda server, _: server.kill())
        traces = {None: opening, **traces}
        return [Stop(number, call, nth) for number, file in traces.items() for call, nth in called(file)]


class Stop:
    """The call that is not made any more: the `nth` of its kind, while the upper opens or in one request."""

    def __init__(self, number, call, nth, *more):
        self.number, self.call, self.nth = number, call, nth
        self.words = ["-e", f"inject={call}:signal=SIGKILL:when={nth}", "-o", "/dev/null", *more]

    def __str__(self):
        request = "the opening" if self.number is None else story.requests("a")[self.number]
        return f"{self.call} {self.nth} of {request}"

    def around(self, _):
        return Strace.around(*self.words) if self.number is None else ()

    def before(self, clients):
        """Returns what stops the server in time: all clients wait for each other before the request."""
        server = None
        barrier = threading.Barrier(len(clients), lambda: Strace(server.process, *self.words), timeout=60)

        def before(running, number):
            nonlocal server
            server = running
            if number == self.number:
                barrier.wait()

        return before


def verify(clients, told, tree, sure=False):
    """Checks that each client finds the tree after its last acknowledged request, or, unless `sure`, after the next."""
    for client, acknowledged in zip(clients, told):
        shown = {path[len(client) + 1 :]: entry[:3] for path, entry in tree.items() if path.startswith(client + "/")}
        promised = story.trees(story.requests(client))[acknowledged : acknowledged + (1 if sure else 2)]
        if shown not in promised:
            found = " and not the tree after: ".join(difference(shown, tree) for tree in promised)
            raise Broken(f"{client} has {acknowledged} acknowledged; after them, {found}")


def difference(found, wanted):
    """Says in which paths two trees differ."""
    paths = sorted(path for path in found.keys() | wanted.keys() if found.get(path) != wanted.get(path))
    return "; ".join(f"{path} is {brief(found.get(path))}, not {brief(wanted.get(path))}" for path in paths[:4])


def brief(entry):
    if entry is None:
        return "absent"
    kind, mode, content, *rest = entry
    return f"{kind} {mode:o} of {len(content)} bytes {content[:12]!r} {rest or ''}".strip()
