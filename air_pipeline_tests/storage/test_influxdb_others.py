"""What other programs write into our measurements of InfluxDB changes nothing of ours, or is refused in a sentence."""

from collections.abc import Iterator

import pandas as pd
import pytest

from air_pipeline.devices.polls import Outcome
from air_pipeline.storage.influxdb import InfluxStore
from air_pipeline.storage.store import StoreError
from air_pipeline_tests.influxdb_server import InfluxServer
from air_pipeline_tests.storage.model import END, START, poll, rows
from air_pipeline_tests.storage.test_imports import DAY, imported
from air_pipeline_tests.storage.test_influxdb import line

pytestmark = pytest.mark.influxdb


@pytest.fixture
def ours(influxdb: InfluxServer) -> Iterator[InfluxStore]:
    """A store with a reading, a slot whose reading was written over, and a slot with a document."""
    store = InfluxStore(influxdb.connection())
    store.write([poll(), poll(slot=START + 10_000)])
    store.write([poll(slot=START + 10_000, outcome=Outcome.TIMEOUT, http_status=None)])
    store.write([poll(slot=START + 20_000, outcome=Outcome.REJECTED, body="<html>")])
    yield store
    store.close()


def shown(store: InfluxStore, end: int = END) -> list[pd.DataFrame]:
    """What is shown of our device, which is the same whoever has asked for its polls already."""
    polls = store.polls("living-room", START, end)
    readings = store.readings("living-room", START, end)
    pd.testing.assert_frame_equal(store.readings("living-room", START, end, polls), readings)
    return [polls, readings]


def said(store: InfluxStore) -> list[object]:
    """What else the store says of our device."""
    return [
        store.first_poll("living-room"),
        store.first_polls(START, END, "living-room"),
        store.before("living-room", END),
        store.asked(START, END, "living-room"),
        store.emptied(START, END, "living-room"),
        store.stated("living-room", START, END),
        store.nearest_stated("living-room", END, earlier=True),
        store.nearest_stated("living-room", START, earlier=False),
        store.identities().get("living-room"),
        store.outcome_counts(START, END)["living-room"],
        store.summaries(START, END)["living-room"],
        store.imports(START, END).get("living-room"),
    ]


OTHERS = [
    "poll,device=garage,outcome=x votes=1",
    "poll,device=garage,problems=x,body=y,import=z votes=3",
    "poll,device=garage,series=x,identity=y,interval_s=1,duration_ms=2 votes=1",
    "air,device=garage,mq135_co2=x votes=1",
    'poll,device=garage import="x"',
    'poll,device=living-room,by=them outcome="ok",import="x"',
    "air,device=garage import=1.0",
    "air,device=garage,by=them import=true",
]


@pytest.mark.parametrize("other", OTHERS)
def test_whatever_others_call_as_we_do_hides_nothing_and_shows_nothing(
    influxdb: InfluxServer, ours: InfluxStore, other: str
) -> None:
    before, also = shown(ours), said(ours)
    assert list(rows(before[1])) == [START]
    line(influxdb, ours._connection.bucket, f"{other} {START + 10_000}000000")
    fresh = InfluxStore(ours._connection)  # which knows of their tags at once, the other one within a minute
    assert said(fresh) == also
    for store in (ours, fresh):
        for one, other_one in zip(shown(store), before, strict=True):
            pd.testing.assert_frame_equal(one, other_one, check_exact=True)


def test_what_a_series_of_others_says_of_our_device_is_not_its_word(influxdb: InfluxServer, ours: InfluxStore) -> None:
    before, also = shown(ours), said(ours)
    theirs = 'poll,device=living-room,by=them outcome="ok",identity="other",series="[]",problems="[]",interval_s=1.0'
    line(influxdb, ours._connection.bucket, f"{theirs} {START + 10_000}000000")
    fresh = InfluxStore(ours._connection)
    assert said(fresh) == also
    for one, other in zip(shown(fresh), before, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_a_field_of_ours_that_is_of_another_kind_in_another_year_hides_nothing(
    influxdb: InfluxServer, ours: InfluxStore
) -> None:
    before = shown(ours)
    line(influxdb, ours._connection.bucket, f"poll,device=garage outcome=5,problems=1 {START + 300 * DAY}000000")
    for one, other in zip(shown(ours, START + 301 * DAY), before, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_a_point_without_an_outcome_is_no_poll_that_hides_values(influxdb: InfluxServer, ours: InfluxStore) -> None:
    line(influxdb, ours._connection.bucket, f"air,device=living-room mq135_co2=400 {START + 30_000}000000")
    line(influxdb, ours._connection.bucket, f"poll,device=living-room duration_ms=5 {START + 30_000}000000")
    assert list(rows(shown(ours)[1])) == [START, START + 30_000]


def test_a_first_import_of_somebody_else_is_never_taken_for_ours(ours: InfluxStore) -> None:
    """Also while it is not known yet that something was imported."""
    before = shown(ours)
    other = InfluxStore(ours._connection)
    other.write([imported(START, values={"mq135_co2": 7.0})])
    other.close()
    for one, other_one in zip(shown(ours), before, strict=True):
        pd.testing.assert_frame_equal(one, other_one, check_exact=True)


def test_what_others_add_to_our_polls_is_theirs(influxdb: InfluxServer) -> None:
    connection = influxdb.connection()
    store = InfluxStore(connection)
    store.write([poll(), poll(slot=START + 10_000)])
    before = store.polls("living-room", START, END)
    for at in (START, START + 5_000):
        line(influxdb, connection.bucket, f'poll,device=living-room note="x",votes=3,yes=true {at}000000')
    pd.testing.assert_frame_equal(store.polls("living-room", START, END), before)
    store.close()


def test_a_field_of_others_that_is_called_as_our_tag_hides_nothing(influxdb: InfluxServer) -> None:
    connection = influxdb.connection()
    store = InfluxStore(connection)
    store.write([poll(), poll(slot=START + 10_000)])
    before = store.readings("living-room", START, END), store.polls("living-room", START, END)
    for measurement in ("air", "poll"):
        line(influxdb, connection.bucket, f"{measurement},device=living-room device=1.0 {START}000000")
    pd.testing.assert_frame_equal(store.readings("living-room", START, END).drop(columns="device"), before[0])
    pd.testing.assert_frame_equal(store.polls("living-room", START, END), before[1])
    assert store.first_poll("living-room", START) == START
    store.close()


def test_points_of_others_at_fractions_of_a_ms_share_one_slot(influxdb: InfluxServer) -> None:
    connection = influxdb.connection()
    line(influxdb, connection.bucket, "\n".join(f"air,device=garage x={n}i {START * 1_000_000 + n}" for n in range(3)))
    store = InfluxStore(connection)
    assert rows(store.readings("garage", START, END)) == {START: {"x": 2.0}}
    store.close()


def test_a_last_poll_that_others_wrote_is_an_error_that_names_it(influxdb: InfluxServer) -> None:
    connection = influxdb.connection()
    line(influxdb, connection.bucket, "poll,device=garage votes=3 1780000000000000000")
    store = InfluxStore(connection)
    with pytest.raises(StoreError, match="last poll of device 'garage' at 1780000000000 is not one that air_pipeline"):
        store.latest()
    store.close()
