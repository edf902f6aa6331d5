"""What `devices.yaml` said before: devices and series that are in it no longer, for the days on which they were polled.

Belongs here: how that is kept as text. Does not: where (`state`), what becomes of such days (`days.presence`).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, PositiveInt

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
        """The inverse of `to_json`; a ValueError where it is none of ours."""
        said = _Former.model_validate_json(text)
        devices = tuple(_device(name, row) for row in said.devices for name in row.ids)
        return cls(devices, said.has_tables)


def device_of_units(name: str, timezone: str, units: Mapping[str, str]) -> Device:
    """A device of which only its series are known, each with its unit: those of sensors, and none that are made."""
    calibrated = {calibrated_name(series) for series in units}
    some = [series for series in units if series not in calibrated]
    own = [of_name(series) for series in some if not any(other.endswith(f"_{series}") for other in some)]
    parameters = (one if one.unit == units[one.series] else replace(one, unit=units[one.series]) for one in own)
    return Device(name, "", timezone, parameters=tuple(parameters))


def _device(name: str, row: "_Row") -> Device:
    return Device(
        id=name,
        url="",
        timezone=row.timezone,
        interval_ms=row.interval_ms,
        parameters=tuple(of_name(one) if isinstance(one, str) else one for one in row.parameters),
        expected_range=row.expected_range,
        thresholds=row.thresholds,
        rules=row.rules,
        calibrations=calibrations_of_plain(row.calibrations),
        warm_up=timedelta(seconds=row.warm_up_s),
        sleeps=None if row.sleeps_s is None else timedelta(seconds=row.sleeps_s),
        kind=row.kind,
    )


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except ZoneInfoNotFoundError:
        pass  # one that only this machine does not know is told where it is needed
    except OSError as error:
        raise ValueError(f"{name} is no zone") from error
    return name


_Seconds = Annotated[float, Field(ge=0, le=10**9)]


class _Row(BaseModel):
    """Devices that agree; what a later version says besides is left out."""

    model_config = ConfigDict(strict=True)
    ids: list[str]
    timezone: Annotated[str, AfterValidator(_zone)]
    interval_ms: PositiveInt
    expected_range: dict[str, tuple[FiniteFloat, FiniteFloat]]
    thresholds: dict[str, FiniteFloat]
    rules: dict[str, dict[str, FiniteFloat | None]]
    warm_up_s: _Seconds
    parameters: list[str | Parameter]
    calibrations: dict[str, list[tuple[int, FiniteFloat, FiniteFloat, str]]] = {}
    kind: str = DEFAULT
    sleeps_s: _Seconds | None = None


class _Former(BaseModel):
    """The whole."""

    model_config = ConfigDict(strict=True)
    has_tables: bool
    devices: list[_Row]


def _parameter(one: Parameter) -> str | dict[str, Any]:
    """By its name alone, where the catalogue says the same."""
    return one.series if of_name(one.series) == one else asdict(one)


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever JSON has a form for
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _first(row: Mapping[str, Any]) -> str:
    return str(row["ids"][0])
