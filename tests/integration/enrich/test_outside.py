"""What a server points at outside the workspace: source of libraries is looked at, nothing else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from tests.integration.enrich.oracle import Oracle
from tests.servers.fake_process import Request

from enrichd import file_stat
from enrichd.enrich import sources
from enrichd.enrich.resolve import Resolver
from enrichd.enrich.sources import MAX_BYTES, Sources
from enrichd.lsp.positions import path_to_uri
from enrichd.lsp.wire import Target
from enrichd_tracker.model import External

SECRET = "class Private:\n    def password_is_4711(self): ...\n"
COLUMN = SECRET.splitlines()[1].index("password")
CLIENT = "from vault import take\n\ndef use():\n    return take()\n"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were opened for what a server said of them."""
    opened: list[str] = []
    real = file_stat.read_regular

    def watched(path: str, most_bytes: int) -> bytes | None:
        opened.append(os.path.realpath(path))
        return real(path, most_bytes)

    monkeypatch.setattr(sources, "read_regular", watched)
    return opened


@pytest.fixture
async def resolver(oracle: Oracle) -> Resolver:
    house = oracle.house
    await house.open()
    workspace = await house.workspace()
    return Resolver(house.app.store, workspace.id, house.root, Sources())


async def locate(resolver: Resolver, uri: str, line: int = 1, character: int = COLUMN) -> object:
    target = Target(uri, line, character)
    await resolver.load([target], own=())
    return resolver.locate(target, "take", "utf-8")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "library.py").write_text(SECRET)
    (folder / "shadow").write_text(SECRET)
    return folder


async def test_source_of_a_library_is_looked_at_for_a_name(
    resolver: Resolver, outside: Path, read: list[str]
) -> None:
    found = await locate(resolver, path_to_uri(outside / "library.py"))
    assert found == External("library", "library.Private.password_is_4711", "method")
    assert read == [str(outside / "library.py")]


def spellings(path: Path, root: Path) -> list[str]:
    """One file, as a server could call it."""
    uri = path_to_uri(path)
    there = os.path.relpath(path, root)
    return [
        uri,
        uri.replace("outside", "%6futside"),
        uri.replace("file://", "file://localhost"),
        f"{path_to_uri(root)}/{there}",
        f"{path_to_uri(root)}/{there.replace('..', '%2e%2E').replace('/', '%2F')}",
        f"{path_to_uri(root)}/./sub/../{there}",
    ]


async def test_what_is_no_source_is_not_opened_however_it_is_called(
    resolver: Resolver, outside: Path, read: list[str]
) -> None:
    root = Path(resolver._root)
    for uri in spellings(outside / "shadow", root):
        assert await locate(resolver, uri) == External("shadow", "shadow.take"), uri
    for uri in spellings(outside / "library.py", root):
        found = await locate(resolver, uri)
        assert isinstance(found, External)
        assert resolver.relative(Target(uri, 0, 0)) is None
    assert set(read) == {str(outside / "library.py")}


@pytest.mark.parametrize("name", ["library.py", "shadow", "folder/library.py"])
async def test_a_link_of_the_workspace_leads_nowhere(
    resolver: Resolver, outside: Path, read: list[str], name: str
) -> None:
    root = Path(resolver._root)
    if "/" in name:
        link = root / "linked"
        link.symlink_to(outside)
        called = link / "library.py"
    else:
        called = root / "linked.py"
        called.symlink_to(outside / name)
    for uri in (path_to_uri(called), path_to_uri(called).replace("linked", "%6cinked")):
        found = await locate(resolver, uri)
        assert isinstance(found, External)
        assert found.name == f"{found.package}.take"
    assert read == []


async def test_a_link_with_the_name_of_a_library_leads_nowhere_either(
    resolver: Resolver, outside: Path, read: list[str]
) -> None:
    packages = Path(resolver._root) / ".venv" / "lib" / "python3.11" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "vault.py").symlink_to(outside / "shadow")
    found = await locate(resolver, path_to_uri(packages / "vault.py"))
    assert found == External("vault", "vault.take")
    (packages / "real.py").write_text(SECRET)
    found = await locate(resolver, path_to_uri(packages / "real.py"))
    assert found == External("real", "real.Private.password_is_4711", "method")
    assert read == [str(packages / "real.py")]


async def test_a_link_outside_counts_as_what_it_leads_to(
    resolver: Resolver, outside: Path, read: list[str]
) -> None:
    (outside / "innocent.py").symlink_to(outside / "shadow")
    assert await locate(resolver, path_to_uri(outside / "innocent.py")) == External(
        "innocent", "innocent.take"
    )
    assert read == []


def make(kind: str, path: Path) -> None:
    match kind:
        case "a FIFO":
            os.mkfifo(path)
        case "a folder":
            path.mkdir()
        case "endless":
            path.symlink_to("/dev/zero")
        case "too large":
            with path.open("wb") as file:
                file.truncate(MAX_BYTES + 1)
        case _:
            assert kind == "not there"


@pytest.mark.parametrize("kind", ["a FIFO", "a folder", "endless", "too large", "not there"])
async def test_what_can_not_be_read_blocks_nobody(
    resolver: Resolver, outside: Path, kind: str
) -> None:
    path = outside / "odd.py"
    make(kind, path)
    found = await locate(resolver, path_to_uri(path))
    assert isinstance(found, External)
    assert found.package == "odd"
    assert list(Sources().lines(str(path))) == []


@pytest.mark.parametrize(
    ("uri", "line", "character"),
    [
        ("http://example.com/library.py", 1, 1),
        ("file://example.com/library.py", 1, 1),
        ("file:library.py", 1, 1),
        ("untitled:one", 1, 1),
        ("file:///", 1, 1),
        ("file:////", 1, 1),
        ("file:///library%00.py", 1, 1),
        ("", 1, 1),
        ("file:///library.py", -1, 0),
        ("file:///library.py", 0, -1),
        ("file:///library.py", -(2**62), -(2**62)),
    ],
)
async def test_what_names_no_place_is_nothing(
    resolver: Resolver, read: list[str], uri: str, line: int, character: int
) -> None:
    assert await locate(resolver, uri, line, character) is None
    assert read == []


@pytest.mark.parametrize(("line", "character"), [(-1, 0), (0, -1), (2**62, 2**62)])
async def test_a_place_that_is_not_in_a_file_of_the_workspace_is_nothing(
    resolver: Resolver, line: int, character: int
) -> None:
    uri = path_to_uri(f"{resolver._root}/base.py")
    assert await locate(resolver, uri, line, character) is None


async def test_a_name_that_holds_a_nul_is_nobody(resolver: Resolver, read: list[str]) -> None:
    found = await locate(resolver, "file:///library\0.py")
    assert found is None or (isinstance(found, External) and found.name.endswith(".take"))
    assert read == []


async def test_nothing_of_a_file_outside_gets_into_the_graph(
    oracle: Oracle, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the server says, and whatever the workspace's links say."""
    house = oracle.house
    house.write({"client.py": CLIENT})
    (house.root / "vault.py").symlink_to(outside / "shadow")
    uris = [
        path_to_uri(house.root / "vault.py"),
        *spellings(outside / "shadow", house.root),
    ]
    answer = oracle.answer

    def lie(request: Request) -> Any:
        if "client.py" not in str(request["params"]):
            return answer(request)
        start = {"line": 1, "character": COLUMN}
        return [{"uri": uri, "range": {"start": start, "end": start}} for uri in uris]

    monkeypatch.setattr(oracle, "answer", lie)
    await house.open()
    await house.until_settled()
    assert ("client.py/use().", "calls", "vault vault.take") in await house.edges()
    await house.is_sound()
    await house.close()
    for file in house.folder.glob("graph.db*"):
        content = file.read_bytes()
        assert b"4711" not in content
        assert b"Private" not in content
