"""Where devices stand, as it is given for an export: `living-room=52.23,21.01,110`.

Belongs here: from texts to positions. Does not: what a shape does with them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from air_pipeline.exporting.selection import ExportError

_HOW = (
    "write it as living-room=52.23,21.01 or living-room=52.23,21.01,110: degrees north and east, metres above the sea"
)


class PositionError(ExportError):
    """A text that is no position of a device; the message says how to write one."""

    exit_status = 2


@dataclass(frozen=True, slots=True)
class Position:
    """Degrees north and east (WGS 84), and metres above mean sea level where they are known."""

    latitude: float
    longitude: float
    altitude: float | None = None


def read_positions(texts: Sequence[str], devices: Collection[str]) -> Mapping[str, Position]:
    """Positions by device; a text without a device is where all others are.

    Raises:
        PositionError: one of them is none, or of a device that is not exported.
    """
    found: dict[str, Position] = {}
    everywhere = None
    for text in texts:
        device, _, numbers = text.rpartition("=")
        position = _position(text, numbers)
        if not device:
            everywhere = position
        elif device not in devices:
            raise PositionError(f"{device!r} is not exported, so it needs no position; there are: {', '.join(devices)}")
        else:
            found[device] = position
    return ({} if everywhere is None else dict.fromkeys(devices, everywhere)) | found


def _position(text: str, numbers: str) -> Position:
    try:
        latitude, longitude, *altitude = map(float, numbers.split(","))
        height = None
        if altitude:
            (height,) = altitude
    except ValueError:
        raise PositionError(f"{text!r} is no position; {_HOW}") from None
    if not (abs(latitude) <= 90 and abs(longitude) <= 180 and (height is None or abs(height) < 20_000)):  # noqa: PLR2004
        raise PositionError(f"{text!r} is nowhere on the earth; {_HOW}")
    return Position(latitude, longitude, height)
