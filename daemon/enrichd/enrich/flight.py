"""Questions in flight, and answers that another one's flight puts into doubt.

A server may make a file outside the workspace ready only when an answer first leads there (ty lays
out its stubs of the standard library that way). A question that needs the same file just then can
come back empty, or short. So where a target outside would be kept, an answer is believed only if no
file that was made just now was first seen about the same time; otherwise it is asked for later.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from enrichd.enrich.attempt import Ask
from enrichd.lsp.wire import Answered, Reply, Target

MAX_LOOKS = 6
HORIZON = 64
"""So many questions later an answer is still put into doubt: where two questions got into each
other's way, it can be a third one that first sees the file."""

Answer = Reply[list[Target]]


class Flight:
    """Knows what is in flight; holds back answers until nothing can put them into doubt."""

    def __init__(self, root_uri: str, made_just_now: Callable[[str], bool]) -> None:
        self._inside = f"{root_uri}/"
        self._made_just_now = made_just_now
        self._seen: set[str] = set()  # files outside, as URIs
        self._asks: dict[Ask, int] = {}  # to their numbers, in the order in which they were sent
        self._sent = 0
        self._sent_at_sight = 0  # how many had been sent when a file was last seen first
        self._doubtful: deque[tuple[Ask, Answer, int]] = deque()  # and how many had been sent

    def __len__(self) -> int:
        """How many questions are in flight."""
        return len(self._asks)

    def send(self, ask: Ask) -> None:
        """The question is on its way."""
        self._sent += 1
        self._asks[ask] = self._sent

    def land(
        self, ask: Ask, reply: Answer, *, matters: bool
    ) -> tuple[list[tuple[Ask, Answer]], list[Ask]]:
        """A reply came: gives those that are settled now, and the questions to ask again.

        ``matters``: an answer that leads outside would be kept, an empty one is believed.
        """
        number = self._asks.pop(ask)
        settled: list[tuple[Ask, Answer]] = []
        again: list[Ask] = []
        outside: list[str] = []
        if isinstance(reply, Answered):
            outside = [each.uri for each in reply.result if not self._is_inside(each.uri)]
            can_doubt = matters and ask.looks < MAX_LOOKS
            if can_doubt and number <= self._sent_at_sight:
                again.append(ask)
            elif can_doubt and self._asks:
                self._doubtful.append((ask, reply, self._sent))
            else:
                settled.append((ask, reply))
        else:
            settled.append((ask, reply))
        new = [each for each in outside if each not in self._seen]
        self._seen.update(new)
        if any(map(self._made_just_now, new)):
            self._sent_at_sight = self._sent
            again += self._put_into_doubt(ask, number)
        oldest = next(iter(self._asks.values()), math.inf)
        while self._doubtful and self._doubtful[0][2] + HORIZON < oldest:
            settled.append(self._doubtful.popleft()[:2])
        for each in again:
            each.looks += 1
        return settled, again

    @property
    def holds_answers(self) -> bool:
        """Whether an answer is held back."""
        return bool(self._doubtful)

    def release(self) -> list[tuple[Ask, Answer]]:
        """Believe what is held back: nothing came that would put it into doubt."""
        settled = [(ask, reply) for ask, reply, _ in self._doubtful]
        self._doubtful.clear()
        return settled

    def _put_into_doubt(self, first: Ask, number: int) -> list[Ask]:
        """The answers that came while, or not long before, a file was seen first."""
        again = [
            each
            for each, _, sent in self._doubtful
            if sent + HORIZON >= number and each is not first
        ]
        self._doubtful = deque(each for each in self._doubtful if each[0] not in again)
        return again

    def _is_inside(self, uri: str) -> bool:
        return uri.startswith(self._inside)
