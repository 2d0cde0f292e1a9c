"""The servers of the lanes, as users see them and name them."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import asdict

from enrichd.enrich.lane import LaneWorker
from enrichd.enrich.service import LaneStatus
from enrichd.errors import AnswerIsNo
from enrichd.lsp.states import ServerState
from enrichd.query.servers import RestartedServer, ServerDetail, ServerList
from enrichd.query.status import ServerInfo


def infos(statuses: Iterable[LaneStatus]) -> list[ServerInfo]:
    """What `enrichd status` tells."""
    return [_info(each) for each in statuses]


def details(lanes: Iterable[LaneWorker]) -> ServerList:
    """What `enrichd servers` tells."""
    workers = sorted(lanes, key=lambda each: (each.workspace.name, each.lane.language))
    return ServerList(servers=[_detail(each) for each in workers])


def _info(status: LaneStatus) -> ServerInfo:
    server = status.server
    return ServerInfo(
        name=server.name,
        language=status.lane.language,
        workspace=status.workspace,
        version=server.version,
        state=server.state,
        restarts=server.restarts,
        pid=server.pid,
        requests=server.requests,
        failures=server.failures,
        time_outs=server.time_outs,
        in_flight=server.in_flight,
        next_start_in_s=server.next_start_in_s,
        last_error=server.last_error,
        install_hint=server.install_hint if server.state is ServerState.UNAVAILABLE else "",
    )


def _detail(worker: LaneWorker) -> ServerDetail:
    server = worker.supervisor.snapshot()
    info = _info(LaneStatus(worker.lane, worker.workspace.name, server))
    return ServerDetail(
        **asdict(info),
        memory_bytes=worker.supervisor.rss_bytes(),
        late_answers=server.late_answers,
        oldest_in_flight_s=round(server.oldest_in_flight_s, 3),
        breaker_open=server.breaker_open,
        restart_reasons=server.restart_reasons,
        stderr=server.stderr,
    )


def restart(lanes: Iterable[LaneWorker], name: str, workspace: str | None) -> list[RestartedServer]:
    """Start the servers of this name afresh; raises AnswerIsNo where there is none."""
    workers = list(lanes)
    named = [each for each in workers if each.supervisor.profile.name == name]
    if not named:
        names = sorted({each.supervisor.profile.name for each in workers})
        raise AnswerIsNo(
            f"there is no server named {name}",
            hint=f"there are: {', '.join(names)}" if names else "there are no servers at all",
        )
    meant = [each for each in named if workspace in {None, each.workspace.name}]
    if not meant:
        served = sorted({each.workspace.name for each in named})
        raise AnswerIsNo(
            f"{name} serves no workspace named {workspace}",
            hint=f"it serves: {', '.join(served)}",
        )
    for worker in meant:
        worker.supervisor.restart()
    return [RestartedServer(name, each.lane.language, each.workspace.name) for each in meant]
