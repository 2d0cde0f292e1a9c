"""A machine of its own: systemd as process 1 in namespaces, and enrichd installed for it.

What is written there (users, state, /opt, /etc, /tmp) lies in memory and is gone with the machine.
The unit is the repository's; drop-ins are the test's. Left out of such a machine: a journal, a
message bus, and the units of the machine outside.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path

from tests.running import wait_until

REPOSITORY = Path(__file__).parents[2]
VENV = Path(sys.executable).parents[1]
SYSTEMD = Path("/lib/systemd/systemd")
NEEDED = ("unshare", "nsenter", "mount", "umount", "systemctl", "systemd-sysusers")
UNIT = "enrichd.service"
TREE = "/opt/tree"

# Nothing is to be seen on /dev/console, which is the outer machine's.
_PREPARE = """
set -eu
mount --make-rprivate /
mount -t tmpfs tmpfs /run
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount --bind /dev/null /dev/console
for folder in /etc /opt /tmp /var "$@"; do
    over="/run/over$folder"
    mkdir -p "$over/upper" "$over/work"
    mount -t overlay -o "lowerdir=$folder,upperdir=$over/upper,workdir=$over/work" over "$folder"
done
for folder in "$@"; do chmod o+x "$folder"; done
"""
_BOOT = """
rm -rf /opt/enrichd /opt/tree /etc/enrichd /var/lib/enrichd /var/cache/enrichd
ln -s "$VENV" /opt/enrichd
mkdir -p /opt/tree /etc/enrichd "/run/units/$UNIT.d"
systemd-sysusers "$REPOSITORY/systemd/sysusers.d/enrichd.conf"
cp "$REPOSITORY/systemd/$UNIT" /run/units
for name in default sysinit basic shutdown; do echo '[Unit]' >"/run/units/$name.target"; done
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin SYSTEMD_UNIT_PATH=/run/units \
    "$SYSTEMD" --system --log-target=null --show-status=0
"""


class NoMachine(Exception):
    """Why there can't be such a machine here."""


class Machine:
    """Booted when it is made; ``close`` leaves nothing of it."""

    def __init__(self) -> None:
        missing = [each for each in NEEDED if shutil.which(each) is None]
        missing += [] if SYSTEMD.exists() else [str(SYSTEMD)]
        if missing:
            raise NoMachine(f"not on this machine: {', '.join(missing)}")
        if os.geteuid() != 0:
            raise NoMachine("only root may make the namespaces of a machine")
        self._cgroup = _new_cgroup()
        self._outer: subprocess.Popen[bytes] | None = None
        try:
            self._boot()
        except BaseException:
            self.close()
            raise

    def _boot(self) -> None:
        tried = subprocess.run(
            self._command(_PREPARE), capture_output=True, text=True, timeout=20, check=False
        )
        if tried.returncode != 0:
            raise NoMachine(f"refused: {tried.stderr.strip()}")
        names = {"VENV": VENV, "REPOSITORY": REPOSITORY, "SYSTEMD": SYSTEMD, "UNIT": UNIT}
        self._outer = outer = subprocess.Popen(
            self._command(_PREPARE + _BOOT),
            env=os.environ | {name: str(value) for name, value in names.items()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

        def is_up() -> bool:
            assert outer.poll() is None, "it did not boot"
            return self._first() is not None and (
                self.run("systemctl", "is-system-running").stdout == "running\n"
            )

        wait_until("the machine is up", is_up, timeout_s=20.0)

    def _command(self, script: str) -> list[str | Path]:
        enter = f'echo $$ >"{self._cgroup}/cgroup.procs"; exec "$@"'
        namespaces = ["--pid", "--mount", "--mount-proc", "--uts", "--ipc", "--net", "--cgroup"]
        unshare = ["unshare", "--fork", "--kill-child", *namespaces]
        return ["sh", "-c", enter, "sh", *unshare, "sh", "-c", script, "sh", *_closed_folders()]

    def _first(self) -> int | None:
        """Its process 1, as it is numbered outside."""
        assert self._outer is not None
        pid = self._outer.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children else None

    def run(self, *command: str, timeout_s: float = 30.0) -> subprocess.CompletedProcess[str]:
        """Run a command on the machine, as root."""
        inside = ["nsenter", "--target", str(self._first()), "--mount", "--pid", "--net"]
        return subprocess.run(
            [*inside, "--cgroup", *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def systemctl(self, *arguments: str) -> None:
        """Run systemctl, which must succeed."""
        done = self.run("systemctl", *arguments)
        assert done.returncode == 0, (arguments, done, self.log())

    def path(self, path: str) -> Path:
        """A path of the machine, as it is seen from outside."""
        return Path(f"/proc/{self._first()}/root{path}")

    def show(self, *properties: str) -> dict[str, str]:
        """Properties of the unit."""
        done = self.run("systemctl", "show", UNIT, f"--property={','.join(properties)}")
        return dict(line.split("=", 1) for line in done.stdout.splitlines())

    def drop_in(self, text: str) -> None:
        """Change the unit by this alone, and read it again."""
        self.path(f"/run/units/{UNIT}.d/test.conf").write_text(text)
        self.systemctl("daemon-reload")

    def configure(self, text: str) -> None:
        """Write the machine's config.toml."""
        self.path("/etc/enrichd/config.toml").write_text(text)

    def write_tree(self, files: Mapping[str, str]) -> None:
        """Put these files into the workspace."""
        for name, text in files.items():
            self.path(f"{TREE}/{name}").write_text(text)

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of an answer on the daemon's socket; raises OSError if there is none."""
        with socket.socket(socket.AF_UNIX) as to:
            to.settimeout(10.0)
            to.connect(str(self.path("/run/enrichd/enrichd.sock")))
            to.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            with to.makefile("rb") as answer:
                head, _, body = answer.read().decode().partition("\r\n\r\n")
        return int(head.split()[1]), body

    def processes(self) -> list[int]:
        """The unit's processes, as they are numbered on the machine."""
        found = self.run("cat", f"/sys/fs/cgroup/system.slice/{UNIT}/cgroup.procs")
        return [int(each) for each in found.stdout.split()]

    def uid(self, user: str) -> int:
        """The number of a user of the machine."""
        lines = self.path("/etc/passwd").read_text().splitlines()
        return next(int(each.split(":")[2]) for each in lines if each.startswith(f"{user}:"))

    def log(self) -> str:
        """What the daemon said."""
        log = self.path("/run/enrichd.log")
        return log.read_text() if log.exists() else ""

    def close(self) -> None:
        """Switch it off."""
        if self._outer is not None:
            self._outer.kill()
            self._outer.wait(10)
        events = self._cgroup / "cgroup.events"
        wait_until("its processes are gone", lambda: "populated 0" in events.read_text(), 10.0)
        for folder, _, _ in os.walk(self._cgroup, topdown=False):
            Path(folder).rmdir()


def _new_cgroup() -> Path:
    """A control group of this process's own, for the machine's to be below."""
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    found = [each[4] for each in mounts if each[each.index("-") + 1] == "cgroup2"]
    own = [line for line in Path("/proc/self/cgroup").read_text().splitlines() if "0::" in line]
    if not found or not own:
        raise NoMachine("there is no hierarchy of control groups, version 2")
    folder = Path(found[0] + own[0].removeprefix("0::")) / f"enrichd-{uuid.uuid4().hex}"
    try:
        folder.mkdir()
    except OSError as error:
        raise NoMachine(f"no control group can be made: {error}") from error
    return folder


def _closed_folders() -> list[Path]:
    """Folders on the way to the program that the machine's user could not pass."""
    ways = {REPOSITORY, VENV, Path(sys.base_prefix).resolve()}
    folders = {folder for way in ways for folder in (way, *way.parents)}
    return sorted(folder for folder in folders if not folder.stat().st_mode & 0o001)
