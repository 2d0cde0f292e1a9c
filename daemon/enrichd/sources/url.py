"""Which Git URLs are taken, and what they are called: nothing in one is an option or a secret.

A refusal never repeats the URL, which may hold a password at any place where one slipped.
"""

from __future__ import annotations

import re
from hashlib import sha256
from ipaddress import IPv6Address
from urllib.parse import quote, unquote_to_bytes

from msgspec import Struct

from enrichd.errors import UsageError

MAX_URL = 2048
MAX_BRANCH = 200
_MAX_NAME, _MAX_READABLE, _DIGEST = 64, 40, 16

_PORTS = {"https": "443", "ssh": "22"}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_HELPER = re.compile(r"[A-Za-z0-9+._-]*::")
_SCP = re.compile(r"(?:([^/:@]*)@)?(\[[^/@\]]*\]|[^/:@\[]*):(.*)", re.DOTALL)
_PLACE = re.compile(r"(?:(.*)@)?(\[[^\]]*\]|[^:\[\]]*)(?::(.*))?", re.DOTALL)
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_HOST = re.compile(
    r"(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?)*"
)
_ODD_IN_PATH = re.compile(r"[^A-Za-z0-9\-._~!$&'()*+,;=:@%/]")
_ODD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ODD_IN_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_ODD_IN_BRANCH = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(?:/|$)")

_KINDS = "https://host/path, ssh://user@host/path, user@host:path or file:///path"


class GitUrl(Struct, frozen=True):
    """The URL of a repository that git may be given. Made by ``parse``."""

    scheme: str
    """``https``, ``ssh`` or ``file``."""
    host: str
    """Empty for ``file``."""
    text: str
    """The URL in its one form, without secrets: fit for git, for logs, for the database."""

    @classmethod
    def parse(cls, text: str) -> GitUrl:
        """Raises UsageError. ``user@host:path`` becomes ``ssh://user@host/path``."""
        _check_characters(text)
        if _HELPER.match(text):
            raise _refused(
                "it names a program of git's (name::address)", f"enrichd takes {_KINDS} only"
            )
        scheme, rest = _split_scheme(text)
        if scheme == "file":
            if not rest.startswith("/"):
                raise _refused(
                    "a file URL has no host and an absolute path", "write file:///path, 3 slashes"
                )
            return cls("file", "", "file://" + _path(rest, scheme))
        place, slash, path = rest.partition("/")
        place, host = _place(place, scheme)
        return cls(scheme, host, f"{scheme}://{place}{_path(slash + path, scheme)}")

    @property
    def name(self) -> str:
        """What a workspace of it may be called: the path's last part, in allowed characters."""
        parts = [part for part in self._path.split("/") if part not in {"", ".git"}]
        last = parts[-1].removesuffix(".git") if parts else ""
        return _readable(last, _MAX_NAME) or _readable(self.host, _MAX_NAME) or "repository"

    def folder(self, branch: str | None = None) -> str:
        """What its folder is called: readable, and another for each URL and branch."""
        what = self.text if branch is None else f"{self.text} {branch}"  # neither holds a space
        readable = _readable(self.name, _MAX_READABLE)
        return f"{readable}-{sha256(what.encode()).hexdigest()[:_DIGEST]}"

    @property
    def _path(self) -> str:
        path = self.text.partition("://")[2].partition("/")[2]
        return unquote_to_bytes(path).decode(errors="replace")


def is_url(text: str) -> bool:
    """Whether somebody meant a URL, good or bad, and not a path or the name of a workspace."""
    return ":" in text.partition("/")[0]


def check_branch(name: str) -> str:
    """The name, when it can be that of a branch (see git-check-ref-format); else UsageError."""
    wrong = None
    if not name or len(name.encode(errors="replace")) > MAX_BRANCH:
        wrong = f"it has 1 to {MAX_BRANCH} characters"
    elif name.startswith("-"):
        wrong = 'it would be an option, as it begins with "-"'
    elif not name.isprintable() or _ODD_IN_BRANCH.search(name):
        wrong = 'it has no spaces, no control characters, no "..", "@{", ".lock" or any of ~^:?*[\\'
    elif name == "@" or name[0] in "./" or name[-1] in "./":
        wrong = 'it does not begin or end with "." or "/"'
    if wrong is None:
        return name
    raise UsageError(
        f"this can't be the name of a branch: {wrong}",
        hint="git branch -r lists the branches of a clone",
    )


def _refused(reason: str, hint: str) -> UsageError:
    return UsageError(f"this Git URL is refused: {reason}", hint=hint)


def _check_characters(text: str) -> None:
    if not text:
        raise _refused("it is empty", f"write {_KINDS}")
    if len(text) > MAX_URL:
        raise _refused(f"it is longer than {MAX_URL} characters", "check that it is a URL")
    if text.startswith("-"):
        raise _refused('it would be an option, as it begins with "-"', f"write {_KINDS}")
    if not text.isprintable() or " " in text:
        raise _refused(
            "there are spaces or control characters in it", "write a space in a path as %20"
        )
    if "?" in text or "#" in text:
        raise _refused(
            'a repository has no query ("?") and no fragment ("#")',
            "leave it away; a branch is named beside the URL",
        )


def _split_scheme(text: str) -> tuple[str, str]:
    """The scheme, and what follows its slashes; an scp address is put as ssh."""
    if found := _SCHEME.fullmatch(text):
        scheme = found[1].lower()
        if scheme in {"https", "ssh", "file"}:
            return scheme, found[2]
        hint = f"use {_KINDS}"
        if scheme in {"http", "git"}:
            hint = "what comes that way can be changed by anybody on the way; use https or ssh"
        raise _refused(f'"{scheme[:20]}" is none of https, ssh and file', hint)
    found = None if "://" in text else _SCP.fullmatch(text)
    if found is None or found[2].lower() in {"https", "http", "ssh", "git", "file"}:
        raise _refused("it has no scheme", f"write {_KINDS}")
    user, host, path = found.groups()
    if "@" in path:
        raise _refused(
            'there is an "@" behind the host: either a password, which does not belong here, '
            "or part of a path",
            "write ssh://user@host/path, and %40 for an @ in the path",
        )
    at = "" if user is None else f"{user}@"
    return "ssh", f"{at}{host}/{path.removeprefix('/')}"


def _place(place: str, scheme: str) -> tuple[str, str]:
    """User, host and port in their one form, and the host alone."""
    found = _PLACE.fullmatch(place)
    if found is None:
        raise _refused("its host can't be read", f"write {_KINDS}")
    user, host, port = found.groups()
    at = "" if user is None else f"{_user(user, scheme)}@"
    host = _host(host)
    if port is None or port == _PORTS[scheme]:
        return at + host, host
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536):
        raise _refused("its port is no number from 1 to 65535", "check what follows the host's :")
    port = str(int(port))
    return (at + host if port == _PORTS[scheme] else f"{at}{host}:{port}"), host


def _user(user: str, scheme: str) -> str:
    if scheme == "https":
        raise _refused(
            "there are credentials in it",
            "put them into a git credential helper (git help credentials), or use ssh",
        )
    if ":" in user:
        raise _refused("there is a password in it", "use an ssh key, and leave the password away")
    if not _USER.fullmatch(user):
        raise _refused(
            'the user has other characters than letters, digits, ".", "_" and "-", '
            'or begins with "-" or "."',
            "check what stands before the @",
        )
    return user


def _host(host: str) -> str:
    lower = host.lower()
    if host.startswith("["):
        try:
            return f"[{_plain_ipv6(host[1:-1])}]"
        except ValueError:
            raise _refused("its host is no IPv6 address", "check what is in brackets") from None
    if not host:
        raise _refused("it has no host", f"write {_KINDS}")
    if not _HOST.fullmatch(lower):
        raise _refused(
            'the host has other characters than letters, digits, ".", "_" and "-", '
            "or begins or ends with one of them",
            "check the host; one with other letters is written in its xn-- form",
        )
    return lower


def _plain_ipv6(text: str) -> str:
    address = IPv6Address(text)
    if address.scope_id is not None:
        raise ValueError("a scope means something on one machine only")
    return str(address)


def _path(path: str, scheme: str) -> str:
    """The path in its one form: from its slash on, in ASCII, without slashes at its end."""
    if scheme != "file" and "@" in path:
        raise _refused(
            'there is an "@" behind the host: either a part of a password, which does not belong '
            "here, or of a path",
            "write %40 for an @ in the path",
        )
    path = quote(path, safe="".join(map(chr, range(128)))).rstrip("/")
    if odd := _ODD_IN_PATH.search(path):
        raise _refused(f"there is a {odd[0]} in its path", f"write it as %{ord(odd[0]):02X}")
    if _ODD_PERCENT.search(path):
        raise _refused('there is a "%" in its path without two digits', "write %25 for a %")
    meant = unquote_to_bytes(path).decode(errors="replace")
    parts = meant.split("/")
    if not meant.strip("/"):
        raise _refused("it has no path", f"write {_KINDS}")
    if any(ord(each) < 32 or 127 <= ord(each) < 160 for each in meant):
        raise _refused("there are control characters in its path", "check the % in it")
    if meant.lstrip("/").startswith("-"):
        raise _refused('its path begins with "-", as an option does', "check the path")
    if "." in parts or ".." in parts:
        raise _refused('there is a "." or ".." in its path', "write the path without them")
    return path


def _readable(text: str, most: int) -> str:
    return _ODD_IN_NAME.sub("-", text).strip("-.")[:most].rstrip("-.")
