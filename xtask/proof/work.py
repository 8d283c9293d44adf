"""Real work on real sources, the same each time: cargo builds a crate, git switches, clones and packs."""

import json
import os
import shutil
import zipfile
from pathlib import Path

from mounts import run

# A workspace of its own: the folder to work in lies in ours.
MANIFEST = """
[workspace]
[package]
name = "memchr"
version = "0.0.0"
edition = "2021"
[features]
std = []
[lints.rust]
unexpected_cfgs = "allow"
"""
# The same at every run: what is named by the clock or by a process would differ by itself.
SAME = {
    "CARGO_INCREMENTAL": "0",
    "CARGO_NET_OFFLINE": "true",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "ovl",
    "GIT_AUTHOR_EMAIL": "ovl@example.org",
    "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
    "GIT_COMMITTER_NAME": "ovl",
    "GIT_COMMITTER_EMAIL": "ovl@example.org",
    "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
}


def do(at, line):
    """Runs a command line in a directory."""
    unwanted = ("CARGO_TARGET_DIR", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER")
    env = {name: value for name, value in os.environ.items() if name not in unwanted}
    return run(*line.split(), cwd=at, env=env | SAME)


def prepare(home):
    """Makes a zip of a crate and of a repository with two branches; returns its path."""
    crate, repo = home / "tree/crate", home / "tree/repo"
    crate.mkdir(parents=True)
    shutil.copytree(sources() / "src", crate / "src", copy_function=shutil.copyfile)
    (crate / "Cargo.toml").write_text(MANIFEST)
    shutil.copytree(crate, repo)
    for line in ("init -q -b main", "add .", "commit -q -m first", "checkout -q -b other", "rm -q -r src/arch"):
        do(repo, f"git {line}")
    (repo / "src/lib.rs").write_text("// another\n")
    for line in ("add .", "commit -q -m second", "checkout -q main"):
        do(repo, f"git {line}")
    with zipfile.ZipFile(home / "sources.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((home / "tree").rglob("*")):
            archive.write(path, path.relative_to(home / "tree"))
    return home / "sources.zip"


def sources():
    """Returns where cargo keeps the sources of a crate that needs no other."""
    known = json.loads(run("cargo", "metadata", "--locked", "--format-version", "1"))
    return next(Path(package["manifest_path"]).parent for package in known["packages"] if package["name"] == "memchr")


def perform(at):
    """Builds, builds again with nothing to do and then after a change; switches, clones, packs and checks."""
    crate, repo = at / "crate", at / "repo"
    do(crate, "cargo build --offline --quiet")
    again = do(crate, "cargo build --offline --verbose")
    assert "Fresh memchr" in again, f"cargo sees changes where there are none: {again}"
    with (crate / "src/lib.rs").open("a") as file:
        file.write("\n// changed\n")
    again = do(crate, "cargo build --offline --verbose")
    assert "Compiling memchr" in again, f"cargo sees no change where there is one: {again}"
    for line in ("checkout -q other", "checkout -q main", "checkout -q other", "status --porcelain"):
        said = do(repo, f"git {line}")
        assert not said, f"git {line}: {said}"
    do(at, "git clone -q repo clone")
    for line in ("checkout -q main", "-c pack.threads=1 gc -q", "fsck --strict --no-progress", "status --porcelain"):
        said = do(at / "clone", f"git {line}")
        assert not said, f"git {line}: {said}"


def tree(at):
    """Returns what stands at each path.

    Left out are git's index, which holds inode numbers and times, and what cargo writes in the order of a hash table:
    `dep-*` and `.rustc_info.json`.
    """
    found = {}
    for path in at.rglob("*"):
        name = str(path.relative_to(at))
        if path.is_symlink():
            found[name] = ("symlink", os.readlink(path))
        elif path.is_dir():
            found[name] = ("dir", path.stat().st_mode)
        elif not (name.endswith(".git/index") or path.name.startswith("dep-") or path.name == ".rustc_info.json"):
            found[name] = ("file", path.stat().st_mode, path.read_bytes())
    return found
