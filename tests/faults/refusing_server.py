"""A language server that starts at once, knows definitions by name, and refuses on request.

    command = [sys.executable, ".../tests/faults/refusing_server.py", FILE]

While FILE exists, questions about URIs that contain its text are refused. It is the raw server
with other answers, since hundreds of kills are hundreds of starts.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.servers import raw_server

REFUSED = Path(sys.argv[1])
REQUEST_FAILED = -32803
DEFINITION = re.compile(r"(?:\s*(?:def|class) |(?=\w+ = ))(\w+)")
WORD = re.compile(r"\w+")


def lines(uri: str) -> list[str]:
    return Path(os.fsdecode(unquote_to_bytes(uri.removeprefix("file://")))).read_text().split("\n")


def find(uri: str, line: int, character: int) -> list[dict[str, Any]]:
    """The first definition of the name in its own file, else in the first file that has one."""
    word = WORD.match(lines(uri)[line][character:])
    folder = Path(os.fsdecode(unquote_to_bytes(uri.removeprefix("file://")))).parent
    others = ["file://" + quote_from_bytes(os.fsencode(each)) for each in sorted(folder.iterdir())]
    for place in [uri, *others]:
        for number, text in enumerate(lines(place)):
            found = DEFINITION.match(text)
            if word is not None and found is not None and found[1] == word[0]:
                start = {"line": number, "character": found.start(1)}
                return [{"uri": place, "range": {"start": start, "end": start}}]
    return []


def answer(request: dict[str, Any]) -> None:
    if request["method"] != "textDocument/definition":
        of_others(request)
        return
    uri, position = request["params"]["textDocument"]["uri"], request["params"]["position"]
    if REFUSED.exists() and REFUSED.read_text() in uri:
        error = {"code": REQUEST_FAILED, "message": json.dumps(position)}
        raw_server.send({"id": request["id"], "error": error})
        return
    found = find(uri, position["line"], position["character"])
    raw_server.send({"id": request["id"], "result": found})


of_others, raw_server.answer = raw_server.answer, answer

if __name__ == "__main__":
    raw_server.main()
