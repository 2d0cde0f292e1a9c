"""Which documents are open while they are asked about; the last few are kept for what follows."""

from __future__ import annotations

from collections import Counter, OrderedDict

from enrichd.lsp.supervisor import Supervisor

_KEPT_OPEN = 4


class OpenDocuments:
    """Counts who needs a document. With the policy `none` the supervisor does nothing."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._needed: Counter[str] = Counter()
        self._unneeded: OrderedDict[str, None] = OrderedDict()

    async def need(self, path: str) -> None:
        """Have the document open until as many call ``done``."""
        if path in self._unneeded:
            del self._unneeded[path]
        elif not self._needed[path]:
            await self._supervisor.open_document(path)
        self._needed[path] += 1

    async def done(self, path: str) -> None:
        """One needs it no more."""
        self._needed[path] -= 1
        if self._needed[path] > 0:
            return
        del self._needed[path]
        self._unneeded[path] = None
        while len(self._unneeded) > _KEPT_OPEN:
            oldest, _ = self._unneeded.popitem(last=False)
            await self._supervisor.close_document(oldest)
