from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from air_pipeline.environment import read_environment
from air_pipeline.settings import SettingsError
from air_pipeline.settings.remote import RemoteFile
from air_pipeline_tests.environments import INFLUX, TOKEN, environment_in, mistake


@pytest.fixture
def environment(tmp_path):
    return environment_in(tmp_path)


def test_without_variables_everything_is_in_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    environment = read_environment({})
    assert environment.config == tmp_path / "devices.yaml"
    assert environment.state.path == tmp_path / ".air_pipeline"
    assert environment.data == tmp_path / ".air_pipeline" / "data"
    assert environment.influxdb is None
    assert list(tmp_path.iterdir()) == []


def test_without_an_argument_the_variables_of_the_process_hold(tmp_path, monkeypatch):
    monkeypatch.setenv("AIR_PIPELINE_STATE", str(tmp_path / "elsewhere"))
    assert read_environment().state.path == tmp_path / "elsewhere"


def test_relative_paths_and_those_of_a_home_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/anna")
    environment = read_environment(
        {"AIR_PIPELINE_CONFIG": "my/devices.yaml", "AIR_PIPELINE_STATE": "state", "AIR_PIPELINE_DATA": "~/air"}
    )
    assert environment.config == tmp_path / "my" / "devices.yaml"
    assert environment.state.path == tmp_path / "state"
    assert environment.data == Path("/home/anna/air")


def test_the_data_are_in_the_state_directory_unless_they_have_their_own(tmp_path):
    state = {"AIR_PIPELINE_STATE": str(tmp_path / "state")}
    assert read_environment(state).data == tmp_path / "state" / "data"
    assert read_environment(state | {"AIR_PIPELINE_DATA": str(tmp_path / "data")}).data == tmp_path / "data"


@pytest.mark.parametrize(
    ("name", "url"),
    [
        *product(["AIR_PIPELINE_STATE"], ["s3://bucket/air", "file:///data", "gs://b"]),
        ("AIR_PIPELINE_DATA", "gs://b"),
        *product(["AIR_PIPELINE_CONFIG"], ["file:///data/devices.yaml", "gs://b/devices.yaml"]),
    ],
)
def test_a_url_is_no_directory_and_makes_none(name, url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match=f"environment: {name} is '{url}', and only directories of this machine"):
        read_environment({name: url})
    assert not list(tmp_path.iterdir())


def test_the_configuration_may_be_an_object_that_all_machines_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    environment = read_environment({"AIR_PIPELINE_CONFIG": "s3://bucket/air/devices.yaml"})
    assert environment.config == RemoteFile("s3://bucket/air/devices.yaml")
    assert environment.variables()["AIR_PIPELINE_CONFIG"] == "s3://bucket/air/devices.yaml"
    assert not list(tmp_path.iterdir())


def test_a_home_that_is_not_there_is_named():
    said = mistake(read_environment, {"AIR_PIPELINE_STATE": "~nobody-of-this-name/state"})
    assert said.startswith("environment: AIR_PIPELINE_STATE is '~nobody-of-this-name/state'")
    assert said.endswith("; set it to an absolute path")


def test_empty_variables_count_as_unset(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read_environment(
        dict.fromkeys([*INFLUX, "AIR_PIPELINE_STATE", "AIR_PIPELINE_DATA"], " ")
    ) == read_environment({})


def test_variables_lead_to_the_same_place(environment):
    assert read_environment(environment.variables()) == environment
    edge = replace(environment, collector="edge-1")
    assert read_environment(edge.variables()) == edge


@pytest.mark.parametrize("name", ["Edge", "a b", "dagster", "-x", "x" * 64])
def test_a_collector_has_a_name_that_devices_can_say(name):
    assert mistake(read_environment, {"AIR_PIPELINE_COLLECTOR": name}).startswith("environment: AIR_PIPELINE_COLLECTOR")


def test_four_variables_mean_influxdb():
    environment = read_environment(INFLUX)
    assert environment.influxdb is not None
    assert (environment.influxdb.url, environment.influxdb.org, environment.influxdb.bucket) == (
        "http://localhost:8086",
        "home",
        "air",
    )
    assert environment.influxdb.token == TOKEN
    assert environment.store == "InfluxDB at http://localhost:8086, org home, bucket air"


def test_the_token_is_in_no_text():
    environment = read_environment(INFLUX)
    for text in (
        repr(environment),
        str(environment),
        repr(environment.influxdb),
        str(environment.influxdb),
        environment.store,
    ):
        assert TOKEN not in text
    assert TOKEN not in environment.variables().values()


@pytest.mark.parametrize("left_out", INFLUX)
def test_a_half_set_influxdb_names_what_is_missing(left_out):
    said = mistake(read_environment, {name: value for name, value in INFLUX.items() if name != left_out})
    there, missing = said.removeprefix("environment: ").split(" and ")
    assert there.removesuffix(" are set").split(", ") == [name for name in INFLUX if name != left_out]
    assert missing == f"{left_out} is not; set all four for InfluxDB, or none for the embedded store"


def test_one_is_set_and_three_are_not():
    said = mistake(read_environment, {"INFLUXDB_V2_URL": INFLUX["INFLUXDB_V2_URL"]})
    expected = "INFLUXDB_V2_URL is set and INFLUXDB_V2_TOKEN, INFLUXDB_V2_ORG, INFLUXDB_V2_BUCKET are not;"
    assert expected in said


def test_an_empty_token_is_a_missing_one():
    assert "and INFLUXDB_V2_TOKEN is not;" in mistake(read_environment, INFLUX | {"INFLUXDB_V2_TOKEN": ""})


def without_token(file):
    return {name: value for name, value in INFLUX.items() if name != "INFLUXDB_V2_TOKEN"} | {
        "INFLUXDB_V2_TOKEN_FILE": str(file)
    }


def test_the_token_may_come_from_a_file(tmp_path):
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n", encoding="utf-8")
    environment = read_environment(without_token(file))
    assert environment.influxdb.token == TOKEN
    assert environment.influxdb.token_file == file
    assert environment.store == read_environment(INFLUX).store
    assert TOKEN not in repr(environment)


def test_a_token_and_a_file_of_one_are_not_both_set(tmp_path):
    said = mistake(read_environment, INFLUX | {"INFLUXDB_V2_TOKEN_FILE": str(tmp_path / "token")})
    assert said == "environment: INFLUXDB_V2_TOKEN and INFLUXDB_V2_TOKEN_FILE are both set; unset one of them"


def test_a_token_file_that_cannot_be_read_or_is_empty_is_named(tmp_path):
    file = tmp_path / "token"
    assert f"INFLUXDB_V2_TOKEN_FILE is {str(file)!r}, which cannot be read" in mistake(
        read_environment, without_token(file)
    )
    file.touch()
    assert f"INFLUXDB_V2_TOKEN_FILE is {str(file)!r}, which is empty" in mistake(read_environment, without_token(file))


def test_a_token_file_alone_names_what_is_missing(tmp_path):
    (tmp_path / "token").write_text(TOKEN, encoding="utf-8")
    said = mistake(read_environment, {"INFLUXDB_V2_TOKEN_FILE": str(tmp_path / "token")})
    assert "INFLUXDB_V2_TOKEN_FILE is set and INFLUXDB_V2_URL, INFLUXDB_V2_ORG, INFLUXDB_V2_BUCKET are not;" in said


@pytest.mark.parametrize("url", ["localhost:8086", "http://", "http://[::1", "http://a:99999", "ftp://a", "http://a b"])
def test_an_influxdb_url_that_is_none_is_named(url):
    said = mistake(read_environment, INFLUX | {"INFLUXDB_V2_URL": url})
    assert said == f"environment: INFLUXDB_V2_URL is {url!r}, no address; set it as http://localhost:8086"


@pytest.mark.parametrize("end", ["/api/v2", "/api/v2/", "/influx/api/v2"])
def test_the_path_of_the_api_is_not_for_the_user_to_write(end):
    with pytest.raises(SettingsError) as refused:
        read_environment({**INFLUX, "INFLUXDB_V2_URL": f"http://influx.example:8086{end}"})
    there = "http://influx.example:8086" + ("/influx" if end.startswith("/influx") else "")
    assert str(refused.value).endswith(f"which is added by itself; set it as {there}")


def test_a_password_in_the_influxdb_url_is_refused_and_not_repeated():
    said = mistake(read_environment, INFLUX | {"INFLUXDB_V2_URL": "http://anna:geheim@localhost:8086"})
    assert "INFLUXDB_V2_URL has a user in it; set it as http://localhost:8086" in said
    assert "geheim" not in said
