"""Incremental equals full: after any edits the graph is the one that a fresh index would give."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.component.store.driving import Driver, equals_full, overrides_are_right
from tests.component.store.worlds import Blank, Class, Def, File, From, Item, Server, Use, Var

from enrichd.clock import FakeClock
from enrichd_tracker.model import Operation, SymbolKind, Work
from enrichd_tracker.store.sqlite import SqliteStore

EXAMPLES = int(os.environ.get("ENRICHD_STORE_EXAMPLES", "100"))
"""`make edits` takes 1,000."""
MODULES = ["a", "b", "c"]
CLASSES = ["A", "B"]
PLAIN = ["f", "A", "B", "f"]
MEMBERS = ["m", "n", "__p"]

uses = st.builds(Use, st.sampled_from([*PLAIN, "Z"])) | st.builds(
    Use, st.sampled_from(["a", "b", "os", "A", "B", "Z"]), st.sampled_from([*MEMBERS, *PLAIN])
)
some_uses = st.lists(uses, max_size=2).map(tuple)
some_class = st.sampled_from(["", *CLASSES])
functions = st.builds(
    Def, st.sampled_from(["f", "g", "h"]), some_uses, takes=some_class, gives=some_class
)
members = st.builds(
    Def,
    st.sampled_from(MEMBERS),
    some_uses,
    st.booleans(),
    st.sampled_from([SymbolKind.METHOD, SymbolKind.PROPERTY]),
)
classes = st.builds(
    Class,
    st.sampled_from(CLASSES),
    st.lists(st.sampled_from(["A", "B", "Z"]), max_size=2, unique=True).map(tuple),
    st.lists(members, max_size=2).map(tuple),
)
imports = st.builds(
    From,
    st.sampled_from(["a", "a", "b", "b", "c", "os"]),
    st.sampled_from([*PLAIN, *PLAIN, "Z", None]),
    st.sampled_from([None, None, "Z", "f", "A"]),
)
variables = st.builds(
    Var, st.sampled_from(["f", "A"]), st.sampled_from(["", *PLAIN]), st.booleans()
)
items: st.SearchStrategy[Item] = st.one_of(
    imports, classes, functions, classes, imports, variables, st.just(Blank())
)
files: st.SearchStrategy[File] = st.lists(items, min_size=1, max_size=5).map(tuple)
worlds = st.fixed_dictionaries(dict.fromkeys(MODULES, files))


class Edit:
    """One step from a world to the next, small where it can be."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.kind = draw(
            st.sampled_from(["put", "put", "drop", "swap", "replace", "insert", "remove", "move"])
        )
        self.module = draw(st.sampled_from(MODULES))
        self.other = draw(st.sampled_from(MODULES))
        self.place = draw(st.integers(0, 3))
        self.file = draw(files)
        self.item = draw(items)

    def __repr__(self) -> str:
        return f"{self.kind} {self.module} {self.other} {self.place} {self.item} {self.file}"

    def apply(self, world: dict[str, File]) -> None:
        file = list(world.get(self.module, ()))
        place = min(self.place, max(len(file) - 1, 0))
        if self.kind == "put" or not file:
            world[self.module] = self.file
            return
        match self.kind:
            case "drop":
                del file[place]
            case "swap":
                file[place], file[-1] = file[-1], file[place]
            case "replace":
                file[place] = self.item
            case "insert":
                file.insert(place, self.item)
            case "remove":
                del world[self.module]
                return
            case _:
                del world[self.module]
                world[self.other] = tuple(file)
                return
        world[self.module] = tuple(file)


edits = st.composite(Edit)()
steps = st.tuples(st.lists(edits, min_size=1, max_size=2), st.sampled_from(["all", "some", "late"]))


TWO = (Class("A", members=(Def("m"),)), Class("B", members=(Def("m"),)))
MADE: dict[str, File] = {
    "a": (*TWO, Def("f", gives="A", takes="A")),
    "c": (From("b", "x"), Def("g", (Use("x", "m"),))),
}

# Each row: the world before, what changes, and why somebody elsewhere has to be asked again.
FUNCTION = (Def("f"),)
CHANGES: dict[str, tuple[dict[str, File], dict[str, File | None]]] = {
    "a name appears": (
        {"a": (Var("x"),), "b": (From("a", "f"), Def("g", (Use("f"),)))},
        {"a": FUNCTION},
    ),
    "a name goes": (
        {"a": FUNCTION, "b": (From("a", "f"), Def("g", (Use("f"),)))},
        {"a": (Var("x"),)},
    ),
    "a file goes": ({"a": FUNCTION, "b": (From("a", "f"), Def("g", (Use("f"),)))}, {"a": None}),
    "a file appears": ({"b": (From("a", "f"), Def("g", (Use("f"),)))}, {"a": FUNCTION}),
    "a file is renamed": (
        {"a": FUNCTION, "b": (From("a", "f"), Def("g", (Use("f"),))), "d": (From("c", "f"),)},
        {"a": None, "c": FUNCTION},
    ),
    "a definition moves to another file": (
        {"a": FUNCTION, "c": (From("a", "f"),), "b": (From("c", "f"), Def("g", (Use("f"),)))},
        {"a": (Var("x"),), "c": FUNCTION},
    ),
    "a re-export leads elsewhere": (
        {
            "a": FUNCTION,
            "c": FUNCTION,
            "d": (From("a", "f"),),
            "b": (From("d", "f"), Def("g", (Use("f"),))),
        },
        {"d": (From("c", "f"),)},
    ),
    "a re-export goes": (
        {"a": FUNCTION, "d": (From("a", "f"),), "b": (From("d", "f"), Def("g", (Use("f"),)))},
        {"d": (Var("x"),)},
    ),
    "a name that is used under an alias goes": (
        {"a": FUNCTION, "b": (From("a", "f", "Z"), Def("g", (Use("Z"),)))},
        {"a": (Def("h"),)},
    ),
    "a name goes that is exported under an alias": (
        {
            "a": FUNCTION,
            "b": (From("a", "f", "Y"),),
            "c": (From("b", "Y", "Z"),),
            "d": (From("c", "Z"), Def("g", (Use("Z"),))),
        },
        {"a": (Def("h"),)},
    ),
    "an alias is given to another name": (
        {
            "a": (Def("f"), Def("h")),
            "b": (From("a", "f", "Z"),),
            "c": (From("b", "Z"), Def("g", (Use("Z"),))),
        },
        {"b": (From("a", "h", "Z"),)},
    ),
    "an alias goes with its file": (
        {"a": FUNCTION, "b": (From("a", "f", "Z"),), "c": (From("b", "Z"), Def("g", (Use("Z"),)))},
        {"b": None},
    ),
    "a function gives something else": (
        {**MADE, "b": (From("a", "f"), Var("x", "f"))},
        {"a": (*TWO, Def("f", gives="B", takes="A"))},
    ),
    "a function that is handed on takes something else": (
        {**MADE, "b": (From("a", "f"), Var("x", "f", handed=True))},
        {"a": (*TWO, Def("f", gives="A", takes="B"))},
    ),
    "a function that is called and handed on takes something else": (
        {**MADE, "b": (From("a", "f"), Var("x", "f"), Var("x", "f", handed=True))},
        {"a": (*TWO, Def("f", gives="A", takes="B"))},
    ),
    "same-named siblings change places": (
        {"a": (Var("f"), Def("f")), "b": (From("a", "f"), Def("g", (Use("f"),)))},
        {"a": (Def("f"), Var("f"))},
    ),
    "a same-named sibling appears": (
        {"a": FUNCTION, "b": (From("a", "f"), Def("g", (Use("f"),)))},
        {"a": (Def("f"), Def("f"))},
    ),
    "a member goes": (
        {
            "a": (Class("A", members=(Def("m"),)),),
            "b": (From("a", "A"), Def("g", (Use("A", "m"),))),
        },
        {"a": (Class("A"),)},
    ),
    "a member appears in a base": (
        {
            "a": (Class("A"),),
            "b": (From("a", "A"), Class("B", ("A",), (Def("m"),))),
            "c": (From("b", "B"), Class("C", ("B",), (Def("m"), Def("n")))),
        },
        {"a": (Class("A", members=(Def("m"), Def("n"))),)},
    ),
    "a member goes from a base": (
        {
            "a": (Class("A", members=(Def("m"),)),),
            "b": (From("a", "A"), Class("B", ("A",), (Def("m"),))),
            "c": (From("b", "B"), Class("C", ("B",), (Def("m"),))),
        },
        {"b": (From("a", "A"), Class("B", ("A",)))},
    ),
    "a base gets a base": (
        {
            "a": (Class("A", members=(Def("m"),)),),
            "b": (From("a", "A"), Class("B")),
            "c": (From("b", "B"), Class("C", ("B",), (Def("m"),))),
        },
        {"b": (From("a", "A"), Class("B", ("A",)))},
    ),
    "a base loses its base": (
        {
            "a": (Class("A", members=(Def("m"),)),),
            "b": (From("a", "A"), Class("B", ("A",))),
            "c": (From("b", "B"), Class("C", ("B",), (Def("m"),))),
        },
        {"b": (From("a", "A"), Class("B"))},
    ),
    "a base is renamed": (
        {
            "a": (Class("A", members=(Def("m"),)),),
            "b": (From("a", "A"), Class("B", ("A",), (Def("m"),))),
        },
        {"a": (Class("C", members=(Def("m"),)),)},
    ),
    "a base goes with its file": (
        {
            "a": (Class("A", members=(Def("m"),)),),
            "b": (From("a", "A"), Class("B", ("A",), (Def("m"),))),
            "c": (From("b", "B"), Class("C", ("B",), (Def("m"),))),
        },
        {"a": None},
    ),
    "a base and its heir change together": (
        {
            "a": (Class("A", members=(Def("m"),)),),
            "b": (From("a", "A"), Class("B", ("A",), (Def("m"),))),
            "c": (From("b", "B"), Class("C", ("B",), (Def("n"),))),
        },
        {
            "a": (Class("A", members=(Def("n"),)),),
            "b": (Blank(), From("a", "A"), Class("B", ("A",), (Def("m"), Def("n")))),
        },
    ),
    "the order of two bases changes": (
        {
            "a": (Class("A", members=(Def("m"),)), Class("B", members=(Def("m"),))),
            "b": (From("a", "A"), From("a", "B"), Class("C", ("A", "B"), (Def("m"),))),
        },
        {"b": (From("a", "A"), From("a", "B"), Class("C", ("B", "A"), (Def("m"),)))},
    ),
}


@pytest.mark.parametrize("what", CHANGES)
async def test_after_one_change_the_graph_is_that_of_a_fresh_index(
    driver: Driver, what: str
) -> None:
    before, changed = CHANGES[what]
    await driver.require(Operation.DEFINITION)
    await driver.index(before)
    await driver.settle()
    old = await driver.snapshot()
    await driver.change(**changed)
    await driver.check()
    await driver.settle()
    assert await driver.snapshot() != old, "a change that changes nothing tests nothing"
    await equals_full(driver)
    await overrides_are_right(driver)
    await driver.index(before)
    await driver.settle()
    assert await driver.snapshot() == old


async def test_who_uses_an_inherited_member_is_asked_again_when_a_base_gets_a_base(
    driver: Driver,
) -> None:
    before: dict[str, File] = {
        "a": (Class("A", members=(Def("m"),)),),
        "b": (From("a", "A"), Class("B")),
        "c": (From("b", "B"), Class("C", ("B",))),
        "d": (From("c", "C"), Def("g", (Use("C", "m"),))),
    }
    await driver.index(before)
    await driver.settle(inherited=True)
    await driver.change(b=(From("a", "A"), Class("B", ("A",))))
    await driver.settle(inherited=True)
    await equals_full(driver, inherited=True)


USERS: dict[str, File] = {
    "a": (Def("f"), Def("h")),
    "b": (From("a", "f"), Def("g", (Use("f"),)), Def("other", (Use("h"),))),
    "c": (From("b", "g"), Def("k", (Use("g"), Use("h")))),
}


async def test_who_mentions_nothing_of_a_change_is_not_asked_again(driver: Driver) -> None:
    await driver.require(Operation.DEFINITION)
    await driver.index(USERS)
    await driver.settle()
    await driver.change(a=(Def("f", (Use("h"),)), Def("h")))
    assert await driver.orphans() == ["a.py/f()."], "a body is nobody else's concern"
    await driver.settle()
    await driver.change(a=(Def("f", (Use("h"),), overload=True), Def("h")))
    assert await driver.orphans() == ["a.py/f().", "b.py/", "b.py/g()."]


CALLERS: dict[str, File] = {
    **MADE,
    "b": (From("a", "f"), Var("x", "f"), Var("y", "f", handed=True)),
    "d": (From("b", "y"), Def("g", (Use("y", "m"),))),
    "e": (From("a", "f"), Def("g", (Use("f"),))),
}
OTHER_PARAMETERS = (*TWO, Def("f", gives="A", takes="B"))


async def test_parameters_concern_the_users_and_not_those_of_what_calls_give(
    driver: Driver,
) -> None:
    await driver.require(Operation.DEFINITION)
    await driver.index(CALLERS)
    await driver.settle()
    await driver.change(a=OTHER_PARAMETERS)
    users = ["a.py/f().", "b.py/", "d.py/", "d.py/g().", "e.py/", "e.py/g()."]
    assert await driver.orphans() == users, "who uses x is not among them"
    await driver.settle()
    await equals_full(driver)


async def test_parameters_concern_everyone_where_a_server_concludes_from_bodies(
    driver: Driver,
) -> None:
    await driver.require(Operation.DEFINITION, by_bodies=True)
    await driver.index(CALLERS)
    await driver.settle()
    await driver.change(a=OTHER_PARAMETERS)
    assert "c.py/g()." in await driver.orphans()
    await driver.settle()
    await equals_full(driver)


async def test_a_body_concerns_the_users_where_a_server_concludes_from_bodies(
    driver: Driver,
) -> None:
    await driver.require(Operation.DEFINITION, by_bodies=True)
    await driver.index(USERS)
    await driver.settle()
    await driver.change(a=(Def("f", (Use("h"),)), Def("h")))
    users = ["a.py/f().", "b.py/", "b.py/g().", "c.py/", "c.py/k()."]
    assert await driver.orphans() == users, "and the users of its users"
    await driver.settle()
    await equals_full(driver)


async def test_a_file_that_only_moves_its_lines_concerns_nobody(driver: Driver) -> None:
    await driver.index(
        {
            "a": (From("os", "x", "Z"), Def("f", (Use("Z"),))),
            "b": (From("a", "f"), Def("g", (Use("f"), Use("Z")))),
        }
    )
    await driver.settle()
    before = await driver.ids()
    stored = await driver.change(a=(Blank(), From("os", "x", "Z"), Blank(), Def("f", (Use("Z"),))))
    assert stored.reopened == 0
    assert await driver.orphans() == [], "its edges move with its sites"
    assert await driver.ids() == before
    await equals_full(driver)


async def test_an_answer_from_before_a_change_is_dropped(driver: Driver) -> None:
    await driver.index({"a": FUNCTION, "b": (From("a", "f"), Def("g", (Use("f"),)))})
    works, server = await driver.claim(), Server(driver.world)
    await driver.change(a=(Def("h"),))
    committed = await driver.answer(works, server)
    assert sorted(committed.dropped) == sorted(work.symbol_id for work in works)
    assert committed.written == 0
    await driver.settle()
    await equals_full(driver)


async def test_a_symbols_id_is_never_given_to_another(driver: Driver) -> None:
    """Or a late answer about what is gone would be written for what came after."""
    await driver.index({"a": FUNCTION, "b": (Def("g", (Use("g"),)),)})
    work = await driver.work("b.py/g().")
    await driver.change(b=None)
    await driver.change(c=(Def("k", (Use("k"),)),))
    assert work.symbol_id not in (await driver.ids()).values()
    assert (await driver.commit(driver.outcome(work))).dropped == [work.symbol_id]
    assert await driver.orphans() == ["c.py/k()."]


async def late(driver: Driver, works: list[Work], server: Server) -> None:
    """An answer that was found before the last change: it is taken only where it still holds."""
    await driver.answer(works, server)
    await driver.store.release(work.symbol_id for work in works)


def _holds(
    folder: Path,
    scenario: Callable[..., Awaitable[None]],
    *given_: st.SearchStrategy[Any],
) -> None:
    """A scenario of a workspace whose server concludes nothing from bodies, for many examples."""
    with asyncio.Runner() as runner:
        store = runner.run(SqliteStore.open(folder / "graph.db", FakeClock()))

        async def one(*drawn: Any) -> None:
            workspace = await store.add_workspace("tree", "/tree")
            try:
                driver = Driver(store, workspace)
                await driver.require(Operation.DEFINITION)
                await scenario(driver, *drawn)
            finally:
                for each in await store.read(lambda reader: reader.workspaces()):
                    await store.remove_workspace(each.id)

        @given(st.tuples(*given_))
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        def holds(drawn: tuple[Any, ...]) -> None:
            runner.run(one(*drawn))

        try:
            holds()
        finally:
            runner.run(store.close())


def test_incremental_equals_full(tmp_path: Path) -> None:
    """Whatever is changed, added, removed, renamed, answered late or not yet answered."""

    async def scenario(
        driver: Driver, first: dict[str, File], changes: list[tuple[list[Edit], str]]
    ) -> None:
        await driver.index(first)
        await driver.settle()
        world = dict(first)
        for batch, enriching in changes:
            works: list[Work] = []
            server = Server(driver.world)
            if enriching == "late":
                works = await driver.claim(2)
            for edit in batch:
                edit.apply(world)
            await driver.index(world)
            await late(driver, works, server)
            if enriching == "all":
                await driver.settle()
                await driver.check()
            elif enriching == "some":
                await driver.answer(await driver.claim(2), Server(driver.world))
        await driver.settle()
        await equals_full(driver)
        await overrides_are_right(driver)

    _holds(tmp_path, scenario, worlds, st.lists(steps, min_size=1, max_size=4))


made = st.builds(Var, st.sampled_from("xy"), st.sampled_from(["f", "g"]), handed=st.booleans())
taken = st.builds(From, st.sampled_from("ab"), st.sampled_from(["f", "g", "x", "y"]))
member_uses = st.builds(Use, st.sampled_from("xy"), st.just("m"))
user = st.builds(Def, st.just("u"), st.tuples(member_uses))
class_names = st.sampled_from(CLASSES)
makers = {
    name: st.builds(Def, st.just(name), takes=class_names, gives=class_names) for name in "fg"
}
takers = st.tuples(taken, taken, made | taken, user)
made_by = st.tuples(makers["f"], makers["g"], made).map(lambda items: (*TWO, *items))
typed_worlds = st.fixed_dictionaries({"a": made_by, "b": takers, "c": takers})


def test_incremental_equals_full_whatever_functions_take_and_give(tmp_path: Path) -> None:
    """Variables hold what functions give, or what functions take that are handed on."""

    async def scenario(driver: Driver, first: dict[str, File], changes: list[Def]) -> None:
        await driver.index(first)
        await driver.settle()
        for new in changes:
            file = driver.world["a"]
            changed = [
                new if isinstance(old, Def) and old.name == new.name else old for old in file
            ]
            await driver.change(a=tuple(changed))
            await driver.settle()
            await equals_full(driver)

    _holds(
        tmp_path,
        scenario,
        typed_worlds,
        st.lists(makers["f"] | makers["g"], min_size=1, max_size=4),
    )


async def test_a_renamed_file_keeps_its_symbols_and_its_answers(driver: Driver) -> None:
    world: dict[str, File] = {
        "a": (From("os", "x", "Z"), Def("f", (Use("Z"),)), Def("k", (Use("f"),))),
        "b": (From("a", "f"), Def("g", (Use("f"),))),
    }
    await driver.require(Operation.DEFINITION)
    await driver.index(world)
    await driver.settle()
    ids = await driver.ids()
    await driver.rename("a", "c")
    now = await driver.ids()
    assert {uid.replace("c.py", "a.py"): each for uid, each in now.items()} == ids
    assert await driver.orphans() == ["b.py/", "b.py/g().", "c.py/k()."], "who mentions an import"
    await driver.settle()
    await equals_full(driver)
