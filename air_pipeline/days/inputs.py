"""What a day is built from, in short: so that a day built from something else is noticed."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path

from air_pipeline.days.calendar import DayError, DeviceDay, device_days
from air_pipeline.processing.columns import SCHEMA_VERSION, TABLES
from air_pipeline.processing.slots import expected_limits
from air_pipeline.settings import Settings
from air_pipeline.storage.parquet import DayMetadata, DayUnreadable, day_file
from air_pipeline.storage.store import ReadingStore, Summary


class Verdict(StrEnum):
    """How a built day stands to what it would be built from now."""

    MISSING = "missing"
    CHANGED = "changed"
    CURRENT = "current"
    SHRUNK = "shrunk"


class DayShrunk(DayError):
    """The store now holds fewer polls than the day was built from: building it again would lose something."""


@dataclass(frozen=True, slots=True)
class DayInputs:
    """What a day would be built from now.

    Attributes:
        settings_digest: changes with the settings of the devices that were expected.
        fingerprint: JSON with `polls` and `sha256`: changes with what the store holds of them.
        polls: how many polls the store holds of them.
        rule_set_version: of the rules that would flag it.
        devices: the devices that were expected at any time of the day.
    """

    settings_digest: str
    fingerprint: str
    polls: int
    rule_set_version: str
    devices: tuple[DeviceDay, ...]


def day_inputs(store: ReadingStore, settings: Settings, day: date) -> DayInputs:
    """What a day would be built from now, by what the store holds in each device's day and in the reach of the rules.

    Raises:
        StoreError: the store cannot say.
    """
    from air_pipeline.processing.rules import RULE_SET_VERSION

    days = device_days(settings, day)
    summaries = _summaries(store, days)
    present = tuple(one for one in days if _expected(store, one, summaries.get(one.device.id)))
    digests = []
    held = []
    for one in sorted(present, key=lambda one: one.device.id):
        summary = summaries.get(one.device.id)
        # Without a poll, the configured interval may be what counts are made with.
        digests.append([one.device.digest, None if summary and summary.polls else one.device.interval_ms])
        if summary:
            held.append([one.device.id, summary.polls, summary.duration_ms, summary.values])
    polls = sum(summary.polls for name, summary in summaries.items() if any(one.device.id == name for one in present))
    return DayInputs(
        settings_digest=_digest(digests),
        fingerprint=json.dumps({"polls": polls, "sha256": _digest(held)}, separators=(",", ":")),
        polls=polls,
        rule_set_version=RULE_SET_VERSION,
        devices=present,
    )


def judge(built: DayMetadata | None, inputs: DayInputs) -> Verdict:
    """Whether a day must be built (again)."""
    if built is None:
        return Verdict.MISSING
    same = (
        built.settings_digest == inputs.settings_digest
        and built.input_fingerprint == inputs.fingerprint
        and built.rule_set_version == inputs.rule_set_version
        and built.schema_version == SCHEMA_VERSION
    )
    if same:
        return Verdict.CURRENT
    return Verdict.SHRUNK if inputs.polls < polls_of(built) else Verdict.CHANGED


def polls_of(built: DayMetadata) -> int:
    """From how many polls a day was built."""
    return int(json.loads(built.input_fingerprint)["polls"])


def built_metadata(data: Path, day: date) -> DayMetadata | None:
    """How a day was built; None unless all of its tables are there, readable and of one making."""
    found: set[str] = set()
    metadata = None
    for table in TABLES:
        file = day_file(data, table, day)
        if not file.exists:
            return None
        try:
            metadata = file.metadata()
        except DayUnreadable:
            return None
        found.add(json.dumps(metadata.to_texts()))
    return metadata if len(found) == 1 else None


def observed_metadata(data: Path, day: date) -> DayMetadata | None:
    """How the observations of a day were made, whatever became of the tables after them; None if there are none."""
    file = day_file(data, "observations", day)
    try:
        return file.metadata() if file.exists else None
    except DayUnreadable:
        return None


def check_not_shrunk(built: DayMetadata | None, inputs: DayInputs, day: date) -> None:
    """Refuses to lose what the store no longer holds.

    Raises:
        DayShrunk: the day was built from more polls than there are now.
    """
    if built is not None and judge(built, inputs) is Verdict.SHRUNK:
        raise DayShrunk(
            f"{day} was built from {polls_of(built)} polls and the store now holds {inputs.polls} for the devices of"
            " devices.yaml, so it is left as it is; to build it all the same:"
            f" air-pipeline build --from {day} --to {day} --force"
        )


def _summaries(store: ReadingStore, days: Iterable[DeviceDay]) -> dict[str, Summary]:
    """The store's summary of each device, over its day and the reach of the rules; one question a window."""
    from air_pipeline.processing.rules import reach

    before, after = (round(span.total_seconds() * 1000) for span in reach())
    windows: dict[tuple[int, int], set[str]] = {}
    for one in days:
        windows.setdefault((one.start - before, one.end + after), set()).add(one.device.id)
    found: dict[str, Summary] = {}
    for (start, end), names in windows.items():
        found.update({name: summary for name, summary in store.summaries(start, end).items() if name in names})
    return found


def _expected(store: ReadingStore, one: DeviceDay, summary: Summary | None) -> bool:
    """Whether a device was expected at any time of its day."""
    first = one.start if summary or one.device.since else store.first_poll(one.device.id)
    since, until = expected_limits(one.device, first)
    return since is not None and since < one.end and (until is None or until > one.start)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:32]
