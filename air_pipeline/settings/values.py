"""The kinds of value that `devices.yaml` knows (durations, dates, zones …), each with what would be right instead.

Belongs here: one value at a time. Does not: how values relate to each other (`settings.file`).
"""

import difflib
import ipaddress
import math
import re
import reprlib
from collections.abc import Callable, Iterable, Mapping
from datetime import date, time
from typing import Annotated, Literal, NamedTuple, cast
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BeforeValidator

from air_pipeline.showing import without_secrets

_UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h|d))+")
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_FIRST_DATE, _LAST_DATE = date(1970, 1, 1), date(2199, 12, 31)  # stores end in 2262
_DEVICE_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_CLOCK = re.compile(r"[0-9]{2}:[0-9]{2}")
VARIABLE = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]*")
_MAILBOX = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,253}")
_HOST_LABEL = re.compile(r"\w(?:[\w-]{0,61}\w)?", re.ASCII)
_LONGEST_HOST = 253  # RFC 1035, 2.3.4
_NOT_FOR_DATES = ("posix/", "right/", "localtime", "Factory")  # this machine's, or with leap seconds, or no place

Security = Literal["starttls", "tls", "plain"]


class MailServer(NamedTuple):
    """A mail server, and how the way there is protected."""

    host: str
    port: int
    security: Security


class _Shortened(reprlib.Repr):
    """Short, and without what an address has to hide, in whatever it stands."""

    def repr_str(self, x: str, level: int) -> str:
        return super().repr_str(without_secrets(x) if _MAY_HIDE.search(x) else x, level)


_MAY_HIDE = re.compile(r"://|:.*@", re.DOTALL)
_shortened = _Shortened()
_shortened.maxlevel = 2  # six levels of six entries would be a megabyte
_shortened.maxstring = _shortened.maxother = _shortened.maxlong = 80


def shown(value: object) -> str:
    """A value in a message: on one line, shortened, whatever it is, without the secrets of addresses."""
    return _shortened.repr(value)


def _duration(shortest: str, longest: str) -> Callable[[object], int]:
    low, high = _duration_ms(shortest), _duration_ms(longest)

    def parse(value: object) -> int:
        if not isinstance(value, str) or not _DURATION.fullmatch(value):
            raise ValueError(f"{shown(value)} is not a duration; write a number and a unit, such as 10s, 15m or 48h")
        duration = _duration_ms(value)
        if not low <= duration <= high:
            raise ValueError(f"{shown(value)} is out of bounds; write something from {shortest} to {longest}")
        return round(duration)

    return parse


def _duration_ms(text: str) -> float:
    return sum(float(number) * _UNIT_MS[unit] for number, unit in _DURATION_PART.findall(text))


def _zone(value: object) -> str:
    try:
        ZoneInfo(cast("str", value))
        usable = not cast("str", value).startswith(_NOT_FOR_DATES)
    except (KeyError, ValueError, TypeError, OSError):
        usable = False
    if not usable:
        known = {name for name in available_timezones() if not name.startswith(_NOT_FOR_DATES)}
        hint = near(str(value), known, otherwise="; write one such as Europe/Warsaw")
        raise ValueError(f"{shown(value)} is not an IANA time zone{hint}")
    return str(value)


def _date(value: object) -> date:
    try:
        day = date.fromisoformat(value) if isinstance(value, str) and _DATE.fullmatch(value) else None
    except ValueError:
        day = None
    if day is None:
        raise ValueError(f"{shown(value)} is not a date; write it as 2026-11-01")
    if not _FIRST_DATE <= day <= _LAST_DATE:
        raise ValueError(f"{day} is out of bounds; write a date from {_FIRST_DATE} to {_LAST_DATE}")
    return day


def _device_id(value: object) -> str:
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{shown(value)} is not a text for YAML; put it in quotes")
    if value is None or not _DEVICE_ID.fullmatch(value):
        raise ValueError(
            f"{shown(value)} is not a device id; use at most 63 of a-z, 0-9, _ and -, and begin with a letter or digit"
        )
    return value


def _url(value: object) -> str:
    if isinstance(value, str) and VARIABLE.fullmatch(value):
        return value
    if not isinstance(value, str) or not value.isprintable() or not is_address(value):
        remedy = "write it as http://192.168.1.32/circumstances"
        if isinstance(value, str) and not value.isascii() and (name := _name_in_ascii(value)):
            remedy = f"its name is not ASCII: write it as {name}"
        raise ValueError(f"{shown(value)} is not an address; {remedy}")
    return value


def _name_in_ascii(url: str) -> str:
    """An internationalized name of a host as it stands in the name service; empty if it is none."""
    try:
        name = (urlsplit(url).hostname or "").encode("idna").decode()
    except (UnicodeError, ValueError):
        return ""
    return name if name.startswith("xn--") or ".xn--" in name else ""


def is_address(url: str) -> bool:
    """Whether something can be fetched from there by HTTP."""
    try:
        parts = urlsplit(url)
        usable = (
            parts.scheme in {"http", "https"}
            and parts.port != 0
            and parts.netloc.isascii()
            and not re.search(r"[\s\\]", url)
        )
    except ValueError:
        return False
    return usable and _is_host(parts.hostname or "")


def is_ipv6(text: str) -> bool:
    """Whether a text is an address of IPv6, without brackets."""
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _is_host(host: str) -> bool:
    if ":" in host:
        return is_ipv6(host)
    labels = host.removesuffix(".").split(".")
    return len(host) <= _LONGEST_HOST and all(_HOST_LABEL.fullmatch(label) for label in labels)


def _clock(value: object) -> time:
    try:
        clock = time.fromisoformat(value) if isinstance(value, str) and _CLOCK.fullmatch(value) else None
    except ValueError:
        clock = None
    if clock is None:
        raise ValueError(f"{shown(value)} is not a time of day; write it as 08:00")
    return clock


def _clock_range(value: object) -> tuple[time, time]:
    begin, dash, end = value.partition("-") if isinstance(value, str) else ("", "", "")
    try:
        found = _clock(begin.strip()), _clock(end.strip())
    except ValueError:
        found = None
    if found is None or not dash:
        raise ValueError(f"{shown(value)} is not a part of the day; write it as 22:00-07:00")
    if found[0] == found[1]:
        raise ValueError(f"{shown(value)} is empty; write two different times, such as 22:00-07:00")
    return found


def _webhook(value: object) -> str:
    if isinstance(value, str) and value.startswith("$"):
        if not VARIABLE.fullmatch(value):
            raise ValueError(f"{shown(value)} is not a variable of the environment; write it as $AIR_PIPELINE_WEBHOOK")
        return value
    if not isinstance(value, str) or not value.isprintable() or not is_address(value):
        raise ValueError(
            "is not an address; write it as https://example.org/hook, or name a variable: $AIR_PIPELINE_WEBHOOK"
        )
    if "@" in urlsplit(value).netloc:
        raise ValueError(
            "has a user or password in it; put the address into the environment, and here the variable's name:"
            " $AIR_PIPELINE_WEBHOOK"
        )
    return value


def _mailbox(value: object) -> str:
    if not isinstance(value, str) or not _MAILBOX.fullmatch(value):
        raise ValueError(f"{shown(value)} is not a mail address; write it as me@example.org")
    return value


_MAIL_SCHEMES: Mapping[str, tuple[Security, int]] = {
    "": ("starttls", 587),
    "smtps": ("tls", 465),
    "plain": ("plain", 25),
}


def _mail_server(value: object) -> MailServer:
    scheme, found, rest = value.rpartition("://") if isinstance(value, str) else ("", "", "")
    if (found and not scheme) or scheme not in _MAIL_SCHEMES:
        raise ValueError(
            f"{shown(scheme)} is none of the ways to a mail server; write smtp.example.org:587 for STARTTLS,"
            " smtps://smtp.example.org:465 for TLS, or plain://localhost:25 for no encryption"
        )
    security, port = _MAIL_SCHEMES[scheme]
    try:
        parts = urlsplit(f"//{rest}")
        host, port = parts.hostname or "", port if parts.port is None else parts.port
    except ValueError:
        host = ""
    if not isinstance(value, str) or not port or "@" in rest or set(rest) & set("/?# ") or not _is_host(host):
        raise ValueError(f"{shown(value)} is not a mail server; write it as smtp.example.org:587")
    return MailServer(host, port, security)


def _number(value: object) -> float:
    try:
        number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{shown(value)} is not a number; write it as 1000 or 0.5")
    return number


def _positive(value: object) -> float:
    number = _number(value)
    if number <= 0:
        raise ValueError(f"{shown(value)} is not more than 0; write it as 0.1")
    return number


def _positive_or_off(value: object) -> float | None:
    if value == "off":
        return None
    try:
        return _positive(value)
    except ValueError as mistake:
        raise ValueError(f"{mistake}, or off") from None


def _gain(value: object) -> float:
    number = _number(value)
    if number == 0:
        raise ValueError("0 would make the same of every value; write it as 0.92")
    return number


def _range(value: object) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2:  # noqa: PLR2004 -- low and high
        raise ValueError(f"{shown(value)} is not a range; write it as [5, 40]")
    low, high = _number(value[0]), _number(value[1])
    if low >= high:
        raise ValueError(f"[{low:g}, {high:g}] is empty; write the lower bound first")
    return low, high


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError(f"{shown(value)} is not a text; write one on one line, in quotes")
    return value


def _spelling(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{shown(value)} is not a text; put it in quotes, as the device spells it")
    return value


def choice(*choices: str) -> Callable[[object], object]:
    """A check that a value is one of the choices."""

    def check(value: object) -> object:
        if not isinstance(value, str) or value not in choices:
            raise ValueError(f"{shown(value)} is none of {', '.join(choices)}{near(str(value), choices)}")
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
Gain = Annotated[float, BeforeValidator(_gain)]
Positive = Annotated[float, BeforeValidator(_positive)]
PositiveOrOff = Annotated[float | None, BeforeValidator(_positive_or_off)]
Range = Annotated[tuple[float, float], BeforeValidator(_range)]
Text = Annotated[str, BeforeValidator(_text)]
Spelling = Annotated[str, BeforeValidator(_spelling)]
DeviceId = Annotated[str, BeforeValidator(_device_id)]
Address = Annotated[str, BeforeValidator(_url)]
Interval = Annotated[int, BeforeValidator(_duration("1s", "1h"))]
Timeout = Annotated[int, BeforeValidator(_duration("100ms", "1h"))]
Grace = Annotated[int, BeforeValidator(_duration("0s", "7d"))]
Wait = Annotated[int, BeforeValidator(_duration("0s", "1d"))]
Clock = Annotated[time, BeforeValidator(_clock)]
ClockRange = Annotated[tuple[time, time], BeforeValidator(_clock_range)]
Webhook = Annotated[str, BeforeValidator(_webhook)]
Mailbox = Annotated[str, BeforeValidator(_mailbox)]
Server = Annotated[MailServer, BeforeValidator(_mail_server)]
Sleeps = Annotated[int, BeforeValidator(_duration("1m", "7d"))]
WarmUp = Annotated[int, BeforeValidator(_duration("0s", "48h"))]


_LONGEST_WORD = 100  # what is longer is like nothing, and slow to compare


def near(word: str, known: Iterable[str], *, otherwise: str = "") -> str:
    """The nearest of the known words as a question, for the end of a message."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    word = word[:_LONGEST_WORD]
    found = difflib.get_close_matches(word.lower(), list(by_lower), n=1, cutoff=0.6)
    return f"; did you mean {by_lower[found[0]]}?" if found else otherwise
