"""The rows that are left in a damaged file of SQLite, page by page, without SQLite, which gives up at the first fault.

Belongs here: the file format (https://www.sqlite.org/fileformat2.html): pages, leaves of tables, records, the
write-ahead log. Does not: what the rows mean (`collection.salvage`).

Rows that were deleted lately may be found again, and a row twice: whoever takes them must be able to take them twice.
"""

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

Value = int | float | str | bytes | None
Row = tuple[Value, ...]

_LEAF = 0x0D
_HEADER = 100  # bytes, on the first page alone
_PAGE_BYTES = 4096  # where the header does not say; what SQLite takes by itself
_SMALLEST_PAGE = 512
_LARGEST_ROW = 8_000_000
_LOG_HEADER, _FRAME_HEADER = 32, 24
# Kinds of a value in a record: integers of so many bytes, and so on; bytes and texts from _BYTES on, by their length.
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_REAL, _ZERO, _ONE, _BYTES = 7, 8, 9, 12


class Pages:
    """The pages of one file, each as the file has it and as its log does.

    Raises:
        OSError: by every method, when it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        """Opens the file, and the log if there is one; for one thread, which closes them."""
        self._file = path.open("rb")
        self.size = _page_size(self._file.read(_HEADER))
        self.count = -(-path.stat().st_size // self.size)
        log = path.with_name(f"{path.name}-wal")
        self._log = log.open("rb") if log.exists() else None
        self._logged = {} if self._log is None else self._read_log(self._log, log.stat().st_size)
        self.count = max([self.count, *self._logged])

    def close(self) -> None:
        """Closes the files."""
        self._file.close()
        if self._log is not None:
            self._log.close()

    def rows(self, number: int) -> Iterator[Row]:
        """The rows on one page, counted from 1."""
        for page in dict.fromkeys((self._page(number), self._log_page(number))):
            yield from rows_of(page, _HEADER if number == 1 else 0, self._latest)

    def _latest(self, number: int) -> bytes:
        return self._log_page(number) or self._page(number)

    def _page(self, number: int) -> bytes:
        if not 1 <= number <= self.count:
            return b""
        self._file.seek((number - 1) * self.size)
        return self._file.read(self.size)

    def _log_page(self, number: int) -> bytes:
        if self._log is None or number not in self._logged:
            return b""
        self._log.seek(self._logged[number])
        return self._log.read(self.size)

    def _read_log(self, log: BinaryIO, length: int) -> dict[int, int]:
        """Page to where its last version is in the log, of those that were written since the log began anew."""
        salts = log.read(_LOG_HEADER)[16:24]
        most = self.count + length // self.size
        found = {}
        for start in range(_LOG_HEADER, length - _FRAME_HEADER - self.size + 1, _FRAME_HEADER + self.size):
            log.seek(start)
            frame = log.read(_FRAME_HEADER)
            number = int.from_bytes(frame[:4], "big")
            if frame[8:16] == salts and 0 < number <= most:
                found[number] = start + _FRAME_HEADER
        return found


def rows_of(page: bytes, start: int, page_at: Callable[[int], bytes]) -> Iterator[Row]:
    """The rows on one page, whatever is on it; those that cannot be made out are left out.

    Args:
        page: its bytes.
        start: where it begins; the first page of a file has a header before.
        page_at: gives the page of a number, for what is longer than a page; empty if there is none.
    """
    if len(page) < start + 8 or page[start] != _LEAF:
        return
    for number in range(int.from_bytes(page[start + 3 : start + 5], "big")):
        place = start + 8 + 2 * number
        try:
            yield _record(_payload(page, int.from_bytes(page[place : place + 2], "big"), page_at))
        except (IndexError, ValueError, struct.error):
            continue


def _payload(page: bytes, at: int, page_at: Callable[[int], bytes]) -> bytes:
    usable = len(page)
    length, at = _varint(page, at)
    _, at = _varint(page, at)  # the number of the row
    if not 0 < length <= _LARGEST_ROW:
        raise ValueError
    here = length
    if length > usable - 35:
        least = (usable - 12) * 32 // 255 - 23
        here = least + (length - least) % (usable - 4)
        here = here if here <= usable - 35 else least
    parts = [page[at : at + here]]
    following = int.from_bytes(page[at + here : at + here + 4], "big")
    left = length - here
    while left > 0:
        more = page_at(following)
        if len(more) != usable:
            raise ValueError
        parts.append(more[4 : 4 + min(left, usable - 4)])
        following, left = int.from_bytes(more[:4], "big"), left - (usable - 4)
    payload = b"".join(parts)
    if len(payload) != length:
        raise ValueError
    return payload


def _record(payload: bytes) -> Row:
    end, at = _varint(payload, 0)
    kinds = []
    while at < end:
        kind, at = _varint(payload, at)
        kinds.append(kind)
    if at != end:
        raise ValueError
    values = []
    for kind in kinds:
        value, at = _value(payload, at, kind)
        values.append(value)
    if at != len(payload):
        raise ValueError
    return tuple(values)


def _value(payload: bytes, at: int, kind: int) -> tuple[Value, int]:
    value: Value
    if kind == 0:
        return None, at
    if kind in (_ZERO, _ONE):
        return kind - _ZERO, at
    if kind in _INTEGERS:
        end = at + _INTEGERS[kind]
        value = int.from_bytes(payload[at:end], "big", signed=True)
    elif kind == _REAL:
        end = at + 8
        (value,) = struct.unpack(">d", payload[at:end])
    elif kind >= _BYTES:
        end = at + (kind - _BYTES) // 2
        value = payload[at:end]
        if kind % 2:
            value = value.decode()  # of what is no text, a ValueError
    else:
        raise ValueError
    if end > len(payload):
        raise ValueError
    return value, end


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for length in range(8):
        byte = data[at + length]
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            return value, at + length + 1
    return value << 8 | data[at + 8], at + 9


def _page_size(header: bytes) -> int:
    size = int.from_bytes(header[16:18], "big")
    size = 65536 if size == 1 else size
    is_one = header.startswith(b"SQLite format 3\0") and size >= _SMALLEST_PAGE and size & (size - 1) == 0
    return size if is_one else _PAGE_BYTES
