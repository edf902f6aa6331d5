"""Records of a fixed size, overwritten in place: a disk without room takes them, once they are there.

Belongs here: how one is written and told from half of one. Does not: what is in it. What must survive a power cut is
replaced instead (`replacing`).
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zlib import crc32

from air_pipeline.replacing import open_at_once

SIZE = 512
"""Bytes of a record: the least that any disk writes at once."""


def write_record(path: Path, fields: Mapping[str, Any], mode: int = 0o600) -> None:
    """Writes a record over the one that is there.

    Raises:
        OSError: it cannot be written.
        ValueError: it is too long for a record.
    """
    text = json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
    line = b"%08x %b" % (crc32(text), text)
    if len(line) >= SIZE:
        raise ValueError(f"{path.name}: {len(line)} bytes are too many for a record")
    descriptor = open_at_once(path, os.O_WRONLY | os.O_CREAT, mode)
    try:
        os.pwrite(descriptor, line.ljust(SIZE - 1) + b"\n", 0)
    finally:
        os.close(descriptor)


def read_record(path: Path) -> dict[str, Any] | None:
    """The record in a file; None where there is no whole one.

    Raises:
        OSError: the file cannot be read.
    """
    try:
        with open(path, "rb", opener=open_at_once) as file:
            checksum, _, text = file.read(SIZE).decode().rstrip().partition(" ")
        fields = json.loads(text) if checksum == f"{crc32(text.encode()):08x}" else None
    except (FileNotFoundError, NotADirectoryError, ValueError):  # which UnicodeDecodeError and JSONDecodeError are
        return None
    return fields if isinstance(fields, dict) else None
