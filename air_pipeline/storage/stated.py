"""Which series stored polls state: by what they say that they were asked for, and by their values and problems.

Belongs here: what every store does in the same way for `ReadingStore.asked`, `stated` and `nearest_stated`. Does not:
what becomes of it (`days.presence`).
"""

from collections.abc import Iterable, Sequence
from json import JSONDecodeError

from air_pipeline.devices.polls import problems_from_json, series_from_json
from air_pipeline.storage.store import Asked, StoreError

Found = tuple[int, Iterable[str]]
"""A slot, in ms UTC, and the series of which it has something."""


def series_of_problems(texts: Iterable[str]) -> frozenset[str]:
    """The series that problems are about; a text that is none of ours is about none, and told by whoever reads it."""
    found: set[str] = set()
    for text in texts:
        try:
            found.update(problem.series for problem in problems_from_json(text))
        except (JSONDecodeError, KeyError, TypeError, ValueError):
            continue
    return frozenset(found)


def asked_of(before: Iterable[tuple[str, object]], within: Iterable[tuple[str, object]]) -> dict[str, Asked]:
    """What polls say that devices were asked for: each device with what was said last before an interval, and in it.

    Raises:
        StoreError: something else wrote there.
    """
    found = {device: Asked(frozenset(_said(device, text))) for device, text in before}
    for device, text in within:
        known = found.get(device, Asked())
        found[device] = known._replace(within=known.within.union(_said(device, text)))
    return found


def _said(device: str, text: object) -> tuple[str, ...]:
    try:
        return series_from_json(text) or ()
    except ValueError as error:
        raise StoreError(
            f"A poll of device {device!r} was asked for {str(text)[:100]!r}: air_pipeline did not write that."
        ) from error


def nearest(found: Sequence[Found | None], *, earlier: bool) -> frozenset[str]:
    """The series of the last of some slots, or of the first: what was found of one slot is put together."""
    there = [one for one in found if one is not None]
    if not there:
        return frozenset()
    slot = (max if earlier else min)(at for at, _ in there)
    return frozenset(name for at, names in there if at == slot for name in names)
