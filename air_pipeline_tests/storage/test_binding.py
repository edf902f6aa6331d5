"""Days that are shared are held to the store that they came from, whoever builds them."""

import json
import shutil
from dataclasses import replace
from datetime import date

import pytest

from air_pipeline.days.building import built_observations
from air_pipeline.days.compared import Compared, read_compared, write_compared
from air_pipeline.deployment import Deployment, open_deployment
from air_pipeline.settings import SettingsError
from air_pipeline.state import StateDirectory
from air_pipeline.storage.binding import bind_days, binding_of, check_days, store_of
from air_pipeline.storage.day_files import built_days
from air_pipeline_tests.days.deployments import DAY, build, deployment, seed
from air_pipeline_tests.environments import INFLUX, environment_in, mistake, with_influx

ELSEWHERE = "InfluxDB at http://localhost:8086, org home, bucket air"


@pytest.fixture
def deployed(tmp_path):
    made = deployment(tmp_path)
    seed(made)
    yield made
    made.store.close()


def on_another_machine(deployed, tmp_path):
    """The same data, as a new machine sees it that has a state directory of its own."""
    environment = replace(deployed.environment, state=StateDirectory(tmp_path / "another state"))
    return Deployment(environment, deployed.settings, now=deployed.now)


def test_the_first_day_binds_the_days_to_the_store(deployed):
    assert store_of(deployed.data) == ""
    build(deployed)
    assert store_of(deployed.data) == deployed.environment.store == "the embedded store"


def test_a_machine_without_its_variables_builds_nothing_of_its_own_empty_store(deployed, tmp_path):
    bind_days(deployed.environment.data, ELSEWHERE)
    worker = on_another_machine(deployed, tmp_path)
    seed(worker)  # it even has readings of its own
    with pytest.raises(SettingsError) as refused, built_observations(worker, DAY):
        pass
    assert str(refused.value) == (
        f"environment: the days in {deployed.environment.data} came from {ELSEWHERE}, and the environment names the"
        " embedded store; set INFLUXDB_V2_URL, INFLUXDB_V2_TOKEN, INFLUXDB_V2_ORG, INFLUXDB_V2_BUCKET again — or, if"
        f" the readings have moved there, delete {deployed.environment.data}/days/store"
    )
    with pytest.raises(SettingsError, match="came from InfluxDB"):
        _ = worker.data  # nor are they compared, or read
    assert built_days(deployed.environment.data, "observations") == []
    worker.store.close()


def test_a_command_without_its_variables_is_refused_before_it_begins(tmp_path, monkeypatch):
    environment = with_influx(environment_in(tmp_path))
    bind_days(environment.data, environment.store)
    for name, value in {**environment.variables(), **INFLUX}.items():
        monkeypatch.setenv(name, value)
    open_deployment()
    for name in INFLUX:
        monkeypatch.delenv(name)
    assert "the days in" in mistake(open_deployment)


@pytest.mark.parametrize("content", [b"", b"\0" * 40, b"some store"])
def test_a_damaged_binding_is_not_taken_for_the_embedded_store(deployed, content):
    binding_of(deployed.data).parent.mkdir(parents=True)
    binding_of(deployed.data).write_bytes(content)
    said = mistake(check_days, deployed.data, "the embedded store")
    assert said.startswith(f"environment: {binding_of(deployed.data)} is damaged and does not say which store the days")


def test_days_of_an_earlier_version_are_bound_when_the_next_is_built(deployed):
    build(deployed)
    binding_of(deployed.data).unlink()
    check_days(deployed.data, ELSEWHERE)  # nothing says otherwise yet
    build(deployed)
    assert store_of(deployed.data) == "the embedded store"


def test_how_far_days_were_compared_moves_from_the_state_directory_to_the_days_once(deployed):
    environment, compared = deployed.environment, Compared(on=date(2026, 11, 22), passed={"main": 5})
    write_compared(environment, compared)
    shutil.move(deployed.data / "days" / "compared", environment.state.compared)  # where earlier versions kept it
    assert read_compared(environment) == compared
    write_compared(environment, replace(compared, passed={"main": 6}))
    assert not environment.state.compared.exists()
    assert json.loads((deployed.data / "days" / "compared").read_text())["passed"] == {"main": 6}
    assert read_compared(environment).passed == {"main": 6}
