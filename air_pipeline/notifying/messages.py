"""Messages, as a person reads them and as JSON.

Belongs here: words. Does not: when they are said (`deciding`), and how they are sent (`sending`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from air_pipeline.health import Check, Level
from air_pipeline.health.checks import CHECKS
from air_pipeline.notifying.deciding import Change, Key
from air_pipeline.showing import plain_lines, without_secrets_in

MOST_ITEMS = 20
"""Items that a message names."""

Gravity = Literal["grave", "mild", "well"]


_CHECKS: Mapping[str, Check] = {check.name: check for check in CHECKS if check.bad}
_NAMES = {"days_built": "day_built", "days_rebuilt": "day_rebuilt"}
"""Checks that are told under another name than theirs: days are told one by one."""


@dataclass(frozen=True, slots=True)
class Item:
    """One change, or in a digest one thing that is not well.

    Attributes:
        subject: the device or date; empty where the check has but one subject.
        check: its name.
        level: how it is now.
        was: `bad` or `good`.
        now: the other; in a digest the same.
        since: since when it is as it is now, ISO 8601 with offset.
        text: what happened, for a person.
        detail: what was found.
        remedy: what to do; empty if it is well.
    """

    subject: str
    check: str
    level: Gravity
    was: str
    now: str
    since: str
    text: str
    detail: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent, the same to everybody; its fields are those of the JSON body.

    Attributes:
        id: the same however often it is sent.
        at: when it was composed, ISO 8601 with offset.
        kind: what it is.
        level: that of its gravest item.
        deployment: the host that it comes from.
        title: for a subject line.
        text: for reading, plain.
        items: at most 20.
        more: how many were left out.
    """

    id: str
    at: str
    kind: Literal["change", "digest", "test"]
    level: Gravity
    deployment: str
    title: str
    text: str
    items: tuple[Item, ...] = ()
    more: int = 0

    def to_body(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> "Message":
        """The inverse of `to_body`; a TypeError or KeyError where it is not one of ours."""
        return cls(**{**body, "items": tuple(Item(**item) for item in body["items"])})


def change_message(name: str, changes: Sequence[Change], zone: ZoneInfo, now: datetime, deployment: str) -> Message:
    """One message for everything that changed at one time; there is something."""
    items = [_item(change, zone) for change in changes]
    shown, more = items[:MOST_ITEMS], max(len(items) - MOST_ITEMS, 0)
    title = f"air: {shown[0].text}" + (f" and {len(items) - 1} more" if len(items) > 1 else "")
    return Message(
        id=name,
        at=_iso(now, zone),
        kind="change",
        level=shown[0].level,
        deployment=deployment,
        title=title,
        text="\n\n".join([*map(_paragraph, shown), *([f"… and {more} more"] if more else []), _foot(deployment)]),
        items=tuple(shown),
        more=more,
    )


def _item(change: Change, zone: ZoneInfo) -> Item:
    (name, subject), finding = change.key, change.finding
    check = _CHECKS[name]
    if finding is None:
        until = change.until or change.since
        return Item(
            subject=subject,
            check=_NAMES.get(name, name),
            level="well",
            was="bad",
            now="good",
            since=_iso(until, zone),
            text=f"{check.good.format(subject=subject)}, after {duration(until - change.since)}",
            detail="",
            remedy="",
        )
    return Item(
        subject=subject,
        check=_NAMES.get(name, name),
        level="grave" if finding.level is Level.FAILURE else "mild",
        was="good",
        now="bad",
        since=_iso(change.since, zone),
        text=headline(change.key, _told(finding.text)),
        detail=_told(finding.text),
        remedy=_told(finding.remedy),
    )


def _told(text: str) -> str:
    """What may be from a device or a server, as mail and webhooks may have it."""
    return plain_lines(without_secrets_in(text))


_LONGEST_IN_HEADLINE = 32


def headline(key: Key, detail: str) -> str:
    """What is not well, in a few words; a detail of a word or two is said with it."""
    said = _CHECKS[key[0]].bad.format(subject=key[1])
    return f"{said} ({detail})" if detail and len(detail) <= _LONGEST_IN_HEADLINE and "\n" not in detail else said


def _paragraph(item: Item) -> str:
    when = datetime.fromisoformat(item.since)
    lines = [f"{item.text[0].upper()}{item.text[1:]} (since {when:%Y-%m-%d %H:%M %z})"]
    if item.detail and f"({item.detail})" not in item.text:
        lines.append(item.detail)
    return "\n".join([*lines, *filter(None, [item.remedy])])


def _foot(deployment: str) -> str:
    return f"-- \nair_pipeline on {deployment}"


def trial_message(name: str, zone: ZoneInfo, now: datetime, deployment: str) -> Message:
    """What `air-pipeline notify --test` sends."""
    text = f"This is a test: what is not well on {deployment} will be told here.\n\n{_foot(deployment)}"
    return Message(name, _iso(now, zone), "test", "well", deployment, "air: a test", text)


def digest_message(
    name: str, summary: Sequence[str], unwell: Sequence[Change], zone: ZoneInfo, now: datetime, deployment: str
) -> Message:
    """The daily one: the paragraphs of a summary, and what is not well now."""
    items = [replace(_item(change, zone), was="bad") for change in unwell]
    shown, more = items[:MOST_ITEMS], max(len(items) - MOST_ITEMS, 0)
    title = f"{len(items)} not well" if items else "all is well"
    lines = [f"- {item.text}" for item in shown] + ([f"… and {more} more"] if more else [])
    now_unwell = "\n".join(["Not well now:", *lines]) if items else "Everything is well now."
    return Message(
        id=name,
        at=_iso(now, zone),
        kind="digest",
        level=shown[0].level if shown else "well",
        deployment=deployment,
        title=f"air: {title}",
        text="\n\n".join([now_unwell, *summary, _foot(deployment)]),
        items=tuple(shown),
        more=more,
    )


def duration(span: timedelta) -> str:
    """How long something took, in words: its two largest units."""
    seconds = max(round(span.total_seconds()), 0)
    parts = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        number, seconds = divmod(seconds, size)
        parts.append((number, unit))
    first = next((index for index, (number, _) in enumerate(parts) if number), len(parts) - 1)
    told = [f"{number} {unit}" for number, unit in parts[first : first + 2] if number]
    return " ".join(told) or "0 s"


def _iso(instant: datetime, zone: ZoneInfo) -> str:
    return instant.astimezone(zone).isoformat(timespec="seconds")
