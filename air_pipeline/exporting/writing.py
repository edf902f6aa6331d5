"""Files that an export makes: whole in their place, or not there.

Belongs here: what all shapes have in common on the way to the disk. Does not: what is in them.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from air_pipeline.exporting.selection import ExportError
from air_pipeline.replacing import put_in_place, staged_file

Progress = Callable[[int, int], None]
"""Told how many of how many days are done."""


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """Another name for a file while it is written; it gets its own at the end of the block, or is gone.

    Raises:
        ExportError: it cannot be written.
    """
    try:
        with staged_file(target) as (partial, descriptor):
            yield partial
            os.fsync(descriptor)
            put_in_place(partial, target)
    except OSError as error:
        raise ExportError(f"{target} cannot be written: {error.strerror or error}") from error


@contextmanager
def whole_text(target: Path) -> Iterator[TextIO]:
    """A text file (UTF-8) that is written, and is in its place at the end of the block.

    Raises:
        ExportError: it cannot be written.
    """
    with whole_file(target) as partial, partial.open("w", encoding="utf-8", newline="\n") as file:
        yield file
        file.flush()
