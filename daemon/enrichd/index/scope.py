"""What a run was asked to go over, where that is not just what has changed."""

from __future__ import annotations

from msgspec import Struct

from enrichd.index.languages import languages
from enrichd.index.walk import FoundFile
from enrichd_tracker.jobs import JobKind, JobRequest


class Scope(Struct, frozen=True):
    """Which files are read, whatever is known of them, and whether others are looked at."""

    kind: JobKind
    directory: str = ""
    """Relative, without a slash at its end; empty: the root."""
    extensions: frozenset[str] = frozenset()
    """With the dot; none: all."""
    include_tests: bool = True
    failed: frozenset[str] = frozenset()
    """Paths that errors are open about."""

    @classmethod
    def of(cls, request: JobRequest, failed: frozenset[str] = frozenset()) -> Scope:
        """What somebody asked for."""
        return cls(
            request.kind,
            request.directory,
            frozenset(request.extensions),
            request.include_tests,
            failed,
        )

    @property
    def is_partial(self) -> bool:
        """Whether files outside it are left as they are, changed or not."""
        return self.kind is JobKind.BATCH

    def covers(self, path: str, language: str) -> bool:
        """Whether a file is in it."""
        if not self.is_partial:
            return True
        if self.directory and not path.startswith(f"{self.directory}/"):
            return False
        if self.extensions and not any(path.endswith(each) for each in self.extensions):
            return False
        return self.include_tests or not languages()[language].is_test(path)

    def reads(self, file: FoundFile) -> bool:
        """Whether a file is read anew though it is the one that was read."""
        match self.kind:
            case JobKind.FULL:
                return True
            case JobKind.BATCH:
                return self.covers(file.path, file.language)
            case JobKind.RETRY:
                return file.path in self.failed
            case JobKind.INCREMENTAL:
                return False
