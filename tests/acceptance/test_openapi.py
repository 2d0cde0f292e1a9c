"""What the API says of itself, held against what it does: thousands of requests, good and bad."""

from __future__ import annotations

import json
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from posixpath import normpath
from typing import Any
from zlib import crc32

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from tests.running import Daemon, Place, free_port, pygls_server, running, write_tree

sys.path.append(str(Path(sys.prefix) / "api"))  # see the group api in pyproject.toml
pytest.importorskip("schemathesis", reason="`make test` installs it")

import requests
import schemathesis
from schemathesis import BaseSchema, Case, GenerationMode
from schemathesis.checks import CHECKS, CheckFunction, load_all_checks
from schemathesis.core.failures import FailureGroup

EXAMPLES = int(os.environ.get("ENRICHD_API_EXAMPLES", "3"))
"""So many valid and so many invalid requests to each operation, beside those at the edges."""
TREE: dict[str, str | bytes] = {
    "bill.py": "def total(x):\n    return x\n\n\nclass Bill:\n    def pay(self): total(1)\n",
    "cart.py": "from bill import Bill, total\n\n\ndef pay(bill: Bill):\n    return total(bill)\n",
    "torn.py": "def (:\n",
    "latin.py": b"# caf\xe9\n",
}
CHECKED = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
)
TAKES_MORE_THAN_IS_SAID = {
    "/api/v1/index",  # an address that can be fetched
    "/api/v1/workspaces",  # a folder that there is
    "/api/v1/index/status/stream",  # a WebSocket
    "/api/v1/index/status/{job}/stream",
}
"""Whose valid requests need not be accepted."""
PROMISED = {
    "/healthz",
    "/readyz",
    "/metrics",
    "/api/v1/status",
    "/api/v1/index",
    "/api/v1/indexing/batch/start",
    "/api/v1/indexing/batch/status/{workspace}",
    "/api/v1/index/status",
    "/api/v1/index/status/{job}",
    "/api/v1/index/status/{job}/stream",
    "/api/v1/index/status/{job}/logs",
    "/api/v1/index/metrics/stages",
    "/api/v1/index/metrics/embedding",
    "/api/v1/indexing/batch/errors/{workspace}",
    "/api/v1/indexing/batch/errors/{workspace}/summary",
    "/api/v1/parse-results/{workspace}",
    "/api/v1/enrichment/failures",
    "/api/v1/enrichment/retry",
    "/api/v1/symbols",
    "/api/v1/graph/callers",
    "/api/v1/graph/callees",
    "/api/v1/graph/references",
    "/api/v1/graph/implementations",
    "/api/v1/graph/supertypes",
    "/api/v1/graph/subtypes",
    "/api/v1/graph/unused",
    "/api/v1/graph/explain",
}


@dataclass(frozen=True)
class Served:
    """A daemon that may be asked anything, and told what stays inside its folder."""

    daemon: Daemon
    url: str
    token: dict[str, str]
    folder: Path
    description: Any

    def get(self, path: str) -> requests.Response:
        return requests.get(self.url + path, timeout=20)

    def schema(self) -> BaseSchema:
        return schemathesis.openapi.from_dict(self.description)

    def is_healthy(self) -> bool:
        return self.daemon.answers() and self.daemon.process.poll() is None


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("api")
    write_tree(folder / "shop", TREE)
    write_tree(folder / "thrown-away", TREE)
    place = Place(folder)
    port = free_port()
    place.configure(folder / "shop", listen=f"127.0.0.1:{port}", more=pygls_server())
    token = folder / "token"
    with running(place, {"ENRICHD_TOKEN_FILE": str(token)}) as daemon:
        daemon.wait_until_settled()
        url = f"http://127.0.0.1:{port}"
        description = requests.get(f"{url}/api/v1/openapi.json", timeout=20).json()
        yield Served(
            daemon,
            url,
            {"Authorization": f"Bearer {token.read_text().strip()}"},
            folder,
            description,
        )
        assert daemon.terminate()[0] == 0


def test_the_description_is_valid(served: Served) -> None:
    served.schema().validate()
    names = [
        operation["operationId"]
        for path in served.description["paths"].values()
        for operation in path.values()
    ]
    assert len(set(names)) == len(names)
    text = json.dumps(served.description)
    for kind, name in re.findall(r'"#/components/(\w+)/([^"]+)"', text):
        assert name in served.description["components"][kind]


def test_every_promised_route_that_there_is_is_described(served: Served) -> None:
    described = set(served.description["paths"])
    for path in PROMISED - described:
        answer = served.get(re.sub(r"{\w+}", "x", path))
        assert "there is nothing at" in answer.text, path


def test_what_it_says_is_what_it_does(served: Served) -> None:
    """Every answer to a generated request is described, and none is an error of the server."""
    asking = Asking(served)
    schema = served.schema()
    for result in schema.get_all_operations():
        operation = result.ok()
        for case in schema.iter_coverage_cases(
            operation,
            generation_modes=list(GenerationMode),
            generation_config=schema.config.generation_for(operation=operation),
        ):
            asking.ask(case)
        for mode in GenerationMode:
            with suppress(Unsatisfiable):  # nothing is wrong about a request that says nothing
                explore(operation.as_strategy(generation_mode=mode), asking.ask)
    assert not asking.wrong, "\n\n".join(asking.wrong.values())
    assert served.is_healthy()


class Asking:
    """Sends requests and looks at the answers; what is wrong alike is kept once."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._session = requests.Session()
        self._session.headers.update(served.token)
        load_all_checks()
        self._checks = [CHECKS.get_one(name) for name in CHECKED]
        self._accepts = CHECKS.get_one("positive_data_acceptance")
        jobs = served.get("/api/v1/index/status").json()["jobs"]
        self._real = {
            "workspace": ["shop"],
            "repository": ["shop"],
            "name": ["thrown-away", "pygls"],
            "job": [each["job_id"] for each in jobs],
            "q": ["pay", "t*l", "Bill.?ay"],
            "symbol": ["Bill.pay", "pay", "bill.py/Bill#", "cart.py:4", "torn.py"],
        }
        self.seen: Counter[tuple[str, str, int]] = Counter()
        self.wrong: dict[tuple[str, ...], str] = {}

    def ask(self, case: Case) -> None:
        if case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE:
            name_what_is_there(case, self._real)
        tame(case, self._served.folder / "thrown-away")
        label = f"{case.method} {case.operation.path}"
        try:
            answer = case.call(base_url=self._served.url, session=self._session, timeout=20)
            self.seen[case.method, case.operation.path, answer.status_code] += 1
            case.validate_response(answer, checks=self._checks_of(case, answer))
            if answer.status_code == 422:
                assert_named(case, answer.json()["error"]["message"])
        except FailureGroup as failures:
            kinds = [type(each).__name__ for each in failures.exceptions]
            self.wrong.setdefault((label, *kinds), f"{label}: {failures}")
        except (AssertionError, requests.RequestException) as error:
            self.wrong.setdefault((label, type(error).__name__), f"{label}: {error!r}")

    def _checks_of(self, case: Case, answer: schemathesis.Response) -> list[CheckFunction]:
        too_long = answer.status_code == 400 and b"can't be read" in answer.content
        if too_long or case.operation.path in TAKES_MORE_THAN_IS_SAID:
            return self._checks
        return [*self._checks, self._accepts]


def explore(cases: st.SearchStrategy[Case], ask: Callable[[Case], None]) -> None:
    """Ask so many of them; the same each time, unless more are wanted than usual."""

    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        derandomize="ENRICHD_API_EXAMPLES" not in os.environ,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(cases)
    def run(case: Case) -> None:
        ask(case)

    run()


def tame(case: Case, folder: Path) -> None:
    """Whatever is to be indexed lies in the folder, nothing is fetched, nobody waits for long."""
    if isinstance(case.body, dict):
        root = case.body.get("root")
        if isinstance(root, str) and root.startswith("/"):
            case.body["root"] = f"{folder}{normpath(f'/{root}')}"
        if isinstance(case.body.get("url"), str):
            case.body["url"] = "no address"
    query = case.query or {}
    with suppress(KeyError, TypeError, ValueError):
        if 0 < (timeout := float(query["timeout"])) <= 86_400:
            query["timeout"] = min(timeout, 0.05)


def name_what_is_there(case: Case, real: Mapping[str, Sequence[str]]) -> None:
    """In every other request: random names hardly ever meet something."""
    for said in (case.path_parameters, case.query, case.body):
        for name in real.keys() & said.keys() if isinstance(said, dict) else ():
            luck = crc32(repr(said[name]).encode())
            if isinstance(said[name], str) and luck % 2:
                said[name] = real[name][luck // 2 % len(real[name])]


def assert_named(case: Case, message: str) -> None:
    """A refusal names the parameter that it is about."""
    definition = case.operation.definition.raw
    names = {"the body", *(each["name"] for each in definition["parameters"]), *(case.query or {})}
    if "requestBody" in definition:
        schema = definition["requestBody"]["content"]["application/json"]["schema"]
        schemas = case.operation.schema.raw_schema["components"]["schemas"]
        names |= set(schemas[schema["$ref"].rpartition("/")[2]]["properties"])
    if isinstance(case.body, dict):
        names |= set(case.body)
    assert any(message.startswith(f"{name}: ") for name in names), message


@given(
    st.sampled_from(("symbols", "graph/callers", "status", "index/status", "unindexed")),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=50),
)
@settings(max_examples=EXAMPLES * 10, database=None, deadline=None)
def test_a_parameter_that_is_not_described_is_refused_by_name(
    served: Served, route: str, name: str
) -> None:
    declared = served.description["paths"][f"/api/v1/{route}"]["get"]["parameters"]
    assume(name not in {each["name"] for each in declared})
    said = requests.get(f"{served.url}/api/v1/{route}", params={"q": "x", name: "1"}, timeout=20)
    if route == "symbols":
        assert said.status_code == 422
        assert said.json()["error"]["message"].startswith(f"{name}: unknown parameter")
    else:
        assert said.status_code == 422


def test_every_other_method_is_refused_with_those_that_are_offered(served: Served) -> None:
    for path, operations in served.description["paths"].items():
        if path.endswith("/summary"):
            continue  # an error's id has the same place: there it is an id that is none
        offered = {method.upper() for method in operations}
        for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} - offered:
            if method == "HEAD" and "GET" in offered:
                continue
            answer = requests.request(
                method, served.url + re.sub(r"{\w+}", "1", path), headers=served.token, timeout=20
            )
            assert answer.status_code == 405, (method, path)
            allowed = set(answer.headers["Allow"].split(", "))
            assert allowed - {"HEAD"} == offered, (method, path)


def test_what_changes_something_is_described_to_need_the_token_and_does(served: Served) -> None:
    for path, operations in served.description["paths"].items():
        for method, operation in operations.items():
            changes = {"token": []} in operation.get("security", [])
            assert changes is ("401" in operation["responses"]), path
            if changes:
                url = served.url + re.sub(r"{\w+}", "1", path)
                answer = requests.request(method, url, json={}, timeout=20)
                assert answer.status_code == 401, path
                assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_workspace_that_was_added_is_removed_again(served: Served) -> None:
    """What the generated requests hardly ever do to the end."""
    url = f"{served.url}/api/v1/workspaces"
    folder = write_tree(served.folder / "garden", TREE)
    for _ in range(3):
        made = requests.post(url, json={"root": str(folder)}, headers=served.token, timeout=20)
        assert (made.status_code, made.json()) == (201, {"name": "garden", "root": str(folder)})
        gone = requests.delete(f"{url}/garden", headers=served.token, timeout=20)
        assert (gone.status_code, gone.content) == (204, b"")
        again = requests.delete(f"{url}/garden", headers=served.token, timeout=20)
        assert again.json()["error"]["code"] == "not_found"
    assert served.is_healthy()


def test_a_folder_whose_name_is_too_long_is_not_there(served: Served) -> None:
    wish = {"repository": "shop", "directory": "x" * 300}
    url = f"{served.url}/api/v1/indexing/batch/start"
    answer = requests.post(url, json=wish, headers=served.token, timeout=20)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
