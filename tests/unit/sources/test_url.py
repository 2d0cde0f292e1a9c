"""Git URLs: which are taken, under which name, and that nothing in one is an option or a secret."""

from __future__ import annotations

import re
import traceback

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from enrichd.errors import EnrichdError, UsageError
from enrichd.settings import WORKSPACE_NAME
from enrichd.sources.url import MAX_URL, GitUrl, check_branch, is_url

GOOD = [  # as written, in its one form, the workspace's name
    ("https://github.com/pallets/flask", "https://github.com/pallets/flask", "flask"),
    ("https://github.com/pallets/flask.git", "https://github.com/pallets/flask.git", "flask"),
    ("HTTPS://GitHub.com:443/Pallets/Flask/", "https://github.com/Pallets/Flask", "Flask"),
    ("https://host:8443/a/b.git//", "https://host:8443/a/b.git", "b"),
    ("https://host:08443/a", "https://host:8443/a", "a"),
    ("https://[::1]:0443/a", "https://[::1]/a", "a"),
    ("https://[2001:DB8:0::1]/a", "https://[2001:db8::1]/a", "a"),
    ("https://10.0.0.1/a", "https://10.0.0.1/a", "a"),
    ("https://h_1.example/a", "https://h_1.example/a", "a"),
    ("ssh://git@host/a.git", "ssh://git@host/a.git", "a"),
    ("ssh://git@host:22/a.git", "ssh://git@host/a.git", "a"),
    ("ssh://host:2222/~ada/a", "ssh://host:2222/~ada/a", "a"),
    ("git@host:a/b.git", "ssh://git@host/a/b.git", "b"),
    ("git@Host:/srv/b.git", "ssh://git@host/srv/b.git", "b"),
    ("host:b", "ssh://host/b", "b"),
    ("git@[::1]:b", "ssh://git@[::1]/b", "b"),
    ("git@host:22/b", "ssh://git@host/22/b", "b"),
    ("file:///srv/git/a.git", "file:///srv/git/a.git", "a"),
    ("file:///home/ada/flask/.git", "file:///home/ada/flask/.git", "flask"),
    ("file:///srv/a%20b", "file:///srv/a%20b", "a-b"),
    ("file:///srv/grün", "file:///srv/gr%C3%BCn", "gr-n"),
    ("file:///srv/a@b", "file:///srv/a@b", "a-b"),
    ("file:///srv/日本", "file:///srv/%E6%97%A5%E6%9C%AC", "repository"),
    ("https://host/%E6%97%A5", "https://host/%E6%97%A5", "host"),
    ("https://host/a'b;$(c)", "https://host/a'b;$(c)", "a-b-c"),
    ("https://host/...", "https://host/...", "host"),
    (f"https://host/{'a' * 100}", f"https://host/{'a' * 100}", "a" * 64),
]

BAD = [  # what is refused, and a word of why
    ("", "empty"),
    ("flask", "no scheme"),
    ("/srv/flask", "no scheme"),
    ("./a:b", "no scheme"),
    ("git@host", "no scheme"),
    ("://host/a", "no scheme"),
    ("https:/host/a", "no scheme"),
    ("file:/srv/a", "no scheme"),
    ("HTTP:host/a", "no scheme"),
    # schemes
    ("http://host/a", '"http" is none of'),
    ("git://host/a", '"git" is none of'),
    ("ftp://host/a", '"ftp" is none of'),
    ("git+ssh://host/a", "none of"),
    ("svn://host/a", "none of"),
    ("javascript://host/a", "none of"),
    ("ext::sh -c true", "spaces"),
    ("ext::sh", "a program of git's"),
    ("EXT::sh", "a program of git's"),
    ("fd::17", "a program of git's"),
    ("https::https://host/a", "a program of git's"),
    ("::https://host/a", "a program of git's"),
    ("ext::https://host/a", "a program of git's"),
    # options
    ("-u", "option"),
    ("--upload-pack=touch", "option"),
    ("--upload-pack=x://host/a", "option"),
    ("-oProxyCommand=touch:a", "option"),
    ("ssh://-oProxyCommand=touch/a", "the host"),
    ("ssh://%2DoProxyCommand=touch/a", "the host"),
    ("ssh://-a@host/a", "the user"),
    ("ssh://%2da@host/a", "the user"),
    ("ssh://git@-host/a", "the host"),
    ("git@-host:a", "the host"),
    ("a@b@-host:a", "no scheme"),
    ("host:-a", "its path begins"),
    ("git@host:-a", "its path begins"),
    ("git@host:/-a", "its path begins"),
    ("ssh://host/-a", "its path begins"),
    ("ssh://host/%2Da", "its path begins"),
    ("ssh://host//%2Da", "its path begins"),
    ("file:///-a", "its path begins"),
    ("https://-host/a", "the host"),
    # characters
    ("https://host/a b", "spaces"),
    (" https://host/a", "spaces"),
    ("https://host/a\n", "control"),
    ("https://host/a\x00", "control"),
    ("https://host/a\x1b[31m", "control"),
    ("https://host/a\u202eb", "control"),
    ("https://host/a\u00a0b", "control"),
    ("https://host/a\udcff", "control"),
    ("https://host/a%0ab", "control"),
    ("ssh://host/a%00b", "control"),
    ("file:///a%7f", "control"),
    ("file:///a%C2%9B", "control"),
    ("https://host/a%2", '"%"'),
    ("https://host/a%zz", '"%"'),
    ("https://host/a\\b", "a \\ in its path"),
    ("https://host/a`b", "a ` in its path"),
    ('https://host/a"b', 'a " in its path'),
    ("https://host/a?b=c", "query"),
    ("https://host/a#b", "fragment"),
    (f"https://host/{'a' * MAX_URL}", "longer than"),
    # hosts and ports
    ("https:///a", "no host"),
    ("ssh://git@/a", "no host"),
    (":a", "no host"),
    ("git@:a", "no host"),
    ("https://ho%73t/a", "the host"),
    ("https://höst/a", "the host"),
    ("https://ho$t/a", "the host"),
    ("https://host./a", "the host"),
    ("https://host-/a", "the host"),
    ("https://a..b/a", "the host"),
    (f"https://{'a' * 254}/a", "the host"),
    ("https://[::1/a", "its host can't be read"),
    ("https://[]/a", "IPv6"),
    ("https://[::1%25eth0]/a", "IPv6"),
    ("https://[::1%eth0]/a", "IPv6"),
    ("https://[host]/a", "IPv6"),
    ("https://host:/a", "port"),
    ("https://host:0/a", "port"),
    ("https://host:65536/a", "port"),
    ("https://host:-1/a", "port"),
    ("https://host:٣/a", "port"),
    ("https://host:22:23/a", "port"),
    # paths
    ("https://host", "no path"),
    ("https://host/", "no path"),
    ("https://host/%2F", "no path"),
    ("ssh://host//", "no path"),
    ("git@host:", "no path"),
    ("file:///", "no path"),
    ("file://host/a", "no host"),
    ("file://localhost/a", "no host"),
    ("file://a", "no host"),
    ("file://", "no host"),
    ("file:///a/../b", '".."'),
    ("file:///a/%2e%2E/b", '".."'),
    ("https://host/a/./b", '".."'),
    ("https://host/..", '".."'),
]

SECRET = "s3cret-"
WITH_A_PASSWORD = [
    f"https://ada:{SECRET}@host/a",
    f"https://{SECRET}@host/a",
    f"https://:{SECRET}@host/a",
    f"https://ada:{SECRET}/x@host/a",
    f"https://ada:1/{SECRET}@host/a",
    f"https://ada:?{SECRET}@host/a",
    f"https://ada:#{SECRET}@host/a",
    f"https://ada:@{SECRET}@host/a",
    f"https://ada:{SECRET}@",
    f"ssh://ada:{SECRET}@host/a",
    f"ssh://ada:22/{SECRET}@host/a",
    f"ssh://ada%3A{SECRET}@host/a",
    f"ada:{SECRET}@host:a",
    f"ada:{SECRET}/x@host:a",
    f"http://ada:{SECRET}@host/a",
    f"file://ada:{SECRET}@host/a",
    f"ftp://ada:{SECRET}@host/a",
    f"ada:{SECRET}://host/a",
    f"https:/ada:{SECRET}@host/a",
    f"https//ada:{SECRET}@host/a",
]

PARTS = r"https:// ssh:// file:/// git@ host : / @ - %2d % .. .git [::1] 22 ~ ext:: é ? # \ ."
NO_BRANCHES = r"- -u --upload-pack=x a..b a~1 a^ a:b a? a* a[ a\b @ a@{0} /a a/ a//b .a a/.b a."

urls = st.lists(st.sampled_from([*PARTS.split(), " ", "\n"]) | st.text(max_size=3), max_size=8).map(
    "".join
)


def refusal(text: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        GitUrl.parse(text)
    return caught.value


@pytest.mark.parametrize(("written", "text", "name"), GOOD)
def test_a_good_url_has_one_form_and_a_name(written: str, text: str, name: str) -> None:
    url = GitUrl.parse(written)
    assert (url.text, url.name) == (text, name)
    assert GitUrl.parse(text) == url
    assert is_url(written)


@pytest.mark.parametrize(("text", "why"), BAD)
def test_a_bad_url_is_refused_with_its_reason_and_what_to_do(text: str, why: str) -> None:
    error = refusal(text)
    assert why in error.message
    assert error.hint


@pytest.mark.parametrize("text", WITH_A_PASSWORD)
def test_a_password_is_refused_and_never_repeated(text: str) -> None:
    error = refusal(text)
    assert SECRET not in error.message + (error.hint or "")
    assert SECRET not in "".join(traceback.format_exception(error)).replace(repr(text), "")


@given(
    st.sampled_from(["https://ada:{}@host/a", "ssh://ada:{}@host/a", "ada:{}@host:a"]),
    st.text(max_size=20),
    st.text(max_size=20),
)
def test_no_password_is_in_what_is_kept_or_said(form: str, before: str, after: str) -> None:
    try:
        said = GitUrl.parse(form.format(before + SECRET + after)).text
    except UsageError as error:
        said = f"{error.message} {error.hint}"
    assert SECRET not in said


@given(urls)
@example("git@host://a")
@example("ssh://host/~")
def test_whatever_the_text_it_is_a_url_that_stays_the_same_or_a_refusal(text: str) -> None:
    try:
        url = GitUrl.parse(text)
    except UsageError:
        return
    assert GitUrl.parse(url.text) == url
    assert re.fullmatch(r"(https|ssh|file)://[!-~]+", url.text)
    assert not re.search(r"(//|@)-", url.text)
    for name in (url.name, url.folder(), url.folder("main")):
        assert WORKSPACE_NAME.fullmatch(name)
        assert name[0] not in ".-"
        assert len(name) <= 64


def test_each_url_and_branch_has_its_own_folder() -> None:
    texts = ["https://host/a", "https://host/a.git", "https://host/A", "ssh://host/a", "file:///a"]
    folders = [
        GitUrl.parse(text).folder(branch) for text in texts for branch in (None, "main", "dev")
    ]
    assert len(set(folders)) == len(folders)
    assert all(folder.lower().startswith("a-") for folder in folders)
    assert GitUrl.parse("git@host:a").folder() == GitUrl.parse("ssh://git@HOST:22/a/").folder()


@pytest.mark.parametrize("text", ["flask", "/srv/a:b", "./a:b", "src/a:b", "", "~/a"])
def test_a_path_or_a_name_is_not_meant_as_a_url(text: str) -> None:
    assert not is_url(text)


@pytest.mark.parametrize("text", ["ext::sh", "http://a", "git@host:a", "https://"])
def test_a_bad_url_is_still_meant_as_one(text: str) -> None:
    assert is_url(text)


@pytest.mark.parametrize(
    "name", ["main", "feature/x", "v1.2", "a-b", "a@b", "grün", "@a", "{", "a" * 200]
)
def test_a_good_branch_is_taken(name: str) -> None:
    assert check_branch(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *NO_BRANCHES.split(),
        *("a.lock", "a.lock/b", "", "a b", "a\n", "a\x00", "a\x7f", "a\u202eb", "a\udcff"),
        "a" * 201,
    ],
)
def test_a_bad_branch_is_refused(name: str) -> None:
    with pytest.raises(EnrichdError) as caught:
        check_branch(name)
    assert isinstance(caught.value, UsageError)
    assert caught.value.message.isprintable()
