"""The real `enrichd` command as a process, in a place of its own: configuration, database, socket.

Nothing of the machine's own configuration is seen, and every process that comes of a place can be
found again by a mark in its environment, whoever its parent is by then.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ENRICHD = Path(sys.executable).with_name("enrichd")
PYGLS_SERVER = Path(__file__).parent / "servers" / "pygls_server.py"
DATABASE_SUFFIXES = ("", "-wal", "-shm")
CACHE = Path(__file__).parents[1] / ".enrichd" / "cache"
"""Where language servers keep what is not about a workspace."""
_MARK = "RUNNING_FOR_TEST"


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Place:
    """Where one enrichd lives."""

    folder: Path
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    @property
    def database(self) -> Path:
        return self.folder / "enrichd.db"

    @property
    def socket(self) -> Path:
        return self.folder / "s"  # short: the length of such paths is limited

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def configure(
        self, *workspaces: Path, listen: str = "", more: str = "", name: str | None = None
    ) -> None:
        """Write the configuration; each workspace is named after its folder."""
        lines = [
            "[daemon]",
            f'database = "{self.database}"',
            f'socket = "{self.socket}"',
            f'listen = "{listen}"',
            'log_format = "json"',
        ]
        for root in workspaces:
            lines += ["[[workspace]]", f'name = "{name or root.name}"', f'root = "{root}"']
        draft = self.config.with_suffix(".draft")
        draft.write_text("\n".join([*lines, more, ""]))
        draft.replace(self.config)

    def environment(self) -> dict[str, str]:
        """The machine's, without what would lead anywhere but to this place."""
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("ENRICHD_", "XDG_", "NOTIFY_", "WATCHDOG_"))
            and key not in {"STATE_DIRECTORY", "RUNTIME_DIRECTORY"}
        }
        own = {"HOME": str(self.folder / "home"), "XDG_CACHE_HOME": str(CACHE)}
        return kept | own | {"NO_COLOR": "1", _MARK: self.mark}

    def run(
        self,
        *arguments: str | Path,
        under: Sequence[str] = (),
        more: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout_s: float = 90.0,
    ) -> Said:
        """Run a command with this place's configuration, where there is one, until it ends.

        ``under`` is a command that runs it, ``more`` is added to the environment.
        """
        chosen = {"ENRICHD_CONFIG": str(self.config)} if self.config.exists() else {}
        done = subprocess.run(
            [*under, ENRICHD, *map(str, arguments)],
            env=self.environment() | chosen | dict(more or {}),
            cwd=cwd or self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
        return Said(done.returncode, done.stdout.decode(), done.stderr.decode())

    def ask(self, *arguments: str | Path) -> Any:
        """The JSON of a command that succeeds."""
        said = self.run(*arguments, "--json")
        assert said.code == 0, said
        return said.json

    def export(self) -> bytes:
        """The graph as sorted lines; equal graphs are equal bytes."""
        file = self.folder / "export.jsonl"
        said = self.run("export", "-q", "-o", file)
        assert said.code == 0, said
        return file.read_bytes()

    def take_database(self, other: Place) -> None:
        """Begin with a copy of another place's database, which nobody has open."""
        for suffix in DATABASE_SUFFIXES:
            file = other.database.with_name(other.database.name + suffix)
            if file.exists():
                shutil.copy(file, self.database.with_name(self.database.name + suffix))

    def verify(self) -> None:
        """The database is what it promises to be."""
        said = self.run("verify")
        assert (said.code, said.out) == (0, "clean\n"), said

    def processes(self) -> dict[int, str]:
        """Every living process that came of this place, and its command line."""
        found = {}
        mark = f"{_MARK}={self.mark}".encode()
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                if mark not in (entry / "environ").read_bytes().split(b"\0"):
                    continue
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if state not in {"Z", "X"}:
                found[int(entry.name)] = command.strip()
        return found


class Daemon:
    """A running `enrichd run`."""

    def __init__(
        self,
        place: Place,
        environment: Mapping[str, str] | None = None,
        under: Sequence[str] = (),
    ) -> None:
        """``under`` is a command that becomes it."""
        self.place = place
        self.started_at = time.monotonic()
        with place.log.open("ab") as log:
            self._log_from = log.tell()
            self.process = subprocess.Popen(
                [*under, ENRICHD, "run", "--config", place.config],
                env=place.environment() | dict(environment or {}),
                cwd=place.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def age_s(self) -> float:
        return time.monotonic() - self.started_at

    def lines(self) -> list[dict[str, Any]]:
        """What this daemon has logged."""
        with self.place.log.open("rb") as log:
            log.seek(self._log_from)
            return [json.loads(line) for line in log if line.endswith(b"\n")]

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of an answer on the socket."""
        connection = _UnixConnection(self.place.socket)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def send(self, method: str, path: str, document: object = None) -> tuple[int, Any]:
        """Status and decoded body of the answer to a JSON document."""
        connection = _UnixConnection(self.place.socket)
        body = None if document is None else json.dumps(document)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            found = response.read()
            return response.status, json.loads(found) if found else None
        finally:
            connection.close()

    def answers(self) -> bool:
        """Whether it can be asked at all."""
        try:
            return self.get("/healthz")[0] == 200
        except OSError:
            return False

    def status(self) -> Any:
        """Its status, as the API tells it."""
        code, body = self.get("/api/v1/status")
        assert code == 200, body
        return json.loads(body)

    def metric(self, name: str) -> float:
        """The value of a metric; its labels belong to the name."""
        for line in self.get("/metrics")[1].decode().splitlines():
            if line.startswith(f"{name} "):
                return float(line.rpartition(" ")[2])
        raise AssertionError(f"there is no metric {name}")

    def wait_until(
        self, what: str, condition: Callable[[], object], timeout_s: float = 40.0
    ) -> None:
        """Look again and again until something holds; the daemon must live that long."""

        def alive_and() -> object:
            assert self.process.poll() is None, f"it ended while waited until {what}: {self.tail()}"
            return condition()

        wait_until(what, alive_and, timeout_s, more=self.tail)

    def wait_until_up(self) -> None:
        """It answers."""
        self.wait_until("it answers", self.answers)

    def wait_until_settled(self, workspaces: int = 1, timeout_s: float = 60.0) -> None:
        """Every workspace is indexed and no symbol waits for anything but a retry."""
        self.wait_until_up()
        self.wait_until(
            "the graph is whole",
            lambda: is_settled(self.status(), workspaces),
            timeout_s,
        )

    def terminate(self, timeout_s: float = 10.0) -> tuple[int, float]:
        """SIGTERM; the exit code, and how long it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s), time.monotonic() - began

    def kill(self) -> None:
        """SIGKILL: nothing can be tidied up."""
        self.process.kill()
        self.process.wait(10)

    def tail(self) -> str:
        """The end of its log."""
        return "\n" + self.place.log.read_text(errors="replace")[-3000:]


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=20)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


@contextmanager
def running(
    place: Place,
    environment: Mapping[str, str] | None = None,
    under: Sequence[str] = (),
) -> Iterator[Daemon]:
    """A daemon that is gone at the end, with all that it started."""
    daemon = Daemon(place, environment, under)
    try:
        yield daemon
    finally:
        if daemon.process.poll() is None:
            daemon.kill()
        end_all(place)


@contextmanager
def indexed(folder: Path, files: Mapping[str, str]) -> Iterator[Place]:
    """A place whose graph of these files is complete."""
    place = Place(folder)
    place.configure()
    said = place.run("index", write_tree(folder / "root", files), "-q")
    assert said.code == 0, said
    try:
        yield place
    finally:
        end_all(place)


def end_all(place: Place) -> None:
    """Leave nothing behind, whatever a test found."""
    for pid in place.processes():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def is_settled(status: Any, workspaces: int = 1) -> bool:
    """Whether every workspace is indexed as it is now, and nothing is left to ask."""
    found = status["workspaces"]
    seen = not any("have not been looked at" in each for each in status["problems"])
    return (
        seen
        and len(found) >= workspaces
        and all(
            each["indexed_at"] is not None and each["files"] and not each["orphans"]
            for each in found
        )
    )


def wait_until(
    what: str,
    condition: Callable[[], object],
    timeout_s: float = 40.0,
    more: Callable[[], str] = lambda: "",
) -> None:
    """Look again and again; what did not come in time fails the test by its name."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}{more()}"
        time.sleep(0.02)


def as_one_of_many() -> list[str]:
    """A command that runs another as somebody to whom permissions apply, as they don't to root."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root may read and write everything, and there is no setpriv to be less")
    less = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    trial = subprocess.run([*less, "true"], capture_output=True, text=True, check=False)
    if trial.returncode != 0:
        pytest.skip(f"root may read and write everything, and can't be less: {trial.stderr}")
    return less


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def git(folder: Path, *words: str) -> str:
    """Run git as nobody in particular."""
    return subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@t", *words],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def write_tree(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """A folder with these files; returns it."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def pygls_server(*, name: str = "pygls", keys: str = "", **options: object) -> str:
    """Configuration that has Python served by the tests' own server."""
    return "\n".join(
        [
            "[enrich.servers]",
            f'python = "{name}"',
            "[[server]]",
            f'name = "{name}"',
            'languages = ["python"]',
            f"command = {toml_list([sys.executable, PYGLS_SERVER, json.dumps(options)])}",
            keys,
        ]
    )


def toml_list(items: Sequence[object]) -> str:
    """Texts as a list of TOML."""
    return json.dumps([str(item) for item in items])
