"""Local days and hours, found from the time zone's own rules.

Belongs here: when a local day or hour begins and ends on the UTC clock. Does not: arrays of instants
(`local_clock`), anything about devices. Only the standard library is imported here, because the collector and the code
server load this early.

A zone's offset changes are found by asking it twice a day and bisecting to the second where two answers differ: since
1900 no zone has changed its offset twice within three days.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR_S = 3600
_ASK_EVERY_S = 43_200
_DAY_S = 86_400
_WIDEST_OFFSET_S = _DAY_S
"""An offset is always less than a day, as `datetime` has it."""


@dataclass(frozen=True, slots=True)
class LocalHour:
    """One hour row of a local day: a maximal run of equal (local date, hour, offset).

    Attributes:
        start_utc: its first instant, UTC.
        end_utc: the instant after its last, UTC.
        local_start: what the local clock shows at `start_utc`, naive; not on the hour where the clock jumped into one.
        utc_offset_minutes: local minus UTC, rounded down to whole minutes (only Africa/Monrovia until 1972 had others
            since 1970).
    """

    start_utc: datetime
    end_utc: datetime
    local_start: datetime
    utc_offset_minutes: int

    @property
    def elapsed(self) -> timedelta:
        """How long it lasts: an hour, or less beside a change of the clock."""
        return self.end_utc - self.start_utc


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time during which the offset stays the same.

    Attributes:
        start: its first second, since 1970 UTC.
        end: the second after its last.
        offset: local minus UTC, in seconds.
    """

    start: int
    end: int
    offset: int


def epoch_ms(instant: datetime) -> int:
    """Milliseconds since 1970 UTC of an aware datetime, rounded down."""
    return (instant - _EPOCH) // timedelta(milliseconds=1)


def from_epoch_ms(milliseconds: int) -> datetime:
    """The inverse of `epoch_ms`, in UTC."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def utc_text(milliseconds: int, timespec: str = "seconds") -> str:
    """An instant (ms UTC) as ISO 8601, with a Z, for people and programs."""
    return from_epoch_ms(milliseconds).isoformat(timespec=timespec).replace("+00:00", "Z")


def is_date(text: str) -> bool:
    """Whether a text is a date in its usual form, such as 2026-11-21."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def span_ms(span: timedelta) -> int:
    """The whole milliseconds of a span of time."""
    return span // timedelta(milliseconds=1)


def first_instant(day: date, zone: ZoneInfo) -> datetime:
    """The first instant, in UTC, at which the local date is `day` or later.

    That is midnight, or the end of the gap where midnight was skipped, or the earlier of two midnights. A date that the
    zone skipped (Pacific/Apia, 2011-12-30) begins with the next one.
    """
    midnight = int((datetime.combine(day, time(), UTC) - _EPOCH).total_seconds())
    begin, end = midnight - _WIDEST_OFFSET_S, midnight + _WIDEST_OFFSET_S
    for stretch in stretches(begin, end, zone):
        reached = max(stretch.start, midnight - stretch.offset)
        if reached < stretch.end:
            return _EPOCH + timedelta(seconds=reached)
    raise AssertionError(f"{zone.key} has no instant of {day} or later")  # cannot be: offsets are less than a day


def day_window(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The local day as [start, end) in UTC: from its first instant to the first of the next date; empty if skipped."""
    return first_instant(day, zone), first_instant(day + timedelta(days=1), zone)


def local_hours(start: datetime, end: datetime, zone: ZoneInfo) -> tuple[LocalHour, ...]:
    """The hour rows that tile [start, end), aware datetimes on whole seconds.

    An autumn day has two rows for its repeated hour, a half-hour shift (Australia/Lord_Howe) makes half hours, and a
    clock that steps back over midnight puts a stretch of the date before into the day.
    """
    hours: list[LocalHour] = []
    for stretch in stretches(_seconds(start), _seconds(end), zone):
        begin = stretch.start
        while begin < stretch.end:
            to_next = _HOUR_S - (begin + stretch.offset) % _HOUR_S
            finish = min(begin + to_next, stretch.end)
            local_start = (_EPOCH + timedelta(seconds=begin + stretch.offset)).replace(tzinfo=None)
            hours.append(LocalHour(_instant(begin), _instant(finish), local_start, stretch.offset // 60))
            begin = finish
    return tuple(hours)


def stretches(start: int, end: int, zone: ZoneInfo) -> list[Stretch]:
    """The stretches of equal offset that tile [start, end), in seconds since 1970 UTC."""
    stretches: list[Stretch] = []
    begin, asked = start, start
    offset = _offset_s(start, zone)
    while asked < end:
        following = min(asked + _ASK_EVERY_S, end)
        changed = _offset_s(following, zone)
        if changed == offset:
            asked = following
            continue
        change = _first_change(asked, following, zone)
        if change == end:
            break
        stretches.append(Stretch(begin, change, offset))
        begin = asked = change
        offset = _offset_s(change, zone)
    if begin < end:
        stretches.append(Stretch(begin, end, offset))
    return stretches


def _first_change(before: int, after: int, zone: ZoneInfo) -> int:
    """The second in (before, after] at which the offset stops being that of `before`."""
    offset = _offset_s(before, zone)
    while after - before > 1:
        middle = (before + after) // 2
        if _offset_s(middle, zone) == offset:
            before = middle
        else:
            after = middle
    return after


def _offset_s(second: int, zone: ZoneInfo) -> int:
    offset = datetime.fromtimestamp(second, zone).utcoffset()
    assert offset is not None  # noqa: S101 - a ZoneInfo always has one
    return offset.days * _DAY_S + offset.seconds


def _seconds(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(seconds=1)


def _instant(second: int) -> datetime:
    return _EPOCH + timedelta(seconds=second)
