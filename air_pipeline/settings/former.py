"""What `devices.yaml` said before: devices and series that are in it no longer, for the days on which they were polled.

Belongs here: how that is kept as text. Does not: where (`state`), what becomes of such days (`days.presence`).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any

from air_pipeline.catalogue import Parameter, of_name
from air_pipeline.devices.kinds import DEFAULT
from air_pipeline.settings import Device
from air_pipeline.settings.calibration import calibrated_name, calibrations_of_plain, calibrations_to_plain

_FIELDS = ("timezone", "interval_ms", "expected_range", "thresholds", "rules")


@dataclass(frozen=True, slots=True)
class Former:
    """What is known of before.

    Attributes:
        devices: every device that was ever in force, as it was last, with every series that it ever had.
        has_tables: whether what built days say of devices from before this was kept is among them.
    """

    devices: tuple[Device, ...] = ()
    has_tables: bool = False

    def to_json(self) -> str:
        """As JSON: `has_tables`, and `devices`, those that agree in one; without how they are reached."""
        alike: dict[str, list[str]] = {}
        for device in self.devices:
            said: dict[str, Any] = {name: _plain(getattr(device, name)) for name in _FIELDS}
            said["warm_up_s"] = device.warm_up.total_seconds()
            if device.calibrations:
                said["calibrations"] = calibrations_to_plain(device.calibrations)
            if device.kind != DEFAULT:
                said["kind"] = device.kind
            if device.sleeps is not None:
                said["sleeps_s"] = device.sleeps.total_seconds()
            said["parameters"] = [_parameter(one) for one in device.parameters]
            alike.setdefault(json.dumps(said, sort_keys=True, ensure_ascii=False), []).append(device.id)
        rows = sorted(({"ids": sorted(names), **json.loads(text)} for text, names in alike.items()), key=_first)
        return json.dumps({"has_tables": self.has_tables, "devices": rows}, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Former":
        """The inverse of `to_json`; a KeyError, TypeError or ValueError where it is none of ours."""
        said = json.loads(text)
        devices = tuple(_device(name, row) for row in said["devices"] for name in row["ids"])
        return cls(devices, bool(said["has_tables"]))


def device_of_units(name: str, timezone: str, units: Mapping[str, str]) -> Device:
    """A device of which only its series are known, each with its unit: those of sensors, and none that are made."""
    calibrated = {calibrated_name(series) for series in units}
    some = [series for series in units if series not in calibrated]
    own = [of_name(series) for series in some if not any(other.endswith(f"_{series}") for other in some)]
    parameters = (one if one.unit == units[one.series] else replace(one, unit=units[one.series]) for one in own)
    return Device(name, "", timezone, parameters=tuple(parameters))


def _device(name: str, row: Mapping[str, Any]) -> Device:
    return Device(
        id=name,
        url="",
        timezone=row["timezone"],
        interval_ms=row["interval_ms"],
        parameters=tuple(map(_known, row["parameters"])),
        expected_range={series: (low, high) for series, (low, high) in row["expected_range"].items()},
        thresholds=row["thresholds"],
        rules=row["rules"],
        calibrations=calibrations_of_plain(row.get("calibrations", {})),
        warm_up=timedelta(seconds=row["warm_up_s"]),
        sleeps=timedelta(seconds=row["sleeps_s"]) if "sleeps_s" in row else None,
        kind=row.get("kind", DEFAULT),
    )


def _parameter(one: Parameter) -> str | dict[str, Any]:
    """By its name alone, where the catalogue says the same."""
    return one.series if of_name(one.series) == one else asdict(one)


def _known(said: str | Mapping[str, Any]) -> Parameter:
    if isinstance(said, str):
        return of_name(said)
    bounds = said["sensor_range"]
    return Parameter(**{**said, "sensor_range": None if bounds is None else tuple(bounds)})


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever JSON has a form for
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _first(row: Mapping[str, Any]) -> str:
    return str(row["ids"][0])
