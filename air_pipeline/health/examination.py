"""Everything that can be looked at without Dagster when a person asks, in the order in which they read it."""

from collections.abc import Sequence

from air_pipeline.health import Check, Finding, Level
from air_pipeline.health.clock import clock_believed, clock_kept, clocks_agree
from air_pipeline.health.collecting import (
    collector_running,
    outbox_draining,
    outbox_whole,
    polls_recorded,
    quarantine_empty,
)
from air_pipeline.health.days import days_built, days_current, days_unbroken
from air_pipeline.health.devices import devices_answer
from air_pipeline.health.kept import days_kept
from air_pipeline.health.measuring import OF_A_DAY
from air_pipeline.health.processes import up_running
from air_pipeline.health.seen import Seen
from air_pipeline.health.set_up import configuration_valid, directories_usable, environment_usable, start_reached
from air_pipeline.health.space import disk_lasts, disk_space
from air_pipeline.health.store import store_usable

SET_BY_THE_USER = (configuration_valid, environment_usable, directories_usable)
"""What fails here is for the user to put right before anything can go on."""
_WITHOUT_SETTINGS = (
    configuration_valid,
    start_reached,
    environment_usable,
    directories_usable,
    disk_space,
    disk_lasts,
    clock_kept,
    clock_believed,
    clocks_agree,
    store_usable,
    outbox_draining,
    polls_recorded,
    outbox_whole,
    quarantine_empty,
)
EXAMINATION: tuple[Check, ...] = (
    *_WITHOUT_SETTINGS,
    devices_answer,  # which says more than what the collector noted to somebody who asks
    collector_running,
    up_running,
    *OF_A_DAY,
    days_built,
    days_unbroken,
    days_current,
    days_kept,
)


def checks_for_a_person(seen: Seen) -> tuple[Check, ...]:
    """What `doctor` looks at; where there are no settings, what can be looked at without."""
    return _WITHOUT_SETTINGS if seen.settings is None else EXAMINATION


def exit_status(found: Sequence[Finding]) -> int:
    """0 where nothing failed, 1 where something did, 2 where what the user has set cannot be used."""
    failed = {finding.check for finding in found if finding.level is Level.FAILURE}
    return 2 if failed.intersection(check.name for check in SET_BY_THE_USER) else 1 if failed else 0
