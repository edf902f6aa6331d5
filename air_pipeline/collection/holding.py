"""Slots are held while the clock is not believed: what was decided is kept in the state directory, and told.

Belongs here: looking again and again, the file `clock.json`, the log. Does not: the decision (`believing`).

The file is why a collector that falls over again and again holds neither for ever nor never: the ten minutes of its
predecessors in the same boot count, and each of them finds what the first one doubted.
"""

import logging
from collections.abc import Mapping

from air_pipeline.collection.believing import Decision, Doubt, Moment, Reason, decide
from air_pipeline.collection.clock import Clock
from air_pipeline.processing.local_time import utc_text
from air_pipeline.settings import Settings, SettingsError
from air_pipeline.state import StateDirectory

log = logging.getLogger(__name__)

REMEDY = (
    "let a service keep the clock (sudo timedatectl set-ntp true, or chrony); if it is right as it is, say"
    " clock: trusted in devices.yaml, or run air-pipeline collect --believe-clock once"
)


class Holding:
    """Says which slots may be begun; for one thread.

    Args:
        clock: which is believed or not.
        state: where doubts are kept for the next collector and for whoever looks; None: nowhere.
        believe: whether a person has said that the clock is right.
    """

    def __init__(self, clock: Clock, state: StateDirectory | None = None, *, believe: bool = False) -> None:
        self._clock = clock
        self._state = state
        self._believe = believe
        self._doubt = read_doubt(state) if state else None
        self._is_told = False

    def look(self, settings: Settings, last: Mapping[str, int]) -> Decision:
        """What holds now, by the settings and the last slots of all devices (ms UTC)."""
        is_trusted = self._believe or settings.clock == "trusted"
        decision = decide(
            Moment(
                clock_ms=int(self._clock.time() * 1000),
                running_s=self._clock.monotonic(),
                boot=self._clock.boot(),
                is_kept=True if is_trusted else self._clock.is_kept(),
                newest=max(last.values(), default=None),
                start=settings.earliest,
                longest_ms=settings.longest_interval_ms,
            ),
            self._doubt,
        )
        if decision.doubt != self._doubt or not self._is_told:
            self._tell(decision.doubt)
            self._keep(decision.doubt)
            self._doubt, self._is_told = decision.doubt, True
        return decision

    def _tell(self, doubt: Doubt | None) -> None:
        if doubt is None:
            if self._doubt is not None:
                log.warning("the clock is believed again; slots follow it")
        elif doubt.is_over:
            log.error("%s; slots follow it all the same: %s", contradiction(doubt, self._clock.monotonic()), REMEDY)
        else:
            left = doubt.until_s - self._clock.monotonic()
            said = contradiction(doubt, self._clock.monotonic())
            log.error("%s; no slot is begun for %.0f s at most: %s", said, left, REMEDY)

    def _keep(self, doubt: Doubt | None) -> None:
        if self._state is None:
            return
        try:
            if doubt is not None:
                self._state.write(self._state.clock, doubt.to_text())
            elif self._doubt is not None:
                self._state.clock.unlink(missing_ok=True)
        except (OSError, SettingsError) as error:
            log.error("the next collector will not know of this: %s", error)


def read_doubt(state: StateDirectory) -> Doubt | None:
    """The doubt that a collector of this state directory has or had last; None if it believes the clock."""
    try:
        return Doubt.from_text(state.read(state.clock))
    except SettingsError:
        return None


def contradiction(doubt: Doubt, running_s: float) -> str:
    """Both times of a doubt in words: the clock's, so many seconds after boot, and the one that contradicts it."""
    other = {
        Reason.BEHIND: f"before the last slot, {utc_text(doubt.against)}",
        Reason.AHEAD: f"more than a day after the last slot, {utc_text(doubt.against)}",
        Reason.BEFORE_START: f"before start, {utc_text(doubt.against)}",
    }[doubt.reason]
    return f"the clock said {utc_text(doubt.clock_at(running_s))}, {other}, and the kernel does not say that it is kept"
