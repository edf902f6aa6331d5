"""The demo: simulated devices of three kinds with a past of two weeks, as a deployment of its own in one directory.

Belongs here: which devices, what goes wrong with them, and their past in the store. Does not: the processes that run on
it (`cli`), how a device is simulated (`devices.simulator`).

What goes wrong follows from the first day alone, so that the past in the store and the devices of now agree.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

from air_pipeline.deployment import Deployment
from air_pipeline.devices.simulator import Fault, Flaky, Profile, Script, Simulator, serve_forever
from air_pipeline.devices.simulator.history import polls_between
from air_pipeline.devices.simulator.script import Entry
from air_pipeline.errors import AirPipelineError
from air_pipeline.processing.local_time import epoch_ms, first_instant
from air_pipeline.settings import Device, Settings

ZONE = "Europe/Warsaw"
PAST_DAYS = 14
PAST_INTERVAL_MS = 10_000
"""The past was polled less often than the present is, so that it is there soon."""
GRACE = timedelta(minutes=15)
FLAKY, DYING, FAR, OUTSIDE = "living-room", "greenhouse", "tokyo-office", "balcony"
KIND_OF = {FLAKY: "nodemcu", DYING: "nodemcu", FAR: "airgradient", OUTSIDE: "airrohr"}
DEVICES = tuple(KIND_OF)
HEAD = "# The devices of the demo"
"""How its `devices.yaml` begins."""
SEED = 7
_BATCH = 5_000
_MARKER = "past-written"


class DemoError(AirPipelineError):
    """The demo cannot begin; the message says why and what to do."""


@dataclass(frozen=True)
class World:
    """The devices and what goes wrong with them.

    Attributes:
        start: the first local date of their past.
    """

    start: date

    @cached_property
    def script(self) -> Script:
        """The string of thermometers dies from the tenth day on; on the last but one the other is off for a while."""

        def since(day: int, hour: float) -> float:
            begin = first_instant(self.start + timedelta(days=day), ZoneInfo(ZONE))
            return begin.timestamp() + hour * 3600

        def dropped(probes: int, day: int, hour: float) -> Entry:
            return Entry(DYING, Fault("ds18b20_probes", {"dropped": probes}), at_s=since(day, hour))

        return Script(
            (
                dropped(1, 10, 6),
                dropped(2, 11, 15),
                dropped(4, 13, 4),
                dropped(8, 13, 9.5),
                Entry(FLAKY, Fault("refuse"), at_s=since(13, 13.7), for_s=5400),
            )
        )

    @property
    def flaky(self) -> Flaky:
        """One of them fails now and then."""
        return Flaky(0.03, SEED, devices=(FLAKY,))

    def fault_at(self, device: str, time_s: float) -> Fault | None:
        """What is wrong with a device at an instant, in seconds since 1970 UTC."""
        return self.script.fault_at(device, time_s) or self.flaky.fault_at(device, time_s)

    def simulator(self, port: int) -> Simulator:
        """The devices of now, on a port of this machine."""
        return Simulator(map(profile_of, DEVICES), port=port, script=self.script, flaky=self.flaky)


def profile_of(device: str) -> Profile:
    """What is simulated under an id."""
    return Profile(device, SEED, kind=KIND_OF[device])


def first_day(now: datetime) -> date:
    """Where the past of a demo begins that is started now: `PAST_DAYS` dates before it can be built."""
    return (now.astimezone(ZoneInfo(ZONE)) - GRACE).date() - timedelta(days=PAST_DAYS)


def check_is_demo(config: Path) -> None:
    """Makes sure that a configuration file, which the demo writes anew, is its own or not there yet.

    Raises:
        DemoError: it is somebody's.
    """
    if config.exists() and not config.read_bytes().startswith(HEAD.encode()):
        raise DemoError(f"{config} is not the demo's; name another --directory for it")


def settings_text(start: date, port: int) -> str:
    """The demo's `devices.yaml`, for devices that answer on a port of this machine."""
    url = f"http://127.0.0.1:{port}"
    return f"""\
{HEAD}: simulated, and answering only while it runs. It is written anew whenever the demo starts.
timezone: {ZONE}
start: {start}
interval: 5s                # now; before the first start the stations were polled every {PAST_INTERVAL_MS // 1000} s
timeout: 2s
grace: {GRACE.seconds // 60}m
devices:
  - id: {FLAKY}              # fails now and then
    url: {url}/{FLAKY}/circumstances
    thresholds: {{mq135_co2: 405}}
  - id: {DYING}               # its string of thermometers dies, probe by probe
    url: {url}/{DYING}/circumstances
    expected_range: {{ds18b20_temperature: [5, 45]}}
  - id: {FAR}             # its days are those of Tokyo
    url: {url}/{FAR}/measures/current
    kind: {KIND_OF[FAR]}
    interval: 1m
    timezone: Asia/Tokyo
  - id: {OUTSIDE}                  # measures every 145 s, and is asked no oftener
    url: {url}/{OUTSIDE}/data.json
    kind: {KIND_OF[OUTSIDE]}
    interval: 150s
    sensors: {{sds011: [pm25, pm10], bme280: [temperature, humidity, pressure]}}
"""


def check_no_others(deployment: Deployment) -> None:
    """Makes sure that the demo's readings do not come among those of real devices.

    Raises:
        DemoError: the store holds other devices.
        StoreError: the store cannot say.
    """
    others = sorted(deployment.store.latest().keys() - set(DEVICES))
    if others:
        remedy = (
            "set INFLUXDB_V2_BUCKET to an empty bucket for the demo, or unset the INFLUXDB_V2_* variables"
            if deployment.environment.influxdb
            else f"remove {deployment.environment.state} to begin anew, or air-pipeline rename or delete these"
        )
        named = f"{', '.join(others[:3])}{' …' if others[3:] else ''}"
        raise DemoError(f"{deployment.environment.store} holds readings of {named}, which the demo has not; {remedy}")


def has_past(deployment: Deployment) -> bool:
    """Whether the past is in the store, whole.

    Raises:
        StoreError: the store cannot say.
    """
    written = (deployment.environment.state.path / _MARKER).exists()
    return written and deployment.store.first_poll(DEVICES[0]) is not None


def past_polls(settings: Settings, until: datetime) -> int:
    """How many polls the past of all devices has."""
    start, end = _span(settings, until)
    return sum(len(range(-(-start // every) * every, end, every)) for every in map(_past_interval_ms, settings.devices))


def _past_interval_ms(device: Device) -> int:
    """How often a device was polled in the past."""
    return max(device.interval_ms, PAST_INTERVAL_MS)


def write_past(deployment: Deployment, until: datetime) -> Iterator[int]:
    """Writes the past of all devices into the store; writing it again is the same.

    Args:
        deployment: the demo's.
        until: where it ends, not included.

    Yields:
        How many polls were written, batch by batch.

    Raises:
        StoreError: the store will not take them.
        SettingsError: the state directory belongs to another store.
    """
    settings = deployment.settings
    world = World(settings.start)
    deployment.remember_store()
    marker = deployment.environment.state.path / _MARKER
    marker.unlink(missing_ok=True)
    for device in settings.devices:
        past = replace(device, interval_ms=_past_interval_ms(device))
        polls = polls_between(past, profile_of(device.id), *_span(settings, until), world.fault_at)
        while batch := list(islice(polls, _BATCH)):
            deployment.store.write(batch)
            yield len(batch)
    marker.touch()


def _span(settings: Settings, until: datetime) -> tuple[int, int]:
    """The past in ms UTC: from the first instant at which `start` has begun anywhere."""
    begin = min(first_instant(settings.start, device.zone) for device in settings.devices)
    return epoch_ms(begin), epoch_ms(until)


if __name__ == "__main__":
    serve_forever(World(date.fromisoformat(sys.argv[1])).simulator(int(sys.argv[2])))
