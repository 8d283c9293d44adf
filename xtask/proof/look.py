"""The merged tree, as the server shows it and as the kernel's overlay does."""

import http.client
import io
import os
import stat
import tarfile
from decimal import Decimal

import disk
from served import Server

KINDS = {tarfile.DIRTYPE: "dir", tarfile.REGTYPE: "file", tarfile.SYMTYPE: "symlink"}


def by_server(program, at, home):
    """Opens the upper anew, without any repair, and returns what the server shows.

    That is from path to (kind, mode, content, owner, time). The server must take a change afterwards, too, and leave
    nothing of what the cut left behind.
    """
    server = Server(program, at, home)
    try:
        client = http.client.HTTPConnection(server.address(), timeout=30)
        tree = {}
        with tarfile.open(fileobj=io.BytesIO(get(client, "GET", "/v1/export?format=tar"))) as tar:
            for member in tar:
                content = tar.extractfile(member).read() if member.isreg() else member.linkname.encode()
                time = int(Decimal(member.pax_headers.get("mtime", member.mtime)) * 10**9)
                owner = (member.uid, member.gid)
                tree[member.name.strip("/")] = (KINDS[member.type], member.mode, content, owner, time)
        left = os.listdir(at / "u.ovl-work/stage")
        assert not left, f"the stage still holds {left}"
        get(client, "PUT", "/v1/files/after", b"after")
        get(client, "DELETE", "/v1/files/after")
        server.end()
    finally:
        server.kill()
    tree.pop("", None)
    return tree


def get(client, verb, place, body=None):
    client.request(verb, place, body)
    answer = client.getresponse()
    content = answer.read()
    assert answer.status < 300, f"{verb} {place}: {answer.status} {content}"
    return content


def by_kernel(at):
    """Mounts the upper by the kernel's overlay and returns the same of what that shows."""
    for name in ("w", "merged"):
        (at / name).mkdir(exist_ok=True)
    layers = f"lowerdir={at}/low,upperdir={at}/u,workdir={at}/w"
    disk.run("mount", "-t", "overlay", "-o", layers + ",redirect_dir=on", "overlay", at / "merged")
    try:
        return dict(walk(at / "merged"))
    finally:
        disk.unmount(at / "merged")


def walk(root):
    for folder, dirs, files in os.walk(root):
        for name in dirs + files:
            path = os.path.join(folder, name)
            found = os.lstat(path)
            if stat.S_ISDIR(found.st_mode):
                kind, content = "dir", b""
            elif stat.S_ISLNK(found.st_mode):
                kind, content = "symlink", os.readlink(path).encode()
            else:
                assert stat.S_ISREG(found.st_mode), f"{path} is of another kind"
                kind, content = "file", open(path, "rb").read()
            owner = (found.st_uid, found.st_gid)
            yield os.path.relpath(path, root), (kind, stat.S_IMODE(found.st_mode), content, owner, found.st_mtime_ns)
