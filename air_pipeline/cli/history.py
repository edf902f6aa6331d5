"""What `rename` and `delete` say before they do anything."""

import re
from collections.abc import Sequence
from datetime import date, timedelta

from air_pipeline.cli.terminal import say
from air_pipeline.collection.histories import HeldDay, HistoryError
from air_pipeline.settings.file import settings_text
from air_pipeline.settings.remote import ConfigFile

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


def days_around(days: Sequence[HeldDay]) -> list[date]:
    """The local dates that may have been built from what is held on these days, or are being built."""
    reach = range(-_FARTHEST.days, _FARTHEST.days + 1)
    return sorted({held.day + timedelta(days=number) for held in days for number in reach})


def lines_of(config: ConfigFile, device: str) -> str:
    """Where the configuration names a device: the file, and the line if it is one that says just that."""
    lines = settings_text(config).splitlines()
    found = [
        n for n, line in enumerate(lines, start=1) if re.search(rf"\bid:\s*['\"]?{re.escape(device)}\b(?!-)", line)
    ]
    return f"{config}:{found[0]}" if found else str(config)
