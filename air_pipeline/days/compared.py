"""How far the days were compared with the store: what the schedule keeps from one look to the next.

Belongs here: the file `days/compared` beside the days. Does not: comparing (`comparing`), which days are built
(`automation`).
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from datetime import date
from itertools import takewhile
from typing import Any

from air_pipeline.environment import Environment
from air_pipeline.processing.columns import RULE_SET_VERSION, SCHEMA_VERSION
from air_pipeline.settings import Settings, SettingsError
from air_pipeline.storage.day_files import TableError
from air_pipeline.storage.shelf import put_text, shelf_at
from air_pipeline.storage.store import LateMark

_NAME = "days/compared"


@dataclass(frozen=True, slots=True)
class Compared:
    """How far.

    Attributes:
        on: the UTC date on which days of the last month were compared.
        month: down to which of them; None: none yet.
        under: the columns, rules and settings under which all days were compared, in short (`under_now`).
        archive: down to which day; None: none yet.
        kept: the days that were left as they are under these, as something of them would be lost.
        passed: collector to the time, ms UTC, of the last of its marks of late readings that was read in the store.
        late: the UTC dates of those marks that are not settled yet.
    """

    on: date | None = None
    month: date | None = None
    under: str = ""
    archive: date | None = None
    kept: frozenset[date] = frozenset()
    passed: Mapping[str, int] = field(default_factory=dict)
    late: frozenset[date] = frozenset()

    def month_left(self, days: Sequence[date], today: date) -> list[date]:
        """The days of the last month, newest first, that were not compared yet on this UTC date."""
        return [day for day in days if self.on != today or self.month is None or day < self.month]

    def archive_left(self, days: Sequence[date], under: str) -> list[date]:
        """The days, newest first, that were not compared yet under these columns, rules and settings."""
        return [day for day in days if self.under != under or self.archive is None or day < self.archive]

    def month_seen(self, left: Iterable[date], seen: Collection[date], today: date) -> "Compared":
        """After some of the month's days were compared."""
        done = list(takewhile(seen.__contains__, left))
        return replace(self, on=today, month=done[-1]) if done else self

    def archive_settled(
        self, left: Iterable[date], settled: Collection[date], kept: Collection[date], under: str
    ) -> "Compared":
        """After some of all days were compared and nothing more is wanted of them; of those, some are kept."""
        before = self if self.under == under else replace(self, under=under, archive=None, kept=frozenset())
        done = list(takewhile(settled.__contains__, left))
        still = before.kept.difference(settled).union(kept)
        return replace(before, archive=done[-1] if done else before.archive, kept=still)

    def marks_passed(self, marks: Iterable[LateMark], unsettled: Collection[date]) -> "Compared":
        """After marks were read, and the days that they and those before them touch were compared, but for some."""
        passed, late = dict(self.passed), set(self.late)
        for mark in marks:
            passed[mark.collector] = max(mark.at, passed.get(mark.collector, mark.at))
            late.add(mark.day)
        return replace(self, passed=passed, late=frozenset(late.intersection(unsettled)))


def under_now(settings: Settings) -> str:
    """What changes whenever days may come out otherwise without other readings: by columns, rules or settings."""
    return _digest([SCHEMA_VERSION, RULE_SET_VERSION, *_matters(settings)])


def settings_now(settings: Settings) -> str:
    """What changes whenever days may come out otherwise by settings alone."""
    return _digest(_matters(settings))


def _matters(settings: Settings) -> list[Any]:
    devices = sorted((one.digest, one.interval_ms, str(one.since), str(one.until)) for one in settings.devices)
    marks = [astuple(mark) for mark in settings.marks]
    return [settings.timezone, settings.start.isoformat(), devices, *marks]


def _digest(matters: list[Any]) -> str:
    return hashlib.sha256(json.dumps(matters).encode()).hexdigest()[:16]


def read_compared(environment: Environment) -> Compared:
    """How far; nothing where that is not known, so that everything is compared again.

    Raises:
        ShelfError: the object store with the days does not answer, or refuses.
    """
    try:
        said = json.loads(_text_of(environment))
        return Compared(
            on=_date(said["on"]),
            month=_date(said["month"]),
            under=str(said["under"]),
            archive=_date(said["archive"]),
            kept=frozenset(map(date.fromisoformat, said["kept"])),
            passed={str(name): int(at) for name, at in said.get("passed", {}).items()},
            late=frozenset(map(date.fromisoformat, said.get("late", ()))),
        )
    except (SettingsError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return Compared()


def _text_of(environment: Environment) -> str | bytes:
    try:
        return shelf_at(environment.data).head(None, _NAME)
    except FileNotFoundError:  # earlier versions kept it in the state directory
        return environment.state.read(environment.state.compared)


def write_compared(environment: Environment, compared: Compared) -> None:
    """Keeps it beside the days.

    Raises:
        TableError: it cannot be written.
        ShelfError: the object store does not take it.
    """
    said = {
        "on": _text(compared.on),
        "month": _text(compared.month),
        "under": compared.under,
        "archive": _text(compared.archive),
        "kept": [day.isoformat() for day in sorted(compared.kept)],
        "passed": dict(sorted(compared.passed.items())),
        "late": [day.isoformat() for day in sorted(compared.late)],
    }
    shelf = shelf_at(environment.data)
    try:
        put_text(shelf, None, _NAME, f"{json.dumps(said)}\n")
        environment.state.compared.unlink(missing_ok=True)
    except OSError as error:
        raise TableError(
            f"{shelf.place(None, _NAME)} cannot be written ({error}); see to rights and space there"
        ) from error


def _date(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
