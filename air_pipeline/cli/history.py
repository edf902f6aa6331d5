"""What `rename` and `delete` say before they do anything."""

import re
from collections.abc import Sequence
from pathlib import Path

from air_pipeline.cli.terminal import say
from air_pipeline.collection.histories import HeldDay, HistoryError

ALL_TIME = (-(2**63), 2**63 - 1)


def say_held(device: str, days: Sequence[HeldDay], waiting: tuple[int, int], verb: str, where: str) -> None:
    """Says what there is of a device, in the store and in the outbox.

    Raises:
        HistoryError: there is nothing.
    """
    waits, aside = waiting
    if not days and not waits and not aside:
        raise HistoryError(f"nothing is known of {device!r}{where}; is it spelt so?")
    polls, values = sum(held.polls for held in days), sum(held.values for held in days)
    span = f", {days[0].day} to {days[-1].day} (UTC), {len(days)} days" if days else ""
    say(f"{verb}{where}: {polls} polls with {values} values of {device}{span}")
    say(f"besides {waits} polls that wait in the outbox, and {aside} that were set aside")


def lines_of(config: Path, device: str) -> str:
    """Where the configuration names a device: the file, and the line if it is one that says just that."""
    lines = config.read_text(encoding="utf-8").splitlines()
    found = [
        n for n, line in enumerate(lines, start=1) if re.search(rf"\bid:\s*['\"]?{re.escape(device)}\b(?!-)", line)
    ]
    return f"{config}:{found[0]}" if found else str(config)
