"""Deployments with a real store and real tables, for the tests of days."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime
from html import escape

from air_pipeline.catalogue import Parameter
from air_pipeline.days.building import built_daily, built_hourly, built_observations
from air_pipeline.deployment import Deployment
from air_pipeline.devices.polls import Outcome, Poll
from air_pipeline.environment import Environment
from air_pipeline.in_force import with_former
from air_pipeline.processing.local_time import day_window, epoch_ms
from air_pipeline.settings import Device, Settings
from air_pipeline.state import StateDirectory
from air_pipeline.storage.day_files import day_file
from air_pipeline.storage.pages import page_file

MINUTE, HOUR = 60_000, 3_600_000
DAY = date(2026, 11, 21)
BEFORE, AFTER = date(2026, 11, 20), date(2026, 11, 22)
LATER = datetime(2027, 6, 1, tzinfo=UTC)
ONE = (Parameter("first", "temperature", "°C", "temperature", (-40.0, 80.0), 0.1),)


def device(name="hall", timezone="Europe/Warsaw", interval_ms=10 * MINUTE, **changes):
    return Device(name, f"http://{name}/", timezone, interval_ms=interval_ms, parameters=ONE, **changes)


def deployment(path, *devices, start=date(2026, 1, 1), now=LATER, timezone="Europe/Warsaw"):
    environment = Environment(path / "devices.yaml", StateDirectory(path / "state"), path / "data")
    return Deployment(environment, Settings(timezone, start, devices or (device(),)), now=lambda: now)


def with_devices(deployed, *devices):
    """The deployment with other devices in its settings, as it is loaded then."""
    settings = with_former(replace(deployed.settings, devices=devices), deployed.environment.state)
    return Deployment(deployed.environment, settings, now=deployed.now)


def window(day=DAY, one=None):
    """The local day of a device, in ms UTC."""
    return tuple(map(epoch_ms, day_window(day, (one or device()).zone)))


def poll(at, name="hall", value=20.0, *, interval_ms=10 * MINUTE, outcome=Outcome.OK, duration_ms=40.0, **fields):
    given = {"values": {"first_temperature": value} if outcome.has_reading else {}} | fields
    return Poll(name, at, outcome, duration_ms, interval_ms / 1000, http_status=200, **given)


def polls(start, end, name="hall", interval_ms=10 * MINUTE):
    first = -(-start // interval_ms) * interval_ms
    return [
        poll(at, name, 20.0 + at // interval_ms % 7, interval_ms=interval_ms) for at in range(first, end, interval_ms)
    ]


def seed(deployed, days=(DAY,)):
    """Polls of every device in all slots of its local days."""
    for one in deployed.settings.devices:
        for day in days:
            deployed.store.write(polls(*window(day, one), one.id, one.interval_ms))


def forget(deployed, name, start, end, tables=("air", "poll")):
    """Deletes what the embedded store holds of a device in an interval behind its back."""
    with closing(sqlite3.connect(deployed.environment.state.readings)) as connection, connection:
        for table in tables:
            gone = connection.execute(
                f"DELETE FROM {table} WHERE device = ? AND observed_at >= ? AND observed_at < ?",  # noqa: S608
                (name, start, end),
            )
            assert gone.rowcount


def build(deployed, day=DAY, *, force=False, ahead=None):
    """All tables of a day, published, and a page of nothing but a head; gives the tables as frames."""
    with built_observations(deployed, day, force=force, ahead=ahead) as built:
        assert built.written.row_count() == built.rows
        observed = built.staged.publish()
    with built_hourly(deployed, day, observed) as built:
        assert built.written.row_count() == built.rows
        hourly = built.staged.publish()
    with built_daily(deployed, day, observed, hourly) as built:
        assert built.written.row_count() == built.rows
        daily = built.staged.publish()
    publish_page(deployed, day, built.metadata)
    return observed.read(), hourly.read(), daily.read()


def with_built_days(path, *devices, days):
    """A deployment in a directory, where its devices have these whole days, which are built in this order."""
    deployed = deployment(path, *devices)
    seed(deployed, days)
    for day in days:
        build(deployed, day)
    return deployed


def publish_page(deployed, day, metadata):
    """A page that says how it was made and nothing else."""
    texts = (f'<meta name="{name}" content="{escape(text)}">' for name, text in metadata.making().items())
    page_file(deployed.data, day).publish("\n".join(texts))


def contents(deployed, day=DAY):
    """The bytes of a day's files."""
    tables = ("observations", "hourly_aggregates", "daily_aggregates")
    return [day_file(deployed.data, table, day).path.read_bytes() for table in tables]
