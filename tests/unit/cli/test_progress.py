"""Progress on a pipe is a few lines; on a terminal a bar; nothing where nobody wants it."""

from __future__ import annotations

import pytest

from enrichd.cli.progress import Bar, Lines, progress_for
from enrichd.clock import FakeClock
from enrichd.report import NoProgress


def test_a_fast_run_tells_each_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines(FakeClock())
    lines.stage("parsing", 1000)
    for done in range(1, 1001):
        lines.advance(done, 1000)
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "parsing: 1,000 to do"
    assert told[-1] == "parsing: 1,000 of 1,000 (100%)"
    assert len(told) == 11


def test_a_slow_run_tells_every_two_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    clock = FakeClock()
    lines = Lines(clock)
    lines.stage("analyzing", None)
    for done in range(1, 21):
        clock.advance(0.5)
        lines.advance(done, None, "a.py")
    told = capsys.readouterr().err.splitlines()
    assert told[:2] == ["analyzing", "analyzing: 4, a.py"]
    assert len(told) == 6


def test_no_news_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines(FakeClock())
    lines.stage("enriching", 3)
    for _ in range(5):
        lines.advance(3, 3)
    lines.close()
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_who_wants_quiet_or_json_in_a_pipe_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(progress_for(quiet=False, as_json=False), Lines)
    assert isinstance(progress_for(quiet=False, as_json=True), NoProgress)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert isinstance(progress_for(quiet=False, as_json=True), Bar)
    assert isinstance(progress_for(quiet=True, as_json=False), NoProgress)


def test_a_bar_can_be_used_in_any_order(capsys: pytest.CaptureFixture[str]) -> None:
    bar = Bar()
    bar.advance(1, 2)
    bar.stage("[parsing]", 2)
    bar.advance(1, 2, "a[b].py")
    bar.stage("enriching", None)
    bar.message("[bold]not markup")
    bar.close()
    bar.close()
    assert "[bold]not markup" in capsys.readouterr().err
