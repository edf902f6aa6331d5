"""What was imported into InfluxDB: points that carry, beside `device`, the tag `import`.

Belongs here: what there is of each import, and what of it polls of our own hide. Does not: how queries are sent
(`influxql`), which point of a slot is shown (`influxdb_columns`).

A poll of our own is another series than one that was imported, so that a slot can have both: ours is shown, and nothing
else is counted.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from air_pipeline.storage.influxql import OWN, Field, Series, during
from air_pipeline.storage.store import Summary

_OURS, _THEIRS = OWN, "\"import\"::tag != ''"
_DAY_MS = 86_400_000

Ask = Callable[..., list[list[Series]]]


def found(ask: Ask, start: int, end: int) -> dict[str, dict[str, Summary]]:
    """What a bucket in which something was imported holds of each import, by device; see `ReadingStore.imports`."""
    which = f'{_THEIRS} AND {during(start, end)} GROUP BY device, "import"'
    polls, values = ask(
        f"SELECT count({Field.OUTCOME}) AS polls, sum({Field.DURATION_MS}) AS duration_ms FROM poll WHERE {which}",  # noqa: S608
        f"SELECT count(*::field) FROM air WHERE {which}",  # noqa: S608
    )
    counts = {_key(one): sum(n for name, n in one.points[0].items() if name != "time") for one in values}
    there: dict[str, dict[str, Summary]] = {}
    for one in polls:
        device, import_id = _key(one)
        point = one.points[0]
        summary = Summary(point["polls"], float(point["duration_ms"]), counts.get((device, import_id), 0))
        there.setdefault(device, {})[import_id] = summary
    for device, imports in hidden(ask, start, end).items() if there else ():
        for import_id, less in imports.items():
            there[device][import_id] = less.taken_from(there[device][import_id])
    shown = {device: {name: one for name, one in of.items() if one.polls} for device, of in there.items()}
    return {device: of for device, of in shown.items() if of}


@dataclass
class Hidden:
    """What of an import stands in slots that polls of our own have."""

    duration_ms: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    """Polls by outcome."""
    series: Counter[str] = field(default_factory=Counter)
    """Values by series."""

    def add(self, more: "Hidden") -> None:
        """Adds what else is hidden."""
        self.duration_ms += more.duration_ms
        self.outcomes += more.outcomes
        self.series += more.series

    def taken_from(self, summary: Summary) -> Summary:
        """A summary without it."""
        return Summary(
            summary.polls - self.outcomes.total(),
            summary.duration_ms - self.duration_ms,
            summary.values - self.series.total(),
        )


def hidden(ask: Ask, start: int, end: int) -> dict[str, dict[str, Hidden]]:
    """Device to import to what our own polls hide of it; where there is no such slot, that is four small queries."""
    there: dict[str, dict[str, Hidden]] = {}
    for device, first, last in _shared(ask, start, end):
        for import_id, more in _of_a_day(ask, device, first, last + 1):
            there.setdefault(device, {}).setdefault(import_id, Hidden()).add(more)
    return there


def hidden_of_devices(ask: Ask, start: int, end: int) -> dict[str, Hidden]:
    """Device to all that our own polls hide of its imports."""
    there: dict[str, Hidden] = {}
    for device, imports in hidden(ask, start, end).items():
        for one in imports.values():
            there.setdefault(device, Hidden()).add(one)
    return there


def _shared(ask: Ask, start: int, end: int) -> Iterator[tuple[str, int, int]]:
    """The devices with polls of ours and others on a UTC day, and from when to when (included) of it, ms UTC."""
    edges = [
        {one.tags["device"]: int(one.points[0]["time"]) for one in result}
        for result in ask(
            *(
                f"SELECT {edge}({Field.OUTCOME}) FROM poll WHERE {which} AND {during(start, end)} GROUP BY device"  # noqa: S608
                for edge in ("first", "last")
                for which in (_OURS, _THEIRS)
            )
        )
    ]
    for device in sorted(edges[0].keys() & edges[1].keys()):
        first, last = max(edges[0][device], edges[1][device]), min(edges[2][device], edges[3][device])
        if first > last:
            continue
        span = f"device::tag = $device AND {during(first, last + 1)} GROUP BY time(1d) fill(none)"
        ours, theirs = (
            {int(point["time"]) for series in result for point in series.points}
            for result in ask(
                *(f"SELECT count({Field.OUTCOME}) FROM poll WHERE {which} AND {span}" for which in (_OURS, _THEIRS)),  # noqa: S608
                parameters={"device": device},
            )
        )
        for midnight in sorted(ours & theirs):
            yield device, max(first, midnight), min(last, midnight + _DAY_MS - 1)


def _of_a_day(ask: Ask, device: str, start: int, end: int) -> Iterator[tuple[str, Hidden]]:
    of_device = f"device::tag = $device AND {during(start, end)}"
    ours, theirs, values = ask(
        f"SELECT {Field.OUTCOME} FROM poll WHERE {_OURS} AND {of_device}",  # noqa: S608
        f'SELECT {Field.OUTCOME}, {Field.DURATION_MS} FROM poll WHERE {_THEIRS} AND {of_device} GROUP BY "import"',  # noqa: S608
        f'SELECT *::field FROM air WHERE {_THEIRS} AND {of_device} GROUP BY "import"',  # noqa: S608
        parameters={"device": device},
    )
    taken = {point["time"] for series in ours for point in series.points}
    said = {one.tags["import"]: [point for point in one.points if point["time"] in taken] for one in values}
    for one in theirs:
        points = [point for point in one.points if point["time"] in taken]
        yield (
            one.tags["import"],
            Hidden(
                sum(float(point["duration_ms"]) for point in points),
                Counter(str(point["outcome"]) for point in points),
                Counter(name for point in said.get(one.tags["import"], ()) for name in point if name != "time"),
            ),
        )


def _key(series: Series) -> tuple[str, str]:
    return series.tags["device"], series.tags["import"]
