"""Overrides: what follows from resolved bases and from names, in Python's own order."""

from __future__ import annotations

import pytest
from tests.component.store.driving import Driver, equals_full, overrides_are_right
from tests.component.store.worlds import Class, Def, File, From, Item

from enrichd_tracker.model import Relation, ResolvedEdge, SymbolKind
from enrichd_tracker.store.port import StoredEdge


def classes(*rows: tuple[str, str, str]) -> File:
    """(name, bases, members), the last two separated by blanks."""
    return tuple(
        Class(name, tuple(bases.split()), tuple(Def(each) for each in members.split()))
        for name, bases, members in rows
    )


async def overrides(driver: Driver) -> list[StoredEdge]:
    found = await driver.store.read(lambda r: list(r.every_edge(driver.workspace.id)))
    return [edge for edge in found if edge.relation == Relation.OVERRIDES]


async def pairs(driver: Driver) -> list[tuple[str, str]]:
    """(member, what it overrides), without the file."""
    return sorted(
        (each.source.uid.partition("/")[2], each.target.uid.partition("/")[2])
        for each in await overrides(driver)
    )


async def derived(driver: Driver, *items: Item) -> list[tuple[str, str]]:
    await driver.index({"a": items})
    await driver.settle()
    await driver.check()
    await overrides_are_right(driver)
    return await pairs(driver)


async def test_a_member_overrides_the_nearest_of_its_name(driver: Driver) -> None:
    file = classes(("A", "", "m n"), ("B", "A", "m"), ("C", "B", "m n o"))
    assert await derived(driver, *file) == [
        ("B#m().", "A#m()."),
        ("C#m().", "B#m()."),
        ("C#n().", "A#n()."),
    ]


async def test_in_a_diamond_the_second_base_comes_before_the_common_one(driver: Driver) -> None:
    file = classes(("A", "", "m"), ("B", "A", ""), ("C", "A", "m"), ("D", "B C", "m"))
    assert await derived(driver, *file) == [("C#m().", "A#m()."), ("D#m().", "C#m().")]


async def test_the_order_is_that_of_the_c3_paper(driver: Driver) -> None:
    """The example of docs.python.org, howto/mro: F before E decides."""
    file = classes(
        ("O", "", "m"), ("D", "O", ""), ("E", "O", "m"), ("F", "O", "m"),
        ("B", "D E", ""), ("C", "D F", ""), ("A", "B C", "m"),
    )  # fmt: skip
    assert ("A#m().", "E#m().") in await derived(driver, *file)


@pytest.mark.parametrize(
    "file",
    [
        classes(("A", "A", "m")),
        classes(("A", "B", "m"), ("B", "A", "m")),
        classes(("A", "C", "m"), ("B", "A", "m"), ("C", "B", "m")),
        classes(*((f"K{n}", " ".join(f"K{k}" for k in range(14)), "m") for n in range(14))),
    ],
    ids=["itself", "two", "three", "fourteen, each of all"],
)
async def test_a_cycle_of_bases_neither_hangs_nor_depends_on_the_order_of_events(
    driver: Driver, file: File
) -> None:
    await derived(driver, *file)
    works = await driver.store.retry(list((await driver.ids()).values())[:3])
    assert works == []
    await driver.settle()
    await equals_full(driver)


async def test_bases_that_no_order_can_hold_are_taken_as_they_come(driver: Driver) -> None:
    """Python refuses the class; the graph goes on."""
    file = classes(("X", "", "m"), ("Y", "X", "m"), ("Z", "X Y", "m"))
    found = await derived(driver, *file)
    assert [pair for pair in found if pair[0] == "Z#m()."] == [("Z#m().", "X#m().")]


async def test_private_names_never_override_and_special_ones_do(driver: Driver) -> None:
    file = classes(("A", "", "__p _q __init__ __x_ _"), ("B", "A", "__p _q __init__ __x_ _"))
    assert [pair[0] for pair in await derived(driver, *file)] == [
        "B#_().",
        "B#__init__().",
        "B#_q().",
    ]


async def test_an_overload_is_a_face_and_the_implementation_is_what_is_overridden(
    driver: Driver,
) -> None:
    base = Class("A", (), (Def("m", overload=True), Def("m")))
    heir = Class("B", ("A",), (Def("m"),))
    assert await derived(driver, base, heir) == [("B#m().", "A#m(+1).")]


async def test_properties_and_constructors_override_too(driver: Driver) -> None:
    base = Class("A", (), (Def("m", kind=SymbolKind.PROPERTY), Def("n")))
    heir = Class(
        "B", ("A",), (Def("m"), Def("n", kind=SymbolKind.PROPERTY), Def("f", kind=SymbolKind.FIELD))
    )
    assert await derived(driver, base, heir) == [("B#m().", "A#m()."), ("B#n().", "A#n().")]


async def test_overrides_cross_files_and_follow_the_edge_that_shows_the_base(
    driver: Driver,
) -> None:
    await driver.index(
        {
            "b": (From("a", "A"), *classes(("B", "A", "m"))),
            "a": classes(("A", "", "m")),
        }
    )
    await driver.settle()
    (edge,) = await overrides(driver)
    assert (edge.source.uid, edge.target.uid) == ("b.py/B#m().", "a.py/A#m().")
    assert (edge.operation, edge.server, edge.by_syntax) == ("syntax", "ty", True)
    assert (edge.line, edge.column) == (edge.source.line, edge.source.column)


async def test_two_bases_shown_at_one_place_are_ordered_by_what_they_are(driver: Driver) -> None:
    """Not by when they were stored: a server may give two definitions of one name."""
    for order in ("ab", "ba"):
        files = {"a": classes(("A", "", "m")), "b": classes(("A", "", "m"))}
        await driver.index({each: files[each] for each in order})
        await driver.change(c=(From("a", "A"), *classes(("C", "A", "m"))))
        ids = await driver.ids()
        work = await driver.work("c.py/C#")
        line, column = work.sites[0].line, work.sites[0].column
        edges = [
            ResolvedEdge(Relation.INHERITS, ids[f"{each}.py/A#"], line, column) for each in order
        ]
        await driver.commit(driver.outcome(work, *edges))
        assert [each.target.uid for each in await overrides(driver)] == ["a.py/A#m()."]
        await driver.index({})


async def test_a_very_long_line_of_heirs_is_no_problem(driver: Driver) -> None:
    file = classes(*((f"K{n}", f"K{n - 1}" if n else "", "m") for n in range(1_200)))
    await driver.index({"a": file})
    await driver.settle()
    assert len(await overrides(driver)) == 1_199


async def test_a_dropped_class_takes_its_overrides_along(driver: Driver) -> None:
    file = classes(("A", "", "m"), ("B", "A", "m"), ("C", "B", "m"))
    await derived(driver, *file)
    await driver.change(a=(file[0], *classes(("C", "A", "m"))))
    await driver.settle()
    assert await pairs(driver) == [("C#m().", "A#m().")]
    await driver.check()
