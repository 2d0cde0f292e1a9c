"""A place for each test, and the table of `make faults`: fault, how often, figures, bounds.

A test names its fault with ``@pytest.mark.fault(row, "what happens")`` and hands what it measured
to ``reached``. The table also names the faults whose tests failed, and those that could not be
tried here.
"""

from __future__ import annotations

import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import structlog
from tests.figures import ROWS, Reached, Tried
from tests.running import Place, end_all

import enrichd.lsp.hello  # noqa: F401  (or the first server would be waited for in real time)

_TRIED = pytest.StashKey[dict[str, Tried]]()

# Who runs this in the background may have it ignored, and what is started here would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Every line that is logged is made, with plain tracebacks: those of rich take 0.1 s each.
structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        ),
    ],
    cache_logger_on_first_use=False,
)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_TRIED] = {}


def pytest_collection_finish(session: pytest.Session) -> None:
    for item in session.items:
        mark = item.get_closest_marker("fault")
        if mark is not None:
            row, fault = mark.args
            assert row in ROWS, f"{item.nodeid}: there is no fault {row}"
            session.config.stash[_TRIED][item.nodeid] = Tried(row, fault)


@pytest.fixture
def reached(request: pytest.FixtureRequest) -> Reached:
    """Takes down what a test of a fault measured."""
    return Reached(request.config.stash[_TRIED][request.node.nodeid])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    tried = item.config.stash[_TRIED].get(item.nodeid)
    if tried is not None and (call.when == "call" or not report.passed):
        tried.outcome = report.outcome
        if report.skipped and isinstance(report.longrepr, tuple):
            tried.reason = report.longrepr[2].removeprefix("Skipped: ")
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    config = terminalreporter.config
    if "fault" not in config.option.markexpr:
        return
    tried = list(config.stash[_TRIED].values())
    terminalreporter.section("faults")
    for row, title in ROWS.items():
        of_row = [each for each in tried if each.row == row]
        terminalreporter.write_line(f"{row:>2}  {title}{'' if of_row else ': NOT RUN'}")
        for each in of_row:
            word = {"passed": "ok", "failed": "FAILED"}.get(each.outcome, "NOT RUN")
            reason = f" ({each.reason})" if each.reason else ""
            terminalreporter.write_line(f"      {word:8}{each.fault}{reason}")
            for figure in each.figures:
                terminalreporter.write_line(f"              {figure}")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A place that is the test's own."""
    own = Place(tmp_path)
    yield own
    end_all(own)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Place]:
    """Another one, to compare with."""
    folder = tmp_path / "other"
    folder.mkdir()
    own = Place(folder)
    yield own
    end_all(own)
