"""Holds the server to its description: lints it, makes a client in TypeScript and one in Python from it, and uses them.

Run as `cargo xtask test clients`, which gives the folder of the built programs and a folder for what is fetched and made.
"""

import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

from served import served

HERE = Path(__file__).parent
# The linter should look for no newer self and count no user.
QUIET = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}


def run(home, *words):
    """Runs a program in `home` to its end, and ends when it fails. What it says of a success is left out."""
    done = subprocess.run(words, cwd=home, env=os.environ | QUIET, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        sys.exit(f"{words[0]} ended with {done.returncode}:\n{done.stdout.decode(errors='replace')}")
    return done.stdout.decode(errors="replace")


def furnish(home):
    """Brings our files to `home`, and beside them the packages that the lock names, unless they are there."""
    home.mkdir(parents=True, exist_ok=True)
    lock = home / "package-lock.json"
    fresh = lock.exists() and lock.read_bytes() == (HERE / "package-lock.json").read_bytes()
    for file in filter(Path.is_file, HERE.iterdir()):
        shutil.copy(file, home)
    if not fresh or not (home / "node_modules/.package-lock.json").exists():
        print("Fetching the packages for TypeScript ...", flush=True)
        run(home, "npm", "ci", "--prefix", str(home))


def describe(home, url):
    """Saves both descriptions as the running server gives them, and lints them."""
    for name in ("openapi.json", "openapi-3.0.json"):
        with urllib.request.urlopen(f"{url}/{name}") as answer:
            (home / name).write_bytes(answer.read())
        run(home, "node_modules/.bin/redocly", "lint", name, "--config", "redocly.yaml", "--max-problems", "1000")
        print(f"{name}: no error", flush=True)


def typescript(home, url):
    """Makes types from the description, checks the story against them and tells it."""
    run(home, "node_modules/.bin/openapi-typescript", "openapi.json", "-o", "api.d.ts")
    run(home, "node_modules/.bin/tsc", "--project", "tsconfig.json")
    print(run(home, "node", "out/story.js", url), end="", flush=True)


def python(home, url):
    """Makes a client from the description, all of it, and tells the story with it."""
    make = ["generate", "--path", "openapi.json", "--config", "python.yaml", "--meta", "none", "--overwrite"]
    run(home, "openapi-python-client", *make, "--output-path", "ovl_client", "--fail-on-warning")
    print(run(home, sys.executable, "story.py", url), end="", flush=True)


def main(program, home):
    """Lints the description, then uses a client of each language; each meets a server of its own."""
    furnish(home)
    with served(program) as url:
        describe(home, url)
        typescript(home, url)
    with served(program) as url:
        python(home, url)


if __name__ == "__main__":
    main(Path(sys.argv[1], "ovl-server"), Path(sys.argv[2]))
