"""Bad input ends in a line that says what and where, and in the right exit code; never a traceback.

What else can be done meanwhile goes on being done.
"""

from __future__ import annotations

import socket
import sqlite3
import time
from pathlib import Path

import pytest
from tests.figures import Reached
from tests.running import Place, Said, as_one_of_many, free_port, running, write_tree

BROKEN = b"""def before():
    return 1


def broken(:
    return (


def after():
    return before()
"""
GOOD = "def helper():\n    return 1\n\n\ndef caller():\n    return helper()\n"


def refused(said: Said, code: int) -> str:
    """It ended with this code, and said why on stderr alone."""
    assert said.code == code, said
    assert said.out == ""
    assert said.err.startswith("enrichd: ")
    assert "Traceback" not in said.err
    return said.err


# Paths


def test_a_path_that_is_not_there_is_named(place: Place) -> None:
    text = refused(place.run("index", place.folder / "nope"), 64)
    assert f"{place.folder}/nope: No such file or directory" in text
    assert "hint: give a folder that exists" in text
    assert not place.database.exists()


def test_a_file_in_place_of_a_folder_is_named_and_its_folder_offered(place: Place) -> None:
    file = write_tree(place.folder, {"one.py": GOOD}) / "one.py"
    text = refused(place.run("index", file), 64)
    assert f"{file} is a file, not a folder" in text
    assert f"hint: give {place.folder} instead" in text


def test_a_workspace_whose_root_is_missing_does_not_stop_the_others(place: Place) -> None:
    good = write_tree(place.folder / "good", {"good.py": GOOD})
    place.configure(good, place.folder / "gone")
    with running(place) as daemon:
        daemon.wait_until(
            "the good one is enriched",
            lambda: (
                daemon.answers()
                and any(
                    each["name"] == "good" and each["indexed_at"] and not each["orphans"]
                    for each in daemon.status()["workspaces"]
                )
            ),
        )
        status = daemon.status()
        assert any(f"{place.folder}/gone" in problem for problem in status["problems"]), status
        assert daemon.terminate()[0] == 0
    failed = [each for each in daemon.lines() if each["action"] == "index_failed"]
    assert [each["workspace"] for each in failed] == ["gone"]
    assert str(place.folder / "gone") in failed[0]["error"]


# Files


def index_beside_a_good_file(place: Place, name: str, content: bytes) -> Said:
    root = write_tree(place.folder / "root", {"good.py": GOOD, name: content})
    place.configure()
    said = place.run("index", root)
    assert said.err == "" or "Traceback" not in said.err
    callers = place.ask("callers", "helper")
    assert [edge["symbol"]["qualified_name"] for edge in callers["edges"]] == ["caller"]
    place.verify()
    return said


def test_a_file_of_bytes_that_are_no_text_is_an_encoding_error_and_the_rest_goes_on(
    place: Place,
) -> None:
    said = index_beside_a_good_file(place, "latin.py", b"name = '\xe9\xe8'\n\xff\xfe\n")
    assert "latin.py: " in said.out
    workspace = place.ask("status")["workspaces"][0]
    assert workspace["parse"] == {"ok": 1, "partial": 0, "error": 1, "unsupported": 0}
    assert workspace["errors"] == {"encoding_error": 1}


def test_an_error_is_gone_when_its_file_is_mended(place: Place) -> None:
    index_beside_a_good_file(place, "latin.py", b"name = '\xe9\xe8'\n")
    (place.folder / "root" / "latin.py").write_text("def mended(): ...\n")
    assert place.run("index", place.folder / "root").code == 0
    workspace = place.ask("status")["workspaces"][0]
    assert workspace["parse"]["ok"] == 2
    assert workspace["errors"] == {}


def test_a_syntax_error_costs_its_lines_and_not_the_rest_of_its_file(place: Place) -> None:
    said = index_beside_a_good_file(place, "broken.py", BROKEN)
    assert said.code == 0
    assert "broken.py: did not parse whole, see line 5" in said.out
    workspace = place.ask("status")["workspaces"][0]
    assert workspace["parse"] == {"ok": 1, "partial": 1, "error": 0, "unsupported": 0}
    symbols = place.ask("symbols", "*", "--path", "broken.py")["symbols"]
    assert {"before", "after"} <= {each["qualified_name"] for each in symbols}
    answer = place.ask("callees", "after")
    assert [edge["symbol"]["qualified_name"] for edge in answer["edges"]] == ["before"]
    assert answer["completeness"]["level"] == "partial"
    assert "broken.py did not parse whole" in answer["completeness"]["reasons"]


def test_an_unreadable_file_is_an_io_error_and_the_rest_goes_on(place: Place) -> None:
    root = write_tree(place.folder / "root", {"good.py": GOOD, "secret.py": GOOD})
    (root / "secret.py").chmod(0)
    place.configure()
    said = place.run("index", root, under=as_one_of_many())
    assert "secret.py: " in said.out
    assert "ermission denied" in said.out
    assert "Traceback" not in said.err
    workspace = place.ask("status")["workspaces"][0]
    assert workspace["parse"] == {"ok": 1, "partial": 0, "error": 1, "unsupported": 0}
    assert workspace["errors"] == {"io_error": 1}
    assert place.ask("callers", "helper")["count"] == 1


def test_an_unreadable_folder_is_named_and_the_rest_goes_on(place: Place) -> None:
    root = write_tree(place.folder / "root", {"good.py": GOOD, "shut/in.py": GOOD})
    (root / "shut").chmod(0)
    place.configure()
    said = place.run("index", root, under=as_one_of_many())
    (root / "shut").chmod(0o755)
    assert "shut: " in said.out
    assert "ermission denied" in said.out
    assert place.ask("callers", "helper")["count"] == 1


def test_a_database_where_one_may_not_write_exits_77(place: Place) -> None:
    root = write_tree(place.folder / "root", {"good.py": GOOD})
    shut = place.folder / "shut"
    shut.mkdir(mode=0o555)
    said = place.run("index", root, "--db", shut / "enrichd.db", under=as_one_of_many())
    shut.chmod(0o755)
    assert str(shut) in refused(said, 77)


def test_a_link_that_leads_nowhere_and_one_that_leads_out_cost_nothing(place: Place) -> None:
    root = write_tree(place.folder / "root", {"good.py": GOOD})
    write_tree(place.folder / "outside", {"foreign.py": "def foreign(): ...\n"})
    (root / "dangling.py").symlink_to(root / "nowhere.py")
    (root / "foreign.py").symlink_to(place.folder / "outside" / "foreign.py")
    (root / "loop").symlink_to(root)
    place.configure()
    assert place.run("index", root).code == 0
    assert place.run("symbols", "foreign").code == 1
    assert place.ask("callers", "helper")["count"] == 1


# Configuration


@pytest.mark.fault(18, "an unknown key, whatever the command")
@pytest.mark.parametrize("command", [["run"], ["status"], ["config", "check"], ["index", "."]])
def test_an_unknown_key_is_named_with_what_was_probably_meant(
    place: Place, command: list[str], reached: Reached
) -> None:
    place.config.write_text("[monitor]\nintervall_s = 5\n")
    text = refused(place.run(*command), 78)
    assert f"{place.config}: monitor.intervall_s: unknown key" in text
    assert 'did you mean "interval_s"?' in text
    reached(f"enrichd {command[0]} says", len(text.splitlines()), 1, "lines")
    assert not place.database.exists()


def test_a_value_of_the_wrong_kind_is_named_with_its_key(place: Place) -> None:
    place.config.write_text('[tracker]\nmax_attempts = "many"\n')
    assert "tracker.max_attempts: " in refused(place.run("run"), 78)


def test_a_configuration_that_is_no_toml_is_named_with_its_line(place: Place) -> None:
    place.config.write_text("[monitor]\ninterval_s = = 5\n")
    assert "line 2" in refused(place.run("run"), 78)


# Instances


@pytest.mark.fault(15, "a second daemon, and a single run beside one")
def test_a_second_daemon_on_a_database_exits_75_at_once_and_the_first_is_unharmed(
    place: Place, reached: Reached
) -> None:
    root = write_tree(place.folder / "root", {"good.py": GOOD})
    place.configure(root)
    with running(place) as first:
        first.wait_until_settled()
        began = time.monotonic()
        second = place.run("run", "--config", place.config)
        took_s = time.monotonic() - began
        text = refused(second, 75)
        assert f"{place.database} is in use by process {first.pid}" in text
        assert "hint: " in text
        assert place.run("index", root).code == 0  # the first one does it
        reached("ends with 75", took_s, 1.0, "s")
        assert first.answers()
        assert place.ask("callers", "helper")["count"] == 1
        assert first.terminate()[0] == 0
    place.verify()


@pytest.mark.fault(15, "the lock and the socket of a killed daemon are still there")
def test_a_stale_lock_and_socket_of_a_killed_daemon_stop_nobody(
    place: Place, reached: Reached
) -> None:
    root = write_tree(place.folder / "root", {"good.py": GOOD})
    place.configure(root)
    with running(place) as first:
        first.wait_until_settled()
        first.kill()
        assert place.socket.exists()
        left = place.database.with_name("enrichd.db.lock").read_text()
        assert left == f"{first.pid}\n"
    with running(place) as second:
        second.wait_until_settled()
        told = [line["action"] for line in second.lines() if line["level"] != "info"]
        assert second.terminate()[0] == 0
    reached("complaints of the next start", len(told), 0)
    place.verify()


def test_a_socket_that_another_daemon_answers_on_is_not_taken_from_it(place: Place) -> None:
    root = write_tree(place.folder / "root", {"good.py": GOOD})
    place.configure(root)
    with running(place) as first:
        first.wait_until_up()
        text = place.config.read_text().replace("enrichd.db", "another.db")
        place.config.write_text(text)
        assert f"another process answers on {place.socket}" in refused(place.run("run"), 75)
        assert first.answers()


@pytest.mark.fault(14, "a schema from the future: the commands exit with 78")
def test_a_database_from_the_future_exits_78_and_is_not_touched(
    place: Place, reached: Reached
) -> None:
    root = write_tree(place.folder / "root", {"good.py": GOOD})
    place.configure(root)
    assert place.run("index", root).code == 0
    connection = sqlite3.connect(place.database)
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    before = place.database.read_bytes()
    commands: list[list[str | Path]] = [["run"], ["index", root], ["status"], ["callers", "helper"]]
    for command in commands:
        text = refused(place.run(*command), 78)
        assert f"{place.database} has schema version 999" in text
        assert "hint: upgrade enrichd" in text
    assert place.database.read_bytes() == before
    reached("commands that did anything else", 0, 0, times=len(commands))


def test_a_port_in_use_exits_74_and_names_the_address_and_the_key(place: Place) -> None:
    port = free_port()
    place.configure(listen=f"127.0.0.1:{port}")
    with socket.create_server(("127.0.0.1", port)):
        text = refused(place.run("run"), 74)
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in text
    assert "[daemon] listen" in text
    assert not place.socket.exists()
    assert place.processes() == {}


def test_a_damaged_database_is_set_aside_and_made_again(place: Place) -> None:
    root = write_tree(place.folder / "root", {"good.py": GOOD})
    place.configure(root)
    place.database.write_bytes(b"this is not a database\n" * 1000)
    with running(place) as daemon:
        daemon.wait_until_settled()
        assert place.ask("callers", "helper")["count"] == 1
    aside = [each for each in place.folder.iterdir() if each.name.startswith("enrichd.db.")]
    assert any(each.read_bytes().startswith(b"this is not a database") for each in aside)
    [told] = [line for line in daemon.lines() if line["action"] == "database_set_aside"]
    assert told["set_aside"] in map(str, aside)
