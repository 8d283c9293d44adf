"""Starts the server as a user would, and ends it: on a free port, the examples below, nothing on top of them."""

import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


@contextmanager
def served(program):
    """Starts a server with a new upper, gives its address, and ends it. Fails if it ended by itself."""
    with tempfile.TemporaryDirectory() as folder:
        ready, log = Path(folder, "ready"), Path(folder, "log")
        below = [word for wheel in sorted(EXAMPLES.glob("*.whl")) for word in ("--lower", wheel)]
        flags = [*below, "--upper", Path(folder, "upper"), "--listen", "127.0.0.1:0", "--ready-file", ready]
        with log.open("w") as out:
            process = subprocess.Popen([program, *flags], stdout=out, stderr=out)
        try:
            yield address(process, ready, log)
            if process.poll() is not None:
                sys.exit(f"the server ended by itself with {process.returncode}:\n{log.read_text()}")
        finally:
            process.terminate()
            process.wait(20)


def address(process, ready, log):
    """Returns where `process` serves, as soon as it does."""
    for _ in range(300):
        if ready.exists() and ready.read_text().strip():
            return ready.read_text().strip()
        if process.poll() is not None:
            break
        time.sleep(0.1)
    sys.exit(f"the server does not start:\n{log.read_text()}")
