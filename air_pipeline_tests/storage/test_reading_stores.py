"""What every reading store promises: each test runs against each store."""

import itertools
import math
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from air_pipeline.devices.polls import Flag, Outcome, Poll, Problem, problems_from_json
from air_pipeline.storage.influxdb import InfluxStore
from air_pipeline.storage.sqlite import SqliteStore
from air_pipeline.storage.store import Latest, PollsRejected, ReadingStore, Summary
from air_pipeline_tests.storage.model import END, START, VALUES, ModelStore, poll, polls, rows

DAY = 86_400_000

# The store outlives the examples; each of them has devices of its own. Shrinking would outlast the tests' timeout.
tried = settings(
    max_examples=40,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
examples = itertools.count()


def test_a_store_gives_back_what_was_written(store: ReadingStore) -> None:
    problem = Problem("dht22_humidity", "inf", Flag.BAD, "not finite")
    written = poll(outcome=Outcome.PARTIAL, values={"mq135_co2": 402.08, "bmp180_altitude": -0.25}, problems=(problem,))
    store.write([written, poll(slot=START + 10_000, outcome=Outcome.REJECTED, body='<html>"hello"\n')])

    readings = store.readings("living-room", START, START + 20_000)
    assert rows(readings) == {START: {"bmp180_altitude": -0.25, "mq135_co2": 402.08}}
    assert list(readings.columns) == ["bmp180_altitude", "mq135_co2"]
    read = store.polls("living-room", START, START + 20_000)
    assert list(read["outcome"]) == ["partial", "rejected"]
    assert problems_from_json(read["problems"].iloc[0]) == (problem,)
    assert list(read["problems"])[1] == ""
    assert pd.isna(read["body"].iloc[0])
    assert read["body"].iloc[1] == '<html>"hello"\n'


@given(data=st.data())
@tried
def test_the_last_poll_of_a_slot_is_shown_and_nothing_of_an_earlier_one(
    store: ReadingStore, data: st.DataObject
) -> None:
    example = next(examples)
    devices = [f"device-{example}-{n}" for n in range(2)]
    model = ModelStore(merging=isinstance(store, InfluxStore))
    for _ in range(data.draw(st.integers(1, 3), label="writes")):
        batch = data.draw(st.lists(polls(st.sampled_from(devices)), max_size=8), label="polls")
        store.write(batch)
        model.write(batch)

    for device in devices:
        read = store.readings(device, START, END)
        assert rows(read) == model.air.get(device, {})
        known = store.polls(device, START, END)
        assert rows(known) == model.poll.get(device, {})
        pd.testing.assert_frame_equal(store.readings(device, START, END, known), read)
        assert store.first_poll(device) == min(model.poll.get(device, {}), default=None)
    latest = {device: of_device for device, of_device in store.latest().items() if device in devices}
    assert latest.keys() == model.poll.keys()
    for device, known in latest.items():
        expected = latest_in(model, device)
        assert known.poll == expected.poll
        if not hidden(model, device):  # InfluxDB does not look for the last reading behind those
            assert known == expected
    summaries = store.summaries(START, END)
    assert {device: summaries[device] for device in devices if device in summaries} == model.summaries()
    counts = store.outcome_counts(START, END)
    assert {device: counts[device] for device in devices if device in counts} == model.outcome_counts()


def hidden(model: ModelStore, device: str) -> set[int]:
    """The slots of a device at which values are held that are shown no longer."""
    held = {slot for (name, slot), values in model.left.items() if name == device and values}
    return held - set(model.air.get(device, {}))


def latest_in(model: ModelStore, device: str) -> Latest:
    slot = max(model.poll[device])
    fields = dict(model.poll[device][slot])
    problems = problems_from_json(fields.pop("problems"))
    outcome = Outcome(fields.pop("outcome"))
    readings = model.air.get(device, {})
    values = readings.get(slot, {}) if outcome.has_reading else {}
    reading_at = max(readings, default=None)
    last = Poll(device, slot, outcome, problems=problems, values=values, **fields)
    return Latest(last, reading_at, {} if reading_at is None else readings[reading_at])


@given(
    values=st.lists(
        st.floats(allow_nan=False, allow_infinity=False)
        | st.sampled_from(
            [5e-324, -2.2250738585072009e-308, 1e308, 1.7976931348623157e308, 0.1, 1e16, 1e22, 2.0**53 + 2]
        ),
        min_size=1,
        max_size=200,
    )
)
@tried
def test_floats_come_back_identical(store: ReadingStore, values: list[float]) -> None:
    device = f"device-{next(examples)}"
    store.write([poll(device, START + n, values={"mq135_co": value}) for n, value in enumerate(values)])
    read = store.readings(device, START, START + len(values))["mq135_co"].to_numpy()
    assert read.tobytes() == (np.array(values) + 0.0).tobytes()  # −0.0 is stored as 0.0


def test_minus_zero_is_stored_as_zero(store: ReadingStore) -> None:
    store.write([poll(values={"ds18b20_temperature": -0.0})])
    assert math.copysign(1.0, store.readings("living-room", START, END)["ds18b20_temperature"].iloc[0]) == 1.0


def test_numbers_of_numpy_are_numbers(store: ReadingStore) -> None:
    store.write([poll(values={"mq135_co": np.float64(0.1)}, duration_ms=np.float64(5))])
    assert store.readings("living-room", START, END)["mq135_co"].iloc[0] == 0.1


def test_a_lone_surrogate_from_a_device_is_kept_readable(store: ReadingStore) -> None:
    problem = Problem("dht22_humidity", "\ud800", Flag.BAD, "not a number")
    store.write(
        [
            poll(outcome=Outcome.PARTIAL, problems=(problem,)),
            poll(slot=START + 1, outcome=Outcome.REJECTED, body="a\udfffb"),
        ]
    )
    read = store.polls("living-room", START, START + 2)
    assert problems_from_json(read["problems"].iloc[0]) == (problem,)
    assert read["body"].iloc[1] == "a\\udfffb"


def test_intervals_are_half_open(store: ReadingStore) -> None:
    store.write([poll(slot=START + n) for n in range(4)])
    assert list(rows(store.readings("living-room", START + 1, START + 3))) == [START + 1, START + 2]
    assert list(rows(store.polls("living-room", START + 1, START + 3))) == [START + 1, START + 2]
    assert store.summaries(START + 1, START + 3) == {"living-room": Summary(2, 82.0, 4)}
    assert store.outcome_counts(START + 1, START + 3) == {"living-room": {"ok": 2}}
    assert store.readings("living-room", START + 1, START + 1).empty


def test_what_is_deleted_of_a_device_is_gone_to_the_millisecond_and_nothing_else(store: ReadingStore) -> None:
    for device in ("attic-1", "attic"):
        store.write([poll(device, START + number) for number in range(4)])
    for _ in range(2):
        store.delete("attic", START + 1, START + 3)
    assert list(rows(store.polls("attic", START, START + 10))) == [START, START + 3]
    assert list(rows(store.readings("attic", START, START + 10))) == [START, START + 3]
    assert store.summaries(START, START + 10)["attic-1"].polls == 4
    store.delete("attic", -(2**63), 2**63)
    assert set(store.summaries(START, START + 10)) == {"attic-1"}
    assert store.first_poll("attic") is None


def test_the_first_polls_of_an_interval_are_those_of_each_device(store: ReadingStore) -> None:
    store.write([poll("hall", slot) for slot in (START, START + 10, START + 20)])
    store.write([poll("attic", START + 15, Outcome.TIMEOUT), poll("cellar", START + 30)])
    assert store.first_polls(START + 1, START + 30) == {"attic": START + 15, "hall": START + 10}
    assert store.first_polls(START + 31, START + 40) == {}
    assert store.first_polls(START + 1, START + 30, "attic") == {"attic": START + 15}
    assert store.first_polls(START + 1, START + 30, "cellar") == {}


def test_slots_in_which_a_value_came_as_an_empty_text_are_found(store: ReadingStore) -> None:
    def partial(device: str, slot: int, *values: str | None) -> Poll:
        found = tuple(Problem("mq135_co2", value, Flag.MISSING, "no value") for value in values)
        return poll(device, slot, Outcome.PARTIAL, problems=found)

    store.write([partial("hall", START, "nan"), partial("hall", START + 10, None, ""), partial("hall", START + 20, "")])
    store.write([partial("attic", START, ""), partial("attic", START + 10, '"', "value"), poll("cellar", START)])
    assert store.emptied(START, START + 30) == {"attic": (START,), "hall": (START + 10, START + 20)}
    assert store.emptied(START, START + 20, "hall") == {"hall": (START + 10,)}
    assert store.emptied(START, START + 20, "nobody") == {}


def test_an_interval_may_be_all_of_time(store: ReadingStore) -> None:
    store.write([poll(slot=slot) for slot in (-DAY - 1, 0, START, START + 400 * DAY)])
    for start, end in ((-(2**63), 2**63), (-DAY - 1, START + 400 * DAY + 1)):
        assert len(store.readings("living-room", start, end)) == 4
        assert len(store.polls("living-room", start, end)) == 4
        assert store.summaries(start, end)["living-room"].polls == 4
        assert store.outcome_counts(start, end) == {"living-room": {"ok": 4}}


def test_an_interval_that_cuts_days_gives_what_lies_in_it(store: ReadingStore) -> None:
    slots = [START + n * 3_600_000 for n in range(100)]
    store.write([poll(slot=slot) for slot in slots])
    assert list(rows(store.readings("living-room", slots[3] + 1, slots[90]))) == slots[4:90]


def test_frames_of_nothing_have_the_dtypes_of_frames_of_something(store: ReadingStore) -> None:
    for write in (False, True):
        if write:
            store.write([poll("garage")])
        readings = store.readings("living-room", START, END)
        assert isinstance(readings.index, pd.DatetimeIndex)
        assert (str(readings.index.dtype), readings.index.name) == ("datetime64[ms, UTC]", "observed_at")
        assert readings.shape == (0, 0)
        assert readings.columns.dtype == "str"
        read = store.polls("living-room", START, END)
        assert (str(read.index.dtype), read.index.name) == ("datetime64[ms, UTC]", "observed_at")
        assert {name: str(dtype) for name, dtype in read.dtypes.items()} == {
            "outcome": "str",
            "duration_ms": "float64",
            "http_status": "float64",
            "interval_s": "float64",
            "problems": "str",
            "body": "str",
            "series": "str",
            "cycle": "str",
            "identity": "str",
            "import": "str",
        }


def test_an_empty_store_knows_nothing(store: ReadingStore) -> None:
    assert store.latest() == {}
    assert store.outcome_counts(START, END) == {}
    assert store.summaries(START, END) == {}
    assert store.first_poll("living-room") is None
    assert store.before("living-room", END) is None
    assert store.asked(START, END) == {}
    assert store.identities() == {}
    assert store.stated("living-room", START, END) == frozenset()
    assert store.nearest_stated("living-room", END, earlier=True) == frozenset()
    store.write([])
    assert store.latest() == {}


def test_series_that_only_other_devices_have_are_not_columns(store: ReadingStore) -> None:
    store.write([poll(values={"dht22_temperature": 1.0}), poll("garage", values={"mq135_co": 1.0})])
    assert list(store.readings("garage", START, END).columns) == ["mq135_co"]


def test_outcomes_without_a_reading_store_no_values(store: ReadingStore) -> None:
    store.write([poll(outcome=Outcome.TIMEOUT, values={"mq135_co": 1.0}, http_status=None), poll("garage", values={})])
    assert store.readings("living-room", START, END).empty
    assert store.summaries(START, END) == {"living-room": Summary(1, 41.0, 0), "garage": Summary(1, 41.0, 0)}


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(
    "first",
    [
        poll(values={"mq135_co2": 400.0}),
        poll(outcome=Outcome.REJECTED, body="<html>"),
        poll(outcome=Outcome.HTTP_ERROR, http_status=500),
    ],
    ids=lambda one: one.outcome,
)
@pytest.mark.parametrize(
    "second",
    [
        poll(outcome=Outcome.TIMEOUT, http_status=None, duration_ms=5000.0),
        poll(values={"mq135_co2": 900.0}, duration_ms=5000.0),
        poll(outcome=Outcome.REJECTED, body="<h1>", duration_ms=5000.0),
        poll(outcome=Outcome.REJECTED, duration_ms=5000.0),
        poll(outcome=Outcome.HTTP_ERROR, http_status=None, duration_ms=5000.0),
    ],
    ids=lambda one: one.outcome,
)
def test_of_two_polls_of_a_slot_there_is_the_later_one_and_nothing_of_the_earlier(
    store: ReadingStore, first: Poll, second: Poll, *, together: bool
) -> None:
    values = dict(second.values)
    for polls_of_a_write in [[first, second]] if together else [[first], [second], [second]]:
        store.write(polls_of_a_write)
    known = store.latest()["living-room"]
    assert known.poll == second
    assert known.reading_at == (START if values else None)
    assert rows(store.readings("living-room", START, END)) == ({START: values} if values else {})
    [fields] = rows(store.polls("living-room", START, END)).values()
    assert fields["outcome"] == second.outcome
    assert fields.get("http_status") == second.http_status
    assert fields.get("body") == second.body
    assert store.summaries(START, END)["living-room"].polls == 1


def test_what_lies_outside_the_present_says_nothing_of_it(store: ReadingStore) -> None:
    true = [poll(slot=START + n * 10_000, duration_ms=n) for n in range(3)]
    store.write([poll(slot=10_000), *true, poll(slot=START + 3650 * DAY), poll("only-1970", 10_000)])
    known = store.latest(START, START + DAY)
    assert list(known) == ["living-room"]
    assert known["living-room"].poll == true[-1]
    assert known["living-room"].reading_at == START + 20_000
    assert store.first_poll("living-room", START - DAY) == START
    assert store.first_poll("living-room", START + 1) == START + 10_000
    assert store.first_poll("only-1970", START) is None
    assert store.first_poll("living-room") == 10_000


def test_the_last_reading_may_be_older_than_the_last_poll(store: ReadingStore) -> None:
    store.write([poll(values={"mq135_co": 2.0}), poll(slot=START + DAY, outcome=Outcome.UNREACHABLE, http_status=None)])
    known = store.latest()["living-room"]
    assert known.poll == poll(slot=START + DAY, outcome=Outcome.UNREACHABLE, http_status=None)
    assert known == Latest(known.poll, START, {"mq135_co": 2.0})


def test_the_last_of_each_device_is_found_however_long_ago(store: ReadingStore) -> None:
    now = time.time_ns() // 1_000_000 // 10_000 * 10_000
    failed = {"outcome": Outcome.TIMEOUT, "http_status": None}
    store.write([poll(device, START, values={"mq135_co": 1.0}) for device in ("active", "failing", "gone")])
    store.write([poll("active", now - 10_000, values={"mq135_co": 2.0}), poll("failing", now, **failed)])
    store.write([poll("active", now, values={"mq135_co": 3.0}), poll("ahead", now + 400 * DAY)])
    assert store.latest() == {
        "active": Latest(poll("active", now, values={"mq135_co": 3.0}), now, {"mq135_co": 3.0}),
        "failing": Latest(poll("failing", now, **failed), START, {"mq135_co": 1.0}),
        "gone": Latest(poll("gone", START, values={"mq135_co": 1.0}), START, {"mq135_co": 1.0}),
        "ahead": Latest(poll("ahead", now + 400 * DAY), now + 400 * DAY, VALUES),
    }


def test_what_the_last_poll_before_a_time_says_is_known(store: ReadingStore) -> None:
    ended = poll(slot=START + DAY, interval_s=1.5, outcome=Outcome.ENDED, values={})
    store.write([poll(slot=START, interval_s=10.0), ended])
    first, last = (START, 10.0, False), (START + DAY, 1.5, True)
    asked = [START, START + 1, START + DAY, START + DAY + 1, 2**63, -(2**63)]
    assert [store.before("living-room", time) for time in asked] == [None, first, first, last, last, None]
    assert store.first_poll("living-room") == START


def test_what_a_device_was_asked_for_holds_until_something_else_is_said(store: ReadingStore) -> None:
    both, one = ("dht22_temperature", "bmp180_pressure"), ("dht22_temperature",)
    store.write(
        [
            poll(slot=START),
            poll(slot=START + 10_000, series=both),
            poll(slot=START + 20_000),
            poll(slot=START + 30_000, series=one, outcome=Outcome.TIMEOUT, values={}),
            poll("hall", slot=START + 20_000, series=("µ",)),
            poll("attic", slot=START),
        ]
    )
    all_of_it = {"living-room": (None, {*both, *one}), "hall": (None, {"µ"})}
    assert store.asked(START, START + 10_000) == {}
    assert store.asked(START, START + 10_001) == {"living-room": (None, set(both))}
    assert store.asked(START, END) == all_of_it
    assert store.asked(START, END, "hall") == {"hall": all_of_it["hall"]}
    assert store.asked(START + 10_001, START + 20_000) == {"living-room": (set(both), set())}
    assert store.asked(START + 20_000, END, "living-room") == {"living-room": (set(both), set(one))}
    assert store.asked(START + 30_001, END) == {"living-room": (set(one), set()), "hall": ({"µ"}, set())}
    said = store.polls("living-room", START, END)["series"]
    assert [text if isinstance(text, str) else None for text in said] == [
        None,
        '["dht22_temperature","bmp180_pressure"]',
        None,
        '["dht22_temperature"]',
    ]
    assert store.latest()["living-room"].poll.series == one


def test_the_mark_of_a_measuring_cycle_is_kept_with_its_reading_and_with_nothing_else(store: ReadingStore) -> None:
    store.write(
        [
            poll(slot=START, cycle='531 "26" 20,017 µ\\'),
            poll(slot=START + 10_000),
            poll(slot=START + 20_000, cycle="a"),
            poll("hall", cycle="b"),
        ]
    )
    store.write([poll(slot=START + 20_000, outcome=Outcome.TIMEOUT, http_status=None)])
    cycles = store.polls("living-room", START, END)["cycle"]
    assert cycles.iloc[0] == '531 "26" 20,017 µ\\'
    assert cycles.isna().tolist() == [False, True, True]
    latest = store.latest()
    assert (latest["living-room"].poll.cycle, latest["hall"].poll.cycle) == (None, "b")


def test_which_device_it_is_is_what_it_said_last_with_a_reading(store: ReadingStore) -> None:
    store.write(
        [
            poll(slot=START, identity='84:f3:eb:1:2:3 "µ",\\'),
            poll(slot=START + 10_000),
            poll(slot=START + 20_000, outcome=Outcome.TIMEOUT, values={}, identity="of no reading"),
            poll("hall", slot=START, identity="a"),
            poll("hall", slot=START + 200 * 86_400_000, identity="b"),
            poll("attic"),
        ]
    )
    assert store.identities() == {"living-room": '84:f3:eb:1:2:3 "µ",\\', "hall": "b"}
    said = store.polls("living-room", START, END)["identity"]
    assert said.isna().tolist() == [False, True, True]
    assert store.latest()["hall"].poll.identity == "b"


def test_polls_state_the_series_that_they_have_values_or_problems_of(store: ReadingStore) -> None:
    lost = Problem("ds18b20_temperature", None, Flag.MISSING, "it is not there")
    silent = {"outcome": Outcome.TIMEOUT, "values": {}}
    store.write(
        [
            poll(slot=START, values={"a_x": 1.0}, problems=(lost,), outcome=Outcome.PARTIAL),
            poll(slot=START + 10_000, values={"a_x": 1.0, "b_x": 2.0}),
            poll(slot=START + 20_000, **silent),
            poll(slot=START + 30_000, values={}, problems=(lost,), outcome=Outcome.REJECTED),
            poll(slot=START + 40_000, values={}),
        ]
    )
    name = "living-room"
    assert store.stated(name, START, END) == {"a_x", "b_x", "ds18b20_temperature"}
    assert store.stated(name, START + 10_000, START + 30_000) == {"a_x", "b_x"}
    assert store.stated(name, START + 20_000, START + 30_000) == frozenset()
    places = [START, START + 10_000, START + 20_000, START + 30_000, START + 30_001, END]
    assert [store.nearest_stated(name, time, earlier=True) for time in places] == [
        frozenset(),
        {"a_x", "ds18b20_temperature"},
        {"a_x", "b_x"},
        {"a_x", "b_x"},
        {"ds18b20_temperature"},
        {"ds18b20_temperature"},
    ]
    assert [store.nearest_stated(name, time, earlier=False) for time in places] == [
        {"a_x", "ds18b20_temperature"},
        {"a_x", "b_x"},
        {"ds18b20_temperature"},
        {"ds18b20_temperature"},
        frozenset(),
        frozenset(),
    ]


@pytest.mark.parametrize(
    "device",
    [
        "' OR 1=1 --",
        '" OR "x"="x',
        "'; DROP TABLE poll; --",
        "$device",
        "a,b=c d",
        "poll,device=x y=1 2",
        "Küche 🜁",
        "*",
        "%",
    ],
)
def test_the_name_of_a_device_is_data_in_every_query(store: ReadingStore, device: str) -> None:
    store.write([poll(), poll("garage")])
    assert store.readings(device, START, END).empty
    assert store.polls(device, START, END).empty
    assert store.first_poll(device) is None
    store.write([poll(device, START + 1, interval_s=7.0)])
    assert list(rows(store.readings(device, START, END))) == [START + 1]
    assert store.first_poll(device) == START + 1
    assert store.before(device, END) == (START + 1, 7.0, False)
    assert store.asked(START, END) == {}
    assert store.stated(device, START, END) == store.nearest_stated(device, END, earlier=True) == set(VALUES)
    assert store.latest()[device].poll.observed_at == START + 1
    assert store.outcome_counts(START, END) == {"living-room": {"ok": 1}, "garage": {"ok": 1}, device: {"ok": 1}}


def test_the_name_of_a_series_is_data_too(store: ReadingStore) -> None:
    names = ['a"b', "a'b", "a b", "a,b=c", "select", "count_x", "last", "µ"]
    store.write([poll(values={name: float(n) for n, name in enumerate(names)})])
    assert rows(store.readings("living-room", START, END)) == {START: {name: n for n, name in enumerate(names)}}
    assert store.summaries(START, END) == {"living-room": Summary(1, 41.0, len(names))}


@pytest.mark.parametrize(
    ("unfit", "reason"),
    [
        (poll(values={"mq135_co": math.nan}), "mq135_co is nan"),
        (poll(values={"mq135_co": math.inf}), "mq135_co is inf"),
        (poll(duration_ms=math.inf), "duration_ms is inf"),
        (poll(device=""), "name of the device"),
        (poll(device="a\nb"), "name of the device"),
        (poll(values={"time": 1.0}), "'time' cannot be the name of a series"),
        (poll(values={"a\\": 1.0}), "cannot be the name of a series"),
        (poll(slot=2**62), "1677 to 2262"),
    ],
)
def test_polls_that_cannot_be_stored_are_rejected_with_the_reason(
    store: ReadingStore, unfit: Poll, reason: str
) -> None:
    with pytest.raises(PollsRejected, match=reason):
        store.write([poll("garage"), unfit])


def test_a_thousand_devices_are_written_and_known(store: ReadingStore) -> None:
    store.write([poll(f"device-{n}", slot) for slot in (START, START + 10_000, START + 20_000) for n in range(1_000)])
    assert len(store.latest()) == 1_000
    assert set(store.summaries(START, END).values()) == {Summary(3, 123.0, 6)}


def test_closing_twice_and_going_on_is_fine(store: ReadingStore) -> None:
    store.write([poll()])
    store.close()
    store.close()
    assert len(store.readings("living-room", START, END)) == 1


@pytest.mark.influxdb
@given(data=st.data())
@tried
def test_two_stores_with_the_same_polls_give_the_same_bits(
    sqlite_store: SqliteStore, influx_store: InfluxStore, data: st.DataObject
) -> None:
    device = f"device-{next(examples)}"
    one_a_slot = st.lists(polls(st.just(device)), min_size=1, max_size=8, unique_by=lambda one: one.observed_at)
    batch = data.draw(one_a_slot)  # InfluxDB keeps the series that a later reading of a slot has not
    for store in (sqlite_store, influx_store):
        store.write(batch)
    for read in ("readings", "polls"):
        one, other = (getattr(store, read)(device, START, END) for store in (sqlite_store, influx_store))
        pd.testing.assert_frame_equal(one, other, check_exact=True, check_freq=True, check_column_type=True)
        assert one.index.unit == other.index.unit == "ms"


def test_the_stores_are_light_until_they_read() -> None:
    program = (
        "import sys\n"
        "import air_pipeline.storage.opening\n"
        "print(sorted({'pandas', 'pyarrow', 'numpy', 'influxdb_client', 'requests'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"
