"""Stored fields back into polls: what every store does in the same way for `ReadingStore.latest`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from air_pipeline.devices.polls import NOTHING, Outcome, Poll, problems_from_json
from air_pipeline.storage.store import Latest, StoreError


def latest_of(
    device: str, observed_at: int, fields: Mapping[str, Any], reading_at: int | None, values: Mapping[str, float]
) -> Latest:
    """The last poll of a device, from its stored fields, with its last reading.

    Raises:
        StoreError: the fields are not what a poll was stored as, so something else wrote them.
    """
    reading = MappingProxyType(dict(values))
    try:
        outcome = Outcome(fields["outcome"])
        status = fields.get("http_status")
        poll = Poll(
            device=device,
            observed_at=observed_at,
            outcome=outcome,
            duration_ms=float(fields["duration_ms"]),
            interval_s=float(fields["interval_s"]),
            http_status=None if status is None else int(status),
            values=reading if reading_at == observed_at and outcome.has_reading else NOTHING,
            problems=problems_from_json(fields.get("problems")),
            body=fields.get("body") or None,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"The last poll of device {device!r} at {observed_at} is not one that air_pipeline wrote: {error!r}."
        ) from error
    return Latest(poll=poll, reading_at=reading_at, values=reading)
