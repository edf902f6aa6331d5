"""Programs under the filter of system calls that systemd makes from the lines of a unit: systemd need not run for it.

Belongs here: what `SystemCallFilter`, `SystemCallErrorNumber` and `ProtectClock` amount to (systemd.exec(5)). The
groups are those of the `systemd-analyze` that is there, the filter is put into the kernel by libseccomp.
"""

import ctypes
import errno
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from ctypes.util import find_library
from functools import cache

LIBRARY = find_library("seccomp")
IS_THERE = LIBRARY is not None and shutil.which("systemd-analyze") is not None
ALLOW, KILL_PROCESS, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000

_LAUNCHER = """
import ctypes, json, os, sys
library, filters, *command = sys.argv[1:]
seccomp = ctypes.CDLL(library)
seccomp.seccomp_init.restype = ctypes.c_void_p
for default, action, numbers in json.loads(filters):
    made = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(default)))
    for number in numbers:
        assert seccomp.seccomp_rule_add(made, ctypes.c_uint32(action), number, 0) == 0, number
    assert seccomp.seccomp_load(made) == 0
os.execv(command[0], command)
"""


def filtered(said: Mapping[str, Sequence[str]], command: Sequence[str]) -> list[str]:
    """The command under the filters of a unit.

    Args:
        said: what the unit says, option to its values.
        command: with the path of its program.
    """
    filters: list[tuple[int, int, list[int]]] = []
    allowed = [word for line in said.get("SystemCallFilter", []) for word in line.split()]
    assert not any(word.startswith("~") for word in allowed), "only lists of what is allowed are understood here"
    if allowed:
        [denied] = said.get("SystemCallErrorNumber", [""])
        default = ERRNO | getattr(errno, denied) if denied else KILL_PROCESS
        filters.append((default, ALLOW, _numbers("@default", *allowed)))
    if said.get("ProtectClock") == ["yes"]:
        filters.append((ALLOW, ERRNO | errno.EPERM, _numbers("@clock")))
    assert LIBRARY is not None
    return [sys.executable, "-c", _LAUNCHER, LIBRARY, json.dumps(filters), *command]


NOT_TOLD_OF_THE_CLOCK: Mapping[str, Sequence[str]] = {"ProtectClock": ["yes"]}
"""What keeps a program from hearing whether the clock is kept, as in many containers."""


def _numbers(*names: str) -> list[int]:
    """The numbers of calls, and of those in groups, that this machine has."""
    seccomp = ctypes.CDLL(LIBRARY)
    found = set()
    for name in names:
        members = _groups()[name] if name.startswith("@") else [name]
        numbers = (
            _numbers(member) if member.startswith("@") else [seccomp.seccomp_syscall_resolve_name(member.encode())]
            for member in members
        )
        found.update(number for some in numbers for number in some if number >= 0)
    return sorted(found)


@cache
def _groups() -> dict[str, list[str]]:
    """The groups of system calls that systemd knows."""
    listed = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager"], capture_output=True, check=True)
    groups: dict[str, list[str]] = {}
    members: list[str] = []
    for line in listed.stdout.decode().splitlines():
        word = line.strip()
        if line.startswith("@"):
            members = groups.setdefault(word, [])
        elif line.startswith(" ") and word and not word.startswith("#"):
            members.append(word)
        elif line.startswith("#"):  # what follows is in no group
            members = []
    return groups
