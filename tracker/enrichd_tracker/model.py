"""The words of the code graph: the values that every part of enrichd shares.

Lines and columns inside the program are 0-based and columns count UTF-8 bytes, as tree-sitter
does. Only what a person or a file format sees is 1-based.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class SymbolKind(StrEnum):
    """What a definition is."""

    MODULE = "module"
    CLASS = "class"
    INTERFACE = "interface"
    STRUCT = "struct"
    ENUM = "enum"
    TRAIT = "trait"
    FUNCTION = "function"
    METHOD = "method"
    CONSTRUCTOR = "constructor"
    PROPERTY = "property"
    FIELD = "field"
    CONSTANT = "constant"
    VARIABLE = "variable"
    TYPE_ALIAS = "type_alias"
    MACRO = "macro"


TYPES = frozenset(
    {
        SymbolKind.CLASS,
        SymbolKind.INTERFACE,
        SymbolKind.STRUCT,
        SymbolKind.ENUM,
        SymbolKind.TRAIT,
    }
)
CALLABLES = frozenset({SymbolKind.FUNCTION, SymbolKind.METHOD, SymbolKind.CONSTRUCTOR})


class Relation(StrEnum):
    """How the source symbol of an edge is tied to its target."""

    CALLS = "calls"
    REFERENCES = "references"
    IMPORTS = "imports"
    INHERITS = "inherits"
    IMPLEMENTS = "implements"
    OVERRIDES = "overrides"
    INSTANTIATES = "instantiates"
    CONTAINS = "contains"


class Operation(StrEnum):
    """One question that a language server is asked about a symbol; LSP's own names."""

    DEFINITION = "definition"
    REFERENCES = "references"
    IMPLEMENTATION = "implementation"
    INCOMING_CALLS = "incomingCalls"
    OUTGOING_CALLS = "outgoingCalls"
    SUPERTYPES = "supertypes"
    SUBTYPES = "subtypes"

    @property
    def bit(self) -> int:
        """This operation's place in a set of operations kept as one integer."""
        return _OPERATION_BITS[self]


_OPERATION_BITS = {operation: 1 << place for place, operation in enumerate(Operation)}


def operation_mask(operations: frozenset[Operation] | tuple[Operation, ...]) -> int:
    """The set as one integer, for the store."""
    return sum(operation.bit for operation in operations)


def operations_of(mask: int) -> tuple[Operation, ...]:
    """The set behind an integer that ``operation_mask`` made."""
    return tuple(operation for operation in Operation if mask & operation.bit)


_HAS_A_BODY = TYPES | CALLABLES | {SymbolKind.MODULE, SymbolKind.PROPERTY}
NEEDED_OPERATIONS: dict[SymbolKind, frozenset[Operation]] = {
    kind: frozenset({Operation.DEFINITION}) if kind in _HAS_A_BODY else frozenset()
    for kind in SymbolKind
}
"""What each kind of symbol needs to be known about it; a name without a body needs nothing."""


class OutcomeKind(StrEnum):
    """What became of one operation on one symbol."""

    EDGES = "edges"
    NONE = "none"
    ERROR = "error"


class ParseStatus(StrEnum):
    """How well a file parsed."""

    OK = "ok"
    PARTIAL = "partial"
    ERROR = "error"
    UNSUPPORTED = "unsupported"


class ErrorType(StrEnum):
    """Where in indexing something went wrong."""

    PARSING = "parsing_error"
    ENCODING = "encoding_error"
    CHUNKING = "chunking_error"
    ENRICHMENT = "enrichment_error"
    EMBEDDING = "embedding_error"
    PERSISTENCE = "persistence_error"
    IO = "io_error"
    UNEXPECTED = "unexpected_error"


class ErrorStatus(StrEnum):
    """Where an indexing error stands."""

    OPEN = "open"
    RESOLVED = "resolved"  # its file was indexed without it, or is gone
    IGNORED = "ignored"  # by a person, until one reopens it


class JobStatus(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDS = (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED)
"""Nothing happens to a job after these."""


class Stage(StrEnum):
    """The steps of an indexing run, in their order."""

    CLONING = "cloning"
    ANALYZING = "analyzing"
    PARSING = "parsing"
    EMBEDDING = "embedding"
    STORING = "storing"
    VALIDATING = "validating"
    ENRICHING = "enriching"


class Role(StrEnum):
    """What syntax says that an occurrence of a name is there for."""

    CALL = "call"
    REFERENCE = "reference"
    IMPORT = "import"
    INHERIT = "inherit"


class Binding(StrEnum):
    """What the file alone can tell about where the name at a site comes from."""

    PLAIN = "plain"  # a plain name, not bound by an import and not a builtin
    IMPORTED = "imported"  # bound by an import, or a member of a name that is
    BUILTIN = "builtin"  # the language's own name, not bound anywhere in the file
    MEMBER = "member"  # a member of something whose type only a server can know


class Site(Struct, array_like=True, frozen=True, gc=False):
    """One occurrence of an identifier that uses something, in the body of its owner."""

    name: str
    line: int
    column: int
    role: Role
    binding: Binding
    target: str | None = None
    """Descriptors of a symbol in the same file, where the syntax alone proves the answer."""
    ask: tuple[int, int] | None = None
    """Line and column to ask the server about, where that is not the site (``__all__``)."""
    unparsed: bool = False
    """Stands in a part of the file that did not parse."""


class FoundSymbol(Struct, array_like=True, frozen=True, gc=False):
    """A definition as the parser found it."""

    descriptors: str
    """SCIP descriptors within the file, ``Flask#run().``; the empty string for the module."""
    name: str
    qualified_name: str
    """Dotted name, without the file: ``Flask.run``; a module's own dotted name."""
    kind: SymbolKind
    parent: int
    """Index of the enclosing symbol in the file's list; -1 for the module, which is at 0."""
    line: int
    column: int
    """Where the name stands."""
    start_line: int
    start_column: int
    end_line: int
    end_column: int
    """The extent: for a definition with a body all of it, for a variable its name alone."""
    digest: bytes
    """Of the symbol's own text, without that of the symbols inside it, comments and blank lines."""
    face: bytes = b""
    """Of its heading and the conditions that it stands under: what its inside depends on."""
    bindings: list[tuple[int, int]] = []
    """Further places where the same name is bound to the same symbol (``x = 1; x = 2``)."""
    overload: bool = False
    """A typing overload: a face of the implementation, not a definition of its own."""
    sites: list[Site] = []
    implied: bool = False
    """Used without being named: by the language, by a tool, by what it is decorated with."""


class Canary(Struct, array_like=True, frozen=True, gc=False):
    """A question whose answer the syntax tree already knows: a use of a same-file definition."""

    path: str
    line: int
    column: int
    target_line: int
    target_column: int


class Failure(Struct, array_like=True, frozen=True, gc=False):
    """What went wrong with one file."""

    type: ErrorType
    stage: Stage
    message: str
    traceback: str = ""
    recoverable: bool = True


class FileStat(Struct, array_like=True, frozen=True, gc=False):
    """What tells cheaply that a file is the one that was read."""

    size: int
    mtime_ns: int
    inode: int


class Face(Struct, array_like=True, frozen=True, gc=False):
    """What others can see of a name that a file binds, as digests."""

    binding: bytes
    """What decides to which definition the name leads."""
    type: bytes
    """What else decides the type of what it leads to."""
    result: bytes
    """What of that decides the type of what a call of it gives: for most names all, for a plain
    function its heading without the parameters."""


class Flow(Struct, array_like=True, frozen=True, gc=False, order=True):
    """In one file, the type of ``onto`` rests on what ``name`` means."""

    name: str
    onto: str
    loose: bool = False
    """``onto`` is no symbol (an attribute, what an import binds): no edge shows who uses it."""
    called: bool = False
    """It rests on what calls of ``name`` give, and on nothing else about it."""


class ParsedFile(Struct, array_like=True, frozen=True, gc=False):
    """All that one file gives: shipped whole from a worker process to the store."""

    path: str
    """Relative to the workspace's root, with ``/``."""
    language: str
    """tree-sitter's name."""
    stat: FileStat
    digest: bytes
    status: ParseStatus
    error_lines: list[int] = []
    """1-based, the first ten."""
    error_count: int = 0
    """Lines with an error, in all."""
    lost_bytes: int = 0
    ascii: bool = True
    """No character takes more than one byte, so that columns are the same in every encoding."""
    symbols: list[FoundSymbol] = []
    import_sites: list[tuple[int, int]] = []
    """Where an import names something: a server may stop here on its way to the definition."""
    aliases: list[tuple[str, str]] = []
    """(imported name, name given to it) wherever an import renames."""
    faces: dict[str, Face] = {}
    """What others can see of each name that the file binds: symbols, imports, attributes.
    ``pkg/module/`` stands for the file itself under each of its dotted names, ``*`` for imports of
    names that the file does not show."""
    flows: list[Flow] = []
    canary: Canary | None = None
    failure: Failure | None = None


class Workspace(Struct, frozen=True):
    """One root folder that is indexed."""

    id: int
    name: str
    root: str


class Lane(Struct, frozen=True):
    """What one language server process serves: one language of one workspace."""

    workspace_id: int
    language: str


class KnownFile(Struct, frozen=True):
    """A file as the store remembers it."""

    id: int
    path: str
    language: str
    stat: FileStat
    digest: bytes
    status: ParseStatus
    ascii: bool


class Work(Struct, frozen=True):
    """A claimed orphan: all that a worker needs to enrich one symbol."""

    symbol_id: int
    revision: int
    """Of the symbol; an outcome that was found for an older one is dropped."""
    lane: Lane
    uid: str
    name: str
    kind: SymbolKind
    file: KnownFile
    line: int
    operations: tuple[Operation, ...]
    sites: list[Site]


class External(Struct, frozen=True):
    """A target outside the workspace."""

    package: str
    name: str
    kind: str = ""


class ResolvedEdge(Struct, frozen=True):
    """An edge that a worker found: the site, the relation and where it leads."""

    relation: Relation
    target: int | External
    line: int
    column: int
    by_syntax: bool = False
    unparsed: bool = False


class Origin(Struct, frozen=True):
    """Who gave an answer."""

    server: str
    version: str


class Outcome(Struct, frozen=True):
    """What one operation on one symbol came to; an attempt's edges are written whole."""

    symbol_id: int
    revision: int
    operation: Operation
    origin: Origin
    edges: list[ResolvedEdge]
    failed: bool = False
    """Only for a definitive failure: the edges that were found are kept beside the error."""
    reason: str = ""
