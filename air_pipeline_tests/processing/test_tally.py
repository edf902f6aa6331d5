"""What is counted of a device's day, from rows that are written out."""

import pandas as pd
import pyarrow as pa
import pytest

from air_pipeline.devices.polls import Flag
from air_pipeline.processing.rules import RULE_BITS
from air_pipeline.processing.schemas import arrow_schema
from air_pipeline.processing.tally import AGAIN, APART, OF_APART, Apart, Spoke, apart_of, cycles_of, spoken_of

SPIKE, RATE = RULE_BITS["spike"], RULE_BITS["rate"]
AT = 1_780_000_000_000


def rows(**series):
    """Observations of a device: series to (value, flag, rules) of one slot after the other."""
    cells = [
        {"series": name, "observed_at": pd.Timestamp(AT + place * 1000, unit="ms", tz="UTC"), "value": value}
        | {"flag": int(flag), "rules": rules}
        for name, of_series in series.items()
        for place, (value, flag, rules) in enumerate(of_series)
    ]
    schema = arrow_schema("observations")
    return pa.Table.from_pylist(cells, schema=pa.schema([schema.field(name) for name in OF_APART]))


def test_rules_that_spoke_together_are_counted_together_with_the_first_slot():
    found = spoken_of(
        rows(
            a=[(1, Flag.GOOD, 0), (2, Flag.SUSPECT, SPIKE), (3, Flag.SUSPECT, SPIKE | RATE), (4, Flag.SUSPECT, SPIKE)],
            b=[(1, Flag.GOOD, 0)],
            c=[(1, Flag.GOOD, SPIKE)],  # somebody knows better, and said so
        )
    )
    assert {name: sorted(said) for name, said in found.items()} == {
        "a": [Spoke(SPIKE, 2, AT + 1000), Spoke(SPIKE | RATE, 1, AT + 2000)]
    }


def test_how_far_a_thermometer_was_apart_is_the_median_of_where_it_was_called_so():
    table = rows(
        a_temperature=[(20, Flag.GOOD, 0), (21, Flag.GOOD, 0), (22, Flag.GOOD, 0), (23, Flag.GOOD, 0)],
        b_temperature=[(22, Flag.GOOD, 0), (23, Flag.GOOD, 0), (24, Flag.GOOD, 0), (25, Flag.GOOD, 0)],
        c_temperature=[
            (99, Flag.GOOD, 0),
            (28, Flag.SUSPECT, APART),
            (30, Flag.SUSPECT, APART),
            (34, Flag.SUSPECT, APART),
        ],
        elsewhere=[(0, Flag.GOOD, 0)] * 4,
    )
    # Above the mean of the two others, 22, 23 and 24, by 6, 7 and 10.
    members = ["a_temperature", "b_temperature", "c_temperature"]
    assert apart_of(table, [members]) == {"c_temperature": Apart(7.0, 23.0)}


def test_of_two_each_is_apart_from_the_other_and_what_is_bad_is_compared_with_nothing():
    table = rows(
        a=[(20, Flag.SUSPECT, APART), (20, Flag.SUSPECT, APART)],
        b=[(30, Flag.SUSPECT, APART), (26, Flag.SUSPECT, APART)],
        c=[(-127, Flag.BAD, RULE_BITS["failure_value"]), (-127, Flag.BAD, RULE_BITS["failure_value"])],
    )
    assert apart_of(table, [["a", "b", "c"]]) == {"a": Apart(-8.0, 28.0), "b": Apart(8.0, 20.0)}
    assert apart_of(table, []) == {}


def of_cycles(*cycles):
    """A value a second, each of a measuring cycle; None: there is none."""
    return [
        (None, Flag.MISSING, 0)
        if cycle is None
        else (1.0, Flag.SUSPECT, AGAIN)
        if place and cycle == cycles[place - 1]
        else (1.0, Flag.GOOD, 0)
        for place, cycle in enumerate(cycles)
    ]


def test_a_cycle_is_as_long_as_it_takes_on_average_to_measure_anew():
    often = [at * 10 // 25 for at in range(500)]  # every 2.5 s
    assert cycles_of(rows(a=of_cycles(*often), b=of_cycles(*range(500)))) == {"a": pytest.approx(2.5, abs=0.01)}


def test_neither_gaps_nor_a_device_that_hung_make_a_cycle_longer():
    often = [at // 2 for at in range(100)]
    gap = [None if at % 9 == 8 else often[at - at // 9] for at in range(100)]
    hung = [*often[:40], *[often[39]] * 60, *often[40:]]
    assert cycles_of(rows(a=of_cycles(*gap))) == {"a": 2.0}
    assert cycles_of(rows(a=of_cycles(*hung))) == {"a": 2.0}


def test_of_few_cycles_nothing_is_said_of_how_long_they_are():
    assert cycles_of(rows(a=of_cycles(0, 0, 1, 1, 2, 2, 3, 3, 4, 4))) == {}
    assert cycles_of(rows(a=of_cycles(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5))) == {"a": 2.0}
