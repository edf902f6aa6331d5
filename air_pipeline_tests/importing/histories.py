"""A deployment on an embedded store, and histories in files, for the tests of importing."""

from datetime import date, datetime, timedelta

from air_pipeline.catalogue import KNOWN
from air_pipeline.importing.mapping import read_meaning
from air_pipeline.importing.planning import check_start, history_of, plan_import
from air_pipeline.importing.rows import Notes
from air_pipeline.importing.tables import read_tables
from air_pipeline.importing.writing import write_import
from air_pipeline.processing.local_time import epoch_ms
from air_pipeline.settings import ALWAYS, NEVER, Device
from air_pipeline_tests.days.deployments import DAY, LATER, deployment, window

MINUTE = 60_000
NAME = "hall"
MAPPING = """
device: hall
time: {column: at, zone: Europe/Warsaw}
columns:
  temperature: dht22_temperature
  dust: {series: sds011_pm25, unit: ug/m3}
"""
START, END = window()


def own_device(**changes):
    parameters = (KNOWN["dht22"]["temperature"], KNOWN["dht22"]["humidity"])
    return Device(NAME, "http://hall/", "Europe/Warsaw", interval_ms=10 * MINUTE, parameters=parameters, **changes)


def deployed_in(path, start=date(2026, 1, 1), **changes):
    deployed = deployment(path, own_device(**changes), start=start)
    deployed.environment.state.make()
    return deployed


def table(path, days=(DAY,), *, minutes=10, value=20.0, name="history.csv"):
    """A CSV of local times, a row every so many minutes, of whole local days."""
    lines = ["at,temperature,dust"]
    for day in days:
        midnight = datetime.combine(day, datetime.min.time())
        at = midnight
        while at < midnight + timedelta(days=1):
            lines.append(f"{at.isoformat()},{value + at.hour / 10},{at.minute / 10}")
            at += timedelta(minutes=minutes)
    (path / name).write_text("\n".join(lines) + "\n")
    (path / "mapping.yaml").write_text(MAPPING)
    return path / name


def planned(deployed, *paths, notes=None, ignoring=()):
    meaning = read_meaning(str(paths[0].parent / "mapping.yaml"))
    rows, found = read_tables(paths, meaning, lambda *_: None)
    history = history_of(deployed, NAME, meaning, rows, "history.csv")
    given = found if notes is None else notes
    return plan_import(deployed.store, history, given, now=epoch_ms(LATER), span=(ALWAYS, NEVER), ignoring=ignoring)


def imported(deployed, *paths):
    """Plans and writes; gives the plan."""
    plan = planned(deployed, *paths)
    check_start(deployed, plan)
    for _ in write_import(deployed, plan):
        pass
    return plan


__all__ = ["Notes"]
