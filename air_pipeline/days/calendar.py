"""Which instants a date means for each device, and when it can be built. Pure functions of settings and times."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from air_pipeline.errors import AirPipelineError
from air_pipeline.processing.local_time import day_window, epoch_ms, first_instant, span_ms
from air_pipeline.processing.rules import LONGEST_STEP
from air_pipeline.settings import ALWAYS, Device, Settings
from air_pipeline.settings.calibration import in_force


class DayError(AirPipelineError):
    """A day cannot be built now; the message says why and what to do."""


class DayNotOver(DayError):
    """The day, or its grace, has not ended for every device."""


class DayOfOtherSettings(DayError):
    """What the day's observations were built with is not what the settings say now."""


class DayOutOfRange(DayError):
    """The day is before the first one that the settings name."""


@dataclass(frozen=True, slots=True)
class DeviceDay:
    """One device's local day: [start, end) in ms UTC.

    Attributes:
        device: whose; with every series that it ever had.
        start: its first instant.
        end: its end.
        earliest: when its first day of all begins: a poll from before says nothing of when it is expected.
    """

    device: Device
    start: int
    end: int
    earliest: int = ALWAYS


def device_days(settings: Settings, day: date) -> list[DeviceDay]:
    """Each device's own local day of this date, those of before too; empty days are left out."""
    known = settings.known.values()
    windows = {zone: day_window(day, device.zone) for zone, device in {d.timezone: d for d in known}.items()}
    days = []
    for device in known:
        start, end = windows[device.timezone]
        if start < end:
            days.append(device_day(settings, device, epoch_ms(start), epoch_ms(end)))
    return days


def device_day(settings: Settings, device: Device, start: int, end: int) -> DeviceDay:
    """A local day of a device, as it is among the days of the settings.

    With what was marked of it by hand, and with what counts in it of how the device is calibrated.
    """
    marks = tuple(mark for mark in settings.marks if mark.device == device.id and mark.touches(start, end))
    if marks != device.marks:
        device = replace(device, marks=marks)
    if device.calibrations:
        device = replace(device, calibrations=in_force(device.calibrations, start, end))
    return DeviceDay(device, start, end, epoch_ms(first_instant(settings.start, device.zone)))


def over_at(settings: Settings, day: date) -> datetime:
    """When a date is over in the deployment's zone and for every device, and the grace as well; UTC."""
    return max(day_window(day, zone)[1] for zone in _zones(settings)) + settings.grace


def _zones(settings: Settings) -> Collection[ZoneInfo]:
    """The deployment's zone and those of its devices, each once."""
    return {settings.timezone: settings.zone, **{one.timezone: one.zone for one in settings.devices}}.values()


def check_over(settings: Settings, day: date, now: datetime) -> None:
    """Makes sure that a day can be built.

    Raises:
        DayNotOver: it cannot yet; the message names the time.
        DayOutOfRange: it is before `start`.
    """
    if day < settings.start:
        raise DayOutOfRange(
            f"{day} is before the first day to build ({settings.start}); set start: {day} in devices.yaml"
        )
    end = over_at(settings, day)
    if now < end:
        local = end.astimezone(settings.zone).isoformat(sep=" ", timespec="minutes")
        raise DayNotOver(f"{day} is not over yet: it can be built from {local} ({settings.timezone})")


def finished_days(settings: Settings, now: datetime) -> Iterator[date]:
    """The dates that can be built, newest first, back to `start`."""
    day = now.astimezone(settings.zone).date()
    while day >= settings.start:
        if now >= over_at(settings, day):
            break
        day -= timedelta(days=1)
    while day >= settings.start:
        if any(start < end for start, end in (day_window(day, zone) for zone in _zones(settings))):
            yield day  # else every zone skipped the date
        day -= timedelta(days=1)


def stretches_of_restarts(slots: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The stretches of time in which a restart may show that begins with one of the slots."""
    after = span_ms(LONGEST_STEP) + 1
    begun: int | None = None
    for place, slot in enumerate(slots):
        begun = slot if begun is None else begun
        if place + 1 == len(slots) or slots[place + 1] >= slot + after:
            yield begun, slot + after
            begun = None
