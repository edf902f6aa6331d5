"""Points of InfluxDB, put together from the parts that they come in."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from air_pipeline.storage.influxdb_columns import Columns, Growing

NUMBERS, TEXTS = ("dht22_humidity", "dht22_temperature"), ("body", "import")
FROM, END = 1_780_000_000_000, 1_780_000_600_000

Point = tuple[int, Mapping[str, float], Mapping[str, str]]

values = st.floats(allow_nan=False)
points = st.tuples(
    st.integers(FROM, END - 1),
    st.dictionaries(st.sampled_from(NUMBERS), values),
    st.dictionaries(st.sampled_from(TEXTS), st.sampled_from(["a", "b", ""])),
)


def put_together(parts: Sequence[Sequence[Point]], end: int = END) -> Columns:
    """The columns of points; a part names the fields that any of its points has."""
    growing = Growing(end)
    for part in parts:
        numbers = {name for _, fields, _ in part for name in fields}
        texts = {name for _, _, fields in part for name in fields}
        growing.add(
            np.array([at for at, _, _ in part], dtype="int64"),
            {name: np.array([fields.get(name, math.nan) for _, fields, _ in part]) for name in numbers},
            {name: pa.array([fields.get(name) for _, _, fields in part], pa.string()) for name in texts},
        )
    return growing.columns()


def shown(found: Columns) -> list[Point]:
    """Its points, each with the fields that it has."""
    texts = {name: column.to_pylist() for name, column in found.texts.items()}
    return [
        (
            int(at),
            {name: v for name, v in zip(found.names, found.numbers[:, place], strict=True) if not math.isnan(v)},
            {name: text for name, column in texts.items() if (text := column[place]) is not None},
        )
        for place, at in enumerate(found.times)
    ]


def expected(some: Sequence[Point]) -> list[Point]:
    """Of each time the last point of ours, else the last one that was imported."""
    by_time: dict[int, Point] = {}
    for point in sorted(some, key=lambda point: (point[0], not point[2].get("import"))):
        by_time[point[0]] = point
    return [by_time[at] for at in sorted(by_time)]


@given(st.lists(st.lists(points, max_size=30), max_size=6), st.sampled_from([FROM, END, 10 * END]))
def test_points_are_the_same_in_whatever_parts_they_come(parts: list[list[Point]], end: int) -> None:
    assert shown(put_together(parts, end)) == expected([point for part in parts for point in part])


def test_nothing_is_nothing() -> None:
    found = put_together([])
    assert (found.times.size, found.names, found.numbers.shape, dict(found.texts)) == (0, (), (0, 0), {})


@given(st.integers(1, 400), st.lists(st.integers(0, 20_000), min_size=1, max_size=5), st.booleans())
def test_however_wrong_the_room_was_guessed_every_point_is_there(apart: int, more: list[int], names_more: bool) -> None:
    sizes = [2, *more]
    starts = np.cumsum([0, *sizes])
    parts = [FROM + apart * np.arange(first, first + size) for first, size in zip(starts, sizes, strict=False)]
    growing = Growing(FROM + 100 * apart)
    for place, times in enumerate(parts):
        last = names_more and place == len(parts) - 1
        numbers = {name: times * factor for name, factor in zip(NUMBERS, (0.5, 0.25), strict=True)}
        growing.add(times, numbers if last else {NUMBERS[0]: times * 0.5}, {})
    found, times = growing.columns(), np.concatenate(parts)
    assert (found.times == times).all()
    assert (found.numbers[0] == times * 0.5).all()
    if names_more:
        assert (np.isnan(found.numbers[1]) == (np.arange(len(times)) < starts[-2])).all()
        assert (found.numbers[1, starts[-2] :] == times[starts[-2] :] * 0.25).all()


@given(
    st.integers(1, 3_000),
    st.integers(1, 200),
    st.sampled_from([FROM, FROM + 10_000, END, 10 * END]),
    st.integers(1, 60),
)
def test_room_for_what_never_comes_is_not_kept(parts: int, size: int, end: int, fields: int) -> None:
    """A device that was off for most of the time, read beside others whose fields it lacks."""
    growing, parts = Growing(end), min(parts, 3_000 // size)
    for part in range(parts):
        times = FROM + 10 * np.arange(part * size, (part + 1) * size)
        growing.add(times, {f"series_{number}": times * 1.0 for number in range(fields)}, {})
        assert len(growing._times) <= 4 * (part + 1) * size
    found = growing.columns()
    assert found.numbers.shape == (fields, parts * size)
    for kept in (found.times, found.numbers):
        assert (kept if kept.base is None else kept.base).nbytes <= 2 * kept.nbytes


@given(st.lists(points, max_size=20), st.lists(points, max_size=20))
def test_what_is_said_beside_is_of_a_point_that_is_there_and_of_its_import(
    some: list[Point], others: list[Point]
) -> None:
    there, found = put_together([some]), put_together([others])
    whose = {(at, fields.get("import") or None) for at, _, fields in expected(some)}
    kept = [one for one in expected(others) if (one[0], one[2].get("import") or None) in whose]
    assert shown(found.of_the_same(there)) == kept
