"""What the user has set, as typed, immutable values with every default filled in.

Belongs here: the types that the other rooms are given. Does not: how `devices.yaml` becomes them (`settings.file`), and
what the environment says (`environment`).
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import astuple, dataclass, field, replace
from datetime import date, timedelta
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeVar
from zoneinfo import ZoneInfo

from air_pipeline.catalogue import LIMITS, STATION, Parameter, of_name, shared_parameters
from air_pipeline.devices.kinds import DEFAULT
from air_pipeline.errors import AirPipelineError
from air_pipeline.processing.local_time import epoch_ms, first_instant
from air_pipeline.settings.calibration import Calibrations, calibrated_name
from air_pipeline.settings.notify import Notify

_MOST_NAMED = 20
_Said = TypeVar("_Said")


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


class SettingsError(AirPipelineError):
    """What the user has set cannot be used.

    The message has a line for each mistake: the place, what is wrong, what would be right.
    """

    exit_status = 2


@dataclass(frozen=True, slots=True)
class Access:
    """What is sent to a device beside its address.

    Attributes:
        user: who asks, where the device wants to know; None: nobody says so.
        password: for that user; left out of texts, as what headers say is.
        headers: further lines of each request.
        in_query: whether user and password are said in the address, as some devices want it: added to what is sent,
            and to nothing that is shown.
    """

    user: str | None = None
    password: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=_nothing, repr=False)
    in_query: bool = False


NO_ACCESS = Access()

ALWAYS, NEVER = -(10**15), 10**15
"""Before and after every time that there is, in ms UTC."""


Verdict = Literal["suspect", "bad", "good"]
"""What somebody says of values by hand."""

EVERY_SERIES = "*"


@dataclass(frozen=True, slots=True)
class Mark:
    """What somebody said by hand of a device's values in a stretch of time; see `settings.marks`.

    Attributes:
        device: its id; the settings need not know it.
        series: one of its series, or `*` for all.
        start: its first instant, ms UTC.
        end: its end, not included, ms UTC.
        verdict: what is said of them.
        why: the reason.
        by: who said it; empty where that is not known.
        at: when that was, ISO 8601; empty where that is not known.
    """

    device: str
    series: str
    start: int
    end: int
    verdict: Verdict
    why: str
    by: str = ""
    at: str = ""

    def is_of(self, series: str) -> bool:
        """Whether a series of the device is meant."""
        return self.series in {EVERY_SERIES, series}

    def touches(self, start: int, end: int) -> bool:
        """Whether it says something of [start, end), ms UTC."""
        return self.start < end and self.end > start

    @property
    def reason(self) -> str:
        """Why, and by whom and when, as far as that is known."""
        who = ", ".join(part for part in (self.by, self.at) if part)
        return f"{self.why} ({who})" if who else self.why


@dataclass(frozen=True, slots=True)
class Device:
    """One device with everything that is known of it, defaults filled in.

    Attributes:
        id: chosen by the operator, `[a-z0-9][a-z0-9_-]{0,62}`.
        url: what is fetched; left out of texts, as it may hold a password: `showing.without_secrets`.
        timezone: IANA name; its local days are this zone's.
        interval_ms: how often it is due.
        timeout_s: for the whole exchange, in seconds.
        since: first local date at which it is expected; None: from its first poll.
        until: first local date at which it is no longer expected or polled; None: for ever.
        payload_key: which top-level object of its document is meant, where there are several.
        parameters: what its sensors measure, in the order of the settings.
        expected_range: series to (low, high): outside is suspect.
        thresholds: series to the value above which minutes are counted.
        rules: series to rule parameter to value: overrides of the catalogue; None: off.
        calibrations: series to how it is calibrated by hand, which gives a series of its own; of a day that is looked
            at (`days.calendar.device_day`), those that count in it.
        warm_up: how long gases are suspect after a reboot.
        sleeps: for how long at most it is asleep and does not answer; None: never.
        marks: what was said by hand of the day that it is looked at (`days.calendar.device_day`), in the order of the
            file; none elsewhere.
        access: who asks it, and what else is said to it.
        kind: which kind of device it is, one of `devices.kinds.KINDS`.
        identity: which device it has to be, by its own word; None: whichever answers.
    """

    id: str
    url: str = field(repr=False)
    timezone: str
    interval_ms: int = 10_000
    timeout_s: float = 5.0
    since: date | None = None
    until: date | None = None
    payload_key: str | None = None
    parameters: tuple[Parameter, ...] = STATION
    expected_range: Mapping[str, tuple[float, float]] = field(default_factory=_nothing)
    thresholds: Mapping[str, float] = field(default_factory=_nothing)
    rules: Mapping[str, Mapping[str, float | None]] = field(default_factory=_nothing)
    calibrations: Calibrations = field(default_factory=_nothing)
    warm_up: timedelta = timedelta(hours=48)
    sleeps: timedelta | None = None
    marks: tuple[Mark, ...] = ()
    access: Access = field(default=NO_ACCESS, repr=False)
    kind: str = DEFAULT
    identity: str | None = None

    def expected_between(self, first_poll: int | None) -> tuple[int, int]:
        """From when and until when (not included) it is expected, in ms UTC.

        From the first instant of its `since`, else from its first poll (None: it was never polled, so never yet); until
        the first instant of its `until`, else for ever.
        """
        first = NEVER if first_poll is None else first_poll
        since = first if self.since is None else epoch_ms(first_instant(self.since, self.zone))
        return since, NEVER if self.until is None else epoch_ms(first_instant(self.until, self.zone))

    @property
    def polled_between(self) -> tuple[int, int]:
        """From when and until when (not included) it is polled, in ms UTC, as `since` and `until` allow."""
        return self.expected_between(ALWAYS)

    def is_polled_at(self, time_ms: int) -> bool:
        """Whether it is to be polled at a time, ms UTC."""
        since, until = self.polled_between
        return since <= time_ms < until

    @property
    def zone(self) -> ZoneInfo:
        """The zone of its local days."""
        return ZoneInfo(self.timezone)

    @property
    def units(self) -> dict[str, str]:
        """Series to unit: of its sensors, the means of its shared parameters, and those that are calibrated."""
        units = self.uncalibrated_units
        return units | {calibrated_name(series): units[series] for series in self.calibrations if series in units}

    @property
    def uncalibrated_units(self) -> dict[str, str]:
        """Series to unit, without those that are calibrated."""
        units = {parameter.series: parameter.unit for parameter in self.parameters}
        units.update({name: members[0].unit for name, members in shared_parameters(self.parameters).items()})
        return units

    @property
    def limits(self) -> dict[str, dict[str, float]]:
        """Series to rule parameter to value: those of the catalogue with what `rules` says instead, for its series.

        What is off is left out.
        """
        own = [parameter.series for parameter in self.parameters]
        is_station = {parameter.series for parameter in STATION} <= set(own)
        is_firmware = self.kind == DEFAULT
        found: dict[str, dict[str, float]] = {}
        for series in own:
            usual = {
                name: one.value
                for name, one in LIMITS.get(series, {}).items()
                if (is_station or not one.of_station) and (is_firmware or not one.of_firmware)
            }
            both = {**usual, **self.rules.get(series, {})}
            found[series] = {name: value for name, value in both.items() if value is not None}
        return found

    def asked_for(self, series: Collection[str]) -> "Device":
        """The device as it was when it was asked for these series; as it is now, if they are none.

        Of one that neither the settings nor the catalogue know, only the name is known.
        """
        if not series:
            return self
        own = tuple(parameter for parameter in self.parameters if parameter.series in series)
        unknown = sorted(set(series).difference(parameter.series for parameter in own))
        return replace(self, parameters=(*own, *(of_name(name) for name in unknown)))

    @property
    def _calibrations(self) -> list[list[Any]]:
        units = self.uncalibrated_units
        return [
            [series, [astuple(one) for one in of_one]]
            for series, of_one in sorted(self.calibrations.items())
            if series in units
        ]

    @property
    def digest(self) -> str:
        """A short text that changes with whatever its observations and aggregates depend on.

        Without `since` and `until`, which concern some days only, and without what is set for series that it has not.
        """
        units = self.units
        matters = [
            self.id,
            self.timezone,
            sorted([p.series, p.unit, p.sensor_range, p.resolution] for p in self.parameters),
            sorted((series, list(bounds)) for series, bounds in self.expected_range.items() if series in units),
            sorted((series, limit) for series, limit in self.thresholds.items() if series in units),
            sorted((series, sorted(limits.items())) for series, limits in self.limits.items()),
            self.warm_up.total_seconds(),
            # A day without these has the digest that it had. For how long one sleeps matters to no slot.
            *([[astuple(mark) for mark in self.marks]] if self.marks else ()),
            *(["sleeps"] if self.sleeps is not None else ()),
            *([{"calibrations": calibrations}] if (calibrations := self._calibrations) else ()),
        ]
        return hashlib.sha256(json.dumps(matters).encode()).hexdigest()[:16]


def known_devices(devices: Iterable[Device], former: Iterable[Device]) -> dict[str, Device]:
    """Every device by its id, with every series that it ever had: as it is now, else as it was last."""
    found = {device.id: device for device in devices}
    for earlier in former:
        now = found.setdefault(earlier.id, earlier)
        names = {parameter.series for parameter in now.parameters}
        gone = tuple(parameter for parameter in earlier.parameters if parameter.series not in names)
        if gone:
            series = {parameter.series for parameter in gone}
            found[now.id] = replace(
                now,
                parameters=(*now.parameters, *gone),
                expected_range={**_only(series, earlier.expected_range), **now.expected_range},
                thresholds={**_only(series, earlier.thresholds), **now.thresholds},
                rules={**_only(series, earlier.rules), **now.rules},
                calibrations={**_only(series, earlier.calibrations), **now.calibrations},
            )
    return found


def _only(series: Collection[str], said: Mapping[str, _Said]) -> dict[str, _Said]:
    return {name: one for name, one in said.items() if name in series}


@dataclass(frozen=True)
class Settings:
    """Everything that `devices.yaml` says.

    Attributes:
        timezone: IANA name of the deployment's zone: partitions are its dates.
        start: the first local date to build.
        devices: in the order of the file; ids and URLs are unique.
        grace: how long after the end of the last device's day it is built.
        collector: whether Dagster keeps a collector, or something else runs `air-pipeline collect`.
        notify: who is told of what is not well; None: nobody.
        clock: whether the clock of this machine is believed only while it is kept, or always.
        former: what was in the file before and is in it no longer, or otherwise: devices with the series that they had.
        marks: what `marks.yaml` says, in the order of the file; also of devices and series that there are no more.
    """

    timezone: str
    start: date
    devices: tuple[Device, ...]
    grace: timedelta = timedelta(minutes=15)
    collector: Literal["dagster", "external"] = "dagster"
    notify: Notify | None = None
    clock: Literal["checked", "trusted"] = "checked"
    former: tuple[Device, ...] = field(default=(), repr=False, compare=False)
    marks: tuple[Mark, ...] = ()

    @cached_property
    def known(self) -> Mapping[str, Device]:
        """Every device by its id, those of before too, each with every series that it was ever asked for.

        What the file says of a device and of a series now counts for all of the past.
        """
        return MappingProxyType(known_devices(self.devices, self.former))

    @property
    def zone(self) -> ZoneInfo:
        """The deployment's zone."""
        return ZoneInfo(self.timezone)

    @cached_property
    def earliest(self) -> int:
        """The instant at which the first day begins for the first of the devices, ms UTC: no poll is of before."""
        zones = {self.timezone, *(device.timezone for device in self.devices)}
        return min(epoch_ms(first_instant(self.start, ZoneInfo(zone))) for zone in zones)

    def present(self, now_ms: int) -> tuple[int, int]:
        """From when and until when (not included) a poll can be of, at a time, ms UTC; others say nothing of now."""
        return self.earliest, now_ms + self.longest_interval_ms + 1

    @cached_property
    def longest_interval_ms(self) -> int:
        """The longest interval of any device, in ms."""
        return max((device.interval_ms for device in self.devices), default=0)

    def device(self, name: str) -> Device:
        """The device of the file with this id.

        Raises:
            SettingsError: there is none; the message names the nearest one, or those there are.
        """
        for device in self.devices:
            if device.id == name:
                return device
        known = [device.id for device in self.devices]
        near = get_close_matches(name, known, n=1)
        some = ", ".join(known[:_MOST_NAMED]) + (" …" if len(known) > _MOST_NAMED else "")
        remedy = f"did you mean {near[0]}?" if near else f"there are: {some}"
        raise SettingsError(f"there is no device {name!r} in devices.yaml; {remedy}")


INFLUXDB_VARIABLES = ("INFLUXDB_V2_URL", "INFLUXDB_V2_TOKEN", "INFLUXDB_V2_ORG", "INFLUXDB_V2_BUCKET")
"""What names an InfluxDB in the environment: the client's own variables."""


@dataclass(frozen=True, slots=True)
class InfluxConnection:
    """Where InfluxDB is and how to enter; the token is left out of texts.

    Attributes:
        url: of the server.
        token: to enter with; if it comes from a file, what that held at the start.
        org: the organization.
        bucket: where readings are.
        token_file: the file that the token is read from, again when it changes.
    """

    url: str
    token: str = field(repr=False)
    org: str
    bucket: str
    token_file: Path | None = None
