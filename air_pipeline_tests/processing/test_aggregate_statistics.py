import math
import statistics
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from air_pipeline.processing.aggregates import aggregates_table, daily_aggregates, hourly_aggregates, spacing_ms
from air_pipeline.processing.local_time import day_window, epoch_ms, local_hours
from air_pipeline.processing.observations import ProcessingError
from air_pipeline.processing.schemas import arrow_schema
from air_pipeline.processing.violations import counts_add_up, validate
from air_pipeline.settings import Device
from air_pipeline_tests.processing.frames import FIRST, SECOND, SMALL, flagged_values, observations

NAN = float("nan")
QUARTER_MS = 900_000
DAY = date(2026, 11, 21)
ONE = "first_temperature"


def small(zone="Europe/Warsaw", **settings_):
    return Device("small", "http://small/", zone, parameters=(FIRST, SECOND), **settings_)


def grid(device, day, step=QUARTER_MS):
    start, end = (epoch_ms(instant) for instant in day_window(day, device.zone))
    return list(range(-(-start // step) * step, end, step))


def both(device, seen, day):
    hourly = hourly_aggregates(device, seen, day)
    return hourly, daily_aggregates(device, seen, hourly, day)


def day_of(device, day=DAY, value=float, step=QUARTER_MS):
    at = grid(device, day, step)
    return both(device, observations(device, at, {ONE: [value(n) for n in range(len(at))]}), day)


def naive_statistics(values):
    n = len(values)
    if not n:
        return dict.fromkeys(["mean", "min", "max", "sd", "median", "p02", "p98"], NAN)
    ordered = sorted(values)

    def percentile(share):
        place = share * (n - 1)
        low = math.floor(place)
        high = min(low + 1, n - 1)
        return ordered[low] + (ordered[high] - ordered[low]) * (place - low)

    return {
        "mean": math.fsum(values) / n,
        "min": ordered[0],
        "max": ordered[-1],
        "sd": statistics.stdev(values) if n > 1 else NAN,
        "median": statistics.median(values),
        "p02": percentile(0.02),
        "p98": percentile(0.98),
    }


def naive_counts(flags):
    valid, expected = sum(flag in {1, 2} for flag in flags), len(flags)
    return {
        "expected_count": expected,
        "observed_count": sum(flag != 9 for flag in flags),
        "valid_count": valid,
        "suspect_count": flags.count(3),
        "bad_count": flags.count(4),
        "missing_count": flags.count(9),
        "coverage": valid / expected if expected else NAN,
    }


def naive_hours(device, day, at, values, flags):
    rows = []
    for hour in local_hours(*day_window(day, device.zone), device.zone):
        inside = [n for n, slot in enumerate(at) if epoch_ms(hour.start_utc) <= slot < epoch_ms(hour.end_utc)]
        row = naive_counts([flags[n] for n in inside])
        row |= naive_statistics([values[n] for n in inside if flags[n] in {1, 2}])
        row["is_complete"] = bool(inside) and row["coverage"] >= 0.75
        row |= {"hour": hour, "hour_start": hour.start_utc}
        rows.append(row)
    return rows


def naive_max_8h(hours, end):
    best = NAN
    for first in hours:
        begin = first["hour"].start_utc
        until = begin + timedelta(hours=8)
        if until > end:
            continue
        inside = [
            row
            for row in hours
            if row["is_complete"] and row["hour"].start_utc >= begin and row["hour"].end_utc <= until
        ]
        length = sum(row["hour"].elapsed.total_seconds() for row in inside)
        if length >= 6 * 3600:
            mean = sum(row["mean"] * row["hour"].elapsed.total_seconds() for row in inside) / length
            best = mean if math.isnan(best) else max(best, mean)
    return best


def naive_day(device, day, at, values, flags, threshold):
    start, end = day_window(day, device.zone)
    hours = naive_hours(device, day, at, values, flags)
    valid = [n for n in range(len(at)) if flags[n] in {1, 2}]
    row = naive_counts(list(flags)) | naive_statistics([values[n] for n in valid])
    row |= {"hours_in_day": (end - start).total_seconds() / 3600, "hour_count": len(hours)}
    row["complete_hours"] = sum(hour["is_complete"] for hour in hours)
    row["is_complete"] = row["complete_hours"] >= math.ceil(0.75 * len(hours))

    def clock_hour(n):
        return pd.Timestamp(at[n], unit="ms", tz="UTC").tz_convert(device.zone).hour

    daytime = [values[n] for n in valid if 6 <= clock_hour(n) < 22]
    night = [values[n] for n in valid if not 6 <= clock_hour(n) < 22]
    row["mean_06_22"] = math.fsum(daytime) / len(daytime) if daytime else NAN
    row["mean_22_06"] = math.fsum(night) / len(night) if night else NAN
    row["max_8h_mean"] = naive_max_8h(hours, end)
    stands = spacing_ms(np.array(at), epoch_ms(end))
    row["exceedance_minutes"] = sum(stands[n] for n in valid if values[n] > threshold) / 60_000
    return row


def agree(found, expected, leave=("hour",)):
    for name, value in expected.items():
        if name in leave:
            continue
        if isinstance(value, float):
            assert found[name] == pytest.approx(value, rel=1e-9, abs=1e-9, nan_ok=True), name
        else:
            assert found[name] == value, name


DAYS = [
    ("Europe/Warsaw", DAY),
    ("Europe/Warsaw", date(2026, 3, 29)),
    ("Europe/Warsaw", date(2026, 10, 25)),
    ("Australia/Lord_Howe", date(2026, 4, 5)),
    ("Australia/Lord_Howe", date(2026, 10, 4)),
    ("Asia/Kathmandu", DAY),
    ("America/St_Johns", date(1987, 10, 25)),
    ("Pacific/Apia", date(2011, 12, 31)),
]


@st.composite
def some_days(draw):
    zone, day = draw(st.sampled_from(DAYS))
    device = small(zone, thresholds={ONE: 20.0})
    at = grid(device, day)
    chunk = draw(flagged_values(draw(st.integers(1, 12))))
    values, flags = ([part[n % len(part)] for n in range(len(at))] for part in chunk)
    first, last = sorted(draw(st.tuples(st.integers(0, len(at)), st.integers(0, len(at)))))
    keep = slice(first, max(last, first + 1)) if draw(st.booleans()) else slice(None)
    at, values, flags = at[keep] or at[:1], values[keep] or values[:1], flags[keep] or flags[:1]
    holes = draw(st.sets(st.integers(0, len(at) - 1), max_size=20))
    for n in holes:
        values[n], flags[n] = NAN, 9
    return device, day, at, values, flags


@given(some_days())
@settings(max_examples=60, deadline=None)
def test_hours_and_day_are_what_a_slow_and_simple_reckoning_gives(content):
    device, day, at, values, flags = content
    other = {"values": [NAN] * len(at), "flags": [9] * len(at)}
    seen = observations(
        device,
        at,
        {ONE: values, "second_temperature": other["values"]},
        {ONE: flags, "second_temperature": other["flags"]},
    )
    hourly, daily = both(device, seen, day)
    assert validate("hourly_aggregates", hourly) == []
    assert validate("daily_aggregates", daily) == []
    mine = hourly[hourly["series"] == ONE].to_dict("records")
    for found, expected in zip(mine, naive_hours(device, day, at, values, flags), strict=True):
        agree(found, expected)
    agree(daily.iloc[0].to_dict(), naive_day(device, day, at, values, flags, 20.0))
    assert daily["valid_count"].tolist()[1] == 0
    assert math.isnan(daily["exceedance_minutes"].iloc[1])


@given(some_days())
@settings(max_examples=40, deadline=None)
def test_counts_add_up_and_coverage_never_passes_one(content):
    device, day, at, values, flags = content
    hourly, daily = both(device, observations(device, at, {ONE: values}, {ONE: flags}), day)
    for frame in (hourly, daily):
        assert counts_add_up(frame) == []
        assert frame["coverage"].max() <= 1
        assert (frame["is_complete"] <= (frame["expected_count"] > 0)).all()
    assert hourly["expected_count"].sum() == daily["expected_count"].iloc[0] == len(at)


@given(some_days())
@settings(max_examples=20, deadline=None)
def test_a_series_is_aggregated_the_same_whatever_stands_beside_it(content):
    device, day, at, values, flags = content
    alone = both(device, observations(device, at, {ONE: values}, {ONE: flags}), day)
    beside = {ONE: values, "second_temperature": [1.0] * len(at)}
    with_other = both(device, observations(device, at, beside, {ONE: flags, "second_temperature": [1] * len(at)}), day)
    for one, two in zip(alone, with_other, strict=True):
        same = two[two["series"] == ONE].reset_index(drop=True)
        same["series"] = same["series"].cat.remove_unused_categories()
        pd.testing.assert_frame_equal(one, same, check_exact=True)


def test_observations_of_other_days_are_left_out():
    device = small()
    at = [slot for n in (-1, 0, 1) for slot in grid(device, DAY + timedelta(days=n))]
    values = [float(n) for n in range(len(at))]
    more = both(device, observations(device, at, {ONE: values}), DAY)
    alone = both(device, observations(device, at[96:192], {ONE: values[96:192]}), DAY)
    for one, two in zip(more, alone, strict=True):
        pd.testing.assert_frame_equal(one, two, check_exact=True)


def test_a_whole_day_of_known_values():
    _, daily = day_of(small(thresholds={ONE: 89.5}))
    row = daily.iloc[0]
    assert row["unit"] == "°C"
    assert (row["day_start"].isoformat(), row["day_end"].isoformat()) == (
        "2026-11-20T23:00:00+00:00",
        "2026-11-21T23:00:00+00:00",
    )
    assert (row["mean"], row["min"], row["max"], row["median"]) == (47.5, 0.0, 95.0, 47.5)
    assert row["mean_06_22"] == pytest.approx(np.arange(24, 88).mean())
    assert row["mean_22_06"] == pytest.approx(np.r_[0:24, 88:96].mean())
    assert row["max_8h_mean"] == pytest.approx(np.arange(64, 96).mean())
    assert row["exceedance_minutes"] == 6 * 15


@pytest.mark.parametrize(("missing", "complete"), [(1, True), (2, False)])
def test_an_hour_is_complete_from_three_quarters(missing, complete):
    hourly, _ = day_of(small(), value=lambda n: NAN if n < missing else 1.0)
    assert hourly["is_complete"].iloc[0] == complete


@pytest.mark.parametrize(
    ("zone", "day", "hours", "needed"),
    [
        ("Europe/Warsaw", DAY, 24, 18),
        ("Europe/Warsaw", date(2026, 3, 29), 23, 18),
        ("Europe/Warsaw", date(2026, 10, 25), 25, 19),
    ],
)
def test_a_day_is_complete_from_three_quarters_of_its_own_hours(zone, day, hours, needed):
    for enough in (True, False):
        slots = 4 * (needed if enough else needed - 1)
        _, daily = day_of(small(zone), day, value=lambda n, slots=slots: 1.0 if n < slots else NAN)
        assert (daily["hour_count"].iloc[0], daily["is_complete"].iloc[0]) == (hours, enough)


def test_a_daily_mean_is_of_observations_and_not_of_hourly_means():
    hourly, daily = day_of(small(), value=lambda n: 10.0 if n < 4 else 0.0 if n == 4 else NAN)
    assert hourly["mean"].mean() == 5.0
    assert daily["mean"].iloc[0] == 8.0


def test_flags_3_4_and_9_are_counted_and_not_averaged():
    device = small()
    at = grid(device, DAY)[:4]
    flags = [1, 3, 4, 2]
    hourly, _ = both(device, observations(device, at, {ONE: [1.0, 50.0, 500.0, 3.0]}, {ONE: flags}), DAY)
    row = hourly.iloc[0]
    assert (row["valid_count"], row["suspect_count"], row["bad_count"], row["mean"]) == (2, 1, 1, 2.0)


def test_an_hour_in_which_nothing_was_expected_is_a_row_without_coverage():
    device = small()
    hourly, daily = both(device, observations(device, grid(device, DAY)[:4], {ONE: [1.0] * 4}), DAY)
    assert len(hourly) == 24
    last = hourly.iloc[-1]
    assert (last["expected_count"], last["is_complete"]) == (0, False)
    assert math.isnan(last["coverage"])
    assert daily["coverage"].iloc[0] == 1.0
    assert not daily["is_complete"].iloc[0]


def test_a_day_on_which_nothing_was_expected_has_no_rows_but_all_columns():
    device = small()
    hourly, daily = both(device, observations(device, [], {ONE: []}), DAY)
    assert len(hourly) == len(daily) == 0
    assert validate("hourly_aggregates", hourly) == validate("daily_aggregates", daily) == []


def test_texts_are_texts_and_instants_are_utc():
    hourly, daily = day_of(small())
    assert [str(daily[name].dtype) for name in ("unit", "timezone", "day_start")] == [
        "str",
        "str",
        "datetime64[ms, UTC]",
    ]
    assert [str(hourly[name].dtype) for name in ("unit", "hour_start_local")] == ["str", "datetime64[ms]"]


def test_a_skipped_date_has_no_rows():
    device = small("Pacific/Apia")
    at = grid(device, date(2011, 12, 29))
    hourly, daily = both(device, observations(device, at, {ONE: [1.0] * len(at)}), date(2011, 12, 30))
    assert len(hourly) == len(daily) == 0


def test_an_8_hour_window_needs_6_hours_and_stays_inside_the_day():
    assert math.isnan(day_of(small(), value=lambda n: 1.0 if n < 20 else NAN)[1]["max_8h_mean"].iloc[0])
    assert day_of(small(), value=lambda n: 1.0 if n < 24 else NAN)[1]["max_8h_mean"].iloc[0] == 1.0


def test_a_half_hour_weighs_half_in_an_8_hour_window():
    device = small("Australia/Lord_Howe")
    at = grid(device, date(2026, 4, 5))[:30]  # two hours, the half hour, five hours
    values = [2.0 if 8 <= n < 10 else 1.0 for n in range(30)]
    hourly, daily = both(device, observations(device, at, {ONE: values}), date(2026, 4, 5))
    assert hourly["mean"].iloc[2] == 2.0
    assert daily["max_8h_mean"].iloc[0] == pytest.approx((6 * 1.0 + 0.5 * 2.0) / 6.5)  # from 01:00


def test_a_slot_stands_until_the_next_one_and_the_last_as_long_as_the_one_before():
    assert spacing_ms(np.array([0, 10, 20, 50]), 1000).tolist() == [10, 10, 30, 30]
    assert spacing_ms(np.array([0, 10]), 1000).tolist() == [10, 10]
    assert spacing_ms(np.array([900]), 1000).tolist() == [100]
    assert spacing_ms(np.array([0, 8_000_000]), 86_400_000).tolist() == [3_600_000, 3_600_000]
    nothing = spacing_ms(np.array([], dtype=np.int64), 1000)
    assert (nothing.tolist(), nothing.dtype) == ([], np.int64)


def test_exceedance_follows_a_changed_interval():
    device = small(thresholds={ONE: 0.0})
    start = grid(device, DAY)[0]
    at = [start, start + 60_000, start + 120_000, start + 130_000, start + 140_000]
    _, daily = both(device, observations(device, at, {ONE: [1.0, 0.0, 1.0, 1.0, 1.0]}), DAY)
    assert daily["exceedance_minutes"].iloc[0] == 1.5


def test_series_that_the_settings_do_not_name_are_an_error_that_names_them():
    seen = observations(SMALL, grid(SMALL, DAY), {"one": [1.0] * 96, "other": [1.0] * 96})
    with pytest.raises(ProcessingError, match="one, other, which"):
        hourly_aggregates(SMALL, seen, DAY)


def test_hours_of_other_observations_are_refused():
    device = small()
    seen = observations(device, grid(device, DAY), {ONE: [1.0] * 96})
    hourly = hourly_aggregates(device, seen, DAY)
    with pytest.raises(ProcessingError, match="2026-11-21"):
        daily_aggregates(device, seen, hourly.iloc[:-1], DAY)


@pytest.mark.parametrize("place", [0, 1])
def test_aggregates_become_arrow_with_the_schema_of_their_table(place):
    table = ("hourly_aggregates", "daily_aggregates")[place]
    frame = day_of(small())[place]
    arrow = aggregates_table(table, frame)
    assert arrow.schema.equals(arrow_schema(table), check_metadata=True)
    assert arrow.num_rows == len(frame)
    assert arrow.column("sd").null_count == frame["sd"].isna().sum()
