"""Everything that can be looked at without Dagster, in the order in which a person reads it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from air_pipeline.deployment import Deployment
from air_pipeline.diagnosis import Finding, Level, Probe
from air_pipeline.diagnosis.asking_devices import look_at_devices
from air_pipeline.diagnosis.clock import look_at_clock
from air_pipeline.diagnosis.days import look_at_days
from air_pipeline.diagnosis.processes import look_at_collector, look_at_up
from air_pipeline.diagnosis.setting_up import SetUp
from air_pipeline.diagnosis.space import look_at_space
from air_pipeline.diagnosis.store import look_at_outbox, look_at_store

_SET_BY_THE_USER = {"settings", "environment", "state directory", "data directory"}


def probes(set_up: SetUp, devices: Sequence[str] = ()) -> list[Probe]:
    """What to look at; where there are no settings or no store, what can be looked at without.

    Args:
        set_up: what the user has set.
        devices: the ids of those to ask; all without.

    Raises:
        SettingsError: there is no such device.
    """
    environment, settings, now = set_up.environment, set_up.settings, datetime.now(UTC)
    found = [Probe(finding.subject, partial(iter, [finding])) for finding in set_up.findings]
    found += [Probe("disk space", partial(look_at_space, environment, settings)), Probe("clock", look_at_clock)]
    if set_up.store_known:
        found.append(Probe("store", partial(look_at_store, environment)))
    found.append(Probe("outbox", partial(look_at_outbox, environment, now)))
    if settings is not None:
        asked = [settings.device(name) for name in devices] or settings.devices
        found.append(Probe("devices", partial(look_at_devices, environment, asked, now)))
        found.append(Probe("collector", partial(look_at_collector, environment, settings)))
        found.append(Probe("up", partial(look_at_up, environment, settings)))
        if set_up.store_known:
            found.append(Probe("days", partial(look_at_days, Deployment(environment, settings))))
    return found


def exit_status(found: Sequence[Finding]) -> int:
    """0 where nothing failed, 1 where something did, 2 where what the user has set cannot be used."""
    failed = {finding.subject for finding in found if finding.level is Level.FAILURE}
    return 2 if failed & _SET_BY_THE_USER else 1 if failed else 0
