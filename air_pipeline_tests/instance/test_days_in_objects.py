"""Days in an object store: the same bytes as in a folder, and whatever reads them reads them there."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
import duckdb
import polars as pl
import pytest

from air_pipeline.access import open_archive
from air_pipeline.days.comparing import compare_day
from air_pipeline.days.inputs import Standing
from air_pipeline.days.range import Plan, plan_range
from air_pipeline.deployment import Deployment
from air_pipeline.health import Level
from air_pipeline.health.days import days_built, days_current, days_unbroken
from air_pipeline.health.kept import days_kept
from air_pipeline.health.measuring import OF_A_DAY
from air_pipeline.health.seen import seen_by_dagster, seen_from_outside
from air_pipeline.health.set_up import directories_usable
from air_pipeline.health.space import disk_space
from air_pipeline.instance.runs_of_days import FORCE_TAG
from air_pipeline.places import ObjectAddress
from air_pipeline.storage.binding import bind_days, store_of
from air_pipeline.storage.commit import built_metadata, committed_metadata, torn
from air_pipeline.storage.day_files import built_days, day_file
from air_pipeline.storage.object_shelf import _system
from air_pipeline.storage.pages import page_file
from air_pipeline.storage.shelf import shelf_at
from air_pipeline_tests.assets.small_deployments import (
    DAY,
    WHOLE,
    build,
    deployment_in,
    failures,
    metadata_of,
    seed,
    small_device,
    tick_of_build_days,
    write_settings,
)
from air_pipeline_tests.cli.in_this_process import in_this_process
from air_pipeline_tests.environments import INFLUX, with_influx
from air_pipeline_tests.object_store import WHO, ObjectStore

pytestmark = pytest.mark.slow

AFTER = DAY + timedelta(days=1)


class Both(NamedTuple):
    """The same day, built in a folder and in an object store."""

    folder: Deployment
    objects: Deployment
    metadata: dict[str, dict[str, Any]]
    asked: list[str]


@pytest.fixture(scope="module")
def made(
    instance: dg.DagsterInstance, object_store_server: ObjectStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Both]:
    with pytest.MonkeyPatch.context() as patched:
        for name, value in object_store_server.variables.items():
            patched.setenv(name, value)
        folder = deployment_in(tmp_path_factory.mktemp("deployment"))
        seed(folder, DAY)
        place = object_store_server.bucket()
        objects = Deployment(replace(folder.environment, data=place), folder.settings, now=folder.now)
        assert failures(build(folder, instance, only=WHOLE)) == {}
        object_store_server.asked.clear()
        built = build(objects, instance, only=WHOLE)
        assert failures(built) == {}
        yield Both(folder, objects, metadata_of(built), list(object_store_server.asked))
        folder.store.close()
        objects.store.close()


@pytest.fixture
def both(made: Both, objects: ObjectStore) -> Both:
    objects.asked.clear()
    return made


def everything(place: ObjectAddress) -> dict[str, bytes]:
    system, root = _system(), place.url.removeprefix("s3://")
    return {name.removeprefix(f"{root}/"): system.cat_file(name) for name in system.find(root)}


def test_a_day_in_an_object_store_has_the_bytes_of_one_in_a_folder(both: Both) -> None:
    data = both.folder.data
    files = {str(path.relative_to(data)): path.read_bytes() for path in data.rglob("*") if path.is_file()}
    assert len(files) == len(WHOLE) + 1 + 2  # the commit; which store, and what the tables are
    assert everything(both.objects.data) == files


def test_each_file_is_put_there_once_whole_and_the_commit_last(both: Both) -> None:
    put = [one.split("?")[0].partition("/of/ours/")[2] for one in both.asked if one.startswith("PUT")]
    of_day = [name for name in put if f"date={DAY}" in name]
    assert [name.split("/")[0] for name in of_day] == [*WHOLE, "days"]
    assert not [one for one in both.asked if one.startswith(("POST", "DELETE"))]


def test_what_dagster_shows_of_a_day_is_where_it_is(both: Both) -> None:
    name = f"{both.objects.data}/{{0}}/date={DAY}/{{0}}.{{1}}"
    assert both.metadata["observations"]["path"] == name.format("observations", "parquet")
    assert both.metadata["daily_report"]["path"] == name.format("daily_report", "html")


def test_how_a_day_was_made_is_known_by_one_request(both: Both, objects: ObjectStore) -> None:
    made = committed_metadata(both.objects.data, DAY)
    assert made == built_metadata(both.folder.data, DAY)
    assert len(objects.asked) == 1


def test_many_days_are_looked_at_by_a_request_each_and_the_listings(both: Both, objects: ObjectStore) -> None:
    as_listed = shelf_at(both.objects.data).at_once()
    assert torn(as_listed, DAY, read_all=False) == ""
    assert len([one for one in objects.asked if "list-type" in one]) == len(WHOLE)
    assert len(objects.asked) == len(WHOLE) + 1
    assert torn(as_listed, DAY, read_all=False) == ""
    assert len(objects.asked) == len(WHOLE) + 2


def test_days_that_are_there_are_current_and_one_that_is_gone_is_missing(both: Both) -> None:
    assert plan_range(both.objects, DAY, DAY, force=False) == Plan(current=[DAY])
    comparison = partial(compare_day, both.objects, both.objects.store)
    assert comparison(DAY).standing is Standing.CURRENT
    path = page_file(both.objects.data, DAY).path.url.removeprefix("s3://")
    page = _system().cat_file(path)
    _system().rm_file(path)
    assert comparison(DAY).standing is Standing.MISSING
    assert torn(both.objects.data, DAY).startswith("daily_report cannot be read")
    _system().pipe_file(path, page + b" ")
    assert comparison(DAY).standing is Standing.MISSING  # it is another
    _system().pipe_file(path, page)
    assert comparison(DAY).standing is Standing.CURRENT


def test_checks_see_the_days_there(both: Both) -> None:
    seen = seen_by_dagster(both.objects)
    seen = replace(seen, most_days=None)
    for check in (days_current, days_kept, directories_usable, disk_space, days_unbroken, *OF_A_DAY):
        found = check.summary(list(check.findings(seen)), seen.now)
        assert "cannot be told" not in found.text
    (there,) = [one for one in directories_usable.findings(seen) if one.subject == "object store"]
    assert (there.level, there.text) == (Level.OK, f"{both.objects.data} answers; 1 day there")
    found = {one.subject: one.level for one in days_built.findings(seen)}
    assert found[DAY.isoformat()] is Level.OK


def test_doctor_asks_the_object_store_by_a_check_of_its_own_that_may_hang_and_sees_whose_days_are_there(
    objects: ObjectStore, tmp_path: Path
) -> None:
    place, config = objects.bucket(), tmp_path / "devices.yaml"
    write_settings(config, [small_device("hall")])
    paths = {"AIR_PIPELINE_CONFIG": str(config), "AIR_PIPELINE_STATE": str(tmp_path / "state")}
    bind_days(place, "InfluxDB at http://elsewhere:8086, org home, bucket air")
    objects.asked.clear()
    seen = seen_from_outside(INFLUX | paths | {"AIR_PIPELINE_DATA": str(place)})
    assert objects.asked == []
    (there,) = [one for one in directories_usable.findings(seen) if one.subject == "object store"]
    assert there.level is Level.FAILURE
    assert "came from InfluxDB at http://elsewhere:8086" in there.text
    without = seen_from_outside({"INFLUXDB_V2_URL": "http://x"} | paths | {"AIR_PIPELINE_DATA": str(place)})
    assert "INFLUXDB_V2_TOKEN" in str(without.misset)


def test_the_schedule_compares_what_is_there_and_says_when_it_cannot(
    both: Both, objects: ObjectStore, instance: dg.DagsterInstance
) -> None:
    wanted = [request.partition_key for request in tick_of_build_days(both.objects, instance).run_requests]
    assert wanted
    assert DAY.isoformat() not in wanted  # it is there, and current
    compared = shelf_at(both.objects.data).head(None, "days/compared")
    assert b'"month": ' in compared
    objects.meanwhile = lambda _asked, _environ: 503
    said = tick_of_build_days(replace(both.objects), instance).skip_message
    assert said.startswith(f"days were not compared: {both.objects.environment.data} does not answer (")
    objects.meanwhile = lambda _asked, _environ: None
    _system().rm_file(f"{both.objects.data}/days/compared")


def test_a_store_that_comes_back_has_its_day_and_one_that_refuses_says_so(
    both: Both, objects: ObjectStore, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("air_pipeline.assets.explaining.RETRY_AFTER_S", 0)
    made = Deployment(
        replace(both.objects.environment, data=objects.bucket()), both.objects.settings, now=both.folder.now
    )
    left = [503] * (4 * 2)  # the library asks twice, and a step is tried four times

    def ill(asked: str, _: object) -> int | None:
        return left.pop() if left and asked.startswith("PUT") and "observations" in asked else None

    objects.meanwhile = ill
    result = build(made, instance)
    (said,) = failures(result).values()
    assert said.startswith(f"{made.environment.data} does not answer (")
    assert not left
    assert built_days(made.environment.data, "observations") == []
    left = [503] * 3
    assert failures(build(made, instance)) == {}
    assert built_days(made.environment.data, "daily_aggregates") == [DAY]

    objects.meanwhile = lambda asked, _: 403 if asked.startswith("PUT") else None
    (said,) = failures(build(made, instance, tags={FORCE_TAG: "true"})).values()
    assert "may not be used" in said
    made.store.close()


@pytest.fixture
def named(both: Both, monkeypatch: pytest.MonkeyPatch) -> Iterator[Both]:
    """The environment names the object store, and an InfluxDB that need not answer for what is built."""
    environment = with_influx(both.objects.environment)
    before = store_of(environment.data)
    bind_days(environment.data, environment.store)
    state = both.objects.environment.state.path.parent / "a state of its own"
    for name, value in (environment.variables() | INFLUX | {"AIR_PIPELINE_STATE": str(state)}).items():
        monkeypatch.setenv(name, value)
    yield both
    bind_days(environment.data, before)


def test_archive_and_commands_read_what_is_built_there(
    named: Both, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = partial(in_this_process, monkeypatch, capsys)
    with open_archive() as archive:
        rows = archive.hourly(start=DAY.isoformat(), end=AFTER.isoformat())
    assert rows.attrs["torn"] == {}
    wanted = day_file(named.folder.data, "hourly_aggregates", DAY).read()
    assert rows["mean"].to_list() == wanted["mean"].to_list()

    page = page_file(named.folder.data, DAY)
    assert command("report", "-o", tmp_path / "page.html")[:2] == (0, f"{tmp_path / 'page.html'}\n")
    assert (tmp_path / "page.html").read_bytes() == page.read()
    assert command("report")[:2] == (0, f"{page_file(named.objects.data, DAY).path}\n")

    assert command("export", "openair", "-o", tmp_path / "hours.csv")[0] == 0
    assert len((tmp_path / "hours.csv").read_text().splitlines()) == 1 + 24

    status, printed, _ = command("daily", "--from", DAY, "--to", AFTER, "--json")
    assert (status, len(printed.splitlines())) == (0, 2)


def test_duckdb_and_polars_read_it_as_it_lies(both: Both, objects: ObjectStore) -> None:
    """As docs/object-stores.md says; DuckDB by fsspec, as its own httpfs would have to be downloaded."""
    pattern = f"{both.objects.data}/hourly_aggregates/date=*/hourly_aggregates.parquet"
    wanted = day_file(both.folder.data, "hourly_aggregates", DAY).row_count()
    connection = duckdb.connect()
    connection.register_filesystem(_system())
    query = f"select count(*), count(distinct date) from read_parquet('{pattern}', hive_partitioning = true)"  # noqa: S608
    assert connection.execute(query).fetchone() == (wanted, 1)
    options = {name.lower(): value for name, value in WHO.items()}
    options |= {"aws_endpoint_url": objects.url, "aws_allow_http": "true"}
    frame = pl.scan_parquet(pattern, storage_options=options, hive_partitioning=True)
    assert frame.select(pl.len()).collect().item() == wanted
    assert built_days(both.objects.data, "hourly_aggregates") == [DAY]
