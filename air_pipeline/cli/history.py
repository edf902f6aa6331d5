"""What `rename` and `delete` say before they do anything."""

import re
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

from air_pipeline.cli.terminal import say
from air_pipeline.collection.histories import HeldDay, HistoryError
from air_pipeline.places import DataPlace
from air_pipeline.storage.day_files import built_days

ALL_TIME = (-(2**63), 2**63 - 1)
_FARTHEST = timedelta(days=2)
"""What a reading can change is built on a date so far from its own at most, in any zone and with the rules' reach."""


def say_held(device: str, days: Sequence[HeldDay], waiting: tuple[int, int], what: str, where: str) -> None:
    """Says what there is of a device, in the store and in the outbox.

    Raises:
        HistoryError: there is nothing.
    """
    waits, aside = waiting
    if not days and not waits and not aside:
        raise HistoryError(f"nothing is known of {device!r} {where} at such a time; is it spelt so?")
    polls, values = sum(held.polls for held in days), sum(held.values for held in days)
    span = f", {days[0].day} to {days[-1].day} (UTC), {len(days)} days" if days else ""
    say(f"{what} {where}: {polls} polls with {values} values of {device}{span}")
    say(f"besides {waits} polls that wait in the outbox, and {aside} that were set aside")


def built_around(data: DataPlace, days: Sequence[HeldDay]) -> list[date]:
    """The built days that may have been built from what is held on these."""
    around = {
        held.day + timedelta(days=number) for held in days for number in range(-_FARTHEST.days, _FARTHEST.days + 1)
    }
    return [day for day in built_days(data, "observations") if day in around]


def lines_of(config: Path, device: str) -> str:
    """Where the configuration names a device: the file, and the line if it is one that says just that."""
    lines = config.read_text(encoding="utf-8").splitlines()
    found = [
        n for n, line in enumerate(lines, start=1) if re.search(rf"\bid:\s*['\"]?{re.escape(device)}\b(?!-)", line)
    ]
    return f"{config}:{found[0]}" if found else str(config)
