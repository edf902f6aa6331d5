"""What a collector tells of its devices and itself to a monitoring system: last values and counts, as OpenMetrics text.

Belongs here: what is kept of polls for it, and the text. Does not: serving it (`metrics_server`).

A family a parameter and unit, `air_temperature_celsius{device="…",sensor="…"}`, as OpenMetrics has it: one family is
one quantity in one unit, so that a mean over it means something. Values are as the devices gave them, unjudged.
"""

import logging
import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version

from air_pipeline.boottime import boottime
from air_pipeline.collection.outbox_rows import Row, poll_of
from air_pipeline.collection.outbox_status import OutboxStatus
from air_pipeline.devices.polls import Outcome, Poll
from air_pipeline.naming import distinct
from air_pipeline.settings import Settings

log = logging.getLogger(__name__)

STALE_INTERVALS = 3
"""A value is told for so many intervals of its device, and is gone then: better no value than an old one."""
LEAST_STALE_S = 30.0
"""And for so long at least, for who asks every 15 s."""
_UNITS = {
    "°C": "celsius",
    "%": "percent",
    "hPa": "hectopascals",
    "ppm": "ppm",
    "µg/m³": "micrograms_per_cubic_meter",
    "m": "meters",
    "lx": "lux",
    "V": "volts",
    "1": "",
}
OWN_FAMILIES = frozenset(
    {
        "air_device_up",
        "air_polls",
        "air_polls_total",
        "air_polls_created",
        "air_poll_duration_seconds",
        "air_last_poll_timestamp_seconds",
        "air_last_reading_timestamp_seconds",
        "air_outbox_polls",
        "air_outbox_oldest_timestamp_seconds",
        "air_quarantined_polls",
        "air_disk_refuses",
        "air_devices",
        "air_collector",
        "air_collector_info",
    }
)
"""What is told of devices and of the collector itself, and the names that OpenMetrics keeps for it."""
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


@dataclass(slots=True)
class _Seen:
    """What is kept of a device."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    last: Poll | None = None
    reading: Poll | None = None
    read_at: float = 0.0  # elapsed time


@dataclass(frozen=True, slots=True)
class Standing:
    """How the collector itself stands: its outbox, where that is known, and whether the disk refuses what is polled."""

    outbox: OutboxStatus | None = None
    disk_refuses: bool = False


class Metrics:
    """What was polled since the collector began: told by the recorder, read by whoever asks, in any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[str, _Seen] = {}

    def take(self, rows: Sequence[Row]) -> None:
        """Takes note of polls that are on the disk; whatever they are, it raises nothing."""
        try:
            polls = [poll_of(row.text) for row in rows]
            now = boottime()
            with self._lock:
                for poll in polls:
                    seen = self._seen.setdefault(poll.device, _Seen())
                    seen.outcomes[poll.outcome] += 1
                    if seen.last is None or poll.observed_at >= seen.last.observed_at:
                        seen.last = poll
                    if poll.outcome.has_reading:
                        seen.reading, seen.read_at = poll, now
        except Exception as error:  # noqa: BLE001 - polls are kept, whatever becomes of what is told of them
            log.error("metrics lack some polls: %.200r", error)

    def text(self, settings: Settings, standing: Standing) -> str:
        """All that is known of the devices of the settings, as OpenMetrics 1.0 text."""
        now = boottime()
        with self._lock:
            for name in set(self._seen).difference(device.id for device in settings.devices):
                del self._seen[name]  # nobody's any more
            seen = {
                name: _Seen(Counter(one.outcomes), one.last, one.reading, one.read_at)
                for name, one in self._seen.items()
            }
        families = [
            *_values(settings, seen, now),
            *_of_devices(settings, seen, now),
            *_of_collector(settings, standing),
        ]
        return "\n".join([*families, "# EOF", ""])


def stale_after_s(poll: Poll) -> float:
    """For how long the values of a poll are told, in seconds."""
    return max(STALE_INTERVALS * poll.interval_s, LEAST_STALE_S)


def _values(settings: Settings, seen: Mapping[str, _Seen], now: float) -> Iterator[str]:
    """A family a parameter: the last value of each device that still says something."""
    families: dict[tuple[str, str], list[str]] = {}
    called = _families(settings)
    for device in settings.devices:
        one = seen.get(device.id)
        if one is None or one.reading is None or now - one.read_at > stale_after_s(one.reading):
            continue
        for parameter in device.parameters:
            if (value := one.reading.values.get(parameter.series)) is not None:
                sample = f"{_labels(device=device.id, sensor=parameter.sensor)} {value!r}"
                families.setdefault((parameter.name, parameter.unit), []).append(sample)
    for (name, unit), samples in sorted(families.items()):
        said = f"{name.replace('_', ' ')} as the device gave it{f', in {unit}' if unit else ''}"
        yield from _family(called[name, unit], "gauge", said, _suffix(unit), samples)


def _suffix(unit: str) -> str:
    return _UNITS.get(unit, re.sub(r"[^a-z0-9]+", "_", unit.lower()).strip("_"))


def _families(settings: Settings) -> Mapping[tuple[str, str], str]:
    """Parameter and unit to its family, whoever is silent just now: one whose name is taken has a number in it."""
    things = sorted({(one.name, one.unit) for device in settings.devices for one in device.parameters})
    return distinct(things, _called, _called, OWN_FAMILIES)


def _called(thing: tuple[str, str], number: int | None = None) -> str:
    name, unit = thing
    return "_".join(part for part in ("air", name, f"{number or ''}", _suffix(unit)) if part)


def _of_devices(settings: Settings, seen: Mapping[str, _Seen], now: float) -> Iterator[str]:
    known = [(device, seen[device.id]) for device in settings.devices if device.id in seen]
    yield from _family(
        "air_device_up",
        "gauge",
        "whether the last poll gave a reading, and no slot was missed since",
        "",
        [f"{_labels(device=device.id)} {int(_is_up(one, now))}" for device, one in known],
    )
    yield from _family(
        "air_polls",
        "counter",
        "polls since the collector began, by outcome",
        "",
        [
            f"{_labels(device=device.id, outcome=outcome.value)} {count}"
            for device, one in known
            for outcome, count in sorted(one.outcomes.items())
        ],
        sample="air_polls_total",
    )
    yield from _family(
        "air_poll_duration_seconds",
        "gauge",
        "from the last slot to the end of its answer",
        "seconds",
        [f"{_labels(device=device.id)} {one.last.duration_ms / 1000!r}" for device, one in known if one.last],
    )
    for name, what, polls in (
        ("poll", "the slot of the last poll", [(device, one.last) for device, one in known]),
        ("reading", "the slot of the last reading; told however old it is", [(d, one.reading) for d, one in known]),
    ):
        samples = [f"{_labels(device=device.id)} {poll.observed_at / 1000!r}" for device, poll in polls if poll]
        yield from _family(f"air_last_{name}_timestamp_seconds", "gauge", what, "seconds", samples)


def _is_up(one: _Seen, now: float) -> bool:
    return one.last is not None and one.last is one.reading and now - one.read_at <= stale_after_s(one.last)


def _of_collector(settings: Settings, standing: Standing) -> Iterator[str]:
    outbox = standing.outbox
    oldest = [] if outbox is None or outbox.oldest is None else [f" {outbox.oldest / 1000!r}"]
    yield from _family(
        "air_outbox_polls",
        "gauge",
        "polls that the store does not have yet",
        "",
        [] if outbox is None else [f" {outbox.pending}"],
    )
    yield from _family("air_outbox_oldest_timestamp_seconds", "gauge", "the oldest of their slots", "seconds", oldest)
    yield from _family(
        "air_quarantined_polls",
        "gauge",
        "polls that the store will never take",
        "",
        [] if outbox is None else [f" {outbox.quarantined}"],
    )
    refuses = [f" {int(standing.disk_refuses)}"]
    yield from _family("air_disk_refuses", "gauge", "whether the disk refuses what is polled", "", refuses)
    yield from _family("air_devices", "gauge", "devices in devices.yaml", "", [f" {len(settings.devices)}"])
    labels = _labels(version=version("air-pipeline"))
    yield from _family(
        "air_collector", "info", "the program that collects", "", [f"{labels} 1"], sample="air_collector_info"
    )


def _family(
    name: str, kind: str, what: str, unit: str, samples: Sequence[str], sample: str | None = None
) -> Iterator[str]:
    """A family with its samples (labels and value each); none where there are no samples."""
    if samples:
        yield f"# TYPE {name} {kind}"
        if unit:
            yield f"# UNIT {name} {unit}"
        yield f"# HELP {name} {what.translate(_ESCAPES)}"
        yield from (f"{sample or name}{one}" for one in samples)


def _labels(**labels: str) -> str:
    said = (f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items())
    return f"{{{','.join(said)}}}"
