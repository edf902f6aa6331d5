"""Checks at the same time, in order, each guarded from the others, all of them bounded in time.

Belongs here: threads and deadlines. Does not: what is looked at.
"""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from air_pipeline.health import Check, Finding, Level

if TYPE_CHECKING:  # which asks with a deadline itself
    from air_pipeline.health.seen import Seen

WITHIN_S = 12.0
"""Longer than a look at any thing that answers, and not too long for a person who waits."""
NO_ANSWER = "there was no answer within"
"""How the text of a finding begins whose look did not end in time."""

_Answer = TypeVar("_Answer")


def lines(checks: Sequence[Check], seen: "Seen", within_s: float = WITHIN_S) -> Iterator[tuple[str, Finding]]:
    """What there is to show, under the titles of the things: of each subject, or of each check all in one.

    Of several checks with one title what is well is one line, and none where something is not.
    """
    for title, of_title in groupby(findings(checks, seen, within_s), key=lambda one: one[0].title):
        if "{subject}" in title:
            for check, finding in of_title:
                yield title.format(subject=finding.subject).strip() or check.name, finding
        else:
            for finding in _in_short(of_title, seen.now):
                yield title, finding


def _in_short(found: Iterable[tuple[Check, Finding]], now: datetime) -> list[Finding]:
    """A finding for each check that has something to say, and one for all that are well, if none is not."""
    by_check = groupby(found, key=lambda one: one[0])
    said = [check.summary([finding for _, finding in of_check], now) for check, of_check in by_check]
    others = list({one.text: one for one in said if one.level is not Level.OK}.values())
    well = [one for one in said if one.level is Level.OK]
    if not well or any(one.is_bad for one in others):
        return others
    return [replace(well[0], text="; ".join(dict.fromkeys(one.text for one in well))), *others]


def findings(checks: Sequence[Check], seen: "Seen", within_s: float = WITHIN_S) -> Iterator[tuple[Check, Finding]]:
    """What the checks find, in their order, as it comes in; one that raises or hangs costs the others nothing.

    Args:
        checks: each looks in a thread of its own, which is left behind where it hangs.
        seen: what they look at.
        within_s: how long all of them have together.
    """
    end = monotonic() + within_s
    started = [(check, _start(check, seen)) for check in checks]
    for check, found in started:
        while True:
            try:
                finding = found.get(timeout=max(end - monotonic(), 0.001))
            except queue.Empty:
                text = f"{NO_ANSWER} {within_s:g} s"
                yield check, Finding(check.name, "", Level.UNKNOWN, text, "try again")
                break
            if finding is None:
                break
            yield check, finding


def answer_within(within_s: float, ask: Callable[[], _Answer]) -> _Answer:
    """What a function gives or raises, from a thread of its own, which is left behind where it hangs.

    Raises:
        TimeoutError: there was no answer in time.
    """
    answered: Future[_Answer] = Future()

    def answer() -> None:
        try:
            answered.set_result(ask())
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            answered.set_exception(error)

    threading.Thread(target=answer, name="look", daemon=True).start()
    return answered.result(within_s)


def _start(check: Check, seen: "Seen") -> "queue.SimpleQueue[Finding | None]":
    found: queue.SimpleQueue[Finding | None] = queue.SimpleQueue()

    def look() -> None:
        for finding in check.findings(seen):  # which are guarded by the check itself
            found.put(finding)
        found.put(None)

    threading.Thread(target=look, name=f"check {check.name}", daemon=True).start()
    return found
