"""Runs a script again in a mount namespace of its own, which takes its mounts along when it ends."""

import os
import subprocess
import sys

INSIDE = "OVL_PRIVATE_MOUNTS"


def run(main, *needs):
    """Calls `main` there, or says what hinders this machine: each of `needs` is a command that must succeed."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    if os.environ.get(INSIDE):
        main(*sys.argv[1:])
    elif why := next(filter(None, map(failure, [("unshare", "--mount", "true"), *needs])), None):
        print(f"skipped: {why}")
    else:
        words = ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv]
        sys.exit(subprocess.run(words, env=os.environ | {INSIDE: "1"}).returncode)


def failure(command):
    """Returns how a command fails, or nothing."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return f"{' '.join(command)}: {done.stdout.decode(errors='replace').strip()}" if done.returncode else None
