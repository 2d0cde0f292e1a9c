"""What git's last words mean to a person; they are untrusted text, and may hold secrets."""

from __future__ import annotations

import re

from enrichd.errors import EnrichdError, ExitCode
from enrichd.sources.url import GitUrl

MAX_SAID = 400


class SourceError(EnrichdError):
    """A repository could not be fetched."""

    exit_code = ExitCode.IO


class TooLarge(SourceError):
    """It takes more room than it may."""


class GitFailed(Exception):
    """A git that ended with an error; ``said`` is the end of its stderr, as it came."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(status)
        self.status = status
        self.said = said


_NETWORK = (
    "check the host and the network; as a service of systemd, enrichd reaches this machine alone: "
    "systemd/README.md says how to open that"
)
_MISSING = (
    "check the URL, and that the user that enrichd runs as may read it: "
    "many hosts say of a private repository that there is none"
)
_HTTPS_LOGIN = (
    "a private repository needs a git credential helper of the user that enrichd runs as "
    "(git help credentials), or ssh; many hosts ask for a login where there is no repository"
)
_SSH_LOGIN = (
    "give the user that enrichd runs as an ssh key without passphrase that the host knows; "
    "`ssh -o BatchMode=yes HOST` as that user shows whether it is let in"
)
_SSH_KEY = "connect once by hand (ssh HOST) as the user that enrichd runs as, and check the key"
_OWNER = (
    "it belongs to another user; let the user that enrichd runs as say: "
    "git config --global --add safe.directory PATH"
)
_BROKEN = "the repository holds broken or harmful objects; `git fsck` there says more"

_THEIRS: dict[str, tuple[str, ...]] = {
    "`git ls-remote --heads URL` lists its branches": (r"find remote ref refs/heads/",),
    "the repository is empty, or name a branch of it": (r"find remote ref HEAD",),
    _OWNER: (r"dubious ownership",),
    _SSH_KEY: (r"host key verification failed", r"no matching host key"),
    _SSH_LOGIN: (r"permission denied \([a-z,-]+\)", r"too many authentication failures"),
    _HTTPS_LOGIN: (
        r"terminal prompts disabled",
        r"could not read (username|password)",
        r"authentication failed",
        r"error: 40[13]\b",
    ),
    "check the host; a certificate of your own goes into git's http.sslCAInfo": (
        r"certificate",
        r"\bSSL\b",
    ),
    _NETWORK: (
        r"could not resolve",
        r"name or service not known|name resolution|no address associated",
        r"connection (refused|timed out|reset|closed)|closed by remote host",
        r"network is unreachable|no route to host",
        r"failed to connect|couldn't connect",
        r"operation not permitted",
    ),
    "leave the depth away": (r"does not support shallow", r"dumb http"),
    "install an ssh client": (r"cannot run ssh", r"\bssh: .*not found"),
    "install git with its support for https": (r"remote helper for", r"remote-https"),
    _MISSING: (
        r"repository .*not (found|exist)",
        r"does not appear to be a git repository",
        r"error: 404",
    ),
}
"""What to do, and by which words it is known that the trouble is not of the folder here."""
_ANYBODYS: dict[str, tuple[str, ...]] = {
    "make room where enrichd keeps its state, or fetch a depth of 1": (
        r"no space left",
        r"disk quota",
    ),
    _BROKEN: (r"fsck error", r"index-pack", r"bad object", r"malformed"),
}
_HABITUAL = re.compile(
    r"Could not read from remote repository|Please make sure you have|and the repository exists"
    r"|^Warning: Permanently added|^hint: |^From |^Cloning into",
    re.IGNORECASE,
)
_TOKEN = re.compile(r"(https?://)[^/\s'\"]*@", re.IGNORECASE)
_PASSWORD = re.compile(r"(://[^/\s:@'\"]*):[^/\s'\"]*@")


def is_known(failed: GitFailed) -> bool:
    """Whether it is plainly the other side's or the network's, and not of the folder here."""
    return _hint(failed.said, _THEIRS) is not None


def fetch_failed(url: GitUrl, failed: GitFailed, *, hidden: str) -> SourceError:
    """For a person; ``hidden`` is our own folder, which tells nobody anything."""
    hint = _hint(failed.said, _ANYBODYS | _THEIRS) or _MISSING
    if url.scheme == "ssh" and hint is _MISSING:
        hint += "; a path below a home is written ssh://HOST/~/path"
    return SourceError(f"{url.text} could not be fetched: {said(failed, hidden=hidden)}", hint=hint)


def damaged(url: GitUrl) -> SourceError:
    """It lacks objects that its commit names."""
    return SourceError(f"{url.text} could not be fetched: it lacks some of its files", hint=_BROKEN)


def said(failed: GitFailed, *, hidden: str) -> str:
    """Git's own words: cut, on one line, without secrets and without what a terminal would obey."""
    lines = [line.strip() for line in failed.said.splitlines()]
    telling = [line for line in lines if line and not _HABITUAL.search(line)]
    text = "; ".join(telling).replace(hidden, "the clone")
    text = _PASSWORD.sub(r"\1@", _TOKEN.sub(r"\1", text))
    text = "".join(each if each.isprintable() else " " for each in text)
    text = (
        text if len(text) <= MAX_SAID else f"{text[: MAX_SAID // 2]} ... {text[-MAX_SAID // 2 :]}"
    )
    return text or (
        f"git ended with status {failed.status}"
        if failed.status >= 0
        else f"git was killed by signal {-failed.status}"
    )


def _hint(text: str, hints: dict[str, tuple[str, ...]]) -> str | None:
    return next(
        (
            hint
            for hint, laws in hints.items()
            if any(re.search(law, text, re.IGNORECASE) for law in laws)
        ),
        None,
    )
