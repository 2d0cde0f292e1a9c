"""Small pure functions: relations, questions, names of what is outside, faces of overloads."""

from __future__ import annotations

import itertools

import pytest
from tests.unit.enrich.made import site

from enrichd.enrich.externals import module_of, name_of
from enrichd.enrich.questions import ExternalPolicy, keeps_external, proved, worth_asking
from enrichd.enrich.relations import relation
from enrichd.enrich.resolve import without_faces
from enrichd_tracker.model import Binding, External, Relation, Role, SymbolKind
from enrichd_tracker.store.port import Definition

K = SymbolKind


@pytest.mark.parametrize(
    ("role", "target", "expected"),
    [
        (Role.IMPORT, K.MODULE, Relation.IMPORTS),
        (Role.IMPORT, K.FUNCTION, Relation.IMPORTS),
        (Role.INHERIT, K.CLASS, Relation.INHERITS),
        (Role.INHERIT, K.VARIABLE, Relation.INHERITS),  # Base = make_base()
        (Role.INHERIT, None, Relation.INHERITS),
        (Role.INHERIT, K.FUNCTION, Relation.REFERENCES),  # class A(make()): ...
        (Role.INHERIT, K.MODULE, Relation.REFERENCES),  # class A(module.B): ...
        (Role.CALL, K.FUNCTION, Relation.CALLS),
        (Role.CALL, K.METHOD, Relation.CALLS),
        (Role.CALL, K.VARIABLE, Relation.CALLS),
        (Role.CALL, None, Relation.CALLS),
        (Role.CALL, K.CLASS, Relation.INSTANTIATES),
        (Role.CALL, K.PROPERTY, Relation.REFERENCES),  # its value is called
        (Role.CALL, K.MODULE, Relation.REFERENCES),
        (Role.REFERENCE, K.CLASS, Relation.REFERENCES),
    ],
)
def test_relations(role: Role, target: SymbolKind | None, expected: Relation) -> None:
    assert relation(role, target) is expected


def test_every_role_and_kind_has_a_relation() -> None:
    for role, kind in itertools.product(Role, [*SymbolKind, None]):
        assert relation(role, kind) in Relation


POLICIES: list[ExternalPolicy] = ["off", "imports", "all"]


@pytest.mark.parametrize(
    ("binding", "name", "asked"),
    [
        (Binding.PLAIN, "known", {"off", "imports", "all"}),
        (Binding.PLAIN, "strange", {"all"}),
        (Binding.MEMBER, "known", {"off", "imports", "all"}),
        (Binding.MEMBER, "strange", {"all"}),
        # an import may have renamed it
        (Binding.IMPORTED, "strange", {"off", "imports", "all"}),
        (Binding.BUILTIN, "known", {"all"}),
        (Binding.BUILTIN, "print", {"all"}),
    ],
)
def test_what_no_answer_could_make_an_edge_is_not_asked(
    binding: Binding, name: str, asked: set[str]
) -> None:
    found = {each for each in POLICIES if worth_asking(site(name, binding), {"known"}, each)}
    assert found == asked


def test_what_is_outside_is_kept_as_configured() -> None:
    kept = {
        (binding, policy)
        for binding, policy in itertools.product(Binding, POLICIES)
        if keeps_external(site("f", binding), policy)
    }
    assert kept == {(Binding.IMPORTED, "imports"), *((each, "all") for each in Binding)}


def test_what_the_text_proves_is_proved() -> None:
    assert proved(site(target="f()."))
    assert proved(site(target=""))  # the module itself
    assert not proved(site())


@pytest.mark.parametrize(
    ("path", "package", "module"),
    [
        ("/v/lib/python3.12/site-packages/flask/app.py", "flask", "flask.app"),
        ("/v/lib/python3.12/site-packages/flask/__init__.py", "flask", "flask"),
        ("/v/lib/python3.12/site-packages/six.py", "six", "six"),
        ("/usr/lib/python3/dist-packages/yaml/nodes.py", "yaml", "yaml.nodes"),
        ("/v/site-packages/yaml-stubs/nodes.pyi", "yaml", "yaml.nodes"),
        ("/v/site-packages/types-yaml-stubs/nodes.pyi", "yaml", "yaml.nodes"),
        ("/usr/lib/python3.12/json/decoder.py", "python-stdlib", "json.decoder"),
        ("/usr/lib/python3.12/json/__init__.py", "python-stdlib", "json"),
        ("/c/typeshed/stdlib/os/path.pyi", "python-stdlib", "os.path"),
        ("/c/typeshed/stdlib/builtins.pyi", "python-stdlib", "builtins"),
        ("/c/typeshed/stubs/requests/requests/api.pyi", "requests", "requests.api"),
        ("/home/python3fan/other/tool.py", "tool", "tool"),
        ("/home/u/lib/src/pkg/core.py", "pkg", "pkg.core"),
        ("/home/u/lib/src/pkg/__init__.py", "pkg", "pkg"),
        ("/home/u/lib/tool.py", "tool", "tool"),
        ("/home/u/lib/pkg/__init__.py", "pkg", "pkg"),
    ],
)
def test_files_outside_have_a_package_and_a_module(path: str, package: str, module: str) -> None:
    assert module_of(path) == (package, module)


TEXT = b"""import x
class Outer:
    limit = 3
    class Inner(Base):
        @decorated
        async def deep(self):
            pass

    def flat(self): ...
def free(): ...
"""


@pytest.mark.parametrize(
    ("line", "column", "expected"),
    [
        (0, 0, External("six", "six", K.MODULE)),
        (1, 6, External("six", "six.Outer", K.CLASS)),
        (2, 4, External("six", "six.Outer.limit")),
        (3, 10, External("six", "six.Outer.Inner", K.CLASS)),
        (5, 18, External("six", "six.Outer.Inner.deep", K.METHOD)),
        (8, 8, External("six", "six.Outer.flat", K.METHOD)),
        (9, 4, External("six", "six.free", K.FUNCTION)),
        (99, 4, External("six", "six", K.MODULE)),
        (6, 0, External("six", "six", K.MODULE)),
    ],
)
def test_what_stands_outside_has_a_dotted_name(line: int, column: int, expected: External) -> None:
    assert name_of("/v/site-packages/six.py", TEXT.splitlines(), line, column) == expected


def face(number: int, *, overload: bool, name: str = "f") -> Definition:
    return Definition(number, K.FUNCTION, name, overload, name)


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        ([], []),
        ([face(1, overload=True)], [1]),  # the only one that the server names
        ([face(1, overload=True), face(2, overload=True), face(3, overload=False)], [3]),
        ([face(1, overload=True), face(2, overload=True)], [2]),  # a stub has no implementation
        ([face(1, overload=False), face(2, overload=False)], [1, 2]),
        ([face(1, overload=True), face(2, overload=False, name="g")], [2, 1]),
    ],
)
def test_overloads_are_faces_of_the_implementation(
    found: list[Definition], kept: list[int]
) -> None:
    assert [each.symbol_id for each in without_faces(found)] == kept


STUB = b"""\
import sys

class Early:
    def method(self) -> None: ...

if sys.platform != "win32":
    def makedirs(name: str) -> None: ...
    class Inner(
        Early,
    ):
        # a comment
        def deep(self) -> None: ...
""".splitlines()


@pytest.mark.parametrize(
    ("line", "column", "name", "kind"),
    [
        (3, 8, "os.Early.method", "method"),
        (6, 8, "os.makedirs", "function"),  # the `if` ends what stands before it
        (11, 12, "os.Inner.deep", "method"),
        (2, 6, "os.Early", "class"),
    ],
)
def test_an_external_is_named_by_the_classes_around_it(
    line: int, column: int, name: str, kind: str
) -> None:
    found = name_of("/cache/ty/vendored/typeshed/0/stdlib/os.pyi", STUB, line, column)
    assert (found.package, found.name, found.kind) == ("python-stdlib", name, kind)
