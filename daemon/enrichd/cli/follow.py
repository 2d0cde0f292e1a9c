"""`jobs --follow`: a job until its end, or all that happens to jobs, line by line."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from urllib.parse import quote

import click
import msgspec

from enrichd.cli.invocation import Invocation
from enrichd.cli.live import Live, Shown
from enrichd.cli.progress import progress_for
from enrichd.cli.runs import require_daemon, show_job
from enrichd.cli.text import table
from enrichd.clock import SystemClock
from enrichd.query.jobs import EventView, JobsSnapshot, JobView, Snapshot
from enrichd.report import Progress


def follow_job(invocation: Invocation, job_id: str) -> int:
    """Until its end; 0: it completed."""
    job = ask_for_job(invocation, job_id)
    progress = progress_for(quiet=invocation.verbosity < 0, as_json=invocation.as_json)
    try:
        asyncio.run(_until_its_end(invocation, job.job_id, progress))
    finally:
        progress.close()
    job = ask_for_job(invocation, job.job_id)
    if not invocation.as_json:
        show_job(job, invocation.now)
    return 0 if job.status == "completed" else 1


def ask_for_job(invocation: Invocation, job_id: str) -> JobView:
    """The job as the daemon knows it; raises AnswerIsNo and DaemonUnreachable."""
    client = invocation.client(require_daemon(invocation))
    body = client.get(f"/api/v1/index/status/{quote(job_id, safe='')}")
    return msgspec.json.decode(body, type=JobView)


async def _until_its_end(invocation: Invocation, job_id: str, progress: Progress) -> None:
    live, shown = Live(invocation, SystemClock(), job=job_id), Shown(progress)
    async with aclosing(live.messages()) as messages:
        async for message in messages:
            if isinstance(message.told, EventView):
                shown.happened(message.told)
            elif isinstance(message.told, Snapshot):
                shown.stands(message.told.job)
            if invocation.as_json:
                click.echo(message.text)


def follow_all(invocation: Invocation) -> int:
    """Until Ctrl-C, or until the daemon stays away."""
    require_daemon(invocation)
    try:
        asyncio.run(_for_ever(invocation))
    except KeyboardInterrupt:
        return 0
    return 0


async def _for_ever(invocation: Invocation) -> None:
    live = Live(invocation, SystemClock(), workspace=invocation.workspace)
    async with aclosing(live.messages()) as messages:
        async for message in messages:
            if invocation.as_json:
                click.echo(message.text)
            elif isinstance(message.told, EventView):
                click.echo(_line(message.told))
            elif isinstance(message.told, JobsSnapshot):
                for job in message.told.jobs:
                    click.echo(_stands(job))


def _line(told: EventView) -> str:
    if told.event in {"stage", "progress"}:
        what = f"{told.stage}"
        if told.total:
            what += f": {told.processed:,} of {told.total:,}"
        if told.current_item:
            what += f", {told.current_item}"
    else:
        what = told.message if told.level == "info" else f"{told.level}: {told.message}"
    return table([[f"{told.at:%H:%M:%S}", told.job_id[:8], told.workspace, what]], indent="")


def _stands(job: JobView) -> str:
    at = job.started_at or job.created_at
    how = f"{job.status}, {job.stage}, {job.progress:.0%}" if job.stage else job.status
    return table([[f"{at:%H:%M:%S}", job.job_id[:8], job.workspace, how]], indent="")
