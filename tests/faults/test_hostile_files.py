"""Files that mean harm: each is marked for what it is, and the rest is served as if alone."""

from __future__ import annotations

import os
import socket
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest
from tests.figures import Reached
from tests.running import Place, running

HELPER = "def helper():\n    return 1\n"
USE = "from good import helper\n\n\ndef use():\n    return helper()\n"
UTF16 = "def here():\n    return 1\n".encode("utf-16")

GOOD: dict[str, bytes] = {
    "good.py": HELPER.encode(),
    "plain.py": USE.encode(),
    "with space.py": USE.encode(),
    "100%25.py": USE.encode(),
    "sharp#1.py": USE.encode(),
    "question?.py": USE.encode(),
    "new\nline.py": USE.encode(),
    "quote'\".py": USE.encode(),
    "ünï/cödé.py": USE.encode(),
    "𠀀.py": USE.encode(),
    "bom.py": b"\xef\xbb\xbf" + USE.encode(),
    "crlf.py": USE.replace("\n", "\r\n").encode(),
    "astral.py": USE.replace("use", "𠀀𐐀").encode(),
    "long_line.py": USE.encode() + b"text = '" + b"x" * 1_000_000 + b"'\n",
}
BAD: dict[str, tuple[bytes, str]] = {
    "binary.py": (bytes(range(256)) * 40, "encoding_error"),
    "latin.py": (b"name = '\xe9\xe8'\n", "encoding_error"),
    "utf16.py": (UTF16, "encoding_error"),
    "surrogate.py": (b"text = '\xed\xa0\x80'\n", "encoding_error"),
    "null.py": (b"x = 1\n\0\0\n", ""),
    "deep.py": (b"x = " + b"[" * 20_000 + b"]" * 20_000, ""),
    "deep_blocks.py": (b"".join(b" " * n + b"if x:\n" for n in range(2_000)), ""),
    "open.py": (b"(" * 5_000, ""),
}
"""With the error that is told; without one it may be parsed, in part, or be an error."""


def write(root: Path) -> int:
    """Everything; returns how many of them are no regular files."""
    for name, content in {**GOOD, **{name: content for name, (content, _) in BAD.items()}}.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    with (root / "huge.py").open("wb") as huge:
        huge.truncate(100 * 2**20)
    os.mkfifo(root / "pipe.py")
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(os.path.relpath(root / "socket.py"))
    irregular = 2
    with suppress(PermissionError):  # for root alone
        os.mknod(root / "device.py", 0o20666, os.makedev(1, 5))  # /dev/zero, which never ends
        irregular += 1
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "secret.py").write_text("def secret(): ...\n")
    (root / "loop").symlink_to(root)
    (root / "self.py").symlink_to("self.py")
    (root / "out.py").symlink_to(outside / "secret.py")
    (root / "out").symlink_to(outside)
    return irregular


@pytest.mark.fault(22, "hostile files beside good ones, with ty")
def test_hostile_files_are_marked_and_the_rest_goes_on(place: Place, reached: Reached) -> None:
    root = place.folder / "root"
    root.mkdir()
    irregular = write(root)
    place.configure(root)
    with running(place) as daemon:
        daemon.wait_until_settled()
        workspace = daemon.status()["workspaces"][0]
        (root / "plain.py").unlink()
        place.run("wait", "--timeout", "30")
        assert daemon.terminate()[0] == 0
    assert all(
        line["action"] not in {"supervisor_failed", "service_ended"} for line in daemon.lines()
    )
    place.verify()

    with closing(sqlite3.connect(place.database)) as connection:
        status = dict(
            connection.execute(
                "SELECT path, status FROM file JOIN parse_result ON file_id = file.id"
            )
        )
        errors = dict(connection.execute("SELECT path, error_type FROM indexing_error"))
    unmarked = [name for name, (_, error) in BAD.items() if error and errors.get(name) != error]
    unmarked += [name for name, (_, error) in BAD.items() if not error and name not in status]
    unmarked += [
        name for name in ("huge.py", "pipe.py", "socket.py") if errors.get(name) != "io_error"
    ]
    assert workspace["errors"]["io_error"] >= irregular + 1
    assert not [name for name in (*status, *errors) if name.startswith(("out", "loop/", "self"))]
    reached("files that are not marked", len(unmarked), 0, times=len(BAD) + irregular + 1)

    callers = place.ask("callers", "good.helper")
    served = {edge["file"] for edge in callers["edges"]}
    unserved = [name for name in GOOD if name not in {"good.py", "plain.py", *served}]
    assert "plain.py" not in served
    assert unserved == []
    reached("good files that are not served", len(unserved), 0, times=len(GOOD))
