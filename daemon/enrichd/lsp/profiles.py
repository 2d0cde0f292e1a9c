"""Which server speaks for which language, how it is started and how it likes to be asked."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from enrichd.errors import ConfigError
from enrichd_tracker.model import Operation


class DocumentPolicy(StrEnum):
    """Which documents a server wants open."""

    NONE = "none"
    PER_FILE = "per-file"  # each file while it is asked about
    ALL = "all"


class Readiness(StrEnum):
    """What must come before a rightly answered canary counts as proof."""

    CANARY = "canary"  # nothing but the end of the progress that was begun
    PROGRESS = "progress"  # a progress must have begun, and ended
    STATUS = "status"  # experimental/serverStatus must have said quiescent


class Profile(Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of server; the keys of ``[[server]]``."""

    name: str
    languages: list[str]
    """tree-sitter's names."""
    command: list[str]
    root_markers: list[str] = []
    documents: DocumentPolicy = DocumentPolicy.NONE
    window: int = 8
    """Requests in flight."""
    ready_timeout_s: float = 60.0
    operations: list[Operation] = field(default_factory=lambda: [Operation.DEFINITION])
    settings: dict[str, Any] = {}
    """Answers to workspace/configuration, by section."""
    initialization_options: dict[str, Any] = {}
    environment: dict[str, str] = {}
    install_hint: str = ""
    version_command: list[str] = []
    ready: Readiness = Readiness.CANARY
    infers_returns: bool = True
    """Concludes from a function's body what it returns, where no annotation says so: then a body's
    change concerns all who use the function. Where this is false, what a call gives has to be what
    the return annotation says, whether or not the arguments fit the parameters."""
    max_rss_bytes: int | None = None
    """Resident memory above which the server is started afresh, at nobody's charge."""


_PYRIGHT_ANALYSIS = {
    "autoSearchPaths": True,
    "useLibraryCodeForTypes": True,
    "diagnosticMode": "openFilesOnly",
    "typeCheckingMode": "off",
    "autoImportCompletions": False,
}

BUILT_IN: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile(
            name="ty",
            languages=["python"],
            command=["ty", "server"],
            root_markers=["pyproject.toml", "ty.toml", "setup.py", "setup.cfg"],
            window=64,  # it answers ten thousand a second
            install_hint="pip install ty",
            version_command=["ty", "version"],
            settings={"ty": {"diagnosticMode": "off"}},
            infers_returns=False,
        ),
        Profile(
            name="basedpyright",
            languages=["python"],
            command=["basedpyright-langserver", "--stdio"],
            root_markers=["pyproject.toml", "pyrightconfig.json", "setup.py", "setup.cfg"],
            documents=DocumentPolicy.PER_FILE,
            install_hint="pip install basedpyright",
            version_command=["basedpyright", "--version"],
            settings={
                "basedpyright": {
                    "disableOrganizeImports": True,
                    "analysis": _PYRIGHT_ANALYSIS,
                },
                "python": {"analysis": _PYRIGHT_ANALYSIS},
            },
        ),
    )
}

_TABLES = ("settings", "initialization_options", "environment")


def merge(base: Profile | None, overrides: Mapping[str, Any]) -> Profile:
    """The profile that a ``[[server]]`` table makes of a built-in one, or a new one.

    Keys are replaced; the tables among them are merged key by key. Raises ConfigError.
    """
    keys: dict[str, Any] = {} if base is None else msgspec.to_builtins(base)
    for key, value in overrides.items():
        old = keys.get(key)
        if key in _TABLES and isinstance(old, dict) and isinstance(value, dict):
            value = deep_merge(old, value)  # noqa: PLW2901 - the merged one stands for it
        keys[key] = value
    name = keys.get("name", "?")
    try:
        profile = msgspec.convert(keys, Profile)
    except msgspec.ValidationError as error:
        raise ConfigError(f"[[server]] {name}: {error}") from error
    for wrong, reason in (
        (not profile.command, "command is empty"),
        (not profile.languages, "languages is empty"),
        (profile.window < 1, "window must be at least 1"),
        (profile.ready_timeout_s <= 0, "ready_timeout_s must be above 0"),
        ((profile.max_rss_bytes or 1) <= 0, "max_rss_bytes must be above 0"),
    ):
        if wrong:
            raise ConfigError(f"[[server]] {name}: {reason}")
    return profile


def deep_merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Both tables' keys, those of ``over`` winning, tables inside merged the same way."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            merged[key] = deep_merge(old, value)
        else:
            merged[key] = value
    return merged


def find_command(profile: Profile, root: Path | None = None) -> list[str] | None:
    """The command with its program as an absolute path; None when it is not installed.

    Looks beside this Python first (a server that was installed with enrichd), then on PATH. What
    lies inside the workspace ``root`` is never taken: that is the code under study. Only where
    enrichd itself runs from there, what stands beside it is as good as enrichd.
    """
    program = profile.command[0]
    own = Path(sys.executable).parent
    if "/" in program:
        places = [Path(program)]
    else:
        folders = [Path(each) for each in os.environ.get("PATH", os.defpath).split(os.pathsep)]
        places = [folder / program for folder in (own, *folders)]
    for place in places:
        foreign = root is not None and _lies_in(place, root) and place.parent != own
        if not place.is_absolute() or foreign:
            continue
        if place.is_file() and os.access(place, os.X_OK):
            return [str(place), *profile.command[1:]]
    return None


def server_environment(profile: Profile) -> dict[str, str]:
    """What the server sees: the daemon's environment without what would choose its Python."""
    inherited = {key: value for key, value in os.environ.items() if key not in _DAEMONS_OWN}
    return inherited | profile.environment


_DAEMONS_OWN = frozenset(
    {"VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV", "PYTHONPATH", "PYTHONHOME"}
    # systemd's messages are for the daemon alone
    | {"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_PID", "LISTEN_FDS"}
)


def _lies_in(place: Path, root: Path) -> bool:
    return place.resolve().is_relative_to(root.resolve())
