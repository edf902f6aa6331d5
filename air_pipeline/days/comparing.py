"""How a built day stands to what would be built now, and what would be lost by building it."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from air_pipeline.days.calendar import DayOfOtherSettings
from air_pipeline.days.deleted import deleted_since
from air_pipeline.days.holdings import DayShrunk, held, losses, refusal
from air_pipeline.days.imports import undone_imports
from air_pipeline.days.inputs import DayInputs, Standing, day_inputs, standing_of, usual_settings_digest
from air_pipeline.deployment import Deployment
from air_pipeline.processing.columns import RULE_SET_VERSION, SCHEMA_VERSION
from air_pipeline.settings import Settings
from air_pipeline.settings.limits import series_of
from air_pipeline.storage.commit import built_metadata
from air_pipeline.storage.day_files import DayMetadata
from air_pipeline.storage.store import FirstPoll, ReadingStore


@dataclass(frozen=True, slots=True)
class Comparison:
    """A day that was compared with what is in the store now.

    Attributes:
        day: the local date.
        standing: whether it must be built (again), and can be without a loss.
        inputs: what it would be built from.
        built: how it was built; None if it is not, or its files are not of one making.
        lost: each device of which something would be lost, with what.
    """

    day: date
    standing: Standing
    inputs: DayInputs
    built: DayMetadata | None = None
    lost: Mapping[str, str] = field(default_factory=dict)

    @property
    def refusal(self) -> str:
        """Why the day is left as it is; empty unless something would be lost."""
        return refusal(self.day, self.lost) if self.lost else ""


def compare_day(
    deployment: Deployment, store: ReadingStore, day: date, first_poll: FirstPoll | None = None
) -> Comparison:
    """Compares a day with what a store holds now.

    Args:
        deployment: whose.
        store: the readings.
        day: the local date.
        first_poll: see `day_inputs`.

    Raises:
        StoreError: the store cannot say what it holds.
    """
    inputs = day_inputs(store, deployment.settings, day, first_poll)
    built = built_metadata(deployment.data, day)
    standing = standing_of(built, inputs)
    if standing is Standing.CURRENT:
        return Comparison(day, standing, inputs, built)
    lost = _losses(deployment, store, inputs, day)
    return Comparison(day, Standing.SHRUNK if lost else standing, inputs, built, lost)


class Under(StrEnum):
    """Under what a day was built."""

    NOW = "now"
    OLDER_SCHEMA = "older_schema"
    OLDER_RULES = "older_rules"
    OTHER_SETTINGS = "other_settings"


def built_under(made: DayMetadata, settings: Settings, day: date, store: ReadingStore, first_poll: FirstPoll) -> Under:
    """Under which columns, rules and settings a day was built, by what its files say of themselves.

    The store is asked only for first polls, unless a device was not polled that day.

    Raises:
        StoreError: the store does not say.
    """
    if made.schema_version != SCHEMA_VERSION:
        return Under.OLDER_SCHEMA
    if made.rule_set_version != RULE_SET_VERSION:
        return Under.OLDER_RULES
    return Under.NOW if _of_settings(made, settings, day, store, first_poll) else Under.OTHER_SETTINGS


def check_settings_of_now(store: ReadingStore, settings: Settings, made: DayMetadata, day: date) -> None:
    """Refuses to make a table from one of other settings or columns: both would say the same of themselves.

    Raises:
        DayOfOtherSettings: it was.
        StoreError: the store cannot say when devices were expected.
    """
    if made.schema_version != SCHEMA_VERSION or not _of_settings(made, settings, day, store, store.first_poll):
        raise DayOfOtherSettings(
            f"the observations of {day} were built with other settings than devices.yaml has now, or by an earlier"
            f" version; build the whole day: air-pipeline build --from {day} --to {day}"
        )


def _of_settings(made: DayMetadata, settings: Settings, day: date, store: ReadingStore, first_poll: FirstPoll) -> bool:
    with suppress(KeyError, TypeError, ValueError):  # limits that are none of ours
        if made.settings_digest == usual_settings_digest(store, settings, day, series_of(made.limits), first_poll):
            return True
    return made.settings_digest == day_inputs(store, settings, day, first_poll).settings_digest


def check_nothing_lost(deployment: Deployment, inputs: DayInputs, day: date) -> None:
    """Refuses to lose what is built and no longer in the store, but for what was deleted on purpose.

    Raises:
        DayShrunk: something would be lost.
        StoreError: the store cannot say what it holds.
    """
    if lost := _losses(deployment, deployment.store, inputs, day):
        raise DayShrunk(refusal(day, lost))


def _losses(deployment: Deployment, store: ReadingStore, inputs: DayInputs, day: date) -> dict[str, str]:
    built = held(deployment.data, day)
    expected = {one.device.id for one in inputs.devices}
    if not built:
        return {}
    is_any = any(one.imports for one in built.values())
    undone = undone_imports(deployment.environment.state) if is_any else ()
    return losses(store, built, expected, deleted_since(deployment, day), undone)
