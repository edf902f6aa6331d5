"""Points of one device, column by column, put where they stay while an answer comes.

Belongs here: growing, and which point of a slot is shown. Does not: what is asked (`influxdb_points`); how an answer is
read (`message_pack`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from air_pipeline.storage.frames import Strings

# So many times what has come, there is room for what is expected: room that is not used takes memory all the same.
_MOST_TIMES = 4


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Points, a column a field.

    Attributes:
        times: ms, rising.
        names: the fields that are numbers.
        numbers: names × points, NaN where there is none.
        texts: the other fields, and the tag `import` where something was imported; null where there is none.
    """

    times: npt.NDArray[np.int64]
    names: tuple[str, ...]
    numbers: npt.NDArray[np.float64]
    texts: Mapping[str, Strings]

    def only(self, are_wanted: npt.NDArray[np.bool_]) -> "Columns":
        """Those points alone."""
        return self if are_wanted.all() else self.at(np.flatnonzero(are_wanted))

    def at(self, places: npt.NDArray[np.intp]) -> "Columns":
        """The points at some places, in that order."""
        texts = {name: column.take(places) for name, column in self.texts.items()}
        return Columns(self.times[places], self.names, self.numbers[:, places], texts)

    @property
    def imports(self) -> list[str | None]:
        """Of each point the import that it came with; None if it is ours."""
        if "import" not in self.texts:
            return [None] * len(self.times)
        return [name or None for name in self.texts["import"].to_pylist()]

    @property
    def are_ours(self) -> npt.NDArray[np.bool_]:
        """Which points were not imported."""
        if "import" not in self.texts:
            return np.ones(len(self.times), dtype=np.bool_)
        return np.array([one is None for one in self.imports], dtype=np.bool_)

    def of_the_same(self, points: "Columns") -> "Columns":
        """Of these points those that are of a slot of others, and of the same import."""
        found = self.only(are_among(self.times, points.times))
        if "import" not in points.texts and "import" not in found.texts:
            return found
        imports, places = points.imports, np.searchsorted(points.times, found.times).tolist()
        are_same = [imports[place] == one for place, one in zip(places, found.imports, strict=True)]
        return found.only(np.array(are_same, dtype=np.bool_))


class Growing:
    """Columns that some points are put into after others.

    An answer names the same fields from its beginning to its end; another one may know more.
    """

    def __init__(self, end: int) -> None:
        """None yet, and none from a time on, in ms."""
        self._end = end
        self._count = 0
        self._times = np.empty(0, np.int64)
        self._names: tuple[str, ...] = ()
        self._numbers = np.empty((0, 0))
        self._texts: dict[str, list[pa.Array[pa.StringScalar]]] = {}

    def add(
        self,
        times: npt.NDArray[np.int64],
        numbers: Mapping[str, npt.NDArray[np.float64]],
        texts: "Mapping[str, pa.Array[pa.StringScalar]]",
    ) -> None:
        """Puts these points after those that are there.

        Args:
            times: ms.
            numbers: field to the value of each point, NaN where there is none.
            texts: field, or the tag `import`, to the value of each point; null where there is none.
        """
        before, after = self._count, self._count + len(times)
        if after > len(self._times):
            self._make_room(max(after, 2 * before, min(self._expected(times), _MOST_TIMES * after)))
        self._name(tuple(dict.fromkeys((*self._names, *numbers))))
        self._times[before:after] = times
        for place, name in enumerate(self._names):
            self._numbers[place, before:after] = numbers.get(name, np.nan)
        for name in dict.fromkeys((*self._texts, *texts)):
            known = self._texts.setdefault(name, [pa.nulls(before, pa.string())])
            known.append(texts[name] if name in texts else pa.nulls(len(times), pa.string()))
        self._count = after

    def columns(self) -> Columns:
        """All of them, no two of one slot; nothing is to be added from here on."""
        texts = {name: pa.chunked_array(parts, pa.string()) for name, parts in self._texts.items()}
        count = self._count
        times, numbers = self._times[:count], self._numbers[:, :count]
        if len(self._times) > 2 * count:  # a frame keeps all of it
            times, numbers = times.copy(), numbers.copy()
        return _one_a_slot(Columns(times, self._names, numbers, texts))

    def _expected(self, times: npt.NDArray[np.int64]) -> int:
        """How many points there will be, if those that come are as far apart as these."""
        if not len(times) or times[-1] <= times[0]:
            return 0
        more = (self._end - int(times[0])) * (len(times) - 1) // int(times[-1] - times[0])
        return self._count + more + 1

    def _make_room(self, room: int) -> None:
        times, numbers, count = self._times, self._numbers, self._count
        self._times, self._numbers = np.empty(room, np.int64), np.empty((len(numbers), room))
        self._times[:count] = times[:count]
        self._numbers[:, :count] = numbers[:, :count]

    def _name(self, names: tuple[str, ...]) -> None:
        """Has a row for each of these names, of which those that it has are the first."""
        if names != self._names:
            numbers, known = self._numbers, len(self._names)
            self._names, self._numbers = names, np.empty((len(names), len(self._times)))
            self._numbers[:known, : self._count] = numbers[:, : self._count]
            self._numbers[known:, : self._count] = np.nan


def are_among(times: npt.NDArray[np.int64], others: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Whether each of some times is one of others; both rise."""
    if not len(others):
        return np.zeros(len(times), dtype=bool)
    nearest = others[np.minimum(np.searchsorted(others, times), len(others) - 1)]
    found: npt.NDArray[np.bool_] = nearest == times
    return found


def _one_a_slot(points: Columns) -> Columns:
    """The points, no two of one slot: what is ours before what was imported, which is another series.

    What came at the end of one part and with the next once more is one, as is what others wrote at fractions of a ms.
    """
    if (points.times[1:] < points.times[:-1]).any():  # as InfluxDB never gives them
        points = points.at(np.argsort(points.times, kind="stable"))
    are_ours = points.are_ours
    if not are_ours.all():
        points = points.only(are_ours | ~are_among(points.times, points.times[are_ours]))
    times = points.times
    return points.only(np.append(times[1:] != times[:-1], np.ones(len(times[:1]), dtype=np.bool_)))
