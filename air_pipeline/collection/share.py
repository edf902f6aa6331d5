"""A collector's share of the devices: those that are its own by `devices.yaml`, and which of them it may begin.

Belongs here: what is decided, by the settings and by what other collectors tell, and what is kept of it. Does not: the
thread that looks (`taking_over`), polling (`collector`).

A device that another collector may poll waits until that one tells that it goes by the same shares, or has told nothing
for 75 s. It waits for any other that goes by others: who polled it last need not be known for that. What this one
polled last it goes on with, whatever the others tell, unless the store has a later poll of it, by another then.
"""

import json
import logging
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace

from air_pipeline.boottime import boottime
from air_pipeline.devices.polls import Outcome
from air_pipeline.settings import MAIN, Settings, SettingsError
from air_pipeline.state import StateDirectory
from air_pipeline.storage.store import ReadingStore, StoreError, Told
from air_pipeline.words import some

log = logging.getLogger(__name__)

SILENT_AFTER_S = 75.0
"""A collector elsewhere that has told nothing for so long does not run, or does not reach the store."""
CLOCKS_APART_S = 3600.0
"""So far the clocks of machines may be apart: a word that seems that old is of one that has gone."""
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a share, and told.

    Attributes:
        given: the devices that were polled here, and are another's now.
        others: the names of other collectors that settings named or that were heard of, and may still run.
        waits: device to why it is not begun yet.
        since: since when one waits, seconds UTC; 0 where none does.
        rival: the other process that collects by the same name, in words; empty where none was noticed.
    """

    given: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    waits: Mapping[str, str] = field(default_factory=dict)
    since: float = 0.0
    rival: str = ""


def read_share(state: StateDirectory) -> Kept:
    """What the collector of a state directory knew last."""
    try:
        said = json.loads(state.read(state.share) or "{}")
        return Kept(
            tuple(map(str, said.get("given", ()))),
            tuple(map(str, said.get("others", ()))),
            {str(device): str(why) for device, why in said.get("waits", {}).items()},
            float(said.get("since", 0.0)),
            str(said.get("rival", "")),
        )
    except (SettingsError, ValueError, TypeError, AttributeError):  # it cannot be read, or is of another version
        return Kept()


@dataclass(frozen=True, slots=True)
class Change:
    """What the thread that polls has to take up.

    Attributes:
        settings: with the devices that are to be polled.
        anew: those of them that are begun with a slot after now: the present one may be another's.
    """

    settings: Settings
    anew: frozenset[str]


class Ears:
    """Who of the other collectors was heard lately: words that change, by the time that goes by here."""

    def __init__(self) -> None:
        self._heard: dict[str, tuple[int, float]] = {}

    def hear(self, told: Mapping[str, Told], time_s: float, elapsed_s: float) -> set[str]:
        """Takes their last words in; the names of those that run, as far as is known.

        The clock of another machine says of a word that was not heard before whether it is of long ago, and no more:
        what it tells within minutes of now is listened to from now on.
        """
        for name, one in told.items():
            seems_s = time_s - one.at / 1000
            at, heard_s = self._heard.get(name, (None, elapsed_s - (seems_s if seems_s >= CLOCKS_APART_S else 0.0)))
            self._heard[name] = one.at, elapsed_s if at not in {None, one.at} else heard_s
        return {name for name in told if elapsed_s - self._heard[name][1] < SILENT_AFTER_S}


@dataclass(frozen=True, slots=True)
class _Found:
    """What a look gave: what may be begun, why the rest may not, what others have polled since, who of them runs.

    And whether nobody else was ever heard of, so that nobody else has begun the present slot.
    """

    free: set[str]
    why: str = ""
    others: set[str] = field(default_factory=set)
    running: set[str] | None = None
    is_first: bool = False


class Share:
    """The share of one collector; safe from several threads.

    The one that polls calls `take`, `changed` and `settle`, the one that looks `look`, the one that tells `told`.

    Args:
        name: of the collector.
        state: where it is kept what others have now.
        last_slots: device to the last slot that was begun here, ms UTC.
        is_alone: whether no other collector can tell anything, as the store is the state directory's own.
    """

    def __init__(self, name: str, state: StateDirectory, last_slots: Mapping[str, int], *, is_alone: bool) -> None:
        self.name = name
        self.wake = threading.Event()
        self._state = state
        self._is_alone = is_alone
        self._lock = threading.Lock()
        self._ears = Ears()
        self._kept = read_share(state)
        self._given = set(self._kept.given)
        self._others = set(self._kept.others)
        self._last = dict(last_slots)
        self._held: set[str] = set()
        self._waits: dict[str, str] = {}
        self._since = 0.0
        self.rival = ""
        self._anew: set[str] = set()
        self._is_changed = self._is_settled = False
        self._said = ""

    def take(self, settings: Settings) -> None:
        """Goes by other settings: what is no longer its own is let go, what is newly its own waits for a look."""
        with self._lock:
            self._settings = settings
            mine = {device.id for device in settings.devices if device.collector == self.name}
            others = {device.id for device in settings.devices} - mine
            self._given |= others & (self._last.keys() | self._held)
            self._last.update(dict.fromkeys(self._held - mine, round(time.time() * 1000)))
            self._held &= mine
            self._others |= set(settings.collectors) - {self.name}
            self._hold(mine if self._is_alone else mine & self._polled_here if self._is_sole else set())
            self._waits = {name: self._waits.get(name, "") for name in mine - self._held}
            self._is_changed, self._is_settled = True, False
        self.wake.set()

    @property
    def settings(self) -> Settings:
        """Those in force, with its own devices, whether they wait or not."""
        with self._lock:
            return self._only(self._held | self._waits.keys())

    @property
    def waits(self) -> bool:
        """Whether a device waits."""
        return bool(self._waits)

    @property
    def left_out(self) -> list[str]:
        """The devices that wait."""
        return sorted(self._waits)

    def changed(self) -> Change | None:
        """What is to be polled from now on, where that is not what was said last."""
        with self._lock:
            if not self._is_changed:
                return None
            self._is_changed = False
            anew, self._anew = frozenset(self._anew & self._held), set()
            return Change(self._only(self._held), anew)

    def settle(self, *, is_done: bool) -> bool:
        """Says whether nothing is asked any more that was let go; whether that is to be told now."""
        if self._is_settled or not is_done:
            return False
        with self._lock:
            self._is_settled = not self._is_changed
        return self._is_settled

    @property
    def told(self) -> str:
        """By which shares it goes, for the others; empty until nothing is asked any more by those of before."""
        with self._lock:
            return self._settings.shares if self._is_settled else ""

    def meets(self, rival: str) -> None:
        """Takes note of another process that collects by the same name, in words; empty: of none any more."""
        if rival != self.rival:
            if rival:
                log.error("another process collects as %s too, so that devices are asked twice: %s", self.name, rival)
            self.rival = rival
            self.wake.set()

    def look(self, store: ReadingStore) -> None:
        """Asks the store whether what waits may be begun, and keeps what has changed."""
        with self._lock:
            waiting, settings, is_sole = set(self._waits), self._settings, self._is_sole
        if waiting:
            found = self._find(waiting, settings, store, is_sole=is_sole)
            with self._lock:
                if self._settings is not settings:  # it is looked again at once
                    return
                self._let(found)
            self._say(found.why)
        self._keep()

    @property
    def _is_sole(self) -> bool:
        """Whether there is no other, as far as is known: who has a name of its own has it because of others."""
        return self.name == MAIN and not self._others

    @property
    def _polled_here(self) -> set[str]:
        """The devices that nobody else has polled since, as far as is known here."""
        return self._last.keys() - self._given

    def _only(self, names: Collection[str]) -> Settings:
        devices = tuple(one for one in self._settings.devices if one.collector == self.name and one.id in names)
        return replace(self._settings, devices=devices)

    def _find(self, waiting: set[str], settings: Settings, store: ReadingStore, *, is_sole: bool) -> _Found:
        mine = waiting & self._polled_here
        try:
            told = {name: one for name, one in store.last_told().items() if name != self.name}
            running = self._ears.hear(told, time.time(), boottime())
            apart = sorted(name for name in running if told[name].fields.get("shares") != settings.shares)
            if not apart:
                return _Found(waiting, running=running, is_first=is_sole and not told)
            others = self._polled_by_others(mine, store)
        except StoreError as error:
            why = f"the store does not say whether another collector still polls it: {error}"
            return _Found(waiting if is_sole else mine, why, is_first=is_sole)
        why = f"{some(apart, _MOST_NAMED)} may still poll it, by another devices.yaml than here"
        return _Found(mine - others, why, others, running)

    def _polled_by_others(self, devices: set[str], store: ReadingStore) -> set[str]:
        """Those of which the store has a poll after the last one that was begun here."""
        if not devices:
            return set()
        found = store.latest(min(self._last[name] for name in devices) + 1)
        return {
            name
            for name in devices & found.keys()
            if found[name].poll.observed_at > self._last[name]
            and found[name].poll.outcome not in {Outcome.IMPORTED, Outcome.ENDED}
        }

    def _let(self, found: _Found) -> None:
        self._given |= found.others
        if found.running is not None:  # who has gone is forgotten once no device is its
            self._others = found.running | (set(self._settings.collectors) - {self.name})
        if found.free:
            self._anew |= set() if found.is_first else found.free - self._polled_here
            self._hold(found.free)
            self._is_changed = True
        self._waits = dict.fromkeys(self._waits.keys() - found.free, found.why)

    def _hold(self, devices: set[str]) -> None:
        self._held |= devices
        self._given -= devices

    def _say(self, why: str) -> None:
        said = f"{some(self.left_out, _MOST_NAMED)} not begun yet: {why}" if self._waits else ""
        if said != self._said:
            log.warning("%s", said or "no device waits any more")
            self._said = said

    def _keep(self) -> None:
        with self._lock:
            self._since = (self._since or time.time()) if self._waits else 0.0
            given, others = (tuple(sorted(names)) for names in (self._given, self._others))
            kept = Kept(given, others, dict(self._waits), self._since, self.rival)
        if kept == self._kept:
            return
        try:
            if kept == Kept():
                self._state.share.unlink(missing_ok=True)
            else:
                self._state.write(self._state.share, json.dumps(asdict(kept)))
            self._kept = kept
        except (OSError, SettingsError) as error:
            log.error("the next collector will not know which devices others have, nor doctor what waits: %s", error)
