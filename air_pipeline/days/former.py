"""What built days say of devices and series that the settings name no longer, from before these were kept.

Belongs here: looking it up, once. Does not: what is kept of settings from then on (`settings.former`, `state`).
"""

from collections.abc import Collection, Iterator
from dataclasses import replace

from air_pipeline.deployment import Deployment
from air_pipeline.in_force import keep_former, read_former
from air_pipeline.places import DataPlace
from air_pipeline.settings import Device, Settings, known_devices
from air_pipeline.settings.former import device_of_units
from air_pipeline.storage.day_files import TableError, built_days, day_file


def settings_and_former(deployment: Deployment) -> Settings:
    """The settings, which know what was ever in force; what built days say of it is looked up once."""
    state = deployment.environment.state
    former = read_former(state)
    if not former.has_tables:
        keep_former(deployment.settings, state, list(devices_in_tables(deployment.data)))
        former = read_former(state)
    return replace(deployment.settings, former=former.devices or deployment.settings.former)


def devices_in_tables(data: DataPlace) -> Iterator[Device]:
    """The devices of built days, each with its last zone, and with the series and units that it had last."""
    found: dict[str, Device] = {}
    for day in reversed(built_days(data, "daily_aggregates")):
        try:
            rows = day_file(data, "daily_aggregates", day).units()
        except TableError:
            continue
        found = known_devices(found.values(), _devices(rows))
    yield from found.values()


def _devices(rows: Collection[tuple[str, str, str, str]]) -> Iterator[Device]:
    by_device: dict[tuple[str, str], dict[str, str]] = {}
    for device, zone, series, unit in sorted(rows):
        by_device.setdefault((device, zone), {})[series] = unit
    for (device, zone), units in by_device.items():
        yield device_of_units(device, zone, units)
