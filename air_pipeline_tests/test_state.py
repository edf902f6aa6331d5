import re
import shlex
import stat
import subprocess

import pytest

from air_pipeline.deployment import open_deployment
from air_pipeline.environment import read_environment
from air_pipeline.in_force import load_settings
from air_pipeline.settings import SettingsError
from air_pipeline.settings.file import parse_settings
from air_pipeline.settings.marks import marks_file
from air_pipeline.state import LARGE_LOG_BYTES, VERSION, StateDirectory, keep_log_small
from air_pipeline_tests.environments import INFLUX, NEEDS_RIGHTS, VALID, environment_in, mistake, with_influx

OTHER = VALID.replace("hall", "attic")
INVALID = VALID + "    intervall: 1m\n"


@pytest.fixture
def environment(tmp_path):
    return environment_in(tmp_path)


def check_store(environment):
    environment.state.check_store(environment.store)


def remember_store(environment):
    environment.state.remember_store(environment.store)


def test_valid_settings_have_no_mistake(environment):
    loaded = load_settings(environment.config, environment.state)
    assert loaded.settings == parse_settings(VALID)
    assert loaded.mistake is None


def test_an_invalid_file_leaves_the_last_valid_settings_in_force(environment):
    load_settings(environment.config, environment.state)
    environment.config.write_text(OTHER, encoding="utf-8")
    load_settings(environment.config, environment.state)
    environment.config.write_text(INVALID, encoding="utf-8")
    loaded = load_settings(environment.config, environment.state)
    assert loaded.settings == parse_settings(OTHER)
    assert str(loaded.mistake) == f"{environment.config}:6: devices[1].intervall: unknown key; did you mean interval?"


def test_so_does_a_file_that_is_gone(environment):
    load_settings(environment.config, environment.state)
    environment.config.unlink()
    loaded = load_settings(environment.config, environment.state)
    assert loaded.settings == parse_settings(VALID)
    assert "there is no such file" in str(loaded.mistake)


def test_so_does_a_file_that_cannot_be_read(environment):
    load_settings(environment.config, environment.state)
    environment.config.unlink()
    environment.config.mkdir()
    loaded = load_settings(environment.config, environment.state)
    assert loaded.settings == parse_settings(VALID)
    assert "cannot be read (Is a directory)" in str(loaded.mistake)


def test_so_does_a_file_that_is_no_text(environment):
    load_settings(environment.config, environment.state)
    environment.config.write_bytes(b"\xff\xfe")
    loaded = load_settings(environment.config, environment.state)
    assert loaded.settings == parse_settings(VALID)
    assert "is not UTF-8 text" in str(loaded.mistake)


def test_a_file_that_becomes_valid_again_is_in_force(environment):
    load_settings(environment.config, environment.state)
    environment.config.write_text(INVALID, encoding="utf-8")
    load_settings(environment.config, environment.state)
    environment.config.write_text(OTHER, encoding="utf-8")
    loaded = load_settings(environment.config, environment.state)
    assert (loaded.settings, loaded.mistake) == (parse_settings(OTHER), None)


def test_an_invalid_file_with_nothing_before_it_is_an_error(environment):
    environment.config.write_text(INVALID, encoding="utf-8")
    assert "unknown key" in mistake(load_settings, environment.config, environment.state)


def test_a_kept_copy_that_is_no_longer_valid_does_not_hide_the_mistake(environment):
    load_settings(environment.config, environment.state)
    copy = environment.state.last_valid
    copy.write_text("timezone: 5\n", encoding="utf-8")
    environment.config.write_text(INVALID, encoding="utf-8")
    assert mistake(load_settings, environment.config, environment.state).startswith(
        f"{environment.config}:6: devices[1].intervall: unknown key"
    )


def test_valid_settings_are_in_force_even_where_no_copy_can_be_kept(environment):
    environment.state.path.write_text("a file is in the way", encoding="utf-8")
    loaded = load_settings(environment.config, environment.state)
    assert (loaded.settings, loaded.mistake) == (parse_settings(VALID), None)


def test_windows_line_ends_are_kept_once(environment, monkeypatch):
    environment.config.write_bytes(VALID.replace("\n", "\r\n").encode())
    load_settings(environment.config, environment.state)
    monkeypatch.setattr("air_pipeline.state.replace_file", pytest.fail)
    load_settings(environment.config, environment.state)


MARK = "- {device: hall, from: 2026-11-21, to: 2026-11-22, verdict: bad, why: moved}\n"


@pytest.fixture
def marks(environment):
    return marks_file(environment.config)


def loaded_marks(environment, **options):
    loaded = load_settings(environment.config, environment.state, **options)
    return [mark.why for mark in loaded.settings.marks], str(loaded.mistake or "")


def test_marks_are_read_from_beside_the_configuration(environment, marks):
    assert loaded_marks(environment) == ([], "")
    assert not environment.state.last_valid_marks.exists()
    marks.write_text(MARK)
    assert loaded_marks(environment) == (["moved"], "")
    assert environment.state.last_valid_marks.read_text() == MARK


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (MARK.replace("why", "wy"), "marks.yaml:1: [1].wy: unknown key; did you mean why?"),
        ("- device: hall\n  from: 2026-11-21\n", "to is missing; add to: 2026-11-21T09:30"),
        ("\x00", "is not valid YAML"),
        (None, "marks.yaml: is gone, with the marks in it (1); put it back (cp "),
    ],
    ids=["a typing error", "half", "no text", "gone"],
)
def test_of_invalid_marks_the_last_valid_ones_are_in_force(environment, marks, monkeypatch, content, words):
    monkeypatch.setenv("AIR_PIPELINE_STATE", str(environment.state))
    marks.write_text(MARK)
    load_settings(environment.config, environment.state)
    marks.unlink()
    if content is not None:
        marks.write_text(content)
    found, mistake = loaded_marks(environment)
    assert found == ["moved"]
    assert words in mistake
    with pytest.raises(SettingsError, match=re.escape(words)):
        open_deployment(environment.config)


def test_invalid_marks_with_nothing_before_them_are_said_and_stop_nothing(environment, marks):
    marks.write_text("nonsense")
    found, mistake = loaded_marks(environment)
    assert found == []
    assert mistake.startswith(f"{marks}:1: is not a list of marks")


def test_marks_that_were_taken_away_are_not_missed(environment, marks):
    marks.write_text(MARK)
    load_settings(environment.config, environment.state)
    marks.write_text("# none\n")
    assert loaded_marks(environment) == ([], "")
    marks.unlink()
    assert loaded_marks(environment) == ([], "")


def test_the_remedy_of_marks_that_are_gone_works(environment, marks):
    marks.write_text(MARK)
    load_settings(environment.config, environment.state)
    marks.unlink()
    _, mistake = loaded_marks(environment)
    [put_back] = re.findall(r"\((cp [^)]*)\)", mistake)
    subprocess.run(shlex.split(put_back), check=True)
    assert loaded_marks(environment) == (["moved"], "")
    marks.unlink()
    [none] = re.findall(r"\((touch [^)]*)\)", mistake)
    subprocess.run(shlex.split(none), check=True)
    assert loaded_marks(environment) == ([], "")


def test_who_only_looks_keeps_no_copy_of_marks_and_who_collects_reads_none(environment, marks):
    marks.write_text(MARK)
    assert loaded_marks(environment, keep=False) == (["moved"], "")
    assert not environment.state.last_valid_marks.exists()
    marks.write_text("nonsense")
    assert loaded_marks(environment, marks=False) == ([], "")


def test_mistakes_in_both_files_are_both_said(environment, marks):
    load_settings(environment.config, environment.state)
    environment.config.write_text(INVALID, encoding="utf-8")
    marks.write_text("nonsense")
    _, mistake = loaded_marks(environment)
    assert [line.split(":")[0] for line in mistake.splitlines()] == [str(environment.config), str(marks)]


def test_a_state_directory_takes_any_store_until_it_has_one(environment):
    environment.state.check_store(environment.store)
    check_store(with_influx(environment))
    assert not environment.state.path.exists()


def test_a_state_directory_keeps_its_store(environment):
    environment.state.remember_store(environment.store)
    environment.state.remember_store(environment.store)
    environment.state.check_store(environment.store)
    for ask in (check_store, remember_store):
        said = mistake(ask, with_influx(environment))
        assert f"{environment.state} belongs to the embedded store" in said
        assert "the environment names InfluxDB at http://localhost:8086, org home, bucket air" in said
        assert "unset the INFLUXDB_V2_* variables or set them as before" in said
        assert "or move the readings there: air-pipeline copy" in said
        assert f"delete {environment.state.binding}" in said
    environment.state.check_store(environment.store)


def test_lost_variables_do_not_make_the_embedded_store_out_of_influxdb(environment):
    remember_store(with_influx(environment))
    check_store(with_influx(environment))
    said = mistake(remember_store, environment)
    assert "belongs to InfluxDB at http://localhost:8086, org home, bucket air" in said
    assert "set INFLUXDB_V2_URL, INFLUXDB_V2_TOKEN, INFLUXDB_V2_ORG, INFLUXDB_V2_BUCKET again" in said


def test_another_bucket_is_another_store_and_another_token_is_not(environment):
    remember_store(with_influx(environment))
    check_store(read_environment(environment.variables() | INFLUX | {"INFLUXDB_V2_TOKEN": "another"}))
    assert "bucket water" in mistake(
        check_store, read_environment(environment.variables() | INFLUX | {"INFLUXDB_V2_BUCKET": "water"})
    )


def test_the_remedy_of_a_moved_store_works(environment):
    environment.state.remember_store(environment.store)
    environment.state.binding.unlink()
    remember_store(with_influx(environment))
    check_store(with_influx(environment))


@pytest.mark.parametrize("content", [b"", b"\n", b"\0" * 40, b"\xff\xfe", b"InfluxDB", b"some store"])
def test_a_store_file_that_is_empty_or_damaged_is_not_taken_for_the_embedded_store(environment, content):
    environment.state.path.mkdir()
    environment.state.binding.write_bytes(content)
    for ask in (check_store, remember_store):
        for each in (environment, with_influx(environment)):
            said = mistake(ask, each)
            assert f"{environment.state.binding} is damaged and does not say which store" in said
            assert "set the environment to that one" in said
            assert said.endswith("and delete the file")
    assert environment.state.binding.read_bytes() == content
    environment.state.binding.unlink()
    remember_store(with_influx(environment))
    check_store(with_influx(environment))


def test_a_state_directory_that_cannot_be_used_is_named(environment):
    environment.state.path.write_text("a file is in the way", encoding="utf-8")
    for ask in (check_store, remember_store):
        said = mistake(ask, environment)
        assert said.startswith(f"environment: the state directory {environment.state} cannot be used")
        assert said.endswith("set AIR_PIPELINE_STATE to a directory that this user may read and write")


@NEEDS_RIGHTS
def test_a_state_directory_that_cannot_be_written_is_named(environment):
    environment.state.path.mkdir(mode=0o500)
    assert "cannot be used" in mistake(remember_store, environment)


def test_a_log_that_has_grown_large_is_set_aside_once(tmp_path):
    log = tmp_path / "dagster.log"
    keep_log_small(log)
    log.write_bytes(b"x" * LARGE_LOG_BYTES)
    keep_log_small(log)
    assert log.exists()
    log.write_bytes(b"x" * (LARGE_LOG_BYTES + 1))
    keep_log_small(log)
    assert [path.name for path in tmp_path.iterdir()] == ["dagster.log.1"]


def test_the_directory_and_its_files_are_for_this_user_alone(environment):
    environment.state.remember_store(environment.store)
    load_settings(environment.config, environment.state)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in environment.state.path.iterdir()}
    assert stat.S_IMODE(environment.state.path.stat().st_mode) == 0o700
    assert modes == dict.fromkeys(["store", "version", "devices.last-valid.yaml", "devices.former.json"], 0o600)


@pytest.mark.parametrize("mode", [0o755, 0o1777, 0o2770])
def test_a_directory_that_was_there_keeps_its_rights_and_our_files_have_ours(tmp_path, mode):
    """It may be one that others use, as `/tmp` is."""
    tmp_path.chmod(mode)
    StateDirectory(tmp_path).make()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == mode
    assert stat.S_IMODE((tmp_path / "version").stat().st_mode) == 0o600


def test_a_directory_of_a_newer_program_is_left_alone(environment):
    environment.state.make()
    environment.state.version.write_text(f"{VERSION + 1}\n", encoding="utf-8")
    said = mistake(remember_store, environment)
    assert said == f"environment: {environment.state} was written by a newer air_pipeline; update this one"
    assert not environment.state.binding.exists()


def test_a_directory_from_before_versions_is_taken_up(environment):
    environment.state.make()
    environment.state.version.unlink()
    environment.state.remember_store(environment.store)
    assert environment.state.version.read_text(encoding="utf-8") == f"{VERSION}\n"
