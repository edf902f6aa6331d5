"""What is not well with a deployment, and what to do: each part of it looked at, nothing written, nobody waited for.

Belongs here: findings, and the probes that make them. Does not: how findings are
shown (`cli`), what only Dagster's storage knows (`automation.condition`).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look at one thing gave.

    Attributes:
        subject: what was looked at, such as `settings` or `device attic`.
        level: how bad it is.
        text: what was found, in words.
        remedy: what to do, in words; empty where nothing is to be done.
    """

    subject: str
    level: Level
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Probe:
    """A look at one thing.

    Attributes:
        subject: at what.
        look: gives findings as it makes them.
    """

    subject: str
    look: Callable[[], Iterable[Finding]]
