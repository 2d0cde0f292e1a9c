from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from tests.figures import Reached
from tests.servers.fake_process import SILENCE, FakeServer, Refusal, Request, pass_time, settle

from enrichd.clock import FakeClock
from enrichd.lsp.client import Client
from enrichd.lsp.errors import RequestRefused, RequestTimedOut, ServerEnded
from enrichd.lsp.framing import encode
from enrichd.lsp.manners import Manners
from enrichd.lsp.retries import ask_again, is_passing
from enrichd.lsp.wire import Answered, Died, Ending, Refused, Reply, Target, TimedOut

DEFINITION = "textDocument/definition"
URI = b'"file:///a.py"'


class Room:
    """A client, its server, and the replies that came."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.result: object = None
        self.server = FakeServer(self.behave)
        self.server.alive = True
        self.observed: list[tuple[str, float]] = []
        self.client = Client(
            self.server,
            manners=Manners({"raw": {"depth": 7}}, "file:///root", "root"),
            clock=self.clock,
            request_timeout_s=25.0,
            observe=lambda method, seconds: self.observed.append((method, seconds)),
        )
        self.replies: list[Reply[list[Target]]] = []

    def behave(self, request: Request) -> object:
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    def ask(self, line: int = 0) -> int:
        return self.client.ask_position(DEFINITION, URI, line, 0, self.replies.append)

    def methods(self) -> list[str]:
        return [message["method"] for message in self.server.received if "method" in message]


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    room = Room()
    yield room
    await room.client.aclose()


PLACE = {"start": {"line": 3, "character": 4}, "end": {"line": 3, "character": 9}}
LOCATION = {"uri": "file:///b.py", "range": PLACE}
LINK = {
    "targetUri": "file:///b.py",
    "targetRange": {"start": {"line": 2, "character": 0}, "end": {"line": 9, "character": 0}},
    "targetSelectionRange": PLACE,
    "originSelectionRange": PLACE,
}
TARGET = Target("file:///b.py", 3, 4)


@pytest.mark.parametrize(
    ("result", "targets"),
    [
        (None, []),
        ([], []),
        (LOCATION, [TARGET]),
        ([LOCATION, LOCATION], [TARGET, TARGET]),
        ([LINK], [TARGET]),
        (LINK, [TARGET]),
    ],
)
async def test_every_shape_of_an_answer_is_understood(
    room: Room, result: object, targets: list[Target]
) -> None:
    room.result = result
    room.ask()
    await settle()
    assert room.replies == [Answered(targets)]


@pytest.mark.parametrize("result", [5, [{"uri": "file:///b.py"}], {"range": PLACE}, [[]], "x"])
async def test_an_answer_of_another_shape_is_an_error_never_empty(
    room: Room, result: object
) -> None:
    room.result = result
    room.ask()
    await settle()
    (reply,) = room.replies
    assert isinstance(reply, Refused)
    assert room.client.death is None


async def test_an_answer_without_a_result_is_null(room: Room) -> None:
    room.result = SILENCE
    room.server.say({"id": room.ask()})
    assert room.replies == [Answered([])]


async def test_a_position_is_asked_in_the_words_of_the_protocol(room: Room) -> None:
    room.client.ask_position(DEFINITION, URI, 12, 34, room.replies.append)
    await settle()
    (request,) = room.server.received
    assert request == {
        "jsonrpc": "2.0",
        "id": 0,
        "method": DEFINITION,
        "params": {
            "textDocument": {"uri": "file:///a.py"},
            "position": {"line": 12, "character": 34},
        },
    }


async def test_what_is_asked_in_one_turn_goes_out_in_one_piece(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[bytes] = []
    monkeypatch.setattr(room.server, "write", written.append)
    for line in range(8):
        room.ask(line)
    await settle()
    assert len(written) == 1


async def test_what_a_server_does_not_read_waits_here(room: Room) -> None:
    room.server.writable = False
    room.ask()
    await settle()
    assert room.server.received == []
    room.server.writable = True
    room.client.may_write()
    await settle()
    assert len(room.server.received) == 1


async def test_an_error_answer_is_a_refusal(room: Room) -> None:
    room.result = Refusal(-32803, "no")
    room.ask()
    await settle()
    assert room.replies == [Refused(-32803, "no")]
    assert room.client.failures == 1
    assert room.client.answers == 1


async def test_of_an_endless_error_message_the_beginning_is_kept(room: Room) -> None:
    room.result = Refusal(-32803, "no " * 1_000_000)
    room.ask()
    await settle()
    (reply,) = room.replies
    assert reply == Refused(-32803, ("no " * 200)[:500])


async def test_a_request_ends_in_time_is_cancelled_and_forgotten(room: Room) -> None:
    room.result = SILENCE
    request_id = room.ask()
    await pass_time(room.clock, 24.9)
    assert room.replies == []
    await pass_time(room.clock, 0.2)
    assert room.replies == [TimedOut()]
    assert room.server.received[-1]["method"] == "$/cancelRequest"
    assert room.server.received[-1]["params"] == {"id": request_id}
    assert room.client.in_flight == 0


async def test_a_late_answer_is_counted_and_dropped(room: Room) -> None:
    room.result = SILENCE
    request_id = room.ask()
    await pass_time(room.clock, 26)
    room.server.say({"id": request_id, "result": None})
    room.server.say({"id": request_id, "result": None})
    assert room.replies == [TimedOut()]
    assert room.client.late_answers == 2


async def test_each_of_many_time_outs_comes_in_its_own_time(room: Room) -> None:
    room.result = SILENCE
    due: list[float] = []
    ended: list[float] = []
    for _ in range(50):
        due.append(room.clock.monotonic() + 25.0)
        room.client.ask_position(
            DEFINITION, URI, 0, 0, lambda _: ended.append(room.clock.monotonic())
        )
        await pass_time(room.clock, 0.03)
    await pass_time(room.clock, 30)
    assert all(0 <= end - due <= 0.1 for due, end in zip(due, ended, strict=True))


@pytest.mark.fault(4, "ten thousand time-outs on a clock that stands still")
async def test_ten_thousand_time_outs_leave_nothing_behind(room: Room, reached: Reached) -> None:
    room.result = SILENCE
    for line in range(10_000):
        room.ask(line)
    tasks = asyncio.all_tasks()
    await pass_time(room.clock, 26)
    assert room.replies == [TimedOut()] * 10_000
    assert room.client.in_flight == 0
    assert len(asyncio.all_tasks()) <= len(tasks)
    reached("requests that still wait", room.client.in_flight, 0, times=10_000)


async def test_a_short_call_times_out_before_a_long_request(room: Room) -> None:
    room.result = SILENCE
    room.ask()
    call = asyncio.ensure_future(room.client.call("slow/one", {}, timeout_s=1.0))
    await pass_time(room.clock, 1.1)
    with pytest.raises(RequestTimedOut):
        await call
    assert room.replies == []
    assert room.client.in_flight == 1


async def test_every_request_hears_of_the_end_once(room: Room) -> None:
    room.result = SILENCE
    for line in range(5):
        room.ask(line)
    call = asyncio.ensure_future(room.client.call("a/call", {}, timeout_s=5.0))
    await settle()
    room.server.die("it exited with status 3")
    assert room.replies == [Died("it exited with status 3", Ending.CRASHED)] * 5
    with pytest.raises(ServerEnded, match="status 3"):
        await call
    await pass_time(room.clock, 60)
    assert len(room.replies) == 5


async def test_a_request_after_the_end_hears_of_it_later_not_within_the_call(room: Room) -> None:
    room.client.end("over", Ending.HUNG)
    room.ask()
    assert room.replies == []
    await settle()
    assert room.replies == [Died("over", Ending.HUNG)]
    with pytest.raises(ServerEnded, match="over"):
        await room.client.call("a/call", None, timeout_s=1.0)


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"null", b"\xff\xfe", b'{"id": {}}', b'{"method": 5}', b"[" * 100_000]
)
async def test_what_is_not_json_rpc_ends_the_connection(room: Room, body: bytes) -> None:
    room.result = SILENCE
    room.ask()
    await settle()
    room.server.say_bytes(encode(body))
    (reply,) = room.replies
    assert isinstance(reply, Died)
    assert reply.ending is Ending.GARBLED
    room.server.say({"id": 0, "result": None})
    assert len(room.replies) == 1


async def test_good_answers_before_garbage_still_count(room: Room) -> None:
    room.result = SILENCE
    good = encode(b'{"jsonrpc":"2.0","id":%d,"result":null}' % room.ask())
    room.ask()
    room.server.say_bytes(good + b"Segmentation fault\n")
    assert isinstance(room.replies[0], Answered)
    assert isinstance(room.replies[1], Died)
    assert "Segmentation" in room.replies[1].reason


@pytest.mark.parametrize("strange", [12345, -1, "0", None])
async def test_an_answer_to_nothing_is_counted_and_dropped(room: Room, strange: object) -> None:
    room.result = SILENCE
    room.ask()
    room.server.say({"id": strange, "result": None})
    assert room.client.unknown_answers == 1
    assert room.replies == []
    assert room.client.death is None


async def test_a_reply_handler_that_fails_harms_nobody_else(room: Room) -> None:
    def fail(_: Reply[list[Target]]) -> None:
        raise RuntimeError("a bug of the caller")

    room.client.ask_position(DEFINITION, URI, 0, 0, fail)
    room.ask()
    await settle()
    assert room.replies == [Answered([])]


async def test_questions_asked_from_a_reply_go_out(room: Room) -> None:
    def again(_: Reply[list[Target]]) -> None:
        room.ask()

    room.client.ask_position(DEFINITION, URI, 0, 0, again)
    await settle()
    assert room.replies == [Answered([])]


async def test_a_cancelled_request_ends_as_refused(room: Room) -> None:
    room.result = SILENCE
    request_id = room.ask()
    room.client.cancel(request_id)
    room.client.cancel(request_id)
    await settle()
    assert [type(reply) for reply in room.replies] == [Refused]
    assert room.methods() == [DEFINITION, "$/cancelRequest"]


async def test_a_caller_that_goes_away_cancels_its_call(room: Room) -> None:
    room.result = SILENCE
    call = asyncio.ensure_future(room.client.call("a/call", {}, timeout_s=5.0))
    await settle()
    call.cancel()
    await settle()
    assert room.methods() == ["a/call", "$/cancelRequest"]
    assert room.client.in_flight == 0


async def test_a_call_gives_the_type_that_was_asked_for(room: Room) -> None:
    room.result = [1, 2]
    assert await room.client.call("a/call", {}, timeout_s=5.0, result_type=list[int]) == [1, 2]
    assert await room.client.call("a/call", {}, timeout_s=5.0) == [1, 2]
    with pytest.raises(RequestRefused, match="can't be read"):
        await room.client.call("a/call", {}, timeout_s=5.0, result_type=dict[str, int])
    room.result = Refusal(-32601, "unknown")
    with pytest.raises(RequestRefused, match="unknown") as raised:
        await room.client.call("a/call", {}, timeout_s=5.0)
    assert raised.value.code == -32601


async def test_raw_params_and_a_decoder_of_ones_own(room: Room) -> None:
    room.result = [5]
    got: list[Any] = []
    decoder = msgspec.json.Decoder(list[int])
    room.client.request("a/b", msgspec.Raw(b'{"x":1}'), got.append, decoder=decoder)
    await settle()
    assert got == [Answered([5])]
    assert room.server.received[0]["params"] == {"x": 1}


async def test_answers_are_observed_with_their_time(room: Room) -> None:
    room.result = SILENCE
    request_id = room.ask()
    await pass_time(room.clock, 2.0)
    assert room.client.oldest_in_flight_s == pytest.approx(2.0)
    room.server.say({"id": request_id, "result": None})
    ((method, seconds),) = room.observed
    assert (method, round(seconds, 3)) == (DEFINITION, 2.0)
    assert room.client.last_answer_at == room.clock.monotonic()


async def test_goodbye_is_shutdown_then_exit_and_ends_what_is_in_flight(room: Room) -> None:
    room.result = SILENCE
    room.ask()
    room.server.behave = lambda request: None if request["method"] == "shutdown" else SILENCE
    await room.client.goodbye(1.0)
    await settle()
    assert room.methods() == [DEFINITION, "shutdown", "exit"]
    assert room.replies == [Died("enrichd is ending it", Ending.STOPPED)]


async def test_passing_errors_are_asked_again_at_most_three_times(room: Room) -> None:
    room.result = Refusal(-32801)

    async def ask() -> Reply[list[Target]]:
        return await ask_again(
            lambda on_reply: room.client.ask_position(DEFINITION, URI, 0, 0, on_reply), room.clock
        )

    again = asyncio.ensure_future(ask())
    await pass_time(room.clock, 2.0)
    assert is_passing(await again)
    assert room.client.requests == 3

    again = asyncio.ensure_future(ask())
    await pass_time(room.clock, 0.06)
    room.result = None
    await pass_time(room.clock, 2.0)
    assert await again == Answered([])
