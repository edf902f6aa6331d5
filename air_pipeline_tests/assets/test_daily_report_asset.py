"""The asset `daily_report`, run on a real instance and a real store."""

import base64
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from air_pipeline.days.inputs import Standing, day_inputs, standing_of
from air_pipeline.in_force import load_settings
from air_pipeline.instance.runs_of_days import FORCE_TAG
from air_pipeline.processing.columns import TABLES
from air_pipeline.processing.schemas import arrow_schema
from air_pipeline.storage.commit import built_metadata, commit_path, torn
from air_pipeline.storage.day_files import day_file
from air_pipeline.storage.pages import PAGE, page_file
from air_pipeline_tests.assets.small_deployments import (
    DAY,
    SMALL,
    WHOLE,
    build,
    deployment_in,
    failures,
    metadata_of,
    seed,
    small_device,
)


@pytest.fixture
def deployment(tmp_path):
    deployment = deployment_in(tmp_path, small_device("hall"), small_device("attic", since="2026-03-01"))
    seed(deployment, DAY, only=["hall"])
    return deployment


def verdict(deployment):
    return standing_of(built_metadata(deployment.data, DAY), day_inputs(deployment.store, deployment.settings, DAY))


def picture_is_a_small_png(picture):
    start, _, data = picture.removesuffix(")").partition("data:image/png;base64,")
    assert start == f"![Coverage by device and hour on {DAY}]("
    assert base64.b64decode(data, validate=True).startswith(b"\x89PNG\r\n")
    assert len(picture) < 12_000


def test_a_day_is_built_with_its_page_and_only_with_it(deployment, instance):
    page = page_file(deployment.data, DAY)
    result = build(deployment, instance, only=WHOLE)
    assert failures(result) == {}
    assert verdict(deployment) is Standing.CURRENT
    said = metadata_of(result)[PAGE]
    assert said["path"] == str(page.path)
    assert said["size_bytes"] == page.path.stat().st_size
    assert (said["devices_shown"], said["device_count"]) == (2, 2)
    assert said["input_fingerprint"] == page.metadata().input_fingerprint
    picture_is_a_small_png(said["picture"])
    page.path.unlink()
    assert verdict(deployment) is Standing.MISSING
    assert failures(build(deployment, instance, only=[PAGE])) == {}  # the page alone, from the tables that are there
    assert verdict(deployment) is Standing.CURRENT


def test_a_page_that_cannot_be_written_is_a_failure_with_a_sentence(deployment, instance):
    page_file(deployment.data, DAY).path.mkdir(parents=True)
    result = build(deployment, instance, only=WHOLE)
    assert failures(result)[PAGE].startswith(f"daily_report of {DAY} cannot be written (")
    assert list(failures(result)) == [PAGE]
    assert verdict(deployment) is Standing.MISSING


def test_a_run_of_the_whole_day_commits_it_and_one_of_some_tables_leaves_it_torn(deployment, instance):
    assert failures(build(deployment, instance, only=WHOLE)) == {}
    assert torn(deployment.data, DAY) == ""
    assert verdict(deployment) is Standing.CURRENT
    first = commit_path(deployment.data, DAY).read_bytes()
    seed(deployment, DAY, only=["attic"])
    assert failures(build(deployment, instance, only=["observations"])) == {}
    assert torn(deployment.data, DAY).startswith("observations is another than")
    assert verdict(deployment) is Standing.MISSING  # so that the schedule builds it
    assert failures(build(deployment, instance, only=[PAGE])) == {}  # by hand, on tables of two makings
    assert commit_path(deployment.data, DAY).read_bytes() == first
    assert failures(build(deployment, instance, only=WHOLE)) == {}
    assert torn(deployment.data, DAY) == ""
    assert commit_path(deployment.data, DAY).read_bytes() != first


def refused(deployment, instance):
    """What is said of a page that cannot be made of the tables there are, and not tried again."""
    result = build(deployment, instance, only=[PAGE])
    assert not [event for event in result.all_events if event.is_step_up_for_retry]
    assert not page_file(deployment.data, DAY).exists
    return failures(result)[PAGE]


REMEDY = f"; build it with: air-pipeline build --from {DAY} --to {DAY}"


@pytest.mark.parametrize("table", TABLES)
def test_a_page_is_not_made_without_one_of_its_tables(deployment, instance, table):
    assert failures(build(deployment, instance, only=[*TABLES])) == {}
    path = day_file(deployment.data, table, DAY).path
    path.unlink()
    assert refused(deployment, instance) == f"{DAY} has no {table} yet ({path} is missing){REMEDY}"


@pytest.mark.parametrize("table", TABLES)
def test_a_page_is_not_made_of_a_table_of_somebody_else(deployment, instance, table):
    assert failures(build(deployment, instance, only=[*TABLES])) == {}
    path = day_file(deployment.data, table, DAY).path
    pq.write_table(pq.read_table(path, partitioning=None).cast(arrow_schema(table)), path)
    assert refused(deployment, instance) == f"{path} was not written by air_pipeline{REMEDY}"


def test_a_day_without_devices_has_a_page_and_a_picture(instance, tmp_path):
    deployment = deployment_in(tmp_path, small_device("hall", since="2026-03-15"))
    result = build(deployment, instance, only=WHOLE)
    assert failures(result) == {}
    assert metadata_of(result)[PAGE]["devices_shown"] == 0
    assert "Nothing was expected" in page_file(deployment.data, DAY).path.read_text()


def test_a_page_stays_as_it_is_when_its_device_is_named_no_more(instance, tmp_path):
    own = {"sds011": {"pm25": {"key": "PM2.5", "unit": "µg/m³"}}}
    gone, other = small_device("gone", sensors={**own, **SMALL}), small_device("hall")
    pages = []
    for devices in ([gone, other], [other]):
        made = deployment_in(tmp_path, *devices)
        made.environment.state.make()
        settings = load_settings(made.environment.config, made.environment.state).settings
        made = replace(made, settings=settings)
        if not pages:
            seed(made, DAY)
        assert failures(build(made, instance, only=WHOLE, tags={FORCE_TAG: "true"})) == {}
        pages.append(page_file(made.data, DAY).read().decode())
        made.store.close()
    assert pages[0] == pages[1]
    assert "sds011_pm25" in pages[0]
