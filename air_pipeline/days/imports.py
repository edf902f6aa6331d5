"""What was imported into this deployment, and what of it was taken back: a small file an import in the state directory.

Belongs here: these files. Does not: importing (`importing`), what the store holds of an import (`storage`), and whether
a day would lose something (`holdings`).
"""

import json
from dataclasses import asdict, dataclass
from enum import StrEnum

from air_pipeline.settings import SettingsError
from air_pipeline.state import StateDirectory


class Stage(StrEnum):
    """How far an import is."""

    BEGUN = "begun"
    """It was interrupted, or is being written; the same command finishes it."""
    DONE = "done"
    UNDONE = "undone"
    """It was taken back: days need not keep what they hold of it."""


@dataclass(frozen=True, slots=True)
class Import:
    """One import.

    Attributes:
        id: what its polls carry.
        device: whose they are.
        source: where it came from, for people.
        start: its first slot, ms UTC.
        end: the end of its last, ms UTC.
        polls: how many polls it has.
        begun_at: when it was begun, as text with its offset.
        stage: how far it is.
    """

    id: str
    device: str
    source: str
    start: int
    end: int
    polls: int
    begun_at: str
    stage: Stage = Stage.BEGUN


def keep_import(state: StateDirectory, one: Import) -> None:
    """Remembers an import, or how far it is now.

    Raises:
        SettingsError, OSError: it cannot be written.
    """
    state.make()
    state.imports.mkdir(mode=0o700, exist_ok=True)
    state.write(state.imports / f"{one.id}.json", json.dumps(asdict(one), ensure_ascii=False, indent=1))


def known_imports(state: StateDirectory) -> dict[str, Import]:
    """Every import that is remembered, by id, oldest first; what cannot be read is none."""
    found = []
    for path in state.imports.glob("*.json"):
        try:
            said = json.loads(state.read(path))
            one = Import(**{**said, "stage": Stage(said["stage"])})
        except (SettingsError, ValueError, KeyError, TypeError, RecursionError):
            continue
        if one.id == path.stem:
            found.append(one)
    return {one.id: one for one in sorted(found, key=lambda one: (one.begun_at, one.id))}


def undone_imports(state: StateDirectory) -> frozenset[str]:
    """The ids of those that were taken back."""
    return frozenset(one.id for one in known_imports(state).values() if one.stage is Stage.UNDONE)
