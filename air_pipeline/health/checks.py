"""The checks that are shown by Dagster or told to a person, as they come.

They load nothing that is slow. What is looked at beside, when somebody asks, is in `examination`.
"""

from collections.abc import Iterable
from datetime import datetime

from air_pipeline.health import Check, Finding, Level
from air_pipeline.health.answering import objects_answering, runs_taken, store_answering
from air_pipeline.health.clock import clock_believed
from air_pipeline.health.collecting import (
    collector_running,
    collectors_agree,
    devices_reporting,
    devices_themselves,
    documents_known,
    outbox_draining,
    outbox_whole,
    polls_recorded,
    quarantine_empty,
)
from air_pipeline.health.days import days_built, days_current, days_rebuilt, days_unbroken
from air_pipeline.health.kept import days_kept
from air_pipeline.health.measuring import OF_A_DAY
from air_pipeline.health.seen import Seen
from air_pipeline.health.set_up import configuration_valid
from air_pipeline.health.space import disk_lasts

CHECKS: tuple[Check, ...] = (
    collector_running,
    collectors_agree,
    clock_believed,
    devices_reporting,
    devices_themselves,
    store_answering,
    outbox_draining,
    polls_recorded,
    outbox_whole,
    quarantine_empty,
    configuration_valid,
    documents_known,
    disk_lasts,
    objects_answering,
    runs_taken,
    days_built,
    days_rebuilt,
    *OF_A_DAY,
    days_unbroken,
    days_current,
    days_kept,
)

OF_ALL_DAYS: tuple[Check, ...] = (days_built, days_unbroken, days_current, days_kept)
"""The checks of what became of all days: no part of building one."""
OF_MANY_MACHINES: tuple[Check, ...] = (objects_answering, runs_taken)
"""The checks of what days need that one machine has not; they find nothing where it is not used."""


def checks_of(asset: str) -> list[Check]:
    """The checks that Dagster shows under an asset."""
    return [check for check in CHECKS if check.asset == asset]


def told_checks() -> list[Check]:
    """The checks of which a person is told."""
    return [check for check in CHECKS if check.bad]


def summaries(checks: Iterable[Check], seen: Seen, now: datetime) -> list[Finding]:
    """What each check found, as one finding; what cannot be told now is left out."""
    found = [check.summary(list(check.findings(seen)), now) for check in checks]
    return [one for one in found if one.level is not Level.UNKNOWN]
