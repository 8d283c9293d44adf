"""Tells the first minute of ovl with a client generated from the server's own description."""

import sys
import zipfile
from io import BytesIO

from ovl_client import Client
from ovl_client.api.changes import delete_changes_path, get_changes, get_export
from ovl_client.api.entries import get_entries_path
from ovl_client.api.files import get_files_path, put_files_path
from ovl_client.api.layers import get_why_path
from ovl_client.models import ChangesPage, GetExportFormat, Page, Problem, WhyBody
from ovl_client.types import File

EDITED = "click/core.py"
ADDED = "click/örtlich & neu.txt"

api = Client(sys.argv[1], raise_on_unexpected_status=True)


def expect(kind, answer):
    """Returns `answer`, which must be of `kind`."""
    assert isinstance(answer, kind), answer
    return answer


def names(path):
    """Returns the names in a directory."""
    return [entry.name for entry in expect(Page, get_entries_path.sync(path, client=api, list_=True)).entries]


def read(path):
    """Returns the content of a file."""
    return expect(File, get_files_path.sync(path, client=api)).payload.read()


def write(path, content):
    """Writes a file and returns the status."""
    return put_files_path.sync_detailed(path, client=api, body=File(BytesIO(content))).status_code


def shown_by(path):
    """Returns the layer that shows."""
    return expect(WhyBody, get_why_path.sync(path, client=api)).shown


def changes():
    """Returns all changes in words."""
    return [f"{one.what} {one.path}" for one in expect(ChangesPage, get_changes.sync(client=api)).changes]


assert "click" in names("")
assert "core.py" in names("click")
original = read(EDITED)
assert b"class Context" in original

assert write(EDITED, b"edited\n") == 204
assert read(EDITED) == b"edited\n"
assert shown_by(EDITED) == "upper"

assert write(ADDED, b"new\n") == 201
assert changes() == [f"modified /{EDITED}", f"added /{ADDED}"], changes()

assert delete_changes_path.sync_detailed(EDITED, client=api).status_code == 204
assert read(EDITED) == original
assert shown_by(EDITED) == "lower-1"
assert changes() == [f"added /{ADDED}"], changes()

archive = expect(File, get_export.sync(client=api, format_=GetExportFormat.ZIP)).payload.read()
with zipfile.ZipFile(BytesIO(archive)) as members:
    assert members.testzip() is None
    assert members.read(ADDED) == b"new\n" and members.read(EDITED) == original

assert expect(Problem, get_files_path.sync("no/such", client=api)).type_ == "/problems/not-found"
print(f"Python: read, changed, explained, discarded and exported {len(archive)} bytes")
