"""Rows in MessagePack are what the library makes of them, alike or not, wherever they come apart."""

import struct
from collections.abc import Iterator, Sequence
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as tries
from hypothesis import strategies as st

from air_pipeline.storage import message_pack
from air_pipeline.storage.message_pack import Stream

WIDTH = 4
LEAST = 16


@pytest.fixture(autouse=True, scope="module")
def _few_are_many() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(message_pack, "_LEAST_ALIKE", LEAST)
        yield


Row = tuple[Any, ...]


def written(value: Any) -> bytes:
    """As InfluxDB writes it: whole numbers that need eight bytes with their sign."""
    if type(value) is int and abs(value) > 2**32:
        return b"\xd3" + struct.pack(">q", value)
    packed: bytes = msgpack.packb(value)
    return packed


def lengthily(value: Any) -> bytes:
    """As no one writes it who can do it shorter."""
    if type(value) is int and abs(value) < 2**63:
        return b"\xd3" + struct.pack(">q", value)
    if isinstance(value, str):
        return b"\xdb" + struct.pack(">I", len(value.encode())) + value.encode()
    return written(value)


def in_latin(value: Any) -> bytes:
    """As some devices write texts, whatever InfluxDB thinks of it."""
    text = value.encode("latin-1", "replace") if isinstance(value, str) else b""
    return bytes([0xD9, len(text)]) + text if text else written(value)


def answer(rows: Sequence[Row], write: Any = written) -> bytes:
    packed = b"".join(bytes([0x90 + len(row)]) + b"".join(map(write, row)) for row in rows)
    return b"\x81" + bytes(msgpack.packb("values")) + b"\xdd" + struct.pack(">I", len(rows)) + packed


def cut(whole: bytes, size: int) -> Iterator[bytes]:
    return (whole[first : first + size] for first in range(0, len(whole), size))


def pieces(body: bytes, size: int = 65_536) -> list[list[Any]]:
    stream = Stream(cut(body, size))
    assert stream.goes_on()
    found = [columns for _ in stream.fields() for columns in stream.rows(WIDTH)]
    assert not stream.goes_on()
    return found


def as_rows(found: list[list[Any]]) -> list[Row]:
    listed = ([column.tolist() if isinstance(column, np.ndarray) else column for column in one] for one in found)
    return [row for columns in listed for row in zip(*columns, strict=True)]


times = st.integers(2**33, 2**62)
numbers = st.floats() | times | st.integers().filter(lambda number: -(2**63) <= number < 2**63)
values = st.none() | st.booleans() | numbers | st.text(max_size=40) | st.binary(max_size=3)


@st.composite
def some_alike(draw: st.DrawFn) -> list[Row]:
    """A row again and again, of which some numbers are others each time."""
    first = draw(st.lists(values, min_size=WIDTH, max_size=WIDTH))
    kinds = [{float: st.floats(), int: times}.get(type(value), st.just(value)) for value in first]
    few, enough = (0, 3), (LEAST - 1, LEAST + 4)
    least, most = draw(st.sampled_from([few, enough]))
    others = draw(st.lists(st.tuples(*kinds), min_size=least, max_size=most))
    return [tuple(first), *others]


runs = st.lists(some_alike(), max_size=4).map(lambda some: [row for rows in some for row in rows])


@tries(max_examples=150)
@given(rows=runs, size=st.integers(1, 300), write=st.sampled_from([written, lengthily, in_latin]))
def test_rows_are_what_the_library_reads(rows: list[Row], size: int, write: Any) -> None:
    body = answer(rows, write)
    of_library = msgpack.unpackb(body, use_list=False, unicode_errors="replace")["values"]
    assert [msgpack.packb(row) for row in as_rows(pieces(body, size))] == [msgpack.packb(row) for row in of_library]


ALIKE = [(1_780_000_000_000 + n * 1000, n / 4, "ok", None) for n in range(80)]


def taken_together(found: list[list[Any]]) -> int:
    """How many rows no Python object was made of."""
    return sum(len(columns[1]) for columns in found if isinstance(columns[1], np.ndarray))


def test_rows_that_are_alike_are_taken_together() -> None:
    found = pieces(answer(ALIKE))
    assert taken_together(found) == len(ALIKE)
    assert {tuple(type(column) for column in columns) for columns in found} == {(np.ndarray, np.ndarray, list, list)}
    assert {(columns[0].dtype.str, columns[1].dtype.str) for columns in found} == {("<i8", "<f8")}
    assert as_rows(found) == ALIKE


def test_texts_of_other_letters_are_the_librarys() -> None:
    rows = [(at, number, "Grüße", None) for at, number, _, _ in ALIKE]
    read = as_rows(pieces(answer(rows, in_latin)))
    assert read == [(at, number, "Gr\ufffd\ufffde", None) for at, number, _, _ in ALIKE]


@pytest.mark.parametrize("odd", [(1_780_000_000_000, None, "timeout", "x"), (1_780_000_000_000, 0.25, "no", None)])
def test_a_row_that_is_another_is_between_those_that_are_alike(odd: Row) -> None:
    """Whether it is of another length, or of the same."""
    rows = [*ALIKE[:40], odd, *ALIKE[41:]]
    found = pieces(answer(rows))
    assert taken_together(found) > 70
    assert as_rows(found) == rows


def test_what_is_cut_anywhere_ends_too_early() -> None:
    whole = answer(ALIKE)
    for length in range(1, len(whole)):
        with pytest.raises(msgpack.OutOfData):
            pieces(whole[:length])


@pytest.mark.parametrize("place", [0, 1, 30, 39])
@pytest.mark.parametrize("odd", [ALIKE[0][:3], (*ALIKE[0], 1.5), ()])
def test_a_row_of_another_length_is_an_error(place: int, odd: Row) -> None:
    with pytest.raises(ValueError, match="not a row of 4 values"):
        pieces(answer([*ALIKE[:place], odd, *ALIKE[place:]]))


def test_more_rows_than_anybody_has_are_an_error() -> None:
    with pytest.raises(ValueError, match="rows at once"):
        pieces(b"\x81" + msgpack.packb("values") + b"\xdd\x7f\xff\xff\xff")
