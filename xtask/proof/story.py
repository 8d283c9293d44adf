"""What a client asks of the server, one request after the other, and the tree that each must leave behind.

A tree is a dict from path to (kind, mode, content). The model knows nothing of layers: it is one plain tree.
"""

import io
import json
import zipfile
from urllib.parse import quote


def pattern(seed, size):
    """Returns content of which no two kilobytes are the same, here or in another pattern."""
    return b"".join(f"{seed} {at:06x} ".encode() * 64 for at in range(0, size, 1024))[:size]


BIG = 300_000
FILES = {
    "f": b"f of the lower",
    "keep": pattern("keep", 9_000),
    "big": pattern("big", BIG),
    "d/a": b"a of the lower",
    "d/b": pattern("b", 5_000),
    "m/x": b"x of the lower",
    "m/n/y": pattern("y", 5_000),
    "gone/old": b"old",
}


def fill_lower(at, clients):
    """Makes the lower: the same for each client, in a directory of its own."""
    for client in clients:
        for name, content in FILES.items():
            path = at / client / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def first_tree():
    """Returns the tree of one client before the first request."""
    tree = {name: ("file", 0o644, content) for name, content in FILES.items()}
    return tree | {name: ("dir", 0o755, b"") for name in ("d", "m", "m/n", "gone")}


class Request:
    """One request to the server, and what it makes of a tree."""

    def __init__(self, text, verb, place, change, body=b""):
        self.text, self.verb, self.place, self.change = text, verb, place, change
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"

    def __str__(self):
        return self.text


def put(client, name, content):
    def change(tree):
        mode = tree[name][1] if name in tree else 0o644
        tree[name] = ("file", mode, content)

    return Request(f"PUT {name}", "PUT", f"/v1/files/{client}/{quote(name)}", change, content)


def patch(client, name, content, offset=None):
    def change(tree):
        kind, mode, old = tree[name]
        at = len(old) if offset is None else offset
        tree[name] = (kind, mode, old[:at] + content + old[at + len(content) :])

    where = "append=true" if offset is None else f"offset={offset}"
    return Request(f"PATCH {name}", "PATCH", f"/v1/files/{client}/{quote(name)}?{where}", change, content)


def delete(client, name):
    def change(tree):
        for path in [path for path in tree if path == name or path.startswith(name + "/")]:
            del tree[path]

    return Request(f"DELETE {name}", "DELETE", f"/v1/entries/{client}/{quote(name)}?recursive=true", change)


def mkdir(client, name):
    def change(tree):
        tree[name] = ("dir", 0o755, b"")

    return Request(f"MKCOL {name}", "PUT", f"/v1/entries/{client}/{quote(name)}", change, {"kind": "dir"})


def symlink(client, name, target):
    def change(tree):
        tree[name] = ("symlink", 0o777, target.encode())

    body = {"kind": "symlink", "target": target}
    return Request(f"LINK {name}", "PUT", f"/v1/entries/{client}/{quote(name)}", change, body)


def chmod(client, name, mode):
    def change(tree):
        kind, _, content = tree[name]
        tree[name] = (kind, mode, content)

    body = {"mode": f"{mode:04o}"}
    request = Request(f"CHMOD {name}", "PATCH", f"/v1/entries/{client}/{quote(name)}", change, body)
    request.kind = "application/merge-patch+json"
    return request


def transfer(client, how, name, to):
    def change(tree):
        moved = {to + path[len(name) :]: tree[path] for path in tree if path == name or path.startswith(name + "/")}
        if how == "MOVE":
            delete(client, name).change(tree)
        delete(client, to).change(tree)
        tree.update(moved)

    body = {"from": f"{client}/{name}", "to": f"{client}/{to}", "overwrite": True}
    return Request(f"{how} {name} to {to}", "POST", "/v1/moves" if how == "MOVE" else "/v1/copies", change, body)


def batch(client, name, files):
    """Several files at once: an archive that becomes one new directory."""

    def change(tree):
        tree[name] = ("dir", 0o755, b"")
        tree.update({f"{name}/{file}": ("file", 0o644, content) for file, content in files.items()})

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for file, content in files.items():
            info = zipfile.ZipInfo(file)
            info.external_attr = 0o100644 << 16
            archive.writestr(info, content)
    return Request(f"BATCH {name}", "POST", f"/v1/imports?path={client}/{name}", change, packed.getvalue())


def requests(client):
    """Returns the story: every kind of change, on objects of the upper, of the lower, and of both."""
    files = {f"{number}": pattern(f"batch {number}", 3_000 * number) for number in range(1, 5)}
    make = [
        (put, "first", b"first"),
        (put, "new", pattern("new", 9_000)),
        (put, "long", pattern("long", BIG)),
        (put, "f", pattern("f2", 5_000)),
        (patch, "big", b"patched", 5_000),
        (patch, "new", pattern("appended", 5_000)),
        (delete, "d/a"),
        (mkdir, "e"),
        (put, "e/in", b"in"),
        (transfer, "MOVE", "f", "e/f2"),
        (transfer, "MOVE", "keep", "d/kept"),
        (transfer, "MOVE", "m", "e/m2"),
        (delete, "gone"),
        (mkdir, "gone"),
        (put, "gone/new", b"in an opaque directory"),
        (batch, "batch", files),
        (transfer, "MOVE", "e", "moved"),
        (put, "moved/m2/n/y", pattern("y2", 6_000)),
        (chmod, "new", 0o600),
        (put, "new", pattern("new2", 2_000)),
        (put, "d/a", b"again, over its whiteout"),
        (symlink, "link", "new"),
        (transfer, "COPY", "big", "copy"),
        (transfer, "MOVE", "long", "new"),
        (transfer, "MOVE", "batch", "gone/batch"),
        (delete, "moved"),
        (patch, "d/b", b"the last", 100),
    ]
    return [kind(client, *words) for kind, *words in make]


def trees(story):
    """Returns the trees before the first request and after each."""
    all_trees = [first_tree()]
    for request in story:
        tree = dict(all_trees[-1])
        request.change(tree)
        all_trees.append(tree)
    return all_trees
