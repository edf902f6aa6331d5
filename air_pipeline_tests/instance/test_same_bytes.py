"""The same readings give the same files, whoever builds them, from which store, in which order and how often."""

from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from random import Random

import pytest

from air_pipeline.days.calendar import device_days
from air_pipeline.definitions import day_jobs
from air_pipeline.deployment import Deployment
from air_pipeline.devices.simulator import Profile
from air_pipeline.devices.simulator.faults import Fault
from air_pipeline.devices.simulator.history import polls_between
from air_pipeline.devices.simulator.script import Entry, Script
from air_pipeline.instance.ranges import build_range
from air_pipeline.processing.local_time import day_window
from air_pipeline.storage.commit import torn
from air_pipeline_tests.assets.small_deployments import WHOLE, build, deployment_in, failures, small_device
from air_pipeline_tests.cli.in_this_process import in_this_process

DAYS = [date(2026, 3, number) for number in (9, 10, 11)]
DAY = DAYS[1]
DEVICES = (
    small_device("hall", thresholds={"dht22_temperature": 20.0}, expected_range={"dht22_temperature": [15, 22]}),
    {"id": "attic", "url": "http://127.0.0.1:9/attic", "timezone": "Asia/Tokyo", "interval": "10m"},
)


def polls(settings):
    """What was polled on all days: with a restart before the day, a sensor that was frozen, an outage and holes."""
    begun = day_window(DAY, settings.zone)[0].timestamp()
    booted = begun - 20 * 3600
    script = Script(
        (
            Entry("attic", Fault("boot"), booted, for_s=400.0),
            Entry("attic", Fault("dht22_frozen"), begun + 6 * 3600, for_s=5 * 3600.0),
            Entry("hall", Fault("hang"), begun + 12 * 3600, for_s=2 * 3600.0),
        )
    )
    for one in (each for day in DAYS for each in device_days(settings, day)):
        random = Random(one.device.id)
        profile = Profile(one.device.id, 2, booted if one.device.id == "attic" else 0.0)
        made = polls_between(one.device, profile, one.start, one.end, script.fault_at)
        yield from (poll for poll in made if random.random() > 0.02)


@contextmanager
def deployed(folder, order=0, influxdb=None):
    """A deployment whose settings name the devices, and whose store was filled, in one order or another."""
    folder.mkdir()
    made = deployment_in(folder, *DEVICES[:: 1 if order % 2 == 0 else -1])
    if influxdb is not None:
        made = Deployment(replace(made.environment, influxdb=influxdb), made.settings, now=made.now)
    everything = sorted(polls(made.settings), key=lambda poll: (poll.device, poll.observed_at))
    Random(order).shuffle(everything)
    for first in range(0, len(everything), 500):
        made.store.write(everything[first : first + 500])
    yield made
    made.store.close()


def files(made):
    """All that was made of the day: the tables, the page, and the commit that says that they belong together."""
    assert torn(made.data, DAY) == ""
    found = {path.relative_to(made.data): path.read_bytes() for path in made.data.rglob("*") if path.is_file()}
    return {str(path): content for path, content in found.items() if DAY.isoformat() in str(path)}


@pytest.fixture(scope="module")
def by_a_run(instance, tmp_path_factory):
    """The files of a day that a run made of the embedded store."""
    with deployed(tmp_path_factory.mktemp("run") / "of the embedded store") as made:
        assert failures(build(made, instance, DAY, only=WHOLE)) == {}
        found = files(made)
    assert len(found) == len(WHOLE) + 1
    return found


def test_days_of_another_order_built_in_another_order_have_the_same_bytes(by_a_run, instance, tmp_path):
    with deployed(tmp_path / "other", order=1) as made:
        for day in (DAYS[-1], DAY):
            assert failures(build(made, instance, day, only=WHOLE)) == {}
        assert files(made) == by_a_run


@pytest.mark.influxdb
def test_influxdb_gives_the_same_bytes_as_the_embedded_store(by_a_run, instance, tmp_path, influxdb):
    with deployed(tmp_path / "other", order=2, influxdb=influxdb.connection()) as made:
        assert failures(build(made, instance, DAY, only=WHOLE)) == {}
        assert files(made) == by_a_run


@pytest.fixture
def named(tmp_path, monkeypatch):
    """A deployment that the environment names."""
    with deployed(tmp_path / "other", order=3) as made:
        for name, value in made.environment.variables().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("DAGSTER_HOME", "")
        yield made


@pytest.mark.slow
def test_the_command_build_gives_the_same_bytes_as_a_run_and_so_it_does_again(by_a_run, named, monkeypatch, capsys):
    assert in_this_process(monkeypatch, capsys, "build", "--from", DAYS[0], "--to", DAY)[0] == 0
    assert files(named) == by_a_run
    assert in_this_process(monkeypatch, capsys, "build", "--from", DAY, "--to", DAY, "--force")[0] == 0
    assert files(named) == by_a_run


@pytest.mark.slow
def test_a_range_that_workers_build_gives_the_same_bytes_as_a_run(by_a_run, named, tmp_path):
    (tmp_path / "home").mkdir()
    outcomes = dict(build_range(tmp_path / "home", DAYS, day_jobs, force=False, workers=2))
    assert outcomes == dict.fromkeys(DAYS, "")
    assert files(named) == by_a_run
