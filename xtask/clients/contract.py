"""Holds the server to its description with requests that nobody wrote: what it allows must be taken, what it forbids
refused, and every answer must be one that it tells of.

Run as `cargo xtask test contract`, which gives the folder of the built programs and a folder to work in.
"""

import subprocess
import sys
from pathlib import Path

from served import served

RULES = Path(__file__).parent / "schemathesis.toml"


def main(program, home):
    """Tries every operation of a server with a new upper; ends with what was found, and how to see it again."""
    home.mkdir(parents=True, exist_ok=True)
    with served(program) as url:
        words = ["schemathesis", "--config-file", RULES, "run", f"{url}/openapi.json", "--url", url, "--no-color"]
        done = subprocess.run(words, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    told = done.stdout.decode(errors="replace")
    if done.returncode:
        sys.exit(told)
    print("\n".join(line.strip() for line in told.splitlines() if line.endswith(" passed")))


if __name__ == "__main__":
    main(Path(sys.argv[1], "ovl-server"), Path(sys.argv[2]))
