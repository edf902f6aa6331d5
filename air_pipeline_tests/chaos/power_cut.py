"""Power cuts: what processes asked of the kernel (strace), replayed up to any instant as a disk would have it.

A disk has what was fsynced by then. Of the rest each write, name and removal is there or not, by chance; what the
program only had in memory is gone. A new file's name is taken to be there once the file is fsynced, as ext4, XFS and
btrfs do it; other names once their directory is.
"""

import os
import random
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_CALLS = "openat,lseek,write,pwrite64,fsync,fdatasync,ftruncate,mkdir,mkdirat"
_NAMES = "rename,renameat,renameat2,unlink,unlinkat,rmdir"
# Nothing here may write by another way: the replay would not see it.
_UNSEEN = "open,creat,writev,pwritev,pwritev2,truncate,link,linkat,copy_file_range,sendfile,sync_file_range"
_LINE = re.compile(r"(?P<at>\d+\.\d+) (?P<call>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+|\?).*<(?P<took>[\d.]+)>$")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_DESCRIPTOR = re.compile(r"^(\d+|AT_FDCWD)<((?:\\x[0-9a-f]{2})*)>")
_GONE = " (deleted)"
_OPENED = {"O_CREAT": "create", "O_TRUNC": "empty"}


def has_strace() -> bool:
    """Whether this machine can record."""
    return shutil.which("strace") is not None


def record(command: Sequence[str], variables: dict[str, str], logs: Path, *, within_s: float) -> int:
    """Runs a command to its end and records what it and its children ask of the file system; its exit status."""
    logs.mkdir()
    strace = ["strace", "-ff", "--seccomp-bpf", "-y", "-s", "99999999", "-xx", "-ttt", "-T", "-qq"]
    strace += ["-e", f"trace={_CALLS},{_NAMES},{_UNSEEN}", "-e", "signal=none", "-o", str(logs / "trace"), "--"]
    return subprocess.run([*strace, *command], env=variables, timeout=within_s, check=False).returncode


@dataclass(frozen=True, slots=True)
class Event:
    """One call that did something to a file or directory: begun at `at`, done at `done` (seconds)."""

    at: float
    done: float
    call: str
    path: str
    data: bytes = b""
    offset: int | None = None
    to: str = ""


def _bytes(escaped: str) -> bytes:
    return bytes.fromhex(escaped.replace("\\x", ""))


def read_events(logs: Path, root: Path) -> list[Event]:
    """What happened below a directory, in the order in which it was done."""
    events = [event for log in sorted(logs.glob("trace.*")) for event in _events_of(log, str(root))]
    return sorted(events, key=lambda event: event.done)


def _events_of(log: Path, root: str) -> Iterator[Event]:
    for line in log.read_text(encoding="ascii").splitlines():
        found = _LINE.match(line)
        if found is None or found["result"].startswith(("-", "?")):
            continue
        at = float(found["at"])
        event = _event(at, at + float(found["took"]), found["call"], found["arguments"], int(found["result"]))
        if event is None:
            texts = b" ".join(_bytes(text) for text in re.findall(r"(?:\\x[0-9a-f]{2})+", found["arguments"]))
            assert root.encode() not in texts, f"a way of writing that is not replayed: {found['call']}"
        elif event.call and event.path.startswith(root) and not event.path.endswith(_GONE):
            yield event


def _event(at: float, done: float, call: str, arguments: str, result: int) -> Event | None:
    """What a call did; None if this replay does not know how."""
    texts = [_bytes(text) for text in _TEXT.findall(arguments)]
    held = _DESCRIPTOR.match(arguments)
    path = _bytes(held[2]).decode() if held else ""
    last = arguments.rsplit(", ", 1)[-1]
    match call.removesuffix("at").removesuffix("64"):
        case "open":
            call = "+".join(word for flag, word in _OPENED.items() if flag in arguments)
            return Event(at, done, call, str(Path(path, texts[0].decode())))
        case "mkdir" | "rmdir" | "unlink" as short:
            return Event(at, done, short, str(Path(path, texts[0].decode())))
        case "rename" | "renameat2":
            return Event(at, done, "rename", texts[0].decode(), to=texts[1].decode())
        case "pwrite":
            return Event(at, done, "write", path, texts[0], int(last))
        case "write":
            return Event(at, done, "write", path, texts[0] if texts else b"")
        case "lseek":
            return Event(at, done, "seek", path, offset=result)
        case "ftruncate":
            return Event(at, done, "truncate", path, offset=int(last))
        case "fsync" | "fdatasync":
            return Event(at, done, "sync", path)
    return None


_Change = Callable[[bytearray], None]


@dataclass(slots=True, eq=False)
class _File:
    """A file: what is safely on the disk, and what was changed since."""

    durable: bytearray = field(default_factory=bytearray)
    changes: list[tuple[float, _Change]] = field(default_factory=list)
    position: int = 0
    length: int = 0


def _put(offset: int, data: bytes) -> _Change:
    def change(content: bytearray) -> None:
        content.extend(bytes(max(offset - len(content), 0)))
        content[offset : offset + len(data)] = data

    return change


def _cut(length: int) -> _Change:
    def change(content: bytearray) -> None:
        del content[length:]
        content.extend(bytes(length - len(content)))

    return change


class Disk:
    """The files below a directory, as the calls of a recording leave them."""

    def __init__(self) -> None:
        self._files: dict[str, _File] = {}  # as processes see it
        self._names: dict[str, _File] = {}  # as it is safely on the disk
        self._unsure: list[str] = []  # names that are one way in one and another way in the other

    def do(self, event: Event) -> None:
        """Takes in one call."""
        if event.call in ("create", "create+empty") and event.path not in self._files:
            self._files[event.path] = _File()
            self._unsure.append(event.path)
        file = self._files.get(event.path)
        match event.call:
            case "rename":
                self._files[event.to] = self._files.pop(event.path)
                self._unsure += [event.path, event.to]
            case "unlink":
                self._files.pop(event.path, None)
                self._unsure.append(event.path)
            case "sync":
                self._sync(event, file)
            case _ if file is not None:
                self._change(event, file)

    @staticmethod
    def _change(event: Event, file: _File) -> None:
        match event.call:
            case "create" | "empty" | "create+empty":
                file.position = 0
                if "empty" in event.call and file.length:
                    file.changes.append((event.done, _cut(0)))
                    file.length = 0
            case "write":
                offset = file.position if event.offset is None else event.offset
                file.changes.append((event.done, _put(offset, event.data)))
                file.length = max(file.length, offset + len(event.data))
                if event.offset is None:
                    file.position = offset + len(event.data)
            case "seek":
                file.position = event.offset or 0
            case "truncate":
                file.changes.append((event.done, _cut(event.offset or 0)))
                file.length = event.offset or 0

    def _sync(self, event: Event, file: _File | None) -> None:
        if file is not None:
            for done, change in file.changes:
                if done <= event.at:
                    change(file.durable)
            file.changes = [(done, change) for done, change in file.changes if done > event.at]
            if file not in self._names.values():
                self._settle(event.path)
        else:
            for path in [path for path in self._unsure if str(Path(path).parent) == event.path]:
                self._settle(path)

    def _settle(self, path: str) -> None:
        if path in self._files:
            self._names[path] = self._files[path]
        else:
            self._names.pop(path, None)
        self._unsure = [unsure for unsure in self._unsure if unsure != path]

    def after_a_cut(self, root: Path, to: Path, chance: random.Random, kept: float) -> None:
        """Writes what a power cut leaves into another directory.

        Args:
            root: the directory that was recorded.
            to: where it is written.
            chance: decides about what was not fsynced.
            kept: how much of that is kept, 0 … 1.
        """
        names = dict(self._names)
        for path in dict.fromkeys(self._unsure):
            if chance.random() < kept:
                if path in self._files:
                    names[path] = self._files[path]
                else:
                    names.pop(path, None)
        for path, file in names.items():
            if path.endswith("-shm"):  # only shared memory: SQLite makes it anew
                continue
            content = bytearray(file.durable)
            for _, change in file.changes:
                if chance.random() < kept:
                    change(content)
            target = to / os.path.relpath(path, root)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)


def cuts(events: Sequence[Event], chance: random.Random, number: int) -> Iterator[tuple[float, Disk]]:
    """The disk at so many random instants, in their order, each with its time; one disk that goes on changing."""
    disk, at = Disk(), 0
    for instant in sorted(chance.randrange(1, len(events) + 1) for _ in range(number)):
        for event in events[at:instant]:
            disk.do(event)
        at = instant
        yield events[instant - 1].done, disk
