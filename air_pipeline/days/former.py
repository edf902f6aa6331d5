"""Devices and series that the settings name no longer, for all who build days: what was set for them last.

Belongs here: telling it beside the days, where other machines take it from, and looking up in built days what is of
before it was kept. Does not: what each machine keeps of its own settings (`settings.former`, `in_force`).

A machine that builds and never had the settings of before would flag such series by other limits than the rest.
"""

import json
from collections.abc import Collection, Iterator
from dataclasses import replace

from air_pipeline.days.terms import home_of
from air_pipeline.deployment import Deployment
from air_pipeline.in_force import keep_former, read_former
from air_pipeline.places import DataPlace
from air_pipeline.settings import Device, Settings, known_devices
from air_pipeline.settings.former import Former, device_of_units
from air_pipeline.storage.day_files import TableError, built_days, day_file
from air_pipeline.storage.shelf import put_text, shelf_at

_NAME = "days/former"


def settings_and_former(deployment: Deployment) -> Settings:
    """The settings, which know what was ever in force: here, and where it is decided which days are built.

    What built days say of it is looked up once.

    Raises:
        ShelfError: the object store with the days does not answer, or refuses.
    """
    state = deployment.environment.state
    home, told = _told(deployment.data)
    if home != home_of(state):
        keep_former(deployment.settings, state, told=told.devices)
    former = read_former(state)
    if not former.has_tables:
        keep_former(deployment.settings, state, list(devices_in_tables(deployment.data)))
        former = read_former(state)
    return replace(deployment.settings, former=former.devices or deployment.settings.former)


def tell_former(deployment: Deployment) -> None:
    """Keeps beside the days what was ever in force here, for whoever else builds them.

    Raises:
        TableError: it cannot be written.
        ShelfError: the object store does not take it.
    """
    state, shelf = deployment.environment.state, shelf_at(deployment.data)
    home, former = home_of(state), read_former(state)
    if _told(deployment.data) == (home, former):
        return
    text = json.dumps({"home": home, "former": json.loads(former.to_json())}, ensure_ascii=False)
    try:
        put_text(shelf, None, _NAME, f"{text}\n")
    except OSError as error:
        raise TableError(
            f"{shelf.place(None, _NAME)} cannot be written ({error}); see to rights and space there"
        ) from error


def _told(data: DataPlace) -> tuple[str, Former]:
    """Whose word is beside the days, and what it says; nobody's where it cannot be read."""
    try:
        said = json.loads(shelf_at(data).head(None, _NAME))
        return str(said["home"]), Former.from_json(json.dumps(said["former"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "", Former()


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
