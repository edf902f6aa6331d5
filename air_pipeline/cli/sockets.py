"""Where the parts of `up` meet: a directory with a short path, whose leftovers the next `up` removes."""

import shutil
import tempfile
from pathlib import Path

_PREFIX = "air-pipeline-"


def make_sockets(state: Path) -> Path:
    """A new directory for sockets; what a killed `up` of this state directory left is removed.

    Not in the state directory itself: its path may be longer than that of a socket can be, and its disk know none.
    """
    remove_sockets(state)
    here = Path(tempfile.mkdtemp(prefix=_PREFIX))
    _memory(state).write_text(str(here), encoding="utf-8")
    return here


def remove_sockets(state: Path) -> None:
    """Removes the directory that was made last."""
    try:
        last = Path(_memory(state).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    if last.name.startswith(_PREFIX):
        shutil.rmtree(last, ignore_errors=True)
    _memory(state).unlink(missing_ok=True)


def _memory(state: Path) -> Path:
    return state / "sockets"
