"""Rows in MessagePack, of which most are as long as the one before them and differ in their numbers alone.

Such rows are taken from the bytes by numpy, all at once: a device-day at 1 Hz has a million values, of which a Python
object each would take as long as the server takes to make them. All else is the library's.

Belongs here: bytes → values. Does not: what answers mean (`influxql`).
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any

import msgpack
import numpy as np
import numpy.typing as npt

Column = npt.NDArray[np.float64] | npt.NDArray[np.int64] | Sequence[Any]
"""The values of one column: numbers, or whatever there is."""

# Of fewer rows that are alike the library makes less work.
_LEAST_ALIKE, _MOST_ALIKE = 200, 10_000
# Of rows that are looked at, however long each is.
_MOST_BYTES = 16_000_000
# Few enough that the objects are still in the processor's cache when columns are made of them.
_MOST_OTHERS = 1_000
# So many rows at most, of which none was like the next, are the library's before others are looked for again.
_LONGEST_PAUSE = 1_023
# What announces more is not an InfluxDB's.
_LONGEST_ARRAY = 1_000_000
# What the library copies once more.
_READ = 16_384
_NUMBERS = {0xCB: ">f8", 0xD3: ">i8"}
"""The byte before a number of eight, and how that is read."""


class Stream:
    """Objects that come one after the other, read step by step.

    Whatever is not MessagePack, or not what it is read as, is a ValueError or a `msgpack.UnpackException`; of these
    `msgpack.OutOfData` says that it ends too early.
    """

    def __init__(self, parts: Iterable[bytes]) -> None:
        """Of bytes as they come."""
        self._bytes = _Bytes(parts)
        self._last = 0
        self._unpacker = msgpack.Unpacker(
            self._bytes, read_size=_READ, use_list=False, unicode_errors="replace", max_array_len=_LONGEST_ARRAY
        )

    def goes_on(self) -> bool:
        """Whether anything comes after what was read."""
        return self._bytes.reach(self._unpacker.tell() + 1)

    def value(self) -> Any:  # noqa: ANN401 - whatever it is
        """The next object."""
        return self._unpacker.unpack()

    def fields(self) -> Iterator[Any]:
        """The keys of the object that comes next; the value of each is read before the next key."""
        for _ in range(self._unpacker.read_map_header()):
            yield self.value()

    def items(self) -> range:
        """The places in the list that comes next; what is there is read before the next place."""
        return range(self._unpacker.read_array_header())

    def rows(self, width: int) -> Iterator[list[Column]]:
        """The rows of the list that comes next, some at a time: the values of each column.

        Args:
            width: how many there are in each row.
        """
        left, others, pause = len(self.items()), list[tuple[Any, ...]](), 0
        if left > _LONGEST_ARRAY:
            raise ValueError(f"{left} rows at once")
        while left:
            self._bytes.forget(self._unpacker.tell())
            passed = self._of_library(min(pause, left - 1), width)
            start = self._unpacker.tell()
            [row] = self._of_library(1, width)
            left -= len(passed) + 1
            alike = self._alike(row, start, left)
            others += passed if alike else [*passed, row]
            if others and (alike or len(others) >= _MOST_OTHERS):
                yield [*zip(*others, strict=True)]
                others = []
            if alike:
                yield alike
                left -= len(alike[0]) - 1
            pause = 0 if alike else min(2 * pause + 1, _LONGEST_PAUSE)
        if others:
            yield [*zip(*others, strict=True)]

    def _of_library(self, count: int, width: int) -> list[tuple[Any, ...]]:
        value = self._unpacker.unpack
        rows = [value() for _ in range(count)]
        if not all(isinstance(row, tuple) and len(row) == width for row in rows):
            raise ValueError(f"not a row of {width} values")
        return rows

    def _alike(self, row: tuple[Any, ...], start: int, more: int) -> list[Column]:
        """A row with those after it whose bytes differ in numbers alone, column by column; nothing where they are few.

        Args:
            row: which was read last.
            start: where it began.
            more: how many rows come after it.
        """
        if more + 1 < _LEAST_ALIKE:
            return []
        # Four times as many as were alike the last time: to look at more costs more.
        most = min(max(4 * self._last, _LEAST_ALIKE), _MOST_ALIKE, more + 1)
        size = self._unpacker.tell() - start
        packed = [*map(_written, row)]
        head = size - sum(map(len, packed))
        rows = self._bytes.look(start, size, min(most, max(_MOST_BYTES // size, 1)))
        if head < 1 or b"".join(packed) != rows[0, head:].tobytes():
            return []  # a text that is not UTF-8, or what is written otherwise than the shortest way
        places = [*accumulate(map(len, packed), initial=head)][:-1]
        kinds = [_NUMBERS.get(int(rows[0, place])) for place in places]
        numbers = [(slice(place + 1, place + 9), kind) for place, kind in zip(places, kinds, strict=True)]
        is_fixed = np.ones(size, dtype=bool)
        for where, kind in numbers:
            is_fixed[where] &= not kind
        differ = (rows[:, is_fixed] != rows[0, is_fixed]).any(axis=1)
        alike = rows[: int(differ.argmax()) or len(rows)]  # the first one does not differ
        self._last = len(alike)
        if len(alike) < _LEAST_ALIKE:
            return []
        self._unpacker.read_bytes((len(alike) - 1) * size)
        return [
            _numbers_in(alike, where.start, kind) if kind else [value] * len(alike)
            for value, (where, kind) in zip(row, numbers, strict=True)
        ]


class _Bytes:
    """What comes in parts, which may be looked at before it is read."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        """None has come yet."""
        self._parts = iter(parts)
        self._kept = bytearray()
        self._first = 0  # the place in all that comes of the first byte that is kept
        self._read = 0  # up to where it was read

    def reach(self, end: int) -> bool:
        """Waits until there is as much, or no more; whether there is."""
        while self._first + len(self._kept) < end:
            part = next(self._parts, None)
            if part is None:
                return False
            self._kept += part
        return True

    def read(self, size: int) -> bytes:
        """The next bytes, so many at most; none at the end."""
        self.reach(self._read + 1)
        some = self._from(self._read, size)
        self._read += len(some)
        return some

    def look(self, start: int, size: int, most: int) -> npt.NDArray[np.uint8]:
        """What comes from a place on, in pieces of a size: pieces × bytes."""
        self.reach(start + size * most)
        some = self._from(start, size * most)
        return np.frombuffer(some[: len(some) // size * size], dtype=np.uint8).reshape(-1, size)

    def forget(self, until: int) -> None:
        """Keeps what comes before a place, which was read, no longer."""
        del self._kept[: until - self._first]
        self._first = until

    def _from(self, start: int, size: int) -> bytes:
        with memoryview(self._kept) as kept:
            return bytes(kept[start - self._first : start - self._first + size])


def _written(value: object) -> bytes:
    """A value as InfluxDB writes it: a whole number that takes eight bytes with its sign."""
    packed: bytes = msgpack.packb(value)
    return b"\xd3" + packed[1:] if packed.startswith(b"\xcf") else packed


def _numbers_in(rows: npt.NDArray[np.uint8], place: int, kind: str) -> Column:
    """The number at a place of each row."""
    there = np.ndarray(len(rows), dtype=kind, buffer=rows, offset=place, strides=(rows.shape[1],))
    numbers: Column = there.astype(kind[1:])
    return numbers
