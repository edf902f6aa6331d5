"""Simulated devices with a day behind them on which each had one fault, by a script."""

from collections.abc import Iterator
from dataclasses import replace

from air_pipeline.days.calendar import DeviceDay
from air_pipeline.devices.polls import Poll
from air_pipeline.devices.simulator import Fault, Profile, Script
from air_pipeline.devices.simulator.history import polls_between
from air_pipeline.devices.simulator.script import Entry

SEED = 3
HOUR_S = 3600.0


def entry(device: str, fault: str, hour: float, hours: float, **options: object) -> Entry:
    """A fault that begins so many hours after 1970; see `at_day`."""
    return Entry(device, Fault(fault, options), at_s=hour * HOUR_S, for_s=hours * HOUR_S)


FAULTS = (
    entry("dead-string", "ds18b20_probes", 6, 12, dropped=8),
    entry("half-string", "ds18b20_probes", 6, 12, dropped=2),
    *(entry("loose-plug", "ds18b20_probes", hour, 0.15, dropped=1) for hour in (6, 9, 12)),
    entry("silent-string", "missing_sensor", 6, 3, sensor="ds18b20"),
    entry("frozen", "dht22_frozen", 6, 5),
    entry("sunny", "ds18b20_probes", 6, 9, dropped=1, instead=100.0),
    entry("restarted", "boot", 13, 1 / 30),
    entry("silent", "hang", 6, 9),
    entry("gasless", "mq135_off", 6, 4),
    entry("half-dumb", "missing_sensor", 6, 9, sensor="dht22"),
    entry("clumsy", "dht22_frozen", 6, 1),  # speaks for half an hour, which is no fault yet
)
"""What goes wrong, in hours of the day."""
HASTY, CYCLE_MS = "hasty", 280_000
"""A device that is asked oftener than it measures."""
NEW = "new"
"""A device that is there since the last hour of the day, and well."""
DEVICES = ("well", HASTY, NEW, *dict.fromkeys(one.device for one in FAULTS))


def polls_of(one: DeviceDay) -> Iterator[Poll]:
    """The polls of a device's day with its faults; after a restart its gas sensor has another zero."""
    begin_s = one.start / 1000
    script = Script(tuple(Entry(e.device, e.fault, begin_s + (e.at_s or 0.0), 0.0, e.for_s) for e in FAULTS))
    name = one.device.id
    if name == NEW:
        yield from polls_between(one.device, Profile(name, SEED), one.end - round(HOUR_S * 1000), one.end)
        return
    booted_s = script.booted_at(name, one.end / 1000)
    restart = one.end if booted_s is None else round(booted_s * 1000)
    for poll in polls_between(one.device, Profile(name, SEED), one.start, restart, script.fault_at):
        yield replace(poll, cycle=str(poll.observed_at // CYCLE_MS)) if name == HASTY else poll
    yield from polls_between(one.device, Profile(name, SEED, booted_s), restart, one.end, script.fault_at)
