"""The configuration: where each value comes from, and what is said about a wrong one."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from enrichd import config as config_module
from enrichd.config import Config, load, show
from enrichd.errors import ConfigError, ExitCode
from enrichd.settings import Address, ServerSettings, Settings, WorkspaceSettings

EXAMPLE = Path(__file__).parents[2] / "config.toml"
NOBODY = {"HOME": "/home/ada"}


@pytest.fixture(autouse=True)
def no_file_of_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(config_module, "SYSTEM_FILE", tmp_path / "none" / "config.toml")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "etc"
    folder.mkdir()
    return folder / "config.toml"


def loaded(file: Path, text: str, environ: dict[str, str] | None = None) -> Config:
    file.write_text(text)
    return load(file, NOBODY | (environ or {}), {})


def refusal(file: Path, text: str | bytes, environ: dict[str, str] | None = None) -> str:
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigError) as caught:
        load(file, NOBODY | (environ or {}), {})
    assert caught.value.exit_code == ExitCode.CONFIG
    assert "\n" not in caught.value.message
    return caught.value.message.removeprefix(f"{file}: ")


# Where values come from


def test_without_anything_the_defaults_hold() -> None:
    config = load(None, NOBODY, {})
    assert config.path is None
    assert config.sources == {}
    assert config.monitor == Settings().monitor
    assert config.tracker == Settings().tracker
    assert config.enrich == Settings().enrich
    assert config.index == Settings().index
    assert (config.workspaces, config.servers) == ((), ())
    assert config.daemon.address == Address("127.0.0.1", 9911)


def test_the_defaults_are_those_of_the_contract() -> None:
    plain = msgspec.to_builtins(Settings(), enc_hook=str)
    assert plain == {
        "daemon": {
            "database": "enrichd.db",
            "socket": "enrichd.sock",
            "listen": "127.0.0.1:9911",
            "token_file": "token",
            "log_level": "info",
            "log_format": "auto",
        },
        "workspace": (),
        "monitor": {"interval_s": 5.0, "queue_size": 1000},
        "tracker": {
            "initial_s": 5.0,
            "factor": 2.0,
            "max_s": 320.0,
            "max_attempts": 7,
            "jitter": 0.0,
        },
        "enrich": {
            "external": "imports",
            "request_timeout_s": 25.0,
            "servers": {"python": "ty"},
        },
        "index": {
            "max_file_bytes": 2097152,
            "exclude": (),
            "parse_processes": 0,
            "max_clone_bytes": 1073741824,
        },
        "embeddings": {"model": ""},
        "server": (),
    }


def test_flags_win_over_the_environment_over_the_file_over_the_defaults(file: Path) -> None:
    file.write_text(
        "[tracker]\ninitial_s = 1\nfactor = 3\nmax_s = 99\n[enrich]\nexternal = 'all'\n"
    )
    environ = NOBODY | {"ENRICHD_TRACKER_FACTOR": "4", "ENRICHD_TRACKER_MAX_S": "88"}
    config = load(file, environ, {"tracker.max_s": 77.0, "enrich.external": None})
    assert config.tracker.max_attempts == 7
    assert config.tracker.initial_s == 1.0
    assert config.tracker.factor == 4.0
    assert config.tracker.max_s == 77.0
    assert config.enrich.external == "all"
    assert config.sources == {
        "tracker.initial_s": str(file),
        "tracker.factor": "ENRICHD_TRACKER_FACTOR",
        "tracker.max_s": "flag",
        "enrich.external": str(file),
    }


@pytest.mark.parametrize(
    ("variable", "text", "key", "value"),
    [
        ("ENRICHD_DATABASE", "/data/e.db", "daemon.database", Path("/data/e.db")),
        ("ENRICHD_SOCKET", "/run/e.sock", "daemon.socket", Path("/run/e.sock")),
        ("ENRICHD_LISTEN", "", "daemon.listen", ""),
        ("ENRICHD_TOKEN_FILE", "~/token", "daemon.token_file", Path("/home/ada/token")),
        ("ENRICHD_LOG_LEVEL", "debug", "daemon.log_level", "debug"),
        ("ENRICHD_LOG_FORMAT", "json", "daemon.log_format", "json"),
        ("ENRICHD_MONITOR_INTERVAL_S", "0.5", "monitor.interval_s", 0.5),
        ("ENRICHD_MONITOR_QUEUE_SIZE", "7", "monitor.queue_size", 7),
        ("ENRICHD_TRACKER_INITIAL_S", "1", "tracker.initial_s", 1.0),
        ("ENRICHD_TRACKER_MAX_ATTEMPTS", "3", "tracker.max_attempts", 3),
        ("ENRICHD_TRACKER_JITTER", "1", "tracker.jitter", 1.0),
        ("ENRICHD_ENRICH_EXTERNAL", "off", "enrich.external", "off"),
        ("ENRICHD_ENRICH_REQUEST_TIMEOUT_S", "9", "enrich.request_timeout_s", 9.0),
        (
            "ENRICHD_ENRICH_SERVERS",
            "go=gopls, c=clangd",
            "enrich.servers",
            {"python": "ty", "go": "gopls", "c": "clangd"},
        ),
        (
            "ENRICHD_INDEX_EXCLUDE",
            "vendor/**, *.min.js",
            "index.exclude",
            ("vendor/**", "*.min.js"),
        ),
        ("ENRICHD_INDEX_EXCLUDE", "", "index.exclude", ()),
        ("ENRICHD_INDEX_PARSE_PROCESSES", "2", "index.parse_processes", 2),
        ("ENRICHD_EMBEDDINGS_MODEL", "some-model", "embeddings.model", "some-model"),
    ],
)
def test_a_variable_sets_its_key(variable: str, text: str, key: str, value: object) -> None:
    config = load(None, NOBODY | {variable: text}, {})
    section, name = key.split(".")
    assert getattr(getattr(config, section), name) == value
    assert config.sources == {key: variable}


def test_the_file_is_looked_for_where_users_expect_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named, own, system = (tmp_path / name / "config.toml" for name in ("named", "enrichd", "etc"))
    monkeypatch.setattr(config_module, "SYSTEM_FILE", system)
    environ = NOBODY | {"XDG_CONFIG_HOME": str(tmp_path)}
    assert load(None, environ, {}).path is None
    for path in (system, own, named):
        path.parent.mkdir()
        path.touch()
        if path is named:
            environ["ENRICHD_CONFIG"] = str(named)
        assert load(None, environ, {}).path == path
    assert load(system, environ, {}).path == system


def test_home_stands_in_for_xdg(tmp_path: Path) -> None:
    path = tmp_path / ".config" / "enrichd" / "config.toml"
    path.parent.mkdir(parents=True)
    path.touch()
    assert load(None, {"HOME": str(tmp_path), "XDG_CONFIG_HOME": "not/absolute"}, {}).path == path


# Paths


@pytest.mark.parametrize(
    ("environ", "state", "runtime"),
    [
        ({}, "/home/ada/.local/state/enrichd", "/home/ada/.local/state/enrichd"),
        ({"XDG_STATE_HOME": "/s"}, "/s/enrichd", "/s/enrichd"),
        ({"XDG_STATE_HOME": "s"}, *["/home/ada/.local/state/enrichd"] * 2),  # to be ignored
        ({"XDG_STATE_HOME": "/s", "XDG_RUNTIME_DIR": "/r"}, "/s/enrichd", "/r/enrichd"),
        (
            {"STATE_DIRECTORY": "/var/lib/enrichd:/var/lib/more", "RUNTIME_DIRECTORY": "/run/e:/x"},
            "/var/lib/enrichd",
            "/run/e",
        ),
    ],
)
def test_what_is_not_set_goes_where_the_system_wants_it(
    environ: dict[str, str], state: str, runtime: str
) -> None:
    daemon = load(None, NOBODY | environ, {}).daemon
    assert str(daemon.database) == f"{state}/enrichd.db"
    assert str(daemon.token_file) == f"{state}/token"
    assert str(daemon.socket) == f"{runtime}/enrichd.sock"


def test_relative_paths_of_the_file_are_relative_to_it(file: Path) -> None:
    config = loaded(
        file,
        """
        [daemon]
        database = "enrichd.db"
        socket = "/run/x.sock"
        token_file = "~/token"
        [[workspace]]
        name = "flask"
        root = "../flask"
        [[server]]
        name = "mine"
        command = ["bin/mine", "relative/argument"]
        [[server]]
        name = "ty"
        command = ["ty", "server"]
        """,
    )
    assert config.daemon.database == file.parent / "enrichd.db"
    assert config.daemon.socket == Path("/run/x.sock")
    assert config.daemon.token_file == Path("/home/ada/token")
    assert config.workspaces[0].root == file.parent.parent / "flask"
    assert config.servers[0].command == (str(file.parent / "bin/mine"), "relative/argument")
    assert config.servers[1].command == ("ty", "server")


def test_those_of_flags_and_variables_to_the_working_directory(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file.write_text("[[workspace]]\nname = 'other'\nroot = 'other'\n")
    config = load(
        file,
        NOBODY | {"ENRICHD_SOCKET": "x.sock"},
        {"daemon.database": Path("x.db"), "workspace": [{"name": "flask", "root": Path()}]},
    )
    assert config.daemon.socket == tmp_path / "x.sock"
    assert config.daemon.database == tmp_path / "x.db"
    assert config.workspaces == (WorkspaceSettings(name="flask", root=tmp_path),)


# What is set


def test_workspaces_inside_each_other_are_allowed(file: Path) -> None:
    config = loaded(
        file,
        "[[workspace]]\nname='a'\nroot='/src'\n[[workspace]]\nname='b'\nroot='/src/b'\n"
        "exclude=['vendor/**']\n",
    )
    assert [str(workspace.root) for workspace in config.workspaces] == ["/src", "/src/b"]
    assert config.workspaces[1].exclude == ("vendor/**",)


def test_naming_a_server_for_one_language_takes_none_from_another(file: Path) -> None:
    config = loaded(file, "[enrich.servers]\ngo = 'gopls'\n")
    assert config.enrich.servers == {"python": "ty", "go": "gopls"}


def test_a_server_keeps_only_the_keys_that_were_set(file: Path) -> None:
    config = loaded(
        file,
        """
        [[server]]
        name = "ty"
        window = 4
        operations = ["definition"]
        settings = { python = { paths = ["src", 1, 2.5, true] } }
        """,
    )
    assert config.servers[0].changes() == {
        "name": "ty",
        "window": 4,
        "operations": ["definition"],
        "settings": {"python": {"paths": ["src", 1, 2.5, True]}},
    }


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("", None),
        ("127.0.0.1:9911", Address("127.0.0.1", 9911)),
        ("127.8.8.8:1", Address("127.8.8.8", 1)),
        ("[::1]:9911", Address("::1", 9911)),
        ("localhost:0", Address("localhost", 0)),
    ],
)
def test_it_listens_on_this_machine_or_not_at_all(
    file: Path, listen: str, address: Address | None
) -> None:
    assert loaded(file, f"[daemon]\nlisten = '{listen}'\n").daemon.address == address


# What is refused

WORKSPACE = "[[workspace]]\nname = 'a'\nroot = '/a'\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # keys
        ("[moniter]", 'moniter: unknown key; did you mean "monitor"?'),
        ("[monitor]\nintervl_s = 1", 'monitor.intervl_s: unknown key; did you mean "interval_s"?'),
        ("[monitor]\nxyz = 1", "monitor.xyz: unknown key"),
        ("database = 'x'", "database: unknown key; it belongs in [daemon]"),
        (f"{WORKSPACE}rot = 1", 'workspace[0].rot: unknown key; did you mean "root"?'),
        (
            "[[server]]\nname='x'\nsetings={}",
            'server[0].setings: unknown key; did you mean "settings"?',
        ),
        ("workspaces = []", 'workspaces: unknown key; did you mean "workspace"?'),
        ('"two\\nlines" = 1', "two\\nlines: unknown key"),
        ("[sources]", "sources: unknown key"),
        # types
        ("monitor = 3", "monitor: expected a table, got a whole number"),
        ("[workspace]\nname = 'a'", "workspace: expected a list, got a table"),
        ("workspace = [3]", "workspace[0]: expected a table, got a whole number"),
        ("[monitor]\ninterval_s = '5'", "monitor.interval_s: expected a number, got text"),
        (
            "[monitor]\ninterval_s = true",
            "monitor.interval_s: expected a number, got true or false",
        ),
        (
            "[monitor]\nqueue_size = 1.5",
            "monitor.queue_size: expected a whole number, got a number",
        ),
        ("[daemon]\nlisten = 9911", "daemon.listen: expected text, got a whole number"),
        ("[daemon]\ndatabase = 1", "daemon.database: expected a path, got a whole number"),
        ("[index]\nexclude = 'a'", "index.exclude: expected a list, got text"),
        ("[index]\nexclude = ['a', 1]", "index.exclude[1]: expected text, got a whole number"),
        ("[enrich.servers]\ngo = 3", "enrich.servers.go: expected text, got a whole number"),
        ("[enrich]\nservers = 'ty'", "enrich.servers: expected a table, got text"),
        # ranges
        ("[monitor]\ninterval_s = 0", "monitor.interval_s: expected a number > 0"),
        ("[monitor]\ninterval_s = inf", "monitor.interval_s: expected a finite number, got inf"),
        ("[monitor]\ninterval_s = nan", "monitor.interval_s: expected a finite number, got nan"),
        (f"[monitor]\ninterval_s = {10**400}", "monitor.interval_s: number out of range"),
        ("[monitor]\nqueue_size = 0", "monitor.queue_size: expected a whole number >= 1"),
        ("[tracker]\ninitial_s = 0", "tracker.initial_s: expected a number > 0"),
        ("[tracker]\nfactor = 0.9", "tracker.factor: expected a number >= 1"),
        ("[tracker]\nmax_s = 4", "tracker.max_s: 4 is less than initial_s = 5"),
        ("[tracker]\nmax_attempts = 0", "tracker.max_attempts: expected a whole number >= 1"),
        ("[tracker]\nmax_attempts = 101", "tracker.max_attempts: expected a whole number <= 100"),
        ("[tracker]\njitter = 1.1", "tracker.jitter: expected a number <= 1"),
        ("[tracker]\njitter = -0.1", "tracker.jitter: expected a number >= 0"),
        ("[enrich]\nrequest_timeout_s = 0", "enrich.request_timeout_s: expected a number > 0"),
        ("[index]\nparse_processes = -1", "index.parse_processes: expected a whole number >= 0"),
        ("[index]\nmax_file_bytes = 0", "index.max_file_bytes: expected a whole number >= 1"),
        ("[index]\nmax_clone_bytes = 0", "index.max_clone_bytes: expected a whole number >= 1"),
        ("[[server]]\nname='x'\nwindow=0", "server[0].window: expected a whole number >= 1"),
        (
            "[[server]]\nname='x'\nready_timeout_s=0",
            "server[0].ready_timeout_s: expected a number > 0",
        ),
        # words
        (
            "[daemon]\nlog_level = 'warn'",
            'daemon.log_level: expected one of debug, info, warning, error; got "warn"',
        ),
        (
            "[daemon]\nlog_format = 'text'",
            'daemon.log_format: expected one of auto, json, console; got "text"',
        ),
        (
            "[enrich]\nexternal = 'none'",
            'enrich.external: expected one of off, imports, all; got "none"',
        ),
        (
            "[[server]]\nname='x'\ndocuments='some'",
            'server[0].documents: expected one of none, per-file, all; got "some"',
        ),
        (
            "[[server]]\nname='x'\noperations=['definition', 'hover']",
            (
                "server[0].operations[1]: expected one of definition, references, implementation, "
                'incomingCalls, outgoingCalls, supertypes, subtypes; got "hover"'
            ),
        ),
        # addresses
        ("[daemon]\nlisten = '9911'", 'daemon.listen: expected "host:port" or "", got "9911"'),
        (
            "[daemon]\nlisten = 'localhost:99999'",
            'daemon.listen: expected "host:port" or "", got "localhost:99999"',
        ),
        (
            "[daemon]\nlisten = '0.0.0.0:9911'",
            (
                'daemon.listen: "0.0.0.0" is not a loopback host; '
                "use 127.0.0.1, [::1] or localhost, and a proxy for anything further"
            ),
        ),
        (
            "[daemon]\nlisten = 'example.org:80'",
            (
                'daemon.listen: "example.org" is not a loopback host; '
                "use 127.0.0.1, [::1] or localhost, and a proxy for anything further"
            ),
        ),
        # names and paths
        ("[[workspace]]\nname = 'a'", "workspace[0].root: is missing"),
        ("[[workspace]]\nroot = '/a'", "workspace[0].name: is missing"),
        ("[[server]]\nwindow = 1", "server[0].name: is missing"),
        (
            "[[workspace]]\nname = ''\nroot = '/a'",
            "workspace[0].name: expected text that isn't empty",
        ),
        (
            "[[workspace]]\nname = 'a b'\nroot = '/a'",
            'workspace[0].name: only letters, digits, ".", "_" and "-" can stand in it',
        ),
        (
            "[[workspace]]\nname = 'a'\nroot = ''",
            "workspace[0].root: expected a path, got empty text",
        ),
        ('[daemon]\nsocket = "a\\u0000b"', "daemon.socket: a path can't hold a NUL character"),
        (
            f"{WORKSPACE}[[workspace]]\nname = 'a'\nroot = '/b'",
            'workspace[1].name: "a" is also workspace[0]',
        ),
        (
            f"{WORKSPACE}[[workspace]]\nname = 'b'\nroot = '/x/../a/'",
            'workspace[1].root: "/a" is also workspace[0]',
        ),
        ("[[server]]\nname='x'\n[[server]]\nname='x'", 'server[1].name: "x" is also server[0]'),
        ("[[server]]\nname='x'\ncommand=[]", "server[0].command: expected a list that isn't empty"),
        (
            "[[server]]\nname='x'\nenvironment={A=1}",
            "server[0].environment.A: expected text, got a whole number",
        ),
        (
            "[[server]]\nname='x'\nsettings={a=[2020-01-01]}",
            "server[0].settings.a[0]: dates and times have no meaning here; write text",
        ),
        (
            "[[server]]\nname='x'\nsettings={a={b=nan}}",
            "server[0].settings.a.b: expected a finite number, got nan",
        ),
        # TOML
        ("a =", "line 1, column 4: invalid value"),
        (
            "[monitor]\ninterval_s 5",
            "line 2, column 12: expected '=' after a key in a key/value pair",
        ),
        ("a = 1\na = 2", "line 2, column 6: cannot overwrite a value"),
        ('x = 1\ny = "', "line 2, column 6: unterminated string"),
        (b"x = 1\ny = '\xff'", "line 2, column 6: not UTF-8"),
        ("a = " + "[" * 10_000, "nested too deeply"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(file: Path, text: str | bytes, message: str) -> None:
    assert refusal(file, text) == message


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (
            {"ENRICHD_LISTN": ":1"},
            'environment: unknown variable ENRICHD_LISTN; did you mean "ENRICHD_LISTEN"?',
        ),
        ({"ENRICHD_QQQ": ""}, "environment: unknown variable ENRICHD_QQQ"),
        (
            {"ENRICHD_MONITOR_INTERVAL_S": "soon"},
            "environment: ENRICHD_MONITOR_INTERVAL_S: expected a number, got text",
        ),
        (
            {"ENRICHD_MONITOR_INTERVAL_S": ""},
            "environment: ENRICHD_MONITOR_INTERVAL_S: expected a number, got text",
        ),
        (
            {"ENRICHD_MONITOR_INTERVAL_S": "nan"},
            "environment: ENRICHD_MONITOR_INTERVAL_S: expected a finite number, got nan",
        ),
        (
            {"ENRICHD_TRACKER_MAX_S": "1"},
            "environment: ENRICHD_TRACKER_MAX_S: 1 is less than initial_s = 5",
        ),
        (
            {"ENRICHD_DATABASE": ""},
            "environment: ENRICHD_DATABASE: expected a path, got empty text",
        ),
        (
            {"ENRICHD_ENRICH_SERVERS": "python"},
            "environment: ENRICHD_ENRICH_SERVERS: expected a table, got text",
        ),
        ({"ENRICHD_LISTEN": "\udcff"}, "environment: ENRICHD_LISTEN: not UTF-8"),
    ],
)
def test_a_wrong_variable_is_refused_by_name(
    file: Path, environ: dict[str, str], message: str
) -> None:
    assert refusal(file, "", environ) == message


def test_a_file_that_was_named_has_to_be_there(tmp_path: Path) -> None:
    missing = tmp_path / "config.toml"
    for path, environ in ((missing, {}), (None, {"ENRICHD_CONFIG": str(missing)})):
        with pytest.raises(ConfigError, match=r"config\.toml: can't be read: No such file"):
            load(path, NOBODY | environ, {})
    with pytest.raises(ConfigError, match="can't be read: Is a directory"):
        load(tmp_path, NOBODY, {})


PUNCTUATION = ["[", "]", "[[", "]]", "{", "}", "=", ".", ",", '"', "'", "#", " ", "\n", "\n"]
VALUES = ["1", "0.5", "nan", "true", "2020-01-01", '"x"', "[1]", "{}"]
HEADERS = ["[daemon]\n", "[monitor]\n", "[[workspace]]\n", "[[server]]\n"]
KEYS = ["a", "name", "root", "server", "workspace", "monitor", "listen", "settings", "command"]
toml_like = st.lists(
    st.sampled_from(PUNCTUATION + VALUES + HEADERS + KEYS + [f"{key} = " for key in KEYS]),
    max_size=25,
).map(lambda words: "".join(words).encode())


@given(st.binary(max_size=60) | toml_like)
def test_no_file_is_ever_a_traceback(content: bytes) -> None:
    def read() -> str:
        file = Path("/etc/config.toml")
        try:
            layers = config_module._Layers(file, config_module._parse(content, file))
            layers.complete(NOBODY)
            layers.convert()
        except ConfigError as error:
            return error.message
        return ""

    assert "\n" not in read()


# Showing

json_values = st.recursive(
    st.text(st.characters(exclude_categories=["Cs"]))
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=10,
)


@given(
    settings=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), json_values),
    seconds=st.floats(min_value=1e-300, max_value=1e300),
    pattern=st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
)
def test_what_is_shown_can_be_loaded_and_means_the_same(
    settings: dict[str, object], seconds: float, pattern: str
) -> None:
    flags: dict[str, object] = {
        "monitor.interval_s": seconds,
        "index.exclude": [pattern],
        "workspace": [{"name": "a", "root": "/a", "exclude": [pattern]}],
        "server": [{"name": pattern, "settings": settings}],
    }
    config = load(None, NOBODY, flags)
    document = tomllib.loads(show(config))
    again = config_module._Layers(Path("/etc/enrichd/config.toml"), document)
    again.complete(NOBODY)
    shown = structs.asdict(again.convert())
    for section in Settings.__struct_fields__:
        assert shown[section] == getattr(config, section)


def test_each_shown_value_says_where_it_came_from(file: Path) -> None:
    file.write_text(f"{WORKSPACE}[enrich.servers]\ngo = 'gopls'\n")
    text = show(load(file, NOBODY | {"ENRICHD_LOG_LEVEL": "debug"}, {"daemon.listen": ""}))
    lines = text.splitlines()
    assert lines[0] == f"# {file}"
    assert f'name = "a"  # {file}' in lines
    assert f'servers = {{ python = "ty", go = "gopls" }}  # {file}' in lines
    assert 'log_level = "debug"  # ENRICHD_LOG_LEVEL' in lines
    assert 'listen = ""  # flag' in lines
    assert "interval_s = 5.0  # default" in lines


# The example


def test_the_example_is_accepted_and_says_nothing_but_the_defaults() -> None:
    config = load(EXAMPLE, NOBODY, {})
    plain = load(None, NOBODY, {})
    for section in Settings.__struct_fields__:
        assert getattr(config, section) == getattr(plain, section)


def test_the_example_has_every_key_and_can_be_uncommented() -> None:
    text = re.sub(r"(?m)^# (?=\[|[a-z_]+ = )", "", EXAMPLE.read_text())
    document = tomllib.loads(text)
    for section in structs.fields(Settings):
        if section.encode_name in {"workspace", "server"}:
            kind = WorkspaceSettings if section.encode_name == "workspace" else ServerSettings
            assert set(document[section.encode_name][0]) == set(kind.__struct_fields__)
        else:
            keys = set(getattr(Settings(), section.name).__struct_fields__)
            assert set(document[section.encode_name]) == keys


def test_reading_the_configuration_costs_little() -> None:
    # `enrichd status` has 150 ms in all.
    heavy = {"aiohttp", "click", "lsprotocol", "pygls", "rich", "structlog"}
    program = f"import sys, enrichd.config; print({heavy!r} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
