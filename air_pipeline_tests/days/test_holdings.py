"""What is built is never replaced by less: neither polls nor values, of any device, whatever else changed."""

import json
from dataclasses import replace
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from air_pipeline.catalogue import STATION, Parameter
from air_pipeline.days.comparing import compare_day
from air_pipeline.days.holdings import DayShrunk, held
from air_pipeline.days.inputs import Standing
from air_pipeline.devices.polls import Flag, Outcome, Poll, Problem
from air_pipeline.storage.commit import commit_day, commit_path
from air_pipeline.storage.day_files import Holding, day_file
from air_pipeline_tests.days.deployments import (
    AFTER,
    DAY,
    HOUR,
    MINUTE,
    build,
    contents,
    deployment,
    device,
    forget,
    poll,
    polls,
    publish_page,
    seed,
    window,
    with_devices,
)

START, END = window()
TABLES = ("observations", "hourly_aggregates", "daily_aggregates")


@pytest.fixture
def deployed(tmp_path):
    """Two devices with every poll of a day, which is built."""
    deployed = deployment(tmp_path, device("hall"), device("attic"))
    seed(deployed)
    build(deployed)
    yield deployed
    deployed.store.close()


def assert_kept(deployed, *lost, day=DAY):
    """The day is compared as shrunk, a build refuses it with each loss, changes nothing, and does it when forced."""
    compared = compare_day(deployed, deployed.store, day)
    assert compared.standing is Standing.SHRUNK
    assert list(compared.lost.values()) == list(lost)
    before = contents(deployed, day)
    with pytest.raises(DayShrunk) as refused:
        build(deployed, day)
    assert str(refused.value) == compared.refusal
    for one in lost:
        assert one in compared.refusal
    assert f"air-pipeline build --from {day} --to {day} --force" in compared.refusal
    assert contents(deployed, day) == before
    build(deployed, day, force=True)
    assert contents(deployed, day) != before


def with_other_columns(deployed, *, metadata=True):
    """Makes a day's files those of a version with a column more, which said of its holdings or did not."""
    for table in TABLES:
        path = day_file(deployed.data, table, DAY).path
        rows = pq.read_table(path)
        said = {
            key: text for key, text in rows.schema.metadata.items() if metadata or key != b"air_pipeline.holdings"
        } | {b"air_pipeline.schema_version": b"0"}
        rows = rows.append_column("extra", pa.array([0] * rows.num_rows)).replace_schema_metadata(said)
        pq.write_table(rows, path)
    made = day_file(deployed.data, TABLES[0], DAY).metadata(of_any_columns=True)
    publish_page(deployed, DAY, made)


def test_a_built_day_says_what_it_holds_of_each_device(deployed):
    assert held(deployed.data, DAY) == {
        "attic": Holding(START, END, 144, 144),
        "hall": Holding(START, END, 144, 144),
    }


def test_one_devices_gain_does_not_hide_anothers_loss(deployed):
    forget(deployed, "hall", START, START + 12 * HOUR)
    deployed.store.write([poll(at + 5 * MINUTE, "attic") for at in range(START, END, 10 * MINUTE)])
    assert_kept(deployed, "hall was built from 144 polls and the store now holds 72")


def test_values_that_are_gone_are_a_loss_though_their_polls_are_kept(deployed):
    forget(deployed, "hall", START, END, ["air"])
    assert_kept(deployed, "hall was built from 144 values and the store now holds 0")


def test_each_device_that_would_lose_something_is_told(deployed):
    forget(deployed, "hall", START, START + 10 * MINUTE, ["air"])
    forget(deployed, "attic", START, START + 10 * MINUTE)
    assert_kept(
        deployed,
        "attic was built from 144 polls and the store now holds 143",
        "hall was built from 144 values and the store now holds 143",
    )


def test_a_device_in_place_of_another_does_not_make_up_for_it(deployed):
    """What was in force is known; a state directory that was lost knows it no longer."""
    deployed.store.write(polls(START, END, "new"))
    swapped = with_devices(deployed, device("hall"), device("new"))
    build(swapped)
    assert held(deployed.data, DAY).keys() == {"attic", "hall", "new"}
    forget(deployed, "attic", START, END)
    assert_kept(swapped, "attic was built from 144 polls and the store now holds 0")


def test_a_device_that_nothing_is_known_of_any_more_is_guarded_too(deployed):
    deployed.environment.state.former.write_text('{"has_tables":true,"devices":[]}', encoding="utf-8")
    assert_kept(
        with_devices(deployed, device("hall")),
        "attic was built from 144 polls and devices.yaml no longer expects it on that day",
    )


def test_more_than_was_built_is_no_loss(deployed):
    deployed.store.write([poll(START + 5 * MINUTE)])
    assert compare_day(deployed, deployed.store, DAY).standing is Standing.CHANGED
    build(deployed)
    assert held(deployed.data, DAY)["hall"].polls == 145


@pytest.mark.parametrize("metadata", [True, False], ids=["says what it holds", "does not"])
def test_files_with_other_columns_are_guarded_like_any(deployed, metadata):
    with_other_columns(deployed, metadata=metadata)
    assert compare_day(deployed, deployed.store, DAY).standing is Standing.CHANGED
    forget(deployed, "hall", START, END)
    assert_kept(deployed, "hall was built from 144 polls and the store now holds 0")


def test_files_that_do_not_say_what_they_hold_are_counted_by_their_rows(tmp_path):
    """Values that were no numbers, means over sensors and slots without a poll are none of them."""
    first, second = (Parameter(name, "temperature", "°C", "t", (-40.0, 80.0), 0.1) for name in ("first", "second"))
    hall = replace(device("hall"), parameters=(first, second))
    deployed = deployment(tmp_path, hall, device("attic", "Asia/Tokyo"))
    unusable = (Problem("second_temperature", "inf", Flag.BAD, "not finite"),)
    for number, at in enumerate(range(START, END, 10 * MINUTE)):
        if number % 7:
            values = {"first_temperature": 20.0, "second_temperature": 21.0}
            partial = number % 5 == 0
            kept = {"first_temperature": 20.0} if partial else values
            outcome, problems = (Outcome.PARTIAL, unusable) if partial else (Outcome.OK, ())
            deployed.store.write([Poll("hall", at, outcome, 40.0, 600.0, 200, kept, problems)])
    deployed.store.write(polls(*window(DAY, device("attic", "Asia/Tokyo")), "attic"))
    build(deployed)
    said = held(deployed.data, DAY)
    with_other_columns(deployed, metadata=False)
    commit_path(deployed.data, DAY).unlink(missing_ok=True)
    counted = held(deployed.data, DAY)
    assert {name: one[2:] for name, one in counted.items()} == {name: one[2:] for name, one in said.items()}
    for name, one in counted.items():
        assert said[name].start <= one.start < one.end <= said[name].end
    deployed.store.close()


@pytest.mark.parametrize("spoilt", [1, 2, 3])
def test_any_file_of_a_day_that_can_be_read_guards_it(deployed, spoilt):
    """With all tables spoilt it is the day's commit that says what they held."""
    assert commit_day(deployed.data, DAY) == ""
    for table in TABLES[:spoilt]:
        day_file(deployed.data, table, DAY).path.write_bytes(b"PAR1 no more")
    forget(deployed, "hall", START, END)
    assert_kept(deployed, "hall was built from 144 polls and the store now holds 0")


def test_a_commit_that_says_nothing_of_holdings_leaves_it_to_the_files(deployed):
    assert commit_day(deployed.data, DAY) == ""
    path = commit_path(deployed.data, DAY)
    said = json.loads(path.read_text())
    del said["made"]["holdings"]
    path.write_text(json.dumps(said | {"version": 1}))
    assert compare_day(deployed, deployed.store, DAY).standing is Standing.CURRENT
    assert held(deployed.data, DAY)["hall"].polls == 144


def test_a_moved_zone_compares_the_same_instants(tmp_path):
    """The day of 25 hours gets an hour shorter: what the store held it holds."""
    autumn = date(2026, 10, 25)
    deployed = deployment(tmp_path)
    seed(deployed, [date(2026, 10, 24), autumn, date(2026, 10, 26)])
    for day in (date(2026, 10, 24), autumn, date(2026, 10, 26)):
        build(deployed, day)
    moved = with_devices(deployed, device(timezone="Asia/Kolkata"))
    for day in (date(2026, 10, 24), autumn, date(2026, 10, 26)):
        assert compare_day(moved, moved.store, day).standing is Standing.CHANGED
        build(moved, day)
    start, _ = window(autumn)
    forget(moved, "hall", start + 5 * HOUR, start + 6 * HOUR)
    assert compare_day(moved, moved.store, autumn).standing is Standing.SHRUNK
    deployed.store.close()


def test_what_is_lost_on_one_day_leaves_others_alone(deployed):
    seed(deployed, [AFTER])
    build(deployed, AFTER)
    forget(deployed, "hall", START, END - 4 * HOUR)  # no rule looks back so far
    assert compare_day(deployed, deployed.store, AFTER).standing is Standing.CURRENT
    assert_kept(deployed, "hall was built from 144 polls and the store now holds 24")


def test_a_station_whose_values_were_deleted_under_ok_polls_is_kept(tmp_path):
    """As when a measurement is deleted in InfluxDB: polls stay, every value is gone."""
    station = replace(device("hall"), parameters=STATION)
    deployed = deployment(tmp_path, station)
    values = {parameter.series: 20.0 for parameter in STATION}
    deployed.store.write(
        [Poll("hall", at, Outcome.OK, 40.0, 600.0, 200, values) for at in range(START, END, 10 * MINUTE)]
    )
    build(deployed)
    forget(deployed, "hall", START + HOUR, END, ["air"])
    assert_kept(deployed, f"hall was built from {144 * 13} values and the store now holds {6 * 13}")
    deployed.store.close()
