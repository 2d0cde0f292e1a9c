"""One file from disk to all that it gives; runs in a worker process and never raises for a file."""

from __future__ import annotations

import codecs
import errno
import os
import stat
import traceback
from hashlib import blake2b

from msgspec import Struct

from enrichd.file_stat import fingerprint, not_regular, too_large
from enrichd.index.extract import CannotParse, Extract, extract
from enrichd.index.languages import languages
from enrichd.index.lines import line_starts, position
from enrichd_tracker.indexing_errors import MAX_MESSAGE_CHARS, MAX_TRACEBACK_CHARS, kept
from enrichd_tracker.model import ErrorType, Failure, FileStat, ParsedFile, ParseStatus, Stage

_DIGEST_BYTES = 16
_MAX_ERROR_LINES = 10
_FOREIGN_MARKS = (  # the longer one first: UTF-16's begins UTF-32's
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
NOT_READ = FileStat(0, 0, 0)
"""Instead of the stat of a file that could not be read."""


class ParseRequest(Struct, array_like=True, frozen=True):
    """What a worker needs to know to parse one file."""

    root: str
    """The workspace's folder, without symbolic links."""
    path: str
    """Relative to the root, with ``/``."""
    language: str
    module: str
    """The file's own dotted name."""
    max_file_bytes: int
    size: int = 0
    """What the file is thought to measure: work is handed out by it."""


class Unreadable(Exception):
    """The file gives nothing: carries why."""

    def __init__(self, type_: ErrorType, message: str) -> None:
        super().__init__(message)
        self.failure = Failure(type_, Stage.PARSING, message)


def parse_file(request: ParseRequest) -> ParsedFile:
    """Read, parse and extract one file. Whatever is wrong with it is said in the result."""
    try:
        content, found = _read(request)
    except BaseException as problem:
        failure = _meaning(problem, ErrorType.IO, "could not be read")
        return failed(request, failure)
    digest = blake2b(content, digest_size=_DIGEST_BYTES).digest()
    language = languages().get(request.language)
    if language is None:
        return ParsedFile(request.path, request.language, found, digest, ParseStatus.UNSUPPORTED)
    try:
        source = _text(content)
        result = extract(language, source, path=request.path, module=request.module)
    except BaseException as problem:
        failure = _meaning(problem, ErrorType.CHUNKING, "symbols could not be extracted")
        return failed(request, failure, found, digest)
    return _parsed(request, result, found, digest, is_ascii=source.isascii())


def _meaning(problem: BaseException, there: ErrorType, what: str) -> Failure:
    """What was raised, by where that was: ``there``, when ``what`` was done.

    The panic of a native library need not be an Exception, and is nobody's in particular.
    """
    text = f"{type(problem).__name__}: {problem}"
    match problem:
        case Unreadable():
            return problem.failure
        case CannotParse():
            kind, message = ErrorType.PARSING, f"the parser failed: {problem}"
        case Exception():
            kind, message = there, f"{what}: {text}"
        case _:
            kind, message = ErrorType.UNEXPECTED, text
    trace = "".join(traceback.format_exception(problem))[-MAX_TRACEBACK_CHARS:]
    return Failure(
        kind,
        Stage.PARSING,
        kept(message, MAX_MESSAGE_CHARS),
        kept(trace, MAX_TRACEBACK_CHARS),
    )


def failed(
    request: ParseRequest, failure: Failure, found: FileStat = NOT_READ, digest: bytes = b""
) -> ParsedFile:
    """The result for a file that gives nothing."""
    return ParsedFile(
        request.path, request.language, found, digest, ParseStatus.ERROR, failure=failure
    )


def _parsed(
    request: ParseRequest, result: Extract, found: FileStat, digest: bytes, *, is_ascii: bool
) -> ParsedFile:
    lines = sorted(set(result.error_lines))
    return ParsedFile(
        path=request.path,
        language=request.language,
        stat=found,
        digest=digest,
        status=ParseStatus.PARTIAL if lines else ParseStatus.OK,
        error_lines=lines[:_MAX_ERROR_LINES],
        error_count=len(lines),
        lost_bytes=result.lost_bytes,
        ascii=is_ascii,
        symbols=result.symbols,
        import_sites=result.import_sites,
        aliases=result.aliases,
        faces=result.faces,
        flows=result.flows,
        canary=result.canary,
        failure=_in_parts(lines) if lines else None,
    )


def _in_parts(lines: list[int]) -> Failure:
    """The error of a file that gave its symbols, but for those lines."""
    shown, more = lines[:_MAX_ERROR_LINES], len(lines) - _MAX_ERROR_LINES
    text = f"line {', '.join(map(str, shown))}{f' and {more} more' if more > 0 else ''}"
    return Failure(ErrorType.PARSING, Stage.PARSING, f"did not parse whole, see {text}")


def _read(request: ParseRequest) -> tuple[bytes, FileStat]:
    """The content, and the stat of the very file that it was read from."""
    try:
        descriptor = os.open(
            _full_path(request), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
        )
    except (OSError, ValueError) as problem:
        raise Unreadable(ErrorType.IO, _why(problem)) from problem
    try:
        result = os.fstat(descriptor)
        found = fingerprint(result)
        if not stat.S_ISREG(result.st_mode):
            raise Unreadable(ErrorType.IO, not_regular(result.st_mode))
        _stay_inside(request, descriptor)
        if result.st_size > request.max_file_bytes:
            message = too_large(result.st_size, request.max_file_bytes)
            raise Unreadable(ErrorType.IO, message)
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(found.size + 1), found
    except OSError as problem:
        raise Unreadable(ErrorType.IO, _why(problem)) from problem
    finally:
        os.close(descriptor)


def _stay_inside(request: ParseRequest, descriptor: int) -> None:
    """Refuse what a folder on the way, turned into a symbolic link since the walk, led to."""
    try:
        real = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115
    except OSError:  # no /proc: the name then has to do
        real = os.path.realpath(_full_path(request))
    if real != _full_path(request):
        raise Unreadable(ErrorType.IO, f"leads to another place, {real!r}: links are not followed")


def _full_path(request: ParseRequest) -> str:
    return os.path.join(request.root, request.path)  # noqa: PTH118 (a hot path)


def _why(problem: OSError | ValueError) -> str:
    match getattr(problem, "errno", None):
        case errno.ENOENT | errno.ENOTDIR:
            return "vanished before it was read"
        case errno.ELOOP:
            return "is a symbolic link: links are not followed"
        case errno.ENXIO | errno.ENODEV:
            return "not a regular file but a socket or a device"
        case errno.EACCES | errno.EPERM:
            return "permission denied: let the user that enrichd runs as read it"
        case _:
            return f"could not be read: {problem}"


def _text(content: bytes) -> bytes:
    """The content as UTF-8 without a mark, which servers don't count either."""
    for mark, encoding in _FOREIGN_MARKS:
        if content.startswith(mark):
            raise Unreadable(ErrorType.ENCODING, f"is {encoding}, not UTF-8 (byte order mark)")
    source = content.removeprefix(codecs.BOM_UTF8)
    if source.isascii() and b"\0" not in source:
        return source
    zero = content.find(b"\0")
    if zero >= 0:
        raise Unreadable(ErrorType.ENCODING, f"is binary, not text: a zero byte at offset {zero}")
    try:
        source.decode("utf-8")
    except UnicodeDecodeError as problem:
        offset = problem.start + len(content) - len(source)
        line = position(line_starts(content), offset)[0] + 1
        message = f"is not valid UTF-8: byte {content[offset]:#04x} at offset {offset}, line {line}"
        raise Unreadable(ErrorType.ENCODING, message) from problem
    return source
