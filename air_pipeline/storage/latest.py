"""Stored fields back into polls: what every store does in the same way for `ReadingStore.latest`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from air_pipeline.devices.polls import NOTHING, Outcome, Poll, problems_from_json, series_from_json
from air_pipeline.storage.store import Latest, StoreError


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
