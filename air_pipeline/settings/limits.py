"""The limits and marks by which a day was flagged, as its files keep them: so that a flag can be explained later.

Belongs here: limits to JSON and back. Does not: what they are (`catalogue`, `Device.limits`).
"""

import json
from collections.abc import Iterable
from dataclasses import astuple, replace
from datetime import timedelta
from typing import Any

from air_pipeline.settings import Device, Mark
from air_pipeline.settings.calibration import calibrations_of_plain, calibrations_to_plain


def limits_to_json(devices: Iterable[Device]) -> str:
    """A list of what devices have, those that agree in one: `devices`, `series` (with units) and the limits of these.

    These are `limits`, `expected_range`, `sensor_range`, `resolution`, `warm_up_s`; of a device of which something was
    marked by hand `marks`, each `[series, start, end, verdict, why, by, at]`; and of one that is calibrated
    `calibrations`, series to a list of `[since, gain, offset, reason]`.
    """
    alike: dict[str, list[str]] = {}
    for device in devices:
        said = {
            "series": {one.series: one.unit for one in device.parameters},
            "limits": {series: limits for series, limits in device.limits.items() if limits},
            "expected_range": {series: list(bounds) for series, bounds in device.expected_range.items()},
            "sensor_range": {one.series: list(one.sensor_range) for one in device.parameters if one.sensor_range},
            "resolution": {one.series: one.resolution for one in device.parameters if one.resolution},
            "warm_up_s": device.warm_up.total_seconds(),
        }
        if device.calibrations:
            said["calibrations"] = calibrations_to_plain(device.calibrations)
        if device.marks:
            said["marks"] = [astuple(mark)[1:] for mark in device.marks]
        alike.setdefault(json.dumps(said, sort_keys=True), []).append(device.id)
    rows = sorted(({"devices": sorted(names), **json.loads(text)} for text, names in alike.items()), key=_first)
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))


def series_of(text: str) -> dict[str, frozenset[str]]:
    """Device to the series that a file was built with; nothing where it does not say them.

    Raises:
        KeyError, TypeError, ValueError: the text is none of `limits_to_json`.
    """
    rows = json.loads(text) if text else ()
    return {name: frozenset(row["series"]) for row in rows if "series" in row for name in row["devices"]}


def with_limits_of(device: Device, text: str) -> Device:
    """The device with the limits that a file keeps of it; as it is where it keeps none.

    Raises:
        KeyError, TypeError, ValueError: the text is none of `limits_to_json`.
    """
    for row in json.loads(text) if text else ():
        if device.id in row["devices"]:
            return _with(device, row)
    return device


def marks_of(device: str, text: str) -> tuple[Mark, ...]:
    """What was marked by hand of a device, as a file keeps it.

    Raises:
        KeyError, TypeError, ValueError: the text is none of `limits_to_json`.
    """
    rows = json.loads(text) if text else ()
    return tuple(Mark(device, *mark) for row in rows if device in row["devices"] for mark in row.get("marks", ()))


def _first(row: dict[str, Any]) -> str:
    return str(row["devices"][0])


def _with(device: Device, row: dict[str, Any]) -> Device:
    usual = replace(device, rules={}).limits
    said: dict[str, dict[str, float]] = row["limits"]
    return replace(
        device,
        parameters=tuple(
            replace(
                one,
                sensor_range=tuple(row["sensor_range"][one.series]) if one.series in row["sensor_range"] else None,
                resolution=row["resolution"].get(one.series),
            )
            for one in device.parameters
        ),
        rules={series: {**dict.fromkeys(usual[series]), **said.get(series, {})} for series in usual},
        expected_range={series: (low, high) for series, (low, high) in row["expected_range"].items()},
        calibrations=calibrations_of_plain(row.get("calibrations", {})),
        warm_up=timedelta(seconds=row["warm_up_s"]),
        marks=tuple(Mark(device.id, *mark) for mark in row.get("marks", ())),
    )
