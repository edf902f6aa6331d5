"""A day's commit: files of two makings are told from those of one."""

import json
import os
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from shutil import copytree

import pytest

from air_pipeline.access.archive import Archive
from air_pipeline.health import Level
from air_pipeline.health.days import BUILT_WITHIN, days_built
from air_pipeline.health.seen import seen_by_dagster
from air_pipeline.processing.columns import TABLES
from air_pipeline.storage.commit import built_metadata, commit_day, commit_path, torn
from air_pipeline.storage.day_files import TableError, day_file
from air_pipeline.storage.pages import PAGE, page_file
from air_pipeline_tests.days.deployments import DAY, build, deployment, poll, publish_page, seed, window


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A day, built and committed."""
    path = tmp_path_factory.mktemp("built")
    deployed = deployment(path)
    seed(deployed)
    build(deployed)
    assert commit_day(deployed.data, DAY) == ""
    deployed.store.close()
    return path


@pytest.fixture
def deployed(built, tmp_path):
    copytree(built, tmp_path, dirs_exist_ok=True)
    deployed = deployment(tmp_path)
    yield deployed
    deployed.store.close()


def path_of(deployed, name):
    return page_file(deployed.data, DAY).path if name == PAGE else day_file(deployed.data, name, DAY).path


def kept(deployed):
    """All files of the day, to be put back."""
    return {name: path_of(deployed, name).read_bytes() for name in (*TABLES, PAGE)}


def test_a_committed_day_is_whole_and_says_how_it_was_made(deployed):
    assert torn(deployed.data, DAY) == ""
    assert built_metadata(deployed.data, DAY) == day_file(deployed.data, "observations", DAY).metadata()
    said = json.loads(commit_path(deployed.data, DAY).read_text())
    assert set(said["files"]) == {*TABLES, PAGE}
    assert said["files"]["observations"]["size"] == path_of(deployed, "observations").stat().st_size


def test_the_same_day_has_the_same_commit(deployed):
    before = commit_path(deployed.data, DAY).read_bytes()
    build(deployed)
    assert torn(deployed.data, DAY) == ""  # the files repeat byte for byte
    commit_day(deployed.data, DAY)
    assert commit_path(deployed.data, DAY).read_bytes() == before


@pytest.mark.parametrize("replaced", range(1, 4))
def test_a_day_whose_rebuild_was_ended_between_its_files_is_torn(deployed, replaced):
    """As a kill leaves it: the first files are new, the others old, and the commit is that of the old ones."""
    old = kept(deployed)
    deployed.store.write([poll(window()[0], value=99.0, duration_ms=41.0)])
    build(deployed)
    for name in (*TABLES, PAGE)[replaced:]:
        path_of(deployed, name).write_bytes(old[name])
    assert torn(deployed.data, DAY).startswith("observations is another than")
    assert torn(deployed.data, DAY, read_all=False)
    assert built_metadata(deployed.data, DAY) is None
    assert commit_day(deployed.data, DAY).endswith("was made from something else than observations")


@pytest.mark.parametrize("name", [*TABLES, PAGE])
def test_a_file_that_was_deleted_damaged_or_restored_is_noticed(deployed, name):
    path = path_of(deployed, name)
    whole = path.read_bytes()
    path.unlink()
    assert torn(deployed.data, DAY).startswith(f"{name} cannot be read")
    path.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    os.utime(path, (0, 0))
    assert torn(deployed.data, DAY).startswith(f"{name} is another")
    path.write_bytes(whole)
    assert torn(deployed.data, DAY) == ""


def test_a_day_of_an_earlier_version_counts_by_its_own_files(deployed):
    commit_path(deployed.data, DAY).unlink()
    assert built_metadata(deployed.data, DAY) is not None
    assert torn(deployed.data, DAY) == torn(deployed.data, DAY, read_all=False) == ""
    publish_page(deployed, DAY, replace(built_metadata(deployed.data, DAY), settings_digest="other"))
    assert torn(deployed.data, DAY) == f"{PAGE} was made from something else than observations"
    path_of(deployed, "hourly_aggregates").unlink()
    assert torn(deployed.data, DAY) == "hourly_aggregates is missing"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 1}', '{"version": 1, "made": 7, "files": {}}'])
def test_a_commit_that_cannot_be_read_counts_for_nothing(deployed, text):
    commit_path(deployed.data, DAY).write_text(text)
    assert "cannot be read" in torn(deployed.data, DAY)
    assert built_metadata(deployed.data, DAY) is None


def test_a_commit_of_another_version_says_nothing(deployed):
    commit_path(deployed.data, DAY).write_text('{"version": 3}')
    assert built_metadata(deployed.data, DAY) is not None


def test_a_commit_that_cannot_be_written_is_an_error_in_a_sentence(deployed):
    commit_path(deployed.data, DAY).unlink()
    commit_path(deployed.data, DAY).mkdir()
    with pytest.raises(TableError, match=r"built\.json cannot be written"):
        commit_day(deployed.data, DAY)


def test_frames_name_the_days_that_are_torn(deployed):
    archive = Archive(deployed)
    assert archive.daily(DAY.isoformat(), (DAY + timedelta(days=1)).isoformat()).attrs["torn"] == {}
    deployed.store.write([poll(window()[0], value=99.0, duration_ms=41.0)])
    build(deployed)
    frame = archive.daily(DAY.isoformat(), (DAY + timedelta(days=1)).isoformat())
    assert list(frame.attrs["torn"]) == [DAY.isoformat()]
    assert len(frame) > 0


def test_the_check_of_days_tells_a_torn_day_once_it_has_been_so_for_long(deployed):
    deployed = deployment(deployed.environment.config.parent, now=datetime(2026, 11, 22, 12, tzinfo=UTC))

    def look():
        return next(iter(days_built.findings(seen_by_dagster(deployed))))

    assert look().level is Level.OK
    path = path_of(deployed, "hourly_aggregates")
    path.write_bytes(path.read_bytes() + b" ")
    found = look()
    assert found.level is Level.WARNING
    assert found.text.startswith("its files are not of one making: hourly_aggregates is another")
    assert found.patience == BUILT_WITHIN
    assert not found.is_due(found.since)


@pytest.mark.parametrize("name", ["built.json", "observations", PAGE])
def test_what_is_no_file_is_not_waited_for(deployed, name):
    path = commit_path(deployed.data, DAY) if name == "built.json" else path_of(deployed, name)
    path.unlink()
    os.mkfifo(path)
    assert torn(deployed.data, DAY).endswith("cannot be read" if name == "built.json" else "(it is no file; remove it)")
    commit_path(deployed.data, DAY).unlink()
    with pytest.raises(TableError) if name == "observations" else nullcontext():
        day_file(deployed.data, "observations", DAY).metadata()
    assert (torn(deployed.data, DAY) == "") == (name == "built.json")
