"""The kinds of value that `devices.yaml` knows (durations, dates, zones …), each with what would be right instead.

Belongs here: one value at a time. Does not: how values relate to each other (`settings_file`).
"""

import difflib
import math
import re
from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import Annotated, cast
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BeforeValidator

_UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_DEVICE_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def _duration(shortest: str, longest: str) -> Callable[[object], int]:
    low, high = _duration_ms(shortest), _duration_ms(longest)

    def parse(value: object) -> int:
        if not isinstance(value, str) or not _DURATION.fullmatch(value):
            raise ValueError(f"{value!r} is not a duration; write a number and a unit, such as 10s, 15m or 48h")
        duration = _duration_ms(value)
        if not low <= duration <= high:
            raise ValueError(f"{value} is out of bounds; write something from {shortest} to {longest}")
        return duration

    return parse


def _duration_ms(text: str) -> int:
    return round(sum(float(number) * _UNIT_MS[unit] for number, unit in _DURATION_PART.findall(text)))


def _zone(value: object) -> str:
    try:
        ZoneInfo(cast("str", value))
    except (KeyError, ValueError, TypeError, OSError):
        hint = near(str(value), available_timezones(), otherwise="; write one such as Europe/Warsaw")
        raise ValueError(f"{value!r} is not an IANA time zone{hint}") from None
    return str(value)


def _date(value: object) -> date:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    if not isinstance(value, date) or isinstance(value, datetime):
        raise ValueError(f"{value!s} is not a date; write it as 2026-11-01")
    return value


def _device_id(value: object) -> str:
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{value!r} is not a text for YAML; put it in quotes")
    if value is None or not _DEVICE_ID.fullmatch(value):
        raise ValueError(
            f"{value!r} is not a device id; use at most 63 of a-z, 0-9, _ and -, and begin with a letter or digit"
        )
    return value


def _url(value: object) -> str:
    example = "write it as http://192.168.1.32/circumstances"
    try:
        parts = urlsplit(cast("str", value))
        usable = (
            isinstance(value, str) and parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        )
    except (ValueError, TypeError, AttributeError):
        usable = False
    if not usable or re.search(r"\s", str(value)):
        raise ValueError(f"{value!r} is not an address; {example}")
    return str(value)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is not a number")
    return float(value)


def _range(value: object) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2:  # noqa: PLR2004 -- low and high
        raise ValueError(f"{value!r} is not a range; write it as [5, 40]")
    low, high = _number(value[0]), _number(value[1])
    if low >= high:
        raise ValueError(f"[{low:g}, {high:g}] is empty; write the lower bound first")
    return low, high


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{value!r} is not a text; put it in quotes")
    return value


def choice(*choices: str) -> Callable[[object], object]:
    """A check that a value is one of the choices."""

    def check(value: object) -> object:
        if value not in choices:
            raise ValueError(f"{value!r} is none of {', '.join(choices)}{near(str(value), choices)}")
        return value

    return check


def mapping(what: str) -> Callable[[object], object]:
    """A check that a value is a mapping; `what` is how it would be written."""

    def check(value: object) -> object:
        if not isinstance(value, dict):
            raise ValueError(f"is not a mapping; write {what}")
        return value

    return check


Zone = Annotated[str, BeforeValidator(_zone)]
Day = Annotated[date, BeforeValidator(_date)]
Number = Annotated[float, BeforeValidator(_number)]
Range = Annotated[tuple[float, float], BeforeValidator(_range)]
Text = Annotated[str, BeforeValidator(_text)]
DeviceId = Annotated[str, BeforeValidator(_device_id)]
Address = Annotated[str, BeforeValidator(_url)]
Interval = Annotated[int, BeforeValidator(_duration("1s", "1h"))]
Timeout = Annotated[int, BeforeValidator(_duration("100ms", "1h"))]
Grace = Annotated[int, BeforeValidator(_duration("0s", "7d"))]
WarmUp = Annotated[int, BeforeValidator(_duration("0s", "30d"))]


def near(word: str, known: Iterable[str], *, otherwise: str = "") -> str:
    """The nearest of the known words as a question, for the end of a message."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    found = difflib.get_close_matches(word.lower(), list(by_lower), n=1, cutoff=0.6)
    return f"; did you mean {by_lower[found[0]]}?" if found else otherwise
