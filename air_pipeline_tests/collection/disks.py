"""Disks of a test's own, which can be filled, frozen and made read-only; only root may mount them."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from air_pipeline_tests.needs import go_without


def _run(*command: object) -> bool:
    try:
        return subprocess.run([str(part) for part in command], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@contextmanager
def small_disk(folder: Path, megabytes: int = 48) -> Iterator[Path]:
    """A disk in memory, mounted on the folder."""
    folder.mkdir(exist_ok=True)
    if not _run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", folder):
        go_without("no disk can be mounted here: this takes root")
    try:
        yield folder
    finally:
        assert _run("umount", "--lazy", folder)


def become_read_only(disk: Path) -> None:
    """Nobody writes there from now on."""
    assert _run("mount", "-o", "remount,ro", disk)


def fill(disk: Path, leave: int = 0) -> Path:
    """Takes all the room of a disk; the file that does."""
    filler = disk / f"filler-{len(list(disk.glob('filler-*')))}"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                pass
    os.truncate(filler, max(filler.stat().st_size - leave, 0))
    return filler


class RealDisk:
    """A disk with a journal, which can be frozen, and be made read-only as the kernel does after an error."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def freeze(self) -> None:
        """From now on whoever writes waits."""
        assert _run("fsfreeze", "--freeze", self.folder)

    def thaw(self) -> None:
        """Whoever writes goes on."""
        assert _run("fsfreeze", "--unfreeze", self.folder)

    def become_read_only(self) -> None:
        """For good, with files open."""
        assert _run("mount", "-o", "remount,abort", self.folder)


@contextmanager
def real_disk(folder: Path, image: Path) -> Iterator[RealDisk]:
    """A disk of 64 MB, made in a file and mounted on the folder."""
    with image.open("wb") as file:
        file.truncate(64 << 20)
    folder.mkdir()
    if not (_run("mkfs.ext4", "-q", image) and _run("mount", "-o", "loop", image, folder)):
        go_without("no disk can be made here: this takes root, mkfs.ext4 and a loop device")
    try:
        yield RealDisk(folder)
    finally:
        _run("fsfreeze", "--unfreeze", folder)
        assert _run("umount", "--lazy", folder)
