"""Language servers that talk garbage: a typed error for everybody, and bounded memory.

ENRICHD_FAULT_SEED   to draw the same conversations again; a failure tells it
"""

from __future__ import annotations

import ctypes
import gc
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from tests import proc
from tests.faults.connection import DEFINITION, SEED, URI, WINDOW, Connection, heard_nothing, until
from tests.figures import Reached
from tests.servers.fake_process import SILENCE, FakeServer, settle

from enrichd.clock import FakeClock
from enrichd.lsp.client import Client
from enrichd.lsp.framing import MAX_BODY_BYTES, encode
from enrichd.lsp.manners import Manners
from enrichd.lsp.wire import Answered, Died, Ending, Refused, Reply, Target, TimedOut

MIB = 1 << 20
SMALL = ["bad-json", "truncated", "gigabyte", "noise-later", "eof", "dies", "overflow", "flood"]
ENDINGS = {
    "bad-json": Ending.GARBLED,
    "truncated": Ending.CRASHED,
    "gigabyte": Ending.GARBLED,
    "overflow": Ending.GARBLED,
    "brim": Ending.CRASHED,
    "noise-later": Ending.GARBLED,
    "flood": Ending.GARBLED,
    "eof": Ending.CRASHED,
    "dies": Ending.CRASHED,
}


def give_back_memory() -> None:
    """What is free in this process goes back to the system."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)


@pytest.fixture
def growth() -> Callable[[], int]:
    """The most memory that was taken since the beginning, beyond what was taken then."""
    give_back_memory()
    proc.reset_peak("self")
    before = proc.memory_bytes("self")
    return lambda: max(proc.memory_bytes("self", "VmHWM") - before, 0)


async def suffer(root: Path, mode: str, timeout_s: float = 20.0) -> set[Reply[list[Target]]]:
    """Ask a window full of questions of such a server; the replies."""
    server = Connection(root, mode, request_timeout_s=timeout_s)
    async with heard_nothing():
        await server.start()
        server.ask(WINDOW)
        await until(lambda: server.waiting == 0)
        await server.end()
    assert len(server.replies) == WINDOW
    return {reply for reply, _ in server.replies if not isinstance(reply, Answered)}


@pytest.mark.fault(5, "each kind of garbage, ends and floods, again and again")
async def test_garbage_ends_every_request_and_takes_no_memory(
    tmp_path: Path, reached: Reached, growth: Callable[[], int]
) -> None:
    rounds = 5
    for mode in SMALL * rounds:
        for reply in await suffer(tmp_path, mode):
            assert isinstance(reply, Died), mode
            assert reply.ending is ENDINGS[mode], (mode, reply)
    reached("memory taken at any time", growth() / MIB, 16, "MiB", times=len(SMALL) * rounds)


@pytest.mark.fault(5, "the longest message that is allowed breaks off")
async def test_half_of_the_longest_message_takes_no_more_memory_than_that_and_gives_it_back(
    tmp_path: Path, reached: Reached, growth: Callable[[], int]
) -> None:
    give_back_memory()
    before = proc.memory_bytes("self")
    for _ in range(3):
        (reply,) = await suffer(tmp_path, "brim")
        assert isinstance(reply, Died)
        assert "in the middle of a message" in reply.reason
    most = MAX_BODY_BYTES / MIB + 16
    reached("memory taken at any time", growth() / MIB, most, "MiB", times=3)
    give_back_memory()
    reached("memory kept", (proc.memory_bytes("self") - before) / MIB, 16, "MiB", times=3)


@pytest.mark.fault(5, "answers to nobody, by the thousand; string ids; endless error messages")
async def test_strange_answers_are_dropped_and_what_is_kept_of_them_is_short(
    tmp_path: Path, reached: Reached, growth: Callable[[], int]
) -> None:
    give_back_memory()
    before = proc.memory_bytes("self")
    assert await suffer(tmp_path, "strangers") == set()
    assert await suffer(tmp_path, "string-ids", timeout_s=0.3) == {TimedOut()}
    (refused,) = await suffer(tmp_path, "swollen")
    assert refused == Refused(-32803, "x" * 500)
    reached("memory taken at any time", growth() / MIB, 2 * 16 + 32, "MiB", times=3)
    give_back_memory()
    reached("memory kept", (proc.memory_bytes("self") - before) / MIB, 16, "MiB", times=3)


MESSAGES = [
    b'{"jsonrpc":"2.0","id":%d,"result":null}',
    b'{"id":%d,"result":[{"uri":"file:///b.py","range":{"start":{"line":3,"character":4}}}]}',
    b'{"jsonrpc":"2.0","id":%d,"error":{"code":-32803,"message":"no"}}',
    b'{"jsonrpc":"2.0","id":"%d","result":null}',
    b'{"jsonrpc":"2.0","id":%d,"method":"workspace/configuration","params":{"items":[{}]}}',
    b'{"jsonrpc":"2.0","method":"$/progress","params":{"token":%d,"value":{"kind":"begin"}}}',
    b'{"jsonrpc":"2.0","method":"window/logMessage","params":{"type":3,"message":"%d"}}',
]
SPLINTERS = [b"\r\n", b"\r\n\r\n", b"Content-Length: ", b"{", b"}", b"[", b'"', b"\x00", b"\xff"]
SPLINTERS += [b"9" * 30, b"-1", b"1e999", b"null", b'"id":', b'"\\ud800"', b"[" * 3000, b" "]


def garbled(chance: random.Random) -> bytes:
    """A good conversation, with a few places of it spoilt."""
    said = [encode(chance.choice(MESSAGES) % chance.randrange(WINDOW + 2)) for _ in range(12)]
    data = b"".join(said)
    for _ in range(chance.randrange(4)):
        start = chance.randrange(len(data))
        end = min(start + chance.choice([0, 1, 1, 5, 40]), len(data))
        data = data[:start] + chance.choice([b"", *SPLINTERS]) + data[end:]
    return data


@pytest.mark.fault(5, "conversations spoilt at random places")
async def test_whatever_it_says_every_request_ends_once_and_nothing_escapes(
    reached: Reached,
) -> None:
    rounds, lost, twice = 10_000, 0, 0
    endings: Counter[str] = Counter()
    for number in range(rounds):
        chance = random.Random(f"{SEED} {number}")
        process = FakeServer(lambda _: SILENCE)
        process.alive = True
        client = Client(
            process,
            manners=Manners({}, "file:///root", "root"),
            clock=FakeClock(),
            request_timeout_s=25.0,
        )
        replies: list[list[Reply[list[Target]]]] = [[] for _ in range(WINDOW)]
        for line, place in enumerate(replies):
            client.ask_position(DEFINITION, URI, line, 0, place.append)
        data = garbled(chance)
        at = 0
        try:
            while at < len(data):
                size = chance.choice([1, 7, 300, 10_000])
                process.say_bytes(data[at : at + size])
                at += size
            process.die()
        except Exception as error:
            error.add_note(f"round {number} of seed {SEED}: {data!r}")
            raise
        await client.aclose()
        lost += sum(not place for place in replies)
        twice += sum(len(place) > 1 for place in replies)
        assert client.death is not None
        endings[client.death.ending] += 1
    await settle()
    assert min(endings[Ending.GARBLED], endings[Ending.CRASHED]) > rounds // 20
    reached(f"requests without an end, or with two (seed {SEED})", lost + twice, 0, times=rounds)
