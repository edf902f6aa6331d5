import os
import threading
from pathlib import Path

import pytest

from air_pipeline.environment import (
    LARGE_LOG_BYTES,
    check_store,
    environment,
    keep_log_small,
    load_settings,
    remember_store,
    replace_file,
)
from air_pipeline.settings import SettingsError
from air_pipeline.settings.file import parse_settings

VALID = "timezone: Europe/Warsaw\nstart: 2026-11-01\ndevices:\n  - id: hall\n    url: http://10.0.0.1/circumstances\n"
OTHER = VALID.replace("hall", "attic")
INVALID = VALID + "    intervall: 1m\n"
TOKEN = "s3cret-token"  # noqa: S105
INFLUX = {
    "INFLUXDB_V2_URL": "http://localhost:8086/",
    "INFLUXDB_V2_TOKEN": TOKEN,
    "INFLUXDB_V2_ORG": "home",
    "INFLUXDB_V2_BUCKET": "air",
}
NEEDS_RIGHTS = pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")


def mistake(ask, *arguments):
    with pytest.raises(SettingsError) as raised:
        ask(*arguments)
    said = str(raised.value)
    assert len(said.splitlines()) == 1
    assert TOKEN not in said
    return said


@pytest.fixture
def place(tmp_path):
    place = environment(
        {"AIR_PIPELINE_CONFIG": str(tmp_path / "devices.yaml"), "AIR_PIPELINE_STATE": str(tmp_path / "state")}
    )
    place.config.write_text(VALID, encoding="utf-8")
    return place


def with_influx(place):
    return environment(place.variables() | INFLUX)


def test_without_variables_everything_is_in_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place = environment({})
    assert place.config == tmp_path / "devices.yaml"
    assert place.state == tmp_path / ".air_pipeline"
    assert place.data == tmp_path / ".air_pipeline" / "data"
    assert place.influxdb is None
    assert list(tmp_path.iterdir()) == []


def test_without_an_argument_the_variables_of_the_process_hold(tmp_path, monkeypatch):
    monkeypatch.setenv("AIR_PIPELINE_STATE", str(tmp_path / "elsewhere"))
    assert environment().state == tmp_path / "elsewhere"


def test_relative_paths_and_those_of_a_home_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/anna")
    place = environment(
        {"AIR_PIPELINE_CONFIG": "my/devices.yaml", "AIR_PIPELINE_STATE": "state", "AIR_PIPELINE_DATA": "~/air"}
    )
    assert place.config == tmp_path / "my" / "devices.yaml"
    assert place.state == tmp_path / "state"
    assert place.data == Path("/home/anna/air")


def test_the_data_are_in_the_state_directory_unless_they_have_their_own(tmp_path):
    state = {"AIR_PIPELINE_STATE": str(tmp_path / "state")}
    assert environment(state).data == tmp_path / "state" / "data"
    assert environment(state | {"AIR_PIPELINE_DATA": str(tmp_path / "data")}).data == tmp_path / "data"


def test_a_home_that_is_not_there_is_named():
    said = mistake(environment, {"AIR_PIPELINE_STATE": "~nobody-of-this-name/state"})
    assert said.startswith("environment: AIR_PIPELINE_STATE is '~nobody-of-this-name/state'")
    assert said.endswith("; set it to an absolute path")


def test_empty_variables_count_as_unset(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert environment(dict.fromkeys([*INFLUX, "AIR_PIPELINE_STATE", "AIR_PIPELINE_DATA"], " ")) == environment({})


def test_variables_lead_to_the_same_place(place):
    assert environment(place.variables()) == place


def test_four_variables_mean_influxdb():
    place = environment(INFLUX)
    assert place.influxdb is not None
    assert (place.influxdb.url, place.influxdb.org, place.influxdb.bucket) == ("http://localhost:8086", "home", "air")
    assert place.influxdb.token == TOKEN
    assert place.store == "InfluxDB at http://localhost:8086, org home, bucket air"


def test_the_token_is_in_no_text():
    place = environment(INFLUX)
    for text in (repr(place), str(place), repr(place.influxdb), str(place.influxdb), place.store):
        assert TOKEN not in text
    assert TOKEN not in place.variables().values()


@pytest.mark.parametrize("left_out", INFLUX)
def test_a_half_set_influxdb_names_what_is_missing(left_out):
    said = mistake(environment, {name: value for name, value in INFLUX.items() if name != left_out})
    there, missing = said.removeprefix("environment: ").split(" and ")
    assert there.removesuffix(" are set").split(", ") == [name for name in INFLUX if name != left_out]
    assert missing == f"{left_out} is not; set all four for InfluxDB, or none for the embedded store"


def test_one_is_set_and_three_are_not():
    said = mistake(environment, {"INFLUXDB_V2_URL": INFLUX["INFLUXDB_V2_URL"]})
    expected = "INFLUXDB_V2_URL is set and INFLUXDB_V2_TOKEN, INFLUXDB_V2_ORG, INFLUXDB_V2_BUCKET are not;"
    assert expected in said


def test_an_empty_token_is_a_missing_one():
    assert "and INFLUXDB_V2_TOKEN is not;" in mistake(environment, INFLUX | {"INFLUXDB_V2_TOKEN": ""})


@pytest.mark.parametrize("url", ["localhost:8086", "http://", "http://[::1", "http://a:99999", "ftp://a", "http://a b"])
def test_an_influxdb_url_that_is_none_is_named(url):
    said = mistake(environment, INFLUX | {"INFLUXDB_V2_URL": url})
    assert said == f"environment: INFLUXDB_V2_URL is {url!r}, no address; set it as http://localhost:8086"


def test_a_password_in_the_influxdb_url_is_refused_and_not_repeated():
    said = mistake(environment, INFLUX | {"INFLUXDB_V2_URL": "http://anna:geheim@localhost:8086"})
    assert "INFLUXDB_V2_URL has a user in it; set it as http://localhost:8086" in said
    assert "geheim" not in said


def test_valid_settings_have_no_mistake(place):
    loaded = load_settings(place)
    assert loaded.settings == parse_settings(VALID)
    assert loaded.mistake is None


def test_an_invalid_file_leaves_the_last_valid_settings_in_force(place):
    load_settings(place)
    place.config.write_text(OTHER, encoding="utf-8")
    load_settings(place)
    place.config.write_text(INVALID, encoding="utf-8")
    loaded = load_settings(place)
    assert loaded.settings == parse_settings(OTHER)
    assert str(loaded.mistake) == f"{place.config}:6: devices[1].intervall: unknown key; did you mean interval?"


def test_so_does_a_file_that_is_gone(place):
    load_settings(place)
    place.config.unlink()
    loaded = load_settings(place)
    assert loaded.settings == parse_settings(VALID)
    assert "there is no such file" in str(loaded.mistake)


def test_so_does_a_file_that_cannot_be_read(place):
    load_settings(place)
    place.config.unlink()
    place.config.mkdir()
    loaded = load_settings(place)
    assert loaded.settings == parse_settings(VALID)
    assert "cannot be read (Is a directory)" in str(loaded.mistake)


def test_so_does_a_file_that_is_no_text(place):
    load_settings(place)
    place.config.write_bytes(b"\xff\xfe")
    loaded = load_settings(place)
    assert loaded.settings == parse_settings(VALID)
    assert "is not UTF-8 text" in str(loaded.mistake)


def test_a_file_that_becomes_valid_again_is_in_force(place):
    load_settings(place)
    place.config.write_text(INVALID, encoding="utf-8")
    load_settings(place)
    place.config.write_text(OTHER, encoding="utf-8")
    loaded = load_settings(place)
    assert (loaded.settings, loaded.mistake) == (parse_settings(OTHER), None)


def test_an_invalid_file_with_nothing_before_it_is_an_error(place):
    place.config.write_text(INVALID, encoding="utf-8")
    assert "unknown key" in mistake(load_settings, place)


def test_a_kept_copy_that_is_no_longer_valid_does_not_hide_the_mistake(place):
    load_settings(place)
    (copy,) = place.state.iterdir()
    copy.write_text("timezone: 5\n", encoding="utf-8")
    place.config.write_text(INVALID, encoding="utf-8")
    assert mistake(load_settings, place).startswith(f"{place.config}:6: devices[1].intervall: unknown key")


def test_valid_settings_are_in_force_even_where_no_copy_can_be_kept(place):
    place.state.write_text("a file is in the way", encoding="utf-8")
    loaded = load_settings(place)
    assert (loaded.settings, loaded.mistake) == (parse_settings(VALID), None)


def test_windows_line_ends_are_kept_once(place, monkeypatch):
    place.config.write_bytes(VALID.replace("\n", "\r\n").encode())
    load_settings(place)
    monkeypatch.setattr("air_pipeline.environment.replace_file", pytest.fail)
    load_settings(place)


def test_a_state_directory_takes_any_store_until_it_has_one(place):
    check_store(place)
    check_store(with_influx(place))
    assert not place.state.exists()


def test_a_state_directory_keeps_its_store(place):
    remember_store(place)
    remember_store(place)
    check_store(place)
    for ask in (check_store, remember_store):
        said = mistake(ask, with_influx(place))
        assert f"{place.state} belongs to the embedded store" in said
        assert "the environment names InfluxDB at http://localhost:8086, org home, bucket air" in said
        assert "unset the INFLUXDB_V2_* variables or set them as before" in said
        assert "or move the readings there: air-pipeline copy" in said
        assert f"delete {place.state / 'store'}" in said
    check_store(place)


def test_lost_variables_do_not_make_the_embedded_store_out_of_influxdb(place):
    remember_store(with_influx(place))
    check_store(with_influx(place))
    said = mistake(remember_store, place)
    assert "belongs to InfluxDB at http://localhost:8086, org home, bucket air" in said
    assert "set INFLUXDB_V2_URL, INFLUXDB_V2_TOKEN, INFLUXDB_V2_ORG, INFLUXDB_V2_BUCKET again" in said


def test_another_bucket_is_another_store_and_another_token_is_not(place):
    remember_store(with_influx(place))
    check_store(environment(place.variables() | INFLUX | {"INFLUXDB_V2_TOKEN": "another"}))
    assert "bucket water" in mistake(
        check_store, environment(place.variables() | INFLUX | {"INFLUXDB_V2_BUCKET": "water"})
    )


def test_the_remedy_of_a_moved_store_works(place):
    remember_store(place)
    (place.state / "store").unlink()
    remember_store(with_influx(place))
    check_store(with_influx(place))


def test_a_store_file_that_a_power_cut_left_empty_binds_to_nothing(place):
    place.state.mkdir()
    (place.state / "store").touch()
    remember_store(place)
    assert "belongs to the embedded store" in mistake(check_store, with_influx(place))


def test_a_state_directory_that_cannot_be_used_is_named(place):
    place.state.write_text("a file is in the way", encoding="utf-8")
    for ask in (check_store, remember_store):
        said = mistake(ask, place)
        assert said.startswith(f"environment: the state directory {place.state} cannot be used")
        assert said.endswith("set AIR_PIPELINE_STATE to a directory that this user may read and write")


@NEEDS_RIGHTS
def test_a_state_directory_that_cannot_be_written_is_named(place):
    place.state.mkdir(mode=0o500)
    assert "cannot be used" in mistake(remember_store, place)


def test_a_file_is_replaced_whole_by_many_threads_at_once(tmp_path):
    path = tmp_path / "state" / "small"
    texts = [letter * 10_000 for letter in "abcd"]
    failures = []

    def write(text):
        try:
            for _ in range(50):
                replace_file(path, text)
                assert path.read_text(encoding="utf-8") in texts
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=write, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert list(path.parent.iterdir()) == [path]


def test_nothing_is_left_of_a_file_that_could_not_be_replaced(tmp_path):
    (tmp_path / "small").mkdir()
    with pytest.raises(OSError, match="small"):
        replace_file(tmp_path / "small", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


def test_a_log_that_has_grown_large_is_set_aside_once(tmp_path):
    log = tmp_path / "dagster.log"
    keep_log_small(log)
    log.write_bytes(b"x" * LARGE_LOG_BYTES)
    keep_log_small(log)
    assert log.exists()
    log.write_bytes(b"x" * (LARGE_LOG_BYTES + 1))
    keep_log_small(log)
    assert [path.name for path in tmp_path.iterdir()] == ["dagster.log.1"]
