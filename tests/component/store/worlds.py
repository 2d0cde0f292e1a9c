"""Small worlds: files of a toy language, what a parser finds in them, what a server would answer.

``parsed`` is what the indexer would give for a file; ``answers`` is a pure function from the
whole world to the edges of every symbol, by name lookup as Python does it: the last binding
counts, imports are followed, a name that leads nowhere has no edge.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b

from msgspec import Struct

from enrichd_tracker.model import (
    Binding,
    External,
    Face,
    FileStat,
    Flow,
    FoundSymbol,
    ParsedFile,
    ParseStatus,
    Relation,
    Role,
    Site,
    SymbolKind,
)

INSTALLED = frozenset({"os"})
"""Packages outside the workspace."""


class Use(Struct, frozen=True):
    """A call of ``name()`` or, with a member, ``name.member()``."""

    name: str
    member: str | None = None


class Def(Struct, frozen=True):
    """A function of a module or a member of a class."""

    name: str
    uses: tuple[Use, ...] = ()
    overload: bool = False
    kind: SymbolKind = SymbolKind.METHOD
    takes: str = ""
    """The class of its parameter, by name; functions of modules only, as what it gives."""
    gives: str = ""


class Class(Struct, frozen=True):
    """A class with its bases, by name, and its members."""

    name: str
    bases: tuple[str, ...] = ()
    members: tuple[Def, ...] = ()


class Var(Struct, frozen=True):
    """``name = ...``: a symbol without a body, which shadows what bore the name before.

    Its type is what the function ``of`` gives, or where that is ``handed`` on what it takes.
    """

    name: str
    of: str = ""
    handed: bool = False


class From(Struct, frozen=True):
    """``from module import name [as alias]``; without a name ``import module``."""

    module: str
    name: str | None = None
    alias: str | None = None

    @property
    def bound(self) -> str:
        return self.alias or self.name or self.module


class Blank(Struct, frozen=True):
    """An empty line: moves what comes after it."""


Item = Def | Class | Var | From | Blank
File = tuple[Item, ...]
World = Mapping[str, File]
"""Module name (the file is ``<name>.py``) to content."""

Target = tuple[str, str] | External
"""(module, descriptors) or what is outside."""
Edge = tuple[Relation, Target, int, int]


class _Draft(Struct):
    descriptors: str
    name: str
    kind: SymbolKind
    parent: int
    line: int
    column: int
    text: str
    overload: bool = False
    sites: list[Site] = []
    bindings: list[tuple[int, int]] = []


class _Page:
    """Lays a file out: lines, columns, symbols, sites."""

    def __init__(self, module: str, file: File) -> None:
        self.drafts = [_Draft("", module, SymbolKind.MODULE, -1, 0, 0, "")]
        self.bindings: list[tuple[str, str | From]] = []
        self.items: dict[str, Class | Def | Var] = {}
        self.members: dict[str, dict[str, str]] = {}
        self._ordinals: dict[str, int] = {}
        self._line = 0
        self._imported = {item.bound for item in file if isinstance(item, From)}
        for item in file:
            self._line += 1
            self._lay(item)

    def _lay(self, item: Item) -> None:
        module = self.drafts[0]
        if isinstance(item, Blank):
            return
        if isinstance(item, From):
            module.text += f"{item}\n"
            names = [item.module] if item.name is None else [item.module, item.name]
            for place, name in enumerate(names):
                site = Site(name, self._line, 10 * place + 5, Role.IMPORT, Binding.IMPORTED)
                module.sites.append(site)
            self.bindings.append((item.bound, item))
            return
        module.text += "\0"
        if isinstance(item, Var):
            module.text += f"{item.name} {item.of} {item.handed}"
            if item.of:
                role = Role.REFERENCE if item.handed else Role.CALL
                module.sites.append(Site(item.of, self._line, 40, role, self._binding(item.of)))
            known = [each for each in self.drafts if each.descriptors == f"{item.name}."]
            draft = (
                known[0] if known else self._define(item.name, ".", SymbolKind.VARIABLE, 0, "", "")
            )
            draft.text += "bound\0"
            draft.bindings += [(self._line, 0)] if known else []
        elif isinstance(item, Def):
            draft = self._define(item.name, "().", SymbolKind.FUNCTION, 0, "", repr(item))
            draft.overload = item.overload
            for place, name in enumerate((item.takes, item.gives)):
                if name:
                    site = Site(
                        name, self._line, 10 * place + 40, Role.REFERENCE, self._binding(name)
                    )
                    draft.sites.append(site)
            self._use(draft, item.uses)
        else:
            draft = self._define(item.name, "#", SymbolKind.CLASS, 0, "", repr(item.bases))
            for place, base in enumerate(item.bases):
                site = Site(base, self._line, 10 * place + 10, Role.INHERIT, self._binding(base))
                draft.sites.append(site)
            self._lay_members(draft, item)
        self.bindings.append((item.name, draft.descriptors))
        self.items[draft.descriptors] = item

    def _lay_members(self, owner: _Draft, item: Class) -> None:
        parent = len(self.drafts) - 1
        names = self.members[owner.descriptors] = {}
        drafts = []
        for member in item.members:
            self._line += 1
            owner.text += "\0"
            draft = self._define(
                member.name, "().", member.kind, parent, owner.descriptors, repr(member)
            )
            draft.overload = member.overload
            self._use(draft, member.uses)
            drafts.append(draft)
        # The last one counts, but an overload is only a face.
        for draft in sorted(drafts, key=lambda each: not each.overload):
            names[draft.name] = draft.descriptors

    def _define(
        self, name: str, end: str, kind: SymbolKind, parent: int, around: str, text: str
    ) -> _Draft:
        alone = f"{around}{name}{end}"
        ordinal = self._ordinals.get(alone, 0)
        self._ordinals[alone] = ordinal + 1
        if ordinal:
            marked = f"(+{ordinal})"
            alone = f"{around}{name}{marked}." if end == "()." else f"{around}{name}{marked}{end}"
        draft = _Draft(alone, name, kind, parent, self._line, 4 if around else 0, text, sites=[])
        self.drafts.append(draft)
        return draft

    def _binding(self, name: str) -> Binding:
        return Binding.IMPORTED if name in self._imported else Binding.PLAIN

    def _use(self, draft: _Draft, uses: tuple[Use, ...]) -> None:
        for use in uses:
            self._line += 1
            imported = use.name in self._imported
            role = Role.CALL if use.member is None else Role.REFERENCE
            binding = Binding.IMPORTED if imported else Binding.PLAIN
            draft.sites.append(Site(use.name, self._line, 8, role, binding))
            if use.member is not None:
                binding = Binding.IMPORTED if imported else Binding.MEMBER
                draft.sites.append(Site(use.member, self._line, 20, Role.CALL, binding))


def parsed(module: str, file: File) -> ParsedFile:
    """What the indexer makes of a file."""
    page = _Page(module, file)
    return ParsedFile(
        path=f"{module}.py",
        language="python",
        stat=FileStat(len(file), 1, 1),
        digest=_digest(repr(file)),
        status=ParseStatus.OK,
        symbols=[
            FoundSymbol(
                draft.descriptors,
                draft.name,
                draft.descriptors.replace("#", ".").replace("().", "").strip(".") or module,
                draft.kind,
                draft.parent,
                draft.line,
                draft.column,
                draft.line,
                0,
                draft.line,
                80,
                _digest(draft.text),
                b"",
                draft.bindings,
                draft.overload,
                draft.sites,
            )
            for draft in page.drafts
        ],
        faces={
            name: Face(*[_digest("\n".join(each)) for each in zip(*parts, strict=True)])
            for name, parts in _faces(module, file).items()
        },
        flows=_merged(_flows(file)),
        aliases=[
            (item.name or item.module, item.alias)
            for item in file
            if isinstance(item, From) and item.alias
        ],
    )


def _faces(module: str, file: File) -> dict[str, list[tuple[str, str, str]]]:
    """(What binds it, of what type it is, what a call gives), in the order of the file."""
    nothing = ("", "", "")
    faces: dict[str, list[tuple[str, str, str]]] = {module: [nothing], f"{module}/": [nothing]}
    for item in file:
        match item:
            case From():
                faces.setdefault(item.bound, []).append((repr(item), "", ""))
            case Def():
                heading = f"{item.takes} {item.gives}"
                part = (f"def {item.overload}", heading, item.gives)
                faces.setdefault(item.name, []).append(part)
            case Var():
                value = f"{item.of} {item.handed}"
                faces.setdefault(item.name, []).append(("var", value, value))
            case Class():
                bases = repr(item.bases)
                faces.setdefault(item.name, []).append(("class", bases, bases))
                for member in item.members:
                    seen = f"{item.name} {member.kind} {member.overload}"
                    faces.setdefault(member.name, []).append((seen, "", ""))
            case Blank():
                pass
    return faces


def _merged(flows: Iterable[Flow]) -> list[Flow]:
    """Each once: where a name is more than called, it is not only called."""
    called: dict[tuple[str, str, bool], bool] = {}
    for flow in flows:
        key = (flow.name, flow.onto, flow.loose)
        called[key] = flow.called and called.get(key, True)
    return [Flow(*key, each) for key, each in sorted(called.items())]


def _flows(file: File) -> Iterator[Flow]:
    for item in file:
        if isinstance(item, From):
            yield Flow(f"{item.module}/", item.bound, loose=True)
        elif isinstance(item, Class):
            yield from (Flow(base, item.name) for base in item.bases if base != item.name)
        elif isinstance(item, Def):
            yield from (Flow(name, item.name) for name in (item.takes, item.gives) if name)
        elif isinstance(item, Var) and item.of and Var(item.name, item.of, handed=True) in file:
            yield Flow(item.of, item.name)
        elif isinstance(item, Var) and item.of:
            yield Flow(item.of, item.name, called=True)


def _digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=8).digest()


class Server:
    """Answers for one state of the world."""

    def __init__(self, world: World, *, inherited: bool = False) -> None:
        self._pages = {module: _Page(module, file) for module, file in world.items()}
        self._inherited = inherited

    def answers(self, uid: str) -> list[Edge]:
        """The edges of all sites of a symbol."""
        path, _, descriptors = uid.partition("/")
        module = path.removesuffix(".py")
        page = self._pages.get(module)
        if page is None:
            return []
        sites = next((d.sites for d in page.drafts if d.descriptors == descriptors), [])
        return list(self._edges(module, sites))

    def _edges(self, module: str, sites: list[Site]) -> Iterator[Edge]:
        before: Target | None = None  # what stands before the dot, or after ``from``
        line = -1
        for site in sites:
            member = site.line == line and site.role in (Role.CALL, Role.IMPORT)
            if member:
                found = self._member(before, site.name)
            elif site.role is Role.IMPORT:
                found = self._module(site.name)
            else:
                found = self.lookup(module, site.name)
            before, line = found, site.line
            if found is not None:
                yield self._relation(site.role, found), found, site.line, site.column

    def lookup(
        self, module: str, name: str, seen: frozenset[object] = frozenset()
    ) -> Target | None:
        """What a plain name in a module means."""
        page = self._pages.get(module)
        if page is None or (module, name) in seen:
            return None
        bound = next((what for each, what in reversed(page.bindings) if each == name), None)
        if isinstance(bound, From):
            origin = self._module(bound.module)
            seen = seen | {(module, name)}
            return origin if bound.name is None else self._member(origin, bound.name, seen)
        return None if bound is None else (module, bound)

    def _module(self, name: str) -> Target | None:
        if name in self._pages:
            return name, ""
        return External(name, name, "module") if name in INSTALLED else None

    def _member(
        self, of: Target | None, name: str, seen: frozenset[object] = frozenset()
    ) -> Target | None:
        if of is None:
            return None
        if isinstance(of, External):
            return External(of.package, f"{of.name}.{name}")
        module, descriptors = of
        if not descriptors:
            return self.lookup(module, name, seen)
        own = self._pages[module].members.get(descriptors, {}).get(name)
        if own is not None:
            return module, own
        item = self._pages[module].items.get(descriptors)
        bases: list[Target | None] = []  # or what a variable is one of
        if isinstance(item, Var) and of not in seen:
            bases = [self._type_of(module, item, seen | {of})]
        elif self._inherited and isinstance(item, Class) and of not in seen:
            bases = [self.lookup(module, base) for base in item.bases]
        found = (self._member(base, name, seen | {of}) for base in bases if base != of)
        return next((each for each in found if each is not None), None)

    def _type_of(self, module: str, item: Var, seen: frozenset[object]) -> Target | None:
        """The class that a variable is one of."""
        made_by = self.lookup(module, item.of, seen) if item.of else None
        if made_by is None or isinstance(made_by, External):
            return None
        function = self._pages[made_by[0]].items.get(made_by[1])
        if not isinstance(function, Def):
            return None
        name = function.takes if item.handed else function.gives
        found = self.lookup(made_by[0], name) if name else None
        return found if isinstance(found, tuple) and found[1].endswith("#") else None

    def _relation(self, role: Role, target: Target) -> Relation:
        if role is Role.CALL:
            is_class = isinstance(target, tuple) and target[1].endswith("#")
            return Relation.INSTANTIATES if is_class else Relation.CALLS
        if role is Role.INHERIT:
            is_type = isinstance(target, External) or target[1].endswith("#")
            return Relation.INHERITS if is_type else Relation.REFERENCES
        return Relation.IMPORTS if role is Role.IMPORT else Relation.REFERENCES


def overridden(world: World) -> set[tuple[str, str]] | None:
    """(uid of member, uid of what it overrides), with Python's own idea of the order of bases.

    None where Python would refuse the classes: a cycle, or no consistent order.
    """
    server = Server(world)
    pages = {module: _Page(module, file) for module, file in world.items()}
    made: dict[Target, type] = {}

    def make(target: Target, above: tuple[Target, ...] = ()) -> type:
        if target in above:
            raise TypeError("a cycle")
        if target not in made:
            assert isinstance(target, tuple)
            item = pages[target[0]].items[target[1]]
            assert isinstance(item, Class)
            found = [server.lookup(target[0], base) for base in item.bases]
            known = [each for each in found if isinstance(each, tuple) and each[1].endswith("#")]
            bases = [make(each, (*above, target)) for each in dict.fromkeys(known)]
            names = pages[target[0]].members[target[1]]
            made[target] = type("_", tuple(bases) or (object,), {"of": target, "names": names})
        return made[target]

    pairs = set()
    try:
        for module, page in pages.items():
            for draft in page.drafts:
                if draft.parent < 1 or (draft.name[:2] == "__" and draft.name[-2:] != "__"):
                    continue
                owner = make((module, page.drafts[draft.parent].descriptors))
                for base in owner.__mro__[1:-1]:
                    (other, _), names = vars(base)["of"], vars(base)["names"]
                    if draft.name in names:
                        target = f"{other}.py/{names[draft.name]}"
                        pairs.add((f"{module}.py/{draft.descriptors}", target))
                        break
    except TypeError:
        return None
    return pairs
