"""Stacks mounted at one path in turn, by ovl through FUSE or by the kernel; or a plain directory in their place."""

import subprocess
from contextlib import contextmanager


def run(*words, **options):
    """Runs a program that must succeed and returns what it says."""
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    text = done.stdout.decode(errors="replace")
    assert done.returncode == 0, f"{' '.join(map(str, words))} ended with {done.returncode}: {text[-3000:]}"
    return text


@contextmanager
def fuse(ovl, lower, upper, at):
    words = ["--allow-other", "--suid", "--dev", "--lower", lower, "--upper", upper]
    run(ovl, "mount", "--quiet", "--driver", "fuse", *words, at)
    try:
        yield at
    finally:
        try:
            run(ovl, "unmount", at)
        except AssertionError:
            # It would outlive the namespace: its process stays in it.
            run("umount", "--lazy", at)
            raise


@contextmanager
def kernel(lower, upper, at):
    work = upper.with_suffix(".work")
    upper.mkdir()
    work.mkdir()
    layers = f"lowerdir={lower},upperdir={upper},workdir={work},redirect_dir=on"
    run("mount", "-t", "overlay", "-o", layers, "overlay", at)
    try:
        yield at
    finally:
        run("umount", at)


@contextmanager
def plain(folder, at):
    run("mount", "--bind", folder, at)
    try:
        yield at
    finally:
        run("umount", at)
