"""What `up` says while it runs: mistakes in its configuration, a store that takes no readings, silent devices.

Belongs here: what is said of what is seen. Does not: processes (`running`).
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import monotonic

from air_pipeline.collection.collector_state import collector_state
from air_pipeline.deployment import settings_stamp
from air_pipeline.environment import Environment
from air_pipeline.health import Finding, Level
from air_pipeline.health.collecting import collector_running, devices_reporting, outbox_draining
from air_pipeline.health.seen import Seen
from air_pipeline.health.set_up import start_reached
from air_pipeline.in_force import load_settings
from air_pipeline.settings import Settings, SettingsError
from air_pipeline.settings.marks import marks_file
from air_pipeline.storage.opening import open_store
from air_pipeline.words import some

LOOK_EVERY_S = 10.0
STORE_WITHIN_S = 2.0
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Noticed:
    """What one look gave.

    Attributes:
        mistake: what is wrong with devices.yaml or marks.yaml; empty if nothing is.
        start: what is to be said of the `start`.
        store_error: why the store does not take readings; empty if it does.
        silent: the devices that give no readings, each with what became of its polls.
        absent: the collectors of other names that do not run, as far as they told.
        stuck: those of them whose polls do not reach the store.
    """

    mistake: str = ""
    start: str = ""
    store_error: str = ""
    silent: Mapping[str, str] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
    stuck: Mapping[str, str] = field(default_factory=dict)


def changes(before: Noticed, now: Noticed) -> Iterator[str]:
    """What is to be said when one look followed on another."""
    if now.mistake != before.mistake:
        if now.mistake:
            yield f"going on with the last valid configuration:\n{now.mistake}"
        else:
            yield "the configuration is valid again, and in force"
    if now.start and now.start != before.start:
        yield now.start
    if bool(now.store_error) != bool(before.store_error):
        if now.store_error:
            yield f"the store does not take readings, so they wait in the outbox: {now.store_error}"
        else:
            yield "the store takes readings again"
    if fallen := now.silent.keys() - before.silent.keys():
        outcomes = [f"{name} ({now.silent[name]})" for name in sorted(fallen)]
        yield f"no readings from {some(outcomes, MOST_NAMED)}; what to do: air-pipeline doctor"
    if back := before.silent.keys() - now.silent.keys():
        yield f"readings again from {some(sorted(back), MOST_NAMED)}"
    yield from _changes_elsewhere(before, now)


def _changes_elsewhere(before: Noticed, now: Noticed) -> Iterator[str]:
    """What is to be said of collectors of other names."""
    for name in sorted(now.absent.keys() - before.absent.keys()):
        yield now.absent[name]
    if back := before.absent.keys() - now.absent.keys():
        yield f"word again of {some(sorted(back), MOST_NAMED)}"
    for name in sorted(now.stuck.keys() - before.stuck.keys()):
        yield now.stuck[name]
    if back := before.stuck.keys() - now.stuck.keys() - now.absent.keys():
        yield f"what {some(sorted(back), MOST_NAMED)} polled reaches the store again"


class Watch:
    """Looks, and tells what changed; the mistake that is there when it begins has been said."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._before: tuple[str, int, float] | None = None
        with suppress(Exception):  # said by the first look
            self._before = self._attempt()
        self._look_at_store = 0.0  # monotonic
        self._settings: Settings | None = None  # of the last configuration that could be used
        self._in_use: Settings | None = None
        self._stamp: tuple[object, ...] = self._stamps()
        self._seen = Noticed(mistake=self._configuration()[0])
        self._in_use = self._settings
        self._stamp = ()  # so that the first look says what is to be said of `start`

    def news(self) -> list[str]:
        """What there is to say now: of the configuration at once, of the store every few seconds. Cheap."""
        now, stamp = self._seen, self._stamps()
        if stamp != self._stamp:
            self._stamp = stamp
            mistake, start = self._configuration()
            now = replace(now, mistake=mistake, start=start)
        if monotonic() >= self._look_at_store:
            now = replace(now, store_error=self._store_error())
            absent, stuck = self._elsewhere(now)
            now = replace(now, silent=self._silent(now), absent=absent, stuck=stuck)
            self._look_at_store = monotonic() + LOOK_EVERY_S
        said = list(changes(self._seen, now))
        self._seen = now
        return said

    def settings_changed(self) -> bool:
        """Whether `devices.yaml` says something else than when this was asked last, or than at the start."""
        before, self._in_use = self._in_use, self._settings
        return before != self._in_use

    def _stamps(self) -> tuple[object, ...]:
        config = self._environment.config
        return settings_stamp(config), settings_stamp(marks_file(config))

    def _look(self) -> Seen:
        return Seen(self._environment, datetime.now(UTC), self._settings)

    def _configuration(self) -> tuple[str, str]:
        try:
            loaded = load_settings(self._environment.config, self._environment.state, keep=False)
        except SettingsError as error:
            return str(error), ""
        self._settings = replace(loaded.settings, marks=())  # who builds reads them: nothing is loaded anew for them
        start = next(start_reached.findings(self._look()), None)
        return str(loaded.mistake or ""), f"{start.text}; {start.remedy}" if start else ""

    def _silent(self, now: Noticed) -> Mapping[str, str]:
        """The devices that gave no reading lately; as before where that cannot be told."""
        if now.store_error or self._settings is None:
            return now.silent
        try:
            seen = self._look()
            found = list(devices_reporting.findings(seen))
            if not any(state.running for state in seen.processes.values()):
                return now.silent
        except Exception:  # noqa: BLE001 - a look must not end what it looks at; what is wrong is said by the others
            return now.silent
        if any(one.level is Level.UNKNOWN for one in found):
            return now.silent
        return {one.subject: one.text for one in found if one.is_bad and (not one.subject or seen.runs(one.subject))}

    def _elsewhere(self, now: Noticed) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """The collectors of other names that are absent, and stuck; as before where that cannot be told."""
        if self._settings is None or self._settings.collectors == (self._environment.collector,):
            return {}, {}
        seen, own = self._look(), self._environment.collector
        return (
            _bad_elsewhere(collector_running.findings(seen), own, now.absent),
            _bad_elsewhere(outbox_draining.findings(seen), own, now.stuck),
        )

    def _attempt(self) -> tuple[str, int, float] | None:
        """The collector's last attempt at the store, if it failed: why, and what tells it from others."""
        status = collector_state(self._environment.state).outbox
        return (status.error, status.failures, status.retry_at) if status.error else None

    def _store_error(self) -> str:
        """Why the collector's last attempt failed; where it made none yet, what the store itself says."""
        try:
            attempt = self._attempt()
            if attempt and attempt != self._before:
                return attempt[0]
            if self._look_at_store == 0.0 or self._seen.store_error:
                with closing(open_store(self._environment.influxdb, self._environment.state, STORE_WITHIN_S)) as store:
                    store.outcome_counts(0, 1, STORE_WITHIN_S)
        except Exception as error:  # noqa: BLE001 - a look must not end what it looks at
            return " ".join(str(error).split()) or type(error).__name__
        return ""


def _bad_elsewhere(findings: Iterable[Finding], own: str, before: Mapping[str, str]) -> Mapping[str, str]:
    """Collectors of other names of which something bad was found; as before where one of them is not known."""
    found = list(findings)
    if any(one.level is Level.UNKNOWN for one in found):
        return before
    return {one.subject: one.text for one in found if one.is_bad and one.subject not in {"", own}}
