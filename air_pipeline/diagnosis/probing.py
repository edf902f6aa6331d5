"""Probes at the same time, in order, each guarded from the others, all of them bounded in time.

Belongs here: threads and deadlines. Does not: what is looked at.
"""

import queue
import threading
from collections.abc import Iterator, Sequence
from time import monotonic

from air_pipeline.diagnosis import Finding, Level, Probe

WITHIN_S = 12.0
"""Longer than a look at any thing that answers, and not too long for a person who waits."""


def findings(probes: Sequence[Probe], within_s: float = WITHIN_S) -> Iterator[Finding]:
    """What the probes find, in their order, as it comes in; one that raises or hangs costs the others nothing.

    Args:
        probes: what to look at; each looks in a thread of its own, which is left behind where it hangs.
        within_s: how long all of them have together.
    """
    end = monotonic() + within_s
    started = [(probe, _start(probe)) for probe in probes]
    for probe, found in started:
        while True:
            try:
                finding = found.get(timeout=max(end - monotonic(), 0.001))
            except queue.Empty:
                yield Finding(probe.subject, Level.UNKNOWN, f"there was no answer within {within_s:g} s", "try again")
                break
            if finding is None:
                break
            yield finding


def _start(probe: Probe) -> "queue.SimpleQueue[Finding | None]":
    found: queue.SimpleQueue[Finding | None] = queue.SimpleQueue()

    def look() -> None:
        try:
            for finding in probe.look():
                found.put(finding)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is one thing that cannot be told
            words = " ".join(str(error).split()) or type(error).__name__
            found.put(Finding(probe.subject, Level.UNKNOWN, f"cannot be told: {words}"))
        found.put(None)

    threading.Thread(target=look, name=f"probe {probe.subject}", daemon=True).start()
    return found
