"""A language server that misbehaves below the protocol: bytes, pipes, processes.

    command = [sys.executable, ".../tests/servers/raw_server.py", MODE, ...]

It answers ``initialize`` (definition is declared, columns are UTF-8) and ``shutdown``, and every
other request with the first character of the file it asks about. MODE, several are allowed:

    lower-case     headers in lower case, with a Content-Type
    bad-json       a definition is answered with broken JSON
    twice          every answer comes twice
    unknown-ids    each answer is preceded by one to a request that was never made
    string-ids     a definition is answered with its id as a string
    truncated      a definition is answered with half a message, then it exits
    gigabyte       a definition is answered with a header that declares a gigabyte
    overflow       the same, and 128 MB of that gigabyte come
    brim           a definition is answered with all but the end of the longest message allowed
    flood          128 MB of noise on stdout before the answer to a definition
    strangers      10,000 answers to requests that were never made before that to a definition
    swollen        a definition is answered with an error whose message has 16 MB
    noise          a line of text on stdout before the first message
    noise-later    the same before the answer to a definition
    eof            stdout is closed at a definition, the process stays
    stderr         10 MB on stderr before each answer
    exits          exits at once, with status 3 and a word on stderr
    dies           exits at a definition, with status 3
    deaf           reads nothing after initialize
    grows          holds 250,000 bytes more after each answer to a definition
    silent         never answers a definition
    mute           never answers anything, not even initialize
    late           answers a definition after 0.5 s
    too-late       answers a definition only once it has been cancelled
    dribbles       writes byte by byte
    asks           sends requests of its own, and shows their answers in window/logMessage
    stubborn       ignores SIGTERM, the end of stdin, and exit
    child          leaves a child process behind that holds its pipes; its pid goes to stderr
    trace=FILE     one line for each received method, with the id of cancelled requests
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

MODES = {mode for mode in sys.argv[1:] if "=" not in mode}
GARBAGE = {"bad-json", "truncated", "gigabyte", "overflow", "brim", "noise-later", "flood", "eof"}
GROWN: list[bytes] = []
MEGABYTE = b"y" * 999_999 + b"\n"
TRACE = next((mode.partition("=")[2] for mode in sys.argv[1:] if mode.startswith("trace=")), None)

QUESTIONS: list[tuple[object, str, object]] = [
    (1, "workspace/configuration", {"items": [{"section": "raw.depth"}, {"section": "nothing"}]}),
    ("two", "client/registerCapability", {"registrations": [{"id": "r", "method": "m"}]}),
    (3, "client/unregisterCapability", {"unregisterations": [{"id": "r", "method": "m"}]}),
    (4, "window/workDoneProgress/create", {"token": "t"}),
    (5, "workspace/workspaceFolders", None),
    (6, "window/showMessageRequest", {"type": 1, "message": "?"}),
    (7, "workspace/applyEdit", {"edit": {}}),
    (8, "window/showDocument", {"uri": "file:///x"}),
    (9, "never/heard", {}),
    (10, "workspace/configuration", {"items": 5}),
]


def write(data: bytes) -> None:
    if "dribbles" in MODES:
        for at in range(len(data)):
            os.write(1, data[at : at + 1])
        return
    while data:
        data = data[os.write(1, data) :]


def send(message: dict[str, Any]) -> None:
    body = json.dumps({"jsonrpc": "2.0", **message}).encode()
    if "lower-case" in MODES:
        kind = b"content-type: application/vscode-jsonrpc; charset=utf-8"
        write(b"%b\r\ncontent-length: %d\r\n\r\n%b" % (kind, len(body), body))
    else:
        write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))


def receive() -> dict[str, Any] | None:
    length = 0
    while True:
        line = sys.stdin.buffer.readline()
        if not line:
            return None
        if line == b"\r\n":
            break
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    message: dict[str, Any] = json.loads(sys.stdin.buffer.read(length))
    if TRACE is not None and "method" in message:
        with Path(TRACE).open("a") as file:
            cancelled = (message.get("params") or {}).get("id", "")
            file.write(f"{message['method']} {cancelled}".strip() + "\n")
    return message


def answer(request: dict[str, Any]) -> None:
    number = request["id"]
    method = request["method"]
    if method == "initialize":
        capabilities = {"definitionProvider": {}, "positionEncoding": "utf-8"}
        info = {"name": "raw_server", "version": "1"}
        send({"id": number, "result": {"capabilities": capabilities, "serverInfo": info}})
        return
    if method == "shutdown":
        send({"id": number, "result": None})
        return
    if not MODES & {"silent", "too-late"}:
        answer_about(request)


def answer_about(request: dict[str, Any]) -> None:
    number = request["id"]
    if "dies" in MODES:
        os._exit(3)
    if "grows" in MODES:
        GROWN.append(b"z" * 250_000)
    if "stderr" in MODES:
        for _ in range(10):
            os.write(2, (b"x" * 99 + b"\n") * 10_000)
    if MODES & GARBAGE:
        break_off()
        return
    if "swollen" in MODES:
        send({"id": number, "error": {"code": -32803, "message": "x" * 16_000_000}})
        return
    start = {"line": 0, "character": 0}
    uri = request.get("params", {}).get("textDocument", {}).get("uri", "file:///nowhere")
    reply = {
        "id": str(number) if "string-ids" in MODES else number,
        "result": {"uri": uri, "range": {"start": start, "end": start}},
    }
    if "unknown-ids" in MODES:
        send({**reply, "id": 1_000_000 + number})
    if "strangers" in MODES:
        for stranger in range(10_000):
            send({**reply, "id": 1_000_000 + stranger})
    if "late" in MODES:
        import threading  # noqa: PLC0415 - a quick start matters more often

        threading.Timer(0.5, send, [reply]).start()
        return
    send(reply)
    if "twice" in MODES:
        send(reply)


def break_off() -> None:
    if "bad-json" in MODES:
        write(b'Content-Length: 7\r\n\r\n{"id": ')
    elif "truncated" in MODES:
        write(b'Content-Length: 100\r\n\r\n{"id": 1')
        os._exit(0)
    elif "gigabyte" in MODES:
        write(b"Content-Length: 1073741824\r\n\r\n{")
    elif "overflow" in MODES:
        write(b"Content-Length: 1073741824\r\n\r\n")
        write_megabytes(128)
    elif "brim" in MODES:
        write(b"Content-Length: 67108864\r\n\r\n")
        write_megabytes(67)
        os._exit(0)
    elif "flood" in MODES:
        write_megabytes(128)
    elif "noise-later" in MODES:
        write(b"Traceback (most recent call last):\n")
    elif "eof" in MODES:
        os.close(1)
        time.sleep(3600)


def write_megabytes(count: int) -> None:
    for _ in range(count):
        write(MEGABYTE)


def begin() -> None:
    if "exits" in MODES:
        print("nothing works here", file=sys.stderr)
        sys.exit(3)
    if "stubborn" in MODES:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "child" in MODES:
        import subprocess  # noqa: PLC0415 - a quick start matters more often

        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
        os.write(2, b"%d\n" % child.pid)
    if "noise" in MODES:
        write(b"Welcome to the raw server!\n")


def main() -> None:
    begin()
    while (message := receive()) is not None:
        method = message.get("method")
        if method == "exit" and "stubborn" not in MODES:
            return
        if method is None:
            text = json.dumps(
                {key: message[key] for key in ("id", "result", "error") if key in message}
            )
            send({"method": "window/logMessage", "params": {"type": 3, "message": text}})
        elif "id" in message and "mute" not in MODES:
            answer(message)
        elif method == "$/cancelRequest" and "too-late" in MODES:
            send({"id": message["params"]["id"], "result": None})
        if method == "initialized" and "asks" in MODES:
            for number, question, params in QUESTIONS:
                send({"id": number, "method": question, "params": params})
        if method == "initialized" and "deaf" in MODES:
            time.sleep(3600)
    if "stubborn" in MODES:
        time.sleep(3600)


if __name__ == "__main__":
    main()
