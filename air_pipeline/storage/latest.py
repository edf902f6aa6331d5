"""The last points of devices, and stored fields back into polls, for `ReadingStore.latest`."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from air_pipeline.devices.polls import NOTHING, Outcome, Poll, problems_from_json, series_from_json
from air_pipeline.storage.store import Latest, StoreError

LastPoints = Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]]
"""Device to the fields of its last poll and of its last reading, each with its `time` in ms UTC; empty if none."""

_ALWAYS = {"outcome", "duration_ms", "interval_s"}
# What came longer ago has been written.
_JUST_NOW_MS = 60_000
_ASKED_AGAIN = 5


def settled(ask: Callable[[], LastPoints], now: int) -> LastPoints:
    """The last points of all devices, as they are when they have been written.

    InfluxDB shows a point that is being written field by field. One that came just now is shown as it is when it is
    found for the second time; where there is a newer one by then, that is looked at once more.

    Args:
        ask: gives them as they are now.
        now: ms UTC.
    """
    points = ask()
    whole = {device: both for device, both in points.items() if _is_whole(both)}
    known = {device for device, (poll, _) in whole.items() if now - poll["time"] >= _JUST_NOW_MS}
    for _ in range(_ASKED_AGAIN):
        if known >= points.keys():
            break
        before, points = points, ask()
        found = {device: both for device, both in points.items() if device not in known and _is_whole(both)}
        whole |= found
        known |= {device for device, both in found.items() if _times(both) == _times(before.get(device, ({}, {})))}
    return {**points, **whole}


def _is_whole(both: tuple[Mapping[str, Any], Mapping[str, Any]]) -> bool:
    return both[0].keys() >= _ALWAYS


def _times(both: tuple[Mapping[str, Any], Mapping[str, Any]]) -> list[int | None]:
    return [point.get("time") for point in both]


def latest_of(
    device: str, observed_at: int, fields: Mapping[str, Any], reading_at: int | None, values: Mapping[str, float]
) -> Latest:
    """The last poll of a device, from its stored fields, with its last reading.

    What an earlier poll of the same slot left is not shown.

    Raises:
        StoreError: the fields are not what a poll was stored as, so something else wrote them.
    """
    try:
        outcome = Outcome(fields["outcome"])
        if reading_at == observed_at and not outcome.has_reading:
            reading_at, values = None, NOTHING
        reading = MappingProxyType(dict(values))
        status = fields.get("http_status") if outcome.has_status else None
        poll = Poll(
            device=device,
            observed_at=observed_at,
            outcome=outcome,
            duration_ms=float(fields["duration_ms"]),
            interval_s=float(fields["interval_s"]),
            http_status=int(status) if status else None,
            values=reading if reading_at == observed_at else NOTHING,
            problems=problems_from_json(fields.get("problems")),
            body=(fields.get("body") or None) if outcome is Outcome.REJECTED else None,
            series=series_from_json(fields.get("series")),
            cycle=(fields.get("cycle") or None) if outcome.has_reading else None,
            identity=(fields.get("identity") or None) if outcome.has_reading else None,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"The last poll of device {device!r} at {observed_at} is not one that air_pipeline wrote: {error!r}."
        ) from error
    return Latest(poll=poll, reading_at=reading_at, values=reading)
